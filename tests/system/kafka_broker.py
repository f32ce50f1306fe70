"""A real Kafka broker for the tests: one KRaft node on loopback, its jars by Maven, with a listener for each way to log in."""
import json
import signal
import socket
import struct
import subprocess
import threading
import time
import uuid

import confluent_kafka
import confluent_kafka.admin

from conftest import free_port, tied, wait_for

PASSWORD = "broker-secret-word"


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Authority:
    """An own CA, and certificates by it."""

    def __init__(self, path, name="test CA"):
        self.path, self.file = path, path / "ca.pem"
        path.mkdir(exist_ok=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-keyout", path / "ca.key", "-out", self.file,
                "-subj", f"/CN={name}")

    def issue(self, name, alternative=None):
        """(certificate, key) files."""
        key, request, cert = (self.path / f"{name}.{end}" for end in ("key", "csr", "pem"))
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                *(["-addext", f"subjectAltName={alternative}"] if alternative else []))
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.path / "ca.key", "-CAcreateserial", "-days", 2,
                "-copy_extensions", "copy", "-out", cert)
        return cert, key


class Broker:
    """Listeners: plain; ssl (a client certificate is demanded); sasl (TLS with PLAIN, SCRAM-SHA-512, OAUTHBEARER); proxied, which is
    announced at another port, where a Proxy may stand."""

    def __init__(self, path, jars):
        self.path, self.classes = path, str(jars / "*")
        self.port, self.ssl, self.sasl, self.behind, self.proxied, self.controller = (free_port() for _ in range(6))
        self.authority = Authority(path / "authority")
        cert, key = self.authority.issue("broker", "DNS:localhost,IP:127.0.0.1")
        (path / "store.pem").write_text(key.read_text() + cert.read_text())
        self.conf = path / "server.properties"
        self.conf.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{self.port},SSL://127.0.0.1:{self.ssl},SASL_SSL://127.0.0.1:{self.sasl},PROXIED://127.0.0.1:{self.behind},CONTROLLER://127.0.0.1:{self.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port},SSL://localhost:{self.ssl},SASL_SSL://localhost:{self.sasl},PROXIED://127.0.0.1:{self.proxied}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={path}/store.pem
ssl.truststore.type=PEM
ssl.truststore.location={self.authority.file}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="{PASSWORD}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="t";
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.dirs={path}/logs
""")
        (path / "log4j.properties").write_text("log4j.rootLogger=WARN, stdout\nlog4j.appender.stdout=org.apache.log4j.ConsoleAppender\n"
                                               "log4j.appender.stdout.layout=org.apache.log4j.SimpleLayout\n")
        subprocess.run(["java", "-cp", self.classes, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", self.conf,
                        "--add-scram", f"SCRAM-SHA-512=[name=alice,password={PASSWORD}]"], check=True, capture_output=True)
        self.process = None
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def launch(self):
        self.process = subprocess.Popen(
            tied("java", "-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", f"-Dlog4j.configuration=file:{self.path}/log4j.properties", "-cp",
                 self.classes, "kafka.Kafka", self.conf), stdout=open(self.path / "broker.log", "ab"), stderr=subprocess.STDOUT)

    def start(self):
        self.launch()

        def up():
            if self.process.poll() is not None:      # a port was still taken
                self.launch()
            try:
                return self.admin.list_topics(timeout=2)
            except confluent_kafka.KafkaException:
                return None
        wait_for(up, every=0.2)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(30)

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()

    def topic(self, partitions=3, **config):
        name = f"t-{uuid.uuid4().hex[:8]}"
        topic = confluent_kafka.admin.NewTopic(name, partitions, 1, config={k.replace("_", "."): str(v) for k, v in config.items()})
        for f in self.admin.create_topics([topic]).values():
            f.result(30)
        return name

    def produce(self, topic, records):
        p = confluent_kafka.Producer({"bootstrap.servers": self.address, "linger.ms": 5})
        for i, r in enumerate(records):
            while True:
                try:
                    p.produce(topic, json.dumps(r) if not isinstance(r, str) else r, key=str(i % 5))
                    break
                except BufferError:
                    p.poll(0.1)
            p.poll(0)
        assert p.flush(60) == 0

    def read(self, topic, seconds=60, isolation="read_committed"):
        """(partition, event) of everything in the topic, in the order of its partitions."""
        c = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": uuid.uuid4().hex, "fetch.wait.max.ms": 50,
                                      "auto.offset.reset": "earliest", "enable.partition.eof": True, "isolation.level": isolation})
        parts = list(c.list_topics(topic, 60).topics[topic].partitions)
        c.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in parts])
        got, ended, end = [], set(), time.monotonic() + seconds
        while len(ended) < len(parts) and time.monotonic() < end:
            m = c.poll(1)
            if m is None:
                continue
            if m.error():
                ended.add(m.partition())
            else:
                got.append((m.partition(), json.loads(m.value())))
        c.close()
        assert len(ended) == len(parts), "the topic could not be read to its end: is a transaction open?"
        return got

    def committed(self, group, topic, partition=0):
        """(offset, metadata) that a group has committed. librdkafka ends a copied metadata with no NUL and this client reads on to the next one, so
        what comes behind an EventId's 32 characters is not Kafka's."""
        c = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": group})
        tp = c.committed([confluent_kafka.TopicPartition(topic, partition)], timeout=60)[0]
        c.close()
        return tp.offset, tp.metadata and tp.metadata[:32]


class Proxy:
    """Stands before the listener `proxied`. Mode "pass" lets all through; "refuse" answers FindCoordinator for transactions as Event Hubs
    Standard does; "swallow" never answers it."""

    TEXT = ("FindCoordinator asked for coordinator with type code 1 which is not supported. type code 1 is only supported in Premium or "
            "Dedicated sku.")

    def __init__(self, broker, mode):
        self.broker, self.mode, self.asked = broker, mode, 0
        self.listener = socket.create_server(("127.0.0.1", broker.proxied))
        self.address = f"127.0.0.1:{broker.proxied}"
        self.pairs, self.closed = [], False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closed:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.broker.behind))
            except OSError:
                continue
            self.pairs += [near, far]
            threading.Thread(target=self.requests, args=(near, far), daemon=True).start()
            threading.Thread(target=self.answers, args=(near, far), daemon=True).start()

    @staticmethod
    def exactly(s, n):
        got = b""
        while len(got) < n:
            more = s.recv(n - len(got))
            if not more:
                raise OSError("closed")
            got += more
        return got

    def requests(self, near, far):
        try:
            while True:
                head = self.exactly(near, 4)
                body = self.exactly(near, struct.unpack(">i", head)[0])
                key, version, correlation, n = struct.unpack(">hhih", body[:10])
                if key == 10 and version in (1, 2) and body[-1] == 1 and self.mode != "pass":
                    self.asked += 1
                    if self.mode == "refuse":
                        text = self.TEXT.encode()
                        near.sendall((lambda b: struct.pack(">i", len(b)) + b)(
                            struct.pack(">iihh", correlation, 0, -1, len(text)) + text + struct.pack(">ihi", -1, 0, -1)))
                    continue
                far.sendall(head + body)
        except OSError:
            self.end(near, far)

    def answers(self, near, far):
        try:
            while data := far.recv(65536):
                near.sendall(data)
        except OSError:
            pass
        self.end(near, far)

    @staticmethod
    def end(*sockets):
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def hang_up(self):
        self.end(*self.pairs)

    def close(self):
        self.closed = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()
