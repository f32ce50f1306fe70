#!/usr/bin/env python3
"""Throughput of one, two and three agents in one consumer group, over a real broker: the second stage of packaging/examples/scale-out-*.yaml.
Use: scale.py AGENT DATA_DIR KAFKA_LIBS [RECORDS [AGENTS]] with the Python environment of the tests.

A first stage puts the records on a topic of twelve partitions, keyed by resource (timed, too). The agents stand by, their partitions assigned; they are let go
together and read, detect and write each event to a file. All of it, the broker as well, shares this machine's processors: what an event costs in CPU tells
what more machines would give; the wall time only tells that nobody waits for another."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

os.environ["AISPM_AGENT"] = sys.argv[1]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
from kafka_broker import Broker  # noqa: E402
from conftest import wait_for  # noqa: E402
from wall import record  # noqa: E402

AGENT, DATA, LIBS = sys.argv[1:4]
RECORDS = int(sys.argv[4]) if len(sys.argv) > 4 else 300000
MOST = int(sys.argv[5]) if len(sys.argv) > 5 else 3
PARTITIONS, RESOURCES = 12, 48
ENV = dict(os.environ, AISPM_DATA_DIR=DATA)
MARK = b'"EventClass":"activity"'


def cpu_s(pid):
    """Of a process and all below it."""
    total = 0
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += cpu_s(child)
    except (OSError, IndexError):
        pass
    return total


def processes(pid):
    return [pid] + [p for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for p in processes(int(child))]


class Agent:
    def __init__(self, path, broker, topic, group):
        path.mkdir()
        self.out, self.at, self.n = path / "out.ndjson", 0, 0
        self.conf = path / "agent.yaml"
        self.conf.write_text(
            f"agent: {{state_dir: {path}/state, heartbeat: 0s, log_level: error}}\n"
            f"sources: [{{name: shared, type: kafka, brokers: \"{broker.address}\", topics: [{topic}], group: {group}, relay: true}}]\n"
            f"sinks: [{{name: out, type: file, path: {self.out}}}]\n")
        self.process = subprocess.Popen([AGENT, "run", "-c", self.conf], env=ENV, stdout=subprocess.DEVNULL)

    def signal(self, which):
        for pid in processes(self.process.pid):
            os.kill(pid, which)

    def partitions(self):
        done = subprocess.run([AGENT, "status", "--json", "-c", self.conf], env=ENV, capture_output=True)
        return json.loads(done.stdout)["sources"][0]["source_streams"] if done.returncode == 0 else 0

    def count(self):
        """Events in the file, which is read once."""
        if self.out.exists():
            with open(self.out, "rb") as f:
                f.seek(self.at)
                data = f.read()
            data = data[:data.rfind(b"\n") + 1]
            self.at += len(data)
            self.n += data.count(MARK)
        return self.n

    def end(self):
        self.process.kill()
        self.process.wait()


def settled(agents):
    def look():
        parts = [a.partitions() for a in agents]
        return sum(parts) == PARTITIONS and min(parts) > 0
    wait_for(look, seconds=120, every=0.2)


def fill(path, broker, topic):
    """The first stage: seconds, and seconds of CPU."""
    (path / "in").mkdir(exist_ok=True)
    source = path / "in" / "records.ndjson"
    if not source.exists():
        with open(source, "w") as f:
            for n in range(RECORDS):
                r = record(n)
                r["resourceId"] += str(n * 7919 % RESOURCES)
                f.write(json.dumps(r, separators=(",", ":")) + "\n")
    off = ", ".join(f"{d}: {{enabled: false}}" for d in ("volume", "access", "config"))
    (path / f"{topic}.yaml").write_text(
        f"agent: {{state_dir: {path}/{topic}, heartbeat: 0s, log_level: error}}\ndetectors: {{{off}}}\n"
        f"sources: [{{name: in, type: file, paths: [{source}]}}]\n"
        f"sinks: [{{name: shared, type: kafka, brokers: \"{broker.address}\", topic: {topic}, format: json}}]\n")
    begun, before = time.monotonic(), os.times()
    subprocess.run([AGENT, "run", "-c", path / f"{topic}.yaml", "--once"], env=ENV, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return time.monotonic() - begun, after.children_user + after.children_system - before.children_user - before.children_system


def measure(path, broker, n):
    topic = broker.topic(PARTITIONS)
    agents = [Agent(path / f"{topic}-{i}", broker, topic, f"bench-{topic}") for i in range(n)]
    try:
        settled(agents)
        for a in agents:
            a.signal(signal.SIGSTOP)
        first = fill(path, broker, topic)
        cpu, broker_cpu, begun = sum(cpu_s(a.process.pid) for a in agents), cpu_s(broker.process.pid), time.monotonic()
        for a in agents:
            a.signal(signal.SIGCONT)
        while sum(a.count() for a in agents) < RECORDS:
            time.sleep(0.05)
        took = time.monotonic() - begun
        cpu = sum(cpu_s(a.process.pid) for a in agents) - cpu
        return first, took, cpu, cpu_s(broker.process.pid) - broker_cpu, [a.n for a in agents]
    finally:
        for a in agents:
            a.end()


def main():
    with tempfile.TemporaryDirectory() as d:
        path = pathlib.Path(d)
        broker = Broker(path, pathlib.Path(LIBS))
        try:
            print(f"{RECORDS} records of about 820 bytes, {RESOURCES} resources, {PARTITIONS} partitions, {os.cpu_count()} processors for agents and broker")
            for n in range(1, MOST + 1):
                first, took, cpu, broker_cpu, shares = measure(path, broker, n)
                print(f"{n} agents: {RECORDS / took:9,.0f} events/s, {cpu / RECORDS * 1e6:5.1f} us of CPU an event (broker {broker_cpu / RECORDS * 1e6:.1f}), "
                      f"shares {shares}; first stage {RECORDS / first[0]:,.0f} events/s, {first[1] / RECORDS * 1e6:.1f} us", flush=True)
        finally:
            broker.stop(signal.SIGKILL)


if __name__ == "__main__":
    main()
