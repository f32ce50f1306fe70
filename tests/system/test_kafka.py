"""Kafka as source and sink, with a real broker (its jars by Maven, one KRaft node on loopback)."""
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time
import uuid

import pytest

from conftest import AGENT, SRC, record, wait_for

confluent_kafka = pytest.importorskip("confluent_kafka")
pytest.importorskip("confluent_kafka.admin")

if "kafka: yes" not in subprocess.run([AGENT, "--version"], capture_output=True, text=True).stdout:
    pytest.skip("the agent was built without Kafka", allow_module_level=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    def __init__(self, path, jars):
        self.path, self.classes = path, str(jars / "*")
        self.port, self.controller = free_port(), free_port()
        self.conf = path / "server.properties"
        self.conf.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.dirs={path}/logs
""")
        (path / "log4j.properties").write_text("log4j.rootLogger=WARN, stdout\nlog4j.appender.stdout=org.apache.log4j.ConsoleAppender\n"
                                               "log4j.appender.stdout.layout=org.apache.log4j.SimpleLayout\n")
        identity = subprocess.run(["java", "-cp", self.classes, "kafka.tools.StorageTool", "random-uuid"],
                                  capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
        subprocess.run(["java", "-cp", self.classes, "kafka.tools.StorageTool", "format", "-t", identity, "-c", self.conf],
                       check=True, capture_output=True)
        self.process = None
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            ["java", "-Xms256m", "-Xmx512m", f"-Dlog4j.configuration=file:{self.path}/log4j.properties", "-cp", self.classes,
             "kafka.Kafka", self.conf], stdout=open(self.path / "broker.log", "ab"), stderr=subprocess.STDOUT)
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.address, "log_level": 0})

        def up():
            try:
                return admin.list_topics(timeout=2)
            except confluent_kafka.KafkaException:
                return None
        wait_for(up, seconds=60, every=0.3)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(30)

    def topic(self, partitions=3):
        name = f"t-{uuid.uuid4().hex[:8]}"
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.address})
        for f in admin.create_topics([confluent_kafka.admin.NewTopic(name, partitions, 1)]).values():
            f.result(30)
        return name

    def produce(self, topic, records):
        p = confluent_kafka.Producer({"bootstrap.servers": self.address})
        for i, r in enumerate(records):
            p.produce(topic, json.dumps(r) if not isinstance(r, str) else r, key=str(i % 5))
            p.poll(0)
        assert p.flush(30) == 0

    def read(self, topic, seconds=30):
        """Everything in the topic, in the order of its partitions."""
        c = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": uuid.uuid4().hex,
                                      "auto.offset.reset": "earliest", "enable.partition.eof": True, "isolation.level": "read_committed"})
        parts = list(c.list_topics(topic, 10).topics[topic].partitions)
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
        return got


@pytest.fixture(scope="session")
def jars():
    where = pathlib.Path(os.environ.get("AISPM_KAFKA_LIBS", SRC / "build" / "kafka-libs"))
    if not list(where.glob("kafka_2.13-*.jar")):
        done = subprocess.run(["mvn", "-q", "-B", "-f", str(SRC / "tests" / "system" / "pom.xml"), "dependency:copy-dependencies",
                               f"-DoutputDirectory={where}"], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip("Maven cannot fetch the broker: " + (done.stdout + done.stderr)[-200:])
    return where


@pytest.fixture(scope="session")
def broker(jars, tmp_path_factory):
    b = Broker(tmp_path_factory.mktemp("kafka"), jars)
    yield b
    b.stop()


def source(broker, topic, more=""):
    return f"  - {{name: hub, type: kafka, brokers: \"{broker.address}\", topics: [{topic}], group: aispm-test-{topic}{more}}}\n"


def sink(broker, topic):
    return f"{{name: bus, type: kafka, brokers: \"{broker.address}\", topic: {topic}, batch: {{max_wait: 50ms}}}}"


def uids(events):
    return [e["EventOriginalUid"] for e in events if e["EventClass"] == "activity"]


def test_kafka_to_file_once_delivers_all_and_the_second_time_nothing(site, broker):
    topic = broker.topic()
    broker.produce(topic, [record(n) for n in range(1000)])
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("sinks:", source(broker, topic) + "sinks:"))
    done = site.once(timeout=120, limit="90s")
    assert done.returncode == 0, done.stderr
    assert sorted(uids(site.events())) == sorted(record(n)["correlationId"] for n in range(1000))
    broker.produce(topic, [record(n) for n in range(1000, 1100)])
    assert site.once(timeout=120, limit="90s").returncode == 0
    assert len(site.events()) == 1100 and len(set(uids(site.events()))) == 1100


def test_file_to_kafka_keeps_a_resource_s_order_and_every_event(site, broker):
    topic = broker.topic()
    site.configure(sink(broker, topic))
    records = []
    for n in range(600):
        r = record(n)
        r["resourceId"] = r["resourceId"].replace("contoso", f"account{n % 4}")
        records.append(r)
    site.append(records)
    done = site.once(timeout=120, limit="90s")
    assert done.returncode == 0, done.stderr
    got = broker.read(topic)
    assert len(got) == 600
    for account in range(4):
        of = [(p, e) for p, e in got if e["TargetResourceName"] == f"account{account}"]
        assert len({p for p, _ in of}) == 1
        assert uids([e for _, e in of]) == [r["correlationId"] for n, r in enumerate(records) if n % 4 == account]


def test_kafka_to_kafka_through_kills_and_a_broker_restart_loses_nothing(site, broker):
    taken, given = broker.topic(), broker.topic()
    rng = random.Random(7)
    site.configure(sink(broker, given))
    site.conf.write_text(site.conf.read_text().replace("sinks:", source(broker, taken, ", options: {session.timeout.ms: 6000}") + "sinks:"))
    n = 0
    for kill in range(6):
        p = site.start()
        broker.produce(taken, [record(n + i) for i in range(200)])
        n += 200
        if kill == 3:
            broker.stop()
            broker.start()
        time.sleep(rng.uniform(0.5, 4))
        p.send_signal(signal.SIGKILL)
        p.wait()
    done = site.once(timeout=200, limit="150s")
    assert done.returncode == 0, done.stderr
    events = [e for _, e in broker.read(given) if e["EventClass"] == "activity"]
    assert set(uids(events)) == {record(i)["correlationId"] for i in range(n)}
    assert len({e["EventId"] for e in events}) == n


def test_an_unreachable_broker_costs_time_and_nothing_else(site):
    site.configure(f"{{name: bus, type: kafka, brokers: \"127.0.0.1:{free_port()}\", topic: t}}", site.file_sink())
    site.append([record(n) for n in range(10)])
    done = site.once(limit="4s")
    assert done.returncode == 69
    assert len(site.events()) == 10
