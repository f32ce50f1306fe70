"""The syslog sink against receivers that do as they are told: framing, TLS, Unix sockets, and receivers that die, stall or come back."""
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from conftest import free_port, record, wait_for


class Receiver:
    """Takes TCP (or Unix stream) connections and keeps their bytes. `limit`: closes a connection after so many bytes, unread ones too."""

    def __init__(self, family=socket.AF_INET, address=("127.0.0.1", 0), context=None, limit=None, reading=True):
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096 if limit or not reading else 1 << 20)
        self.socket.bind(address)
        self.socket.listen(8)
        self.address = self.socket.getsockname()
        self.context, self.limit, self.reading = context, limit, reading
        self.streams, self.open = [], []
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def port(self):
        return self.address[1]

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            kept = bytearray()
            self.streams.append(kept)
            self.open.append(c)
            threading.Thread(target=self.read, args=(c, kept), daemon=True).start()

    def read(self, c, kept):
        try:
            if self.context:
                c = self.context.wrap_socket(c, server_side=True)
                self.open.append(c)
            while self.reading:
                data = c.recv(65536)
                if not data:
                    break
                kept += data
                if self.limit and len(kept) >= self.limit:
                    self.limit = None
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")     # as a process that died
                    c.close()
                    return
        except OSError:
            pass

    def lines(self):
        """Whole newline-framed messages of all connections."""
        return [line for s in self.streams for line in bytes(s).decode().split("\n")[:-1]]

    def counted(self):
        """Octet-counted messages; fails when the count does not fit."""
        got = []
        for stream in self.streams:
            rest = bytes(stream)
            while rest:
                n, rest = re.fullmatch(rb"([1-9]\d*) (.*)", rest, re.S).groups()
                assert len(rest) >= int(n)
                got.append(rest[:int(n)].decode())
                rest = rest[int(n):]
        return got

    def close(self):
        if self.socket.fileno() >= 0:
            self.socket.shutdown(socket.SHUT_RDWR)      # wakes accept, which would keep it listening
            self.socket.close()
        for c in self.open:
            c.close()


@pytest.fixture
def receiver():
    made = []

    def make(*args, **kwargs):
        made.append(Receiver(*args, **kwargs))
        return made[-1]

    yield make
    for r in made:
        r.close()


def sink(target, more=""):
    return f"{{name: ama, type: syslog, target: \"{target}\", batch: {{max_wait: 50ms}}{more}}}"


def ids(messages):
    return [re.search(r"externalId=([0-9a-f]{32})", m)[1] for m in messages]


CEF_3164 = re.compile(r"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ CEF:0\|aispm-agent\|aispm-agent\|[\d.]+\|activity\|.*")
ANY_5424 = re.compile(r"<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ aispm-agent - - - (.*)")


def test_cef_for_ama_is_rfc3164_a_line_each_and_in_order(site, receiver):
    far = receiver()
    site.configure(sink(f"tcp://127.0.0.1:{far.port}"), site.file_sink())
    site.append([record(n) for n in range(300)])
    assert site.once().returncode == 0
    assert len(far.streams) == 1 and len(far.lines()) == 300
    for line in far.lines():
        assert int(CEF_3164.fullmatch(line)[1]) in (20 * 8 + 6, 20 * 8 + 5)
    assert ids(far.lines()) == [e["EventId"] for e in site.events()]


def test_rfc5424_with_octet_counting_carries_json(site, receiver):
    far = receiver()
    site.configure(sink(f"tcp://localhost:{far.port}", ", format: json, framing: octet-counting, facility: auth"))
    site.append([dict(record(n), level="Error") for n in range(20)])
    assert site.once().returncode == 0
    messages = far.counted()
    assert len(messages) == 20
    for m in messages:
        priority, body = ANY_5424.fullmatch(m).groups()
        assert int(priority) // 8 == 4 and body.startswith("{") and body.endswith("}")


def test_a_hostile_text_never_begins_a_second_message(site, receiver):
    far = receiver()
    evil = "x\n<134>Oct  1 00:00:00 h CEF:0|forged|x|1|2|3|10|\r\n\u2028\u0085 end"
    site.configure(sink(f"tcp://127.0.0.1:{far.port}"))
    records = [record(n) for n in range(10)]
    for r in records:
        r["properties"]["modelDeploymentName"] = evil
    site.append(records)
    assert site.once().returncode == 0
    assert len(far.lines()) == 10
    for line in far.lines():
        assert CEF_3164.fullmatch(line) and len(line.splitlines()) == 1 and "<134>" not in line[:4]


def test_tls_is_verified_and_counts_octets(site, receiver, certificate):
    ca, context = certificate
    far = receiver(context=context)
    site.configure(sink(f"tls://localhost:{far.port}", f", tls: {{ca_file: {ca}}}"))
    site.append([record(n) for n in range(50)])
    assert site.once().returncode == 0
    assert len(far.counted()) == 50


def test_a_certificate_for_another_name_or_of_a_stranger_holds_the_sink(site, receiver, certificate):
    ca, context = certificate
    far = receiver(context=context)
    for target, more in ((f"tls://127.0.0.1:{far.port}", f", tls: {{ca_file: {ca}}}"), (f"tls://localhost:{far.port}", "")):
        site.configure(sink(target, more))
        site.append([record(1)])
        site.once_in_vain(lambda done: "sink held" in done.stderr)
    assert not any(far.streams)


def test_unix_stream_and_datagram_sockets(site, receiver, tmp_path):
    far = receiver(socket.AF_UNIX, str(tmp_path / "s.sock"))
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(str(tmp_path / "d.sock"))
    datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    got = []
    threading.Thread(target=lambda: [got.append(datagrams.recv(1 << 20)) for _ in range(100)], daemon=True).start()
    site.configure(sink(f"unix:{tmp_path}/s.sock"), f"{{name: local, type: syslog, target: \"unix://{tmp_path}/d.sock\"}}")
    site.append([record(n) for n in range(100)])
    assert site.once().returncode == 0
    wait_for(lambda: len(got) == 100)
    assert len(far.lines()) == 100 and far.lines() == [g.decode() for g in got]
    for line in far.lines():        # a local receiver puts the host there itself
        assert re.match(r"<\d+>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d CEF:0\|", line)
    datagrams.close()


def test_a_receiver_that_dies_half_way_gets_the_whole_batch_again(site, receiver):
    far = receiver(limit=30000)
    site.configure(sink(f"tcp://127.0.0.1:{far.port}"), site.file_sink())
    site.append([record(n) for n in range(400)])
    done = site.once()
    assert done.returncode == 0, done.stderr
    assert len(far.streams) == 2 and len(far.streams[0]) >= 30000
    wanted = [e["EventId"] for e in site.events()]
    assert set(ids(far.lines())) == set(wanted)
    again = ids(bytes(far.streams[1]).decode().split("\n")[:-1])
    assert again == wanted[-len(again):]      # from the batch that broke on, in order


def test_what_a_receiver_does_not_take_is_kept_until_it_does(site, receiver, running):
    far = receiver()
    port = far.port
    far.close()
    site.configure(sink(f"tcp://127.0.0.1:{port}"))
    agent = running()
    site.append([record(n) for n in range(50)])
    wait_for(lambda: "sink not ready" in site.log())
    back = receiver(address=("127.0.0.1", port))
    wait_for(lambda: len(back.lines()) == 50)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(timeout=60) == 0


def test_a_receiver_that_reads_nothing_is_not_taken_for_one_that_has(site, receiver):
    far = receiver(reading=False)
    site.configure(sink(f"tcp://127.0.0.1:{far.port}", ", timeout: 1s"))
    site.append([record(n) for n in range(2000)])
    # it sent: what the kernel took for the receiver lies there unread, and it came back to try again
    site.once_in_vain(lambda done: len(far.open) > 1 and len(far.open[0].recv(4096, socket.MSG_PEEK)) > 0)
    fine = receiver()
    site.configure(sink(f"tcp://127.0.0.1:{fine.port}"))
    assert site.once().returncode == 0
    assert len(set(ids(fine.lines()))) == 2000


def test_a_message_too_long_is_set_aside_and_its_neighbours_go(site, receiver):
    far = receiver()
    site.configure(sink(f"tcp://127.0.0.1:{far.port}", ", max_message: 2KiB"))
    records = [record(n) for n in range(30)]
    records[7]["properties"]["modelDeploymentName"] = "d" * 4000
    site.append(records)
    done = site.once()
    assert done.returncode == 65 and "longer than max_message" in done.stderr
    assert len(far.lines()) == 29


def test_a_killed_agent_repeats_but_loses_nothing(site, receiver, running):
    far = receiver()
    site.configure(sink(f"tcp://127.0.0.1:{far.port}"), site.file_sink())
    for turn in range(3):
        agent = running()
        site.append([record(n) for n in range(turn * 400, turn * 400 + 400)])
        before = len(far.lines())
        wait_for(lambda: len(far.lines()) > before)
        agent.send_signal(signal.SIGKILL)
        agent.wait()
    assert site.once().returncode == 0
    wanted = {e["EventId"] for e in site.events()}
    assert len(wanted) == 1200
    whole = [line for line in far.lines() if "externalId=" in line]
    assert {m[1] for m in (re.search(r"externalId=([0-9a-f]{32}) ", line) for line in whole) if m} == wanted


@pytest.mark.parametrize("target", ["udp://127.0.0.1:514", "tcp://127.0.0.1", "tcp://:514", "tcp://h:0", "tcp://h:70000", "tcp://h:514/x", "unix:x", "h:514"])
def test_check_refuses_a_target_that_is_none(site, target):
    site.configure(sink(target))
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 78 and "sinks[0].target" in done.stderr + done.stdout and "unix:/PATH" in done.stderr + done.stdout
    if target.startswith("udp"):
        assert "loses" in done.stderr + done.stdout


@pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="no rsyslogd here, which is what feeds AMA")
@pytest.mark.parametrize("framing", ["newline", "octet-counting"])
def test_rsyslog_as_ama_reads_it_gives_back_each_line_of_cef(site, tmp_path, framing):
    port = free_port()
    # the template is the one that AMA's own drop-in for rsyslog forwards by
    (tmp_path / "r.conf").write_text(f'''
global(maxMessageSize="64k" workDirectory="{tmp_path}")
module(load="imtcp")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="ama" type="string" string="<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\\n")
action(type="omfile" file="{tmp_path}/got" template="ama")
''')
    daemon = subprocess.Popen([shutil.which("rsyslogd"), "-n", "-f", str(tmp_path / "r.conf"), "-i", str(tmp_path / "pid")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        wait_for(listens)
        site.configure(sink(f"tcp://127.0.0.1:{port}", f", framing: {framing}"), f"{{name: cef, type: file, path: {tmp_path}/cef, format: cef}}")
        site.append([record(n) for n in range(100)])
        assert site.once().returncode == 0
        wait_for(lambda: (tmp_path / "got").exists() and len((tmp_path / "got").read_text().splitlines()) == 100)
        got = [re.fullmatch(r"<\d+>\w{3} [ \d]\d [\d:]{8} \S+ CEF: ?(.*)", line)[1] for line in (tmp_path / "got").read_text().splitlines()]
        assert ["CEF:" + g for g in got] == (tmp_path / "cef").read_text().splitlines()
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(timeout=60)
