"""More than one machine: a first stage puts events, keyed by resource, on a shared topic; the agents of a second stage share its partitions and detect.

Agents come, are killed and return while records flow. LONG=1: more of all of it."""
import collections
import datetime
import json
import re
import subprocess

import confluent_kafka
import pytest

from conftest import AGENT, LONG, SRC, FarSide, Site, record, wait_for
from test_kafka import agent_id, broker, jars, kill, sink, with_source  # noqa: F401

EXAMPLES = SRC / "packaging" / "examples"
PARTITIONS, RESOURCES = 12, 24
ACCOUNTS = [f"account{n}" for n in range(RESOURCES)]
CHAOS = 9 if LONG else 1
MINUTES = 20 if LONG else 1             # of records, each time that an agent comes or goes
BURST = 10                              # calls of an account in each of them
SURGE = 120 if LONG else 60


class Traffic:
    """Calls of each account, minute by minute; each is unlike any other."""

    def __init__(self):
        self.time, self.n, self.lines = datetime.datetime(2026, 10, 5), 0, []

    def call(self, account):
        r = record(self.n)
        self.n += 1
        r["time"] = f"{self.time:%Y-%m-%dT%H:%M}:{self.n % 60:02d}.0000000Z"
        r["resourceId"] = r["resourceId"].replace("contoso", account)
        return json.dumps(r)

    def minute(self, calls, step=1):
        """One minute's lines, `step` minutes after the last one's."""
        self.time += datetime.timedelta(minutes=step)
        lines = [self.call(a) for a in ACCOUNTS for _ in range(calls)]
        self.lines += lines
        return lines


class Stages:
    """One agent of the first stage, and those of the second by name, as packaging/examples/scale-out-*.yaml has them."""

    def __init__(self, path, address, topic):
        self.path, self.address, self.topic, self.group = path, address, topic, f"aispm-test-{topic}"
        self.traffic, self.running, self.second, self.far = Traffic(), {}, {}, {}
        self.seen, self.read = set(), collections.Counter()
        self.first = self.site("first")
        self.first.configure(sink(address, topic), extra=self.detectors("scale-out-1-collect.yaml"))
        self.running["first"] = self.first.start()

    def site(self, name):
        (self.path / name).mkdir()
        return Site(self.path / name)

    @staticmethod
    def detectors(example):
        """The example's own, so that what is tested is what is shipped."""
        return re.search(r"^detectors:\n(?:[ #].*\n|\n)+", (EXAMPLES / example).read_text(), re.M).group(0)

    def add(self, name):
        site, far = self.site(name), FarSide()
        with_source(site, site.sentinel_sink(far), what=f"  - {{name: shared, type: kafka, brokers: \"{self.address}\", topics: [{self.topic}], "
                    f"group: {self.group}, relay: true, options: {{session.timeout.ms: 6000, heartbeat.interval.ms: 500}}}}\n")
        site.conf.write_text(site.conf.read_text() + self.detectors("scale-out-2-detect.yaml"))
        self.second[name], self.far[name] = site, far
        self.start(name)

    def start(self, name):
        self.running[name] = self.second[name].start()

    def kill(self, name):
        kill(self.running.pop(name))

    def close(self):
        for p in self.running.values():
            kill(p)
        for far in self.far.values():
            far.close()

    def append(self, calls, step=1, minutes=1):
        for _ in range(minutes):
            self.first.append(self.traffic.minute(calls, step))

    def rows(self, name):
        return self.far[name].rows()

    def delivered(self):
        """Ids of the records that a far side has; what was seen once is not read again."""
        for name, far in self.far.items():
            posts = far.posts()
            self.seen |= {r["EventOriginalUid"] for p in posts[self.read[name]:] if p["answer"] == 204 for r in p["rows"] if r["EventClass"] == "activity"}
            self.read[name] = len(posts)
        return self.seen

    def all_delivered(self):
        wait_for(lambda: len(self.delivered()) >= self.traffic.n, seconds=300 if LONG else 120, every=0.02)

    def partitions(self, name):
        """How many an agent has, by its own word; 0: none, or it does not answer."""
        done = self.second[name].run("status", "--json", "-c", str(self.second[name].conf))
        return json.loads(done.stdout)["sources"][0]["source_streams"] if done.returncode == 0 else 0

    def shared(self):
        """The group is settled: each that runs has some partitions, together they have all."""
        def settled():
            parts = [self.partitions(name) for name in self.running if name != "first"]
            return sum(parts) == PARTITIONS and min(parts) > 0
        wait_for(settled, seconds=120, every=0.2)

    def lag(self, broker):  # noqa: F811
        c = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": self.group})
        parts = [confluent_kafka.TopicPartition(self.topic, p) for p in range(PARTITIONS)]
        done = {tp.partition: max(tp.offset, 0) for tp in c.committed(parts, timeout=60)}
        left = sum(c.get_watermark_offsets(tp, timeout=60)[1] - done[tp.partition] for tp in parts)
        c.close()
        return left


@pytest.fixture
def stages(tmp_path, broker):  # noqa: F811
    s = Stages(tmp_path, broker.address, broker.topic(PARTITIONS))
    yield s
    s.close()


def explained(site, lines):
    """EventIds, as the records have them that no bus carried."""
    done = site.run("explain", stdin="\n".join(lines))
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["EventId"] for line in done.stdout.splitlines()]


def die_full_and_return(stages, broker, name):  # noqa: F811
    """Dies with a spool that it could not deliver; the others take its partitions; it returns and takes some again."""
    far = stages.far[name]
    far.decide = lambda rows: (503, [("Retry-After", "1")], "")
    stages.append(BURST, minutes=MINUTES)
    wait_for(lambda: sum(e["EventClass"] == "activity" for _, e in broker.read(stages.topic)) == stages.traffic.n, seconds=120, every=0.5)
    wait_for(lambda: stages.lag(broker) <= PARTITIONS, seconds=120, every=0.5)   # a transaction's end has an offset of its own
    assert len(stages.delivered()) < stages.traffic.n, "nothing lies in the spool of the one that dies"
    stages.kill(name)
    stages.append(BURST, minutes=MINUTES)
    stages.shared()
    held = stages.traffic.n - len(stages.delivered())
    assert held > 0
    far.decide = None
    stages.start(name)
    stages.shared()
    stages.all_delivered()


def test_agents_that_come_die_and_return_lose_nothing_and_a_series_findings_come_from_one(stages, broker):  # noqa: F811
    for name in ("a", "b"):
        stages.add(name)
    stages.shared()
    stages.append(BURST, minutes=MINUTES)
    stages.all_delivered()
    stages.add("c")                             # in the middle: what the others have not committed goes over with its partitions
    stages.append(BURST, minutes=MINUTES)
    stages.shared()
    stages.all_delivered()
    for turn in range(CHAOS):
        die_full_and_return(stages, broker, "bca"[turn % 3])

    for _ in range(60):                         # a day, one minute of each half hour; never two on their way at once, since what comes late does not count
        stages.append(2, step=30)
        stages.all_delivered()
    before = {name: len(stages.rows(name)) for name in stages.far}
    for calls in [SURGE] * 3 + [2] * 8:
        stages.append(calls)
        stages.all_delivered()
    found = collections.defaultdict(set)        # account: agents that told of its surge
    of = collections.defaultdict(set)           # account: agents that had its calls, since nobody comes or goes any more

    def told():
        for name in stages.far:
            for row in stages.rows(name):
                if row["EventClass"] == "volume_spike" and "TargetResourceName" in row:
                    found[row["TargetResourceName"]].add(name)
        return len(found) == RESOURCES
    wait_for(told, every=0.5)
    for name in stages.far:
        for row in stages.rows(name)[before[name]:]:
            if row["EventClass"] == "activity":
                of[row["TargetResourceName"]].add(name)
    assert set(of) == set(ACCOUNTS) and all(len(names) == 1 for names in of.values()), dict(of)
    assert {n for names in of.values() for n in names} == {"a", "b", "c"}
    assert dict(found) == dict(of)

    rows = [r for name in stages.far for r in stages.rows(name)]
    activity = [r for r in rows if r["EventClass"] == "activity"]
    wanted = explained(stages.first, stages.traffic.lines)
    assert len(wanted) == stages.traffic.n
    assert {r["EventId"] for r in activity} == set(wanted)             # nothing lost, and what came twice is the same event
    assert {r["AgentId"] for r in activity} == {agent_id(stages.first)}
    assert not [r for r in rows if r["EventClass"] == "alert"]
    # The second stage tells of its findings under its own name; a moved series was no silence.
    spikes = [r for r in rows if r["EventClass"] == "volume_spike"]
    assert {r["AgentId"] for r in spikes} == {agent_id(s) for s in stages.second.values()}
    assert not [r for r in spikes if r["EventOriginalType"].startswith("volume.silence")]


def test_the_examples_are_a_pair(tmp_path):
    """What one writes the other reads: the topic is the same, and only the second detects."""
    texts = [(EXAMPLES / f"scale-out-{n}.yaml").read_text() for n in ("1-collect", "2-detect")]
    written, read = re.search(r"^    topic: (\S+)", texts[0], re.M), re.search(r"^    topics: \[(\S+)\]", texts[1], re.M)
    assert written.group(1) == read.group(1)
    assert "format: json" in texts[0] and texts[0].count("enabled: false") == 3
    for n in ("1-collect", "2-detect"):
        done = subprocess.run([AGENT, "check", "-c", EXAMPLES / f"scale-out-{n}.yaml"], capture_output=True, text=True,
                              env=Site(tmp_path / n).env if (tmp_path / n).mkdir() is None else None)
        assert done.returncode == 0, done.stdout + done.stderr
