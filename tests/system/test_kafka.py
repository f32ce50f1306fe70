"""Kafka as source and sink, with a real broker."""
import base64
import collections
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import pytest

from conftest import AGENT, LONG, SRC, FarSide, Site, free_port, record, wait_for

pytest.importorskip("confluent_kafka.admin")
from kafka_broker import PASSWORD, Authority, Broker, Proxy  # noqa: E402

if "kafka: yes" not in subprocess.run([AGENT, "--version"], capture_output=True, text=True).stdout:
    pytest.skip("the agent was built without Kafka", allow_module_level=True)


@pytest.fixture(scope="session")
def jars():
    where = pathlib.Path(os.environ.get("AISPM_KAFKA_LIBS", SRC / "build" / "kafka-libs"))
    where.mkdir(parents=True, exist_ok=True)
    with open(where / ".lock", "w") as lock:        # another suite may ask at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetch(where)
    return where


def fetch(where):
    if not list(where.glob("kafka_2.13-*.jar")):
        done = subprocess.run(["mvn", "-q", "-B", "-f", str(SRC / "tests" / "system" / "pom.xml"), "dependency:copy-dependencies",
                               f"-DoutputDirectory={where}"], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip("Maven cannot fetch the broker: " + (done.stdout + done.stderr)[-200:])


@pytest.fixture(scope="session")
def broker(jars, tmp_path_factory):
    b = Broker(tmp_path_factory.mktemp("kafka"), jars)
    yield b
    b.stop(signal.SIGKILL)


@pytest.fixture
def proxy(broker):
    p = Proxy(broker, "pass")
    yield p
    p.close()


# ---- configurations ------------------------------------------------------------------

def source(address, topic, more=""):
    return f"  - {{name: hub, type: kafka, brokers: \"{address}\", topics: [{topic}], group: aispm-test-{topic}{more}}}\n"


def sink(address, topic, more=""):
    return f"{{name: bus, type: kafka, brokers: \"{address}\", topic: {topic}, batch: {{max_wait: 20ms}}{more}}}"


def with_source(site, *sinks, what):
    """Reads from Kafka alone."""
    site.configure(*sinks)
    text = site.conf.read_text()
    site.conf.write_text(text[:text.index("  - {name: in")] + what + text[text.index("sinks:"):])


def agent_id(site):
    return (site.path / "state" / "agent_id").read_text().strip()


def uids(events):
    return [e["EventOriginalUid"] for e in events if e["EventClass"] == "activity"]


def ids(n):
    return [record(i)["correlationId"] for i in range(n)]


def of_account(n, account, prompt=100):
    r = record(n, prompt=prompt)
    r["resourceId"] = r["resourceId"].replace("contoso", f"account{account}")
    return r


def kill(p):
    p.send_signal(signal.SIGKILL)
    p.wait()


# ---- source ----------------------------------------------------------------------------

def test_kafka_to_file_once_delivers_all_and_the_second_time_nothing(site, broker):
    topic = broker.topic()
    broker.produce(topic, [record(n) for n in range(1000)])
    with_source(site, site.file_sink(), what=source(broker.address, topic))
    done = site.once(timeout=120, limit="90s")
    assert done.returncode == 0, done.stderr
    assert sorted(uids(site.events())) == ids(1000)
    broker.produce(topic, [record(n) for n in range(1000, 1100)])
    assert site.once(timeout=120, limit="90s").returncode == 0
    assert len(site.events()) == 1100 and len(set(uids(site.events()))) == 1100


def test_a_broker_that_is_away_is_no_reason_to_fail_once_all_was_read_by_another(site, broker):
    topic = broker.topic()
    broker.produce(topic, [record(n) for n in range(100)])
    with_source(site, site.file_sink(), what=source(f"127.0.0.1:{free_port()},{broker.address}", topic))
    done = site.once(timeout=120, limit="90s")
    assert done.returncode == 0, done.stderr
    assert sorted(uids(site.events())) == ids(100)


def test_two_agents_in_a_group_share_the_partitions_and_lose_nothing_when_one_goes(tmp_path, broker):
    topic, n = broker.topic(6), 0
    sites, running = [], []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            sites.append(Site(tmp_path / name))
            with_source(sites[-1], sites[-1].file_sink(), what=source(
                broker.address, topic, ", options: {session.timeout.ms: 6000, heartbeat.interval.ms: 500}"))
            running.append(sites[-1].start())
            broker.produce(topic, [record(n + i) for i in range(300)])
            n += 300
            wait_for(lambda: "assigned" in sites[-1].log())
        broker.produce(topic, [record(n + i) for i in range(300)])
        n += 300
        wait_for(lambda: len(set(uids(sites[0].events() + sites[1].events()))) == n)
        kill(running.pop())                        # its partitions go to the other, and what it had not committed with them
        broker.produce(topic, [record(n + i) for i in range(300)])
        n += 300
        wait_for(lambda: len(set(uids(sites[0].events() + sites[1].events()))) == n)
    finally:
        for p in running:
            kill(p)
    events = sites[0].events() + sites[1].events()
    assert sites[1].events(), "the second agent got nothing to do"
    assert sorted(set(uids(events))) == ids(n)
    # what both have delivered is the same event
    assert len({e["EventId"] for e in events if e["EventClass"] == "activity"}) == n


def test_a_full_spool_pauses_the_partitions_and_memory_stays_where_it_was(site, broker, running):
    topic = broker.topic(4)
    wide = record(7777777)
    wide["properties"]["modelName"] = "x" * 3000        # so that few of them fill the spool
    wide = json.dumps(wide)
    for n in range(0, 60000, 10000):                    # 230 MB, of which the spool takes 64 MiB
        broker.produce(topic, [wide.replace("7777777", f"{n + i:07d}") for i in range(10000)])
    with_source(site, sink(f"127.0.0.1:{free_port()}", "nowhere"), what=source(broker.address, topic))
    site.conf.write_text(site.conf.read_text().replace("state}", "state, spool: {max_bytes: 64MiB}}"))
    p = running()
    wait_for(lambda: "spool full, source paused" in site.log(), every=0.2)

    def peak():
        status = open(f"/proc/{p.pid}/status").read().split()
        return int(status[status.index("VmHWM:") + 1])
    seen = []

    def settled():
        seen.append(peak())
        return len(seen) > 10 and seen[-1] == seen[-10]
    wait_for(settled, every=0.5)                        # whatever was on its way has arrived
    assert peak() < 100 * 1024, f"{peak()} KiB"


# ---- exactly once --------------------------------------------------------------------------

def test_file_to_kafka_keeps_a_resource_s_order_and_says_in_the_group_how_far_it_is(site, broker):
    topic = broker.topic()
    site.configure(sink(broker.address, topic))
    site.append([of_account(n, n % 4) for n in range(600)])
    done = site.once(timeout=120, limit="90s")
    assert done.returncode == 0, done.stderr
    got = broker.read(topic)
    assert len(got) == 600
    for account in range(4):
        of = [(p, e) for p, e in got if e["TargetResourceName"] == f"account{account}"]
        assert len({p for p, _ in of}) == 1
        assert uids([e for _, e in of]) == [record(n)["correlationId"] for n in range(600) if n % 4 == account]
    offset, metadata = broker.committed(f"aispm-agent-{agent_id(site)}-bus", topic)
    assert offset == 601
    assert metadata in {e["EventId"] for _, e in got}


def prove_exactly_once(site, broker, rounds, restarts, seed):
    """kill -9 at random moments, brokers that restart, and a read_committed reader that finds each event once and in order."""
    taken, given = broker.topic(), broker.topic()
    rng = random.Random(seed)
    print(f"seed {seed}")
    with_source(site, sink(broker.address, given), what=source(broker.address, taken, ", options: {session.timeout.ms: 6000}"))
    n = 0
    for i in range(rounds):
        p = site.start()
        try:
            broker.produce(taken, [of_account(n + k, (n + k) % 5) for k in range(200)])    # key and account agree
            n += 200
            if i in restarts:
                broker.restart(rng.choice((signal.SIGTERM, signal.SIGKILL)))
            time.sleep(rng.uniform(0.4, 2.0))
        finally:
            kill(p)
    done = site.once(timeout=300, limit="250s")
    assert done.returncode == 0, done.stderr + site.log()[-2000:]
    got = [(p, e) for p, e in broker.read(given) if e["EventClass"] == "activity"]
    lost = set(ids(n)) - set(uids([e for _, e in got]))
    assert not lost, (len(lost), n)
    twice = [e for e, c in collections.Counter(e["EventId"] for _, e in got).items() if c > 1]
    assert not twice, (len(twice), n)
    for account in range(5):
        of = uids([e for _, e in got if e["TargetResourceName"] == f"account{account}"])
        assert of == [u for k, u in enumerate(ids(n)) if k % 5 == account]
    return n


def test_exactly_once_through_kills_and_broker_restarts(site, broker):
    prove_exactly_once(site, broker, rounds=5, restarts={2}, seed=7)


@pytest.mark.skipif(not LONG, reason="LONG=1 kills it hundreds of times")
def test_exactly_once_through_hundreds_of_kills(site, broker):
    prove_exactly_once(site, broker, rounds=300, restarts=set(range(9, 300, 15)), seed=int(os.environ.get("SEED", time.time())))


def test_a_second_copy_of_the_agent_fences_the_first_which_keeps_everything(tmp_path, broker):
    topic = broker.topic()
    (tmp_path / "first").mkdir()
    first = Site(tmp_path / "first")
    first.configure(sink(broker.address, topic))
    running = [first.start()]
    try:
        first.append([record(n) for n in range(50)])
        wait_for(lambda: len(broker.read(topic)) == 50)
        shutil.copytree(first.path / "state", tmp_path / "second" / "state", ignore=shutil.ignore_patterns("*.sock", "*.lock", "lock"),
                        dirs_exist_ok=True)
        second = Site(tmp_path / "second")
        second.configure(sink(broker.address, topic))
        running.append(second.start())
        second.append([record(n) for n in range(100, 150)], name="b.ndjson")
        wait_for(lambda: len(broker.read(topic)) == 100)
        first.append([record(n) for n in range(50, 60)])
        wait_for(lambda: "sink held" in first.log())
        assert "second copy of the agent" in first.log()
        assert first.run("status", "-c", str(first.conf)).stdout
        kill(running.pop())
    finally:
        for p in running:
            kill(p)
    got = [e for _, e in broker.read(topic)]
    assert sorted(uids(got)) == ids(50) + [record(n)["correlationId"] for n in range(100, 150)]
    # what the first kept is still in its spool, and goes out once the operator has decided
    dump = first.run("spool", "dump", str(first.path / "state" / "spool")).stdout
    assert all(record(n)["correlationId"] in dump for n in range(50, 60))
    first.once_in_vain(lambda done: "not this spool's" in done.stderr)


# ---- brokers that have no transactions --------------------------------------------------------

def test_auto_falls_back_when_the_broker_says_that_transactions_are_not_supported(site, broker, proxy):
    topic = broker.topic()
    proxy.mode = "refuse"
    site.configure(sink(proxy.address, topic))
    site.append([record(n) for n in range(100)])
    done = site.once()
    assert done.returncode == 0, done.stderr
    assert "no transactions" in done.stderr and "Premium or Dedicated" in done.stderr and "idempotent" in done.stderr
    assert sorted(uids([e for _, e in broker.read(topic)])) == ids(100)


def test_true_is_held_where_auto_falls_back(site, broker, proxy):
    topic = broker.topic()
    proxy.mode = "refuse"
    site.configure(sink(proxy.address, topic, ", exactly_once: true"))
    site.append([record(n) for n in range(10)])
    site.once_in_vain(lambda done: "sink held" in done.stderr and "exactly_once: auto" in done.stderr)
    assert broker.read(topic, isolation="read_uncommitted") == []


def test_a_broker_that_does_not_answer_is_waited_for(site, broker, proxy, running):
    topic = broker.topic()
    proxy.mode = "swallow"
    site.configure(sink(proxy.address, topic, ", options: {socket.timeout.ms: 1000}"))
    site.append([record(n) for n in range(100)])
    running()
    wait_for(lambda: proxy.asked >= 4)          # each asks again when the one before has timed out
    if LONG:
        wait_for(lambda: "sink not ready" in site.log())
    assert broker.read(topic, isolation="read_uncommitted") == []
    assert "going on" not in site.log()
    proxy.mode = "pass"
    proxy.hang_up()
    wait_for(lambda: len(broker.read(topic)) == 100)
    assert "going on" not in site.log()
    assert broker.committed(f"aispm-agent-{agent_id(site)}-bus", topic)[0] == 101


# ---- messages that are too large --------------------------------------------------------------

@pytest.mark.parametrize("mode", ["true", "false"])
def test_an_event_too_large_for_the_topic_goes_to_the_dead_letter_and_its_neighbours_pass(site, broker, mode):
    topic = broker.topic(max_message_bytes=6000)
    site.configure(sink(broker.address, topic, f", exactly_once: {mode}"))
    records = [record(n) for n in range(60)]
    records[33]["properties"]["modelName"] = "gpt-" + "x" * 8000
    site.append(records)
    done = site.once()
    assert done.returncode == 65, done.stderr
    got = [e for _, e in broker.read(topic)]
    assert uids(sorted(got, key=lambda e: e["EventOriginalUid"])) == [u for n, u in enumerate(ids(60)) if n != 33]
    dead = site.run("spool", "dead", str(site.path / "state" / "dead")).stdout
    assert dead.count("max.message.bytes") == 1, dead


# ---- logging in --------------------------------------------------------------------------------

def jwt(seconds):
    def part(d):
        return base64.urlsafe_b64encode(json.dumps(d).encode()).rstrip(b"=").decode()
    now = time.time()
    return part({"alg": "none"}) + "." + part({"sub": "agent", "iat": min(now, now + seconds) - 60, "exp": now + seconds}) + "."


class Tokens(FarSide):
    """Entra, with tokens that the broker can read; `lives` are the seconds of the next ones."""

    def __init__(self):
        super().__init__()
        self.lives, self.given = [], []

    def token(self, handler, body=b""):
        life = self.lives.pop(0) if self.lives else 3600
        self.given.append(jwt(life))
        self.requests.append({"token": True, "form": body.decode()})
        handler.reply(200, json.dumps({"access_token": self.given[-1], "expires_in": max(life, 3600)}).encode())


@pytest.fixture
def tokens():
    t = Tokens()
    yield t
    t.close()


def auth(tokens):
    return (f"auth: {{type: client_secret, tenant: t, client_id: c, secret: {{env: AISPM_TEST_SECRET}}, authority: \"{tokens.url}\"}}")


def test_each_way_to_log_in_writes_and_reads(site, broker, tokens):
    topic = broker.topic()
    cert, key = broker.authority.issue("agent")
    ca = f"ca_file: {broker.authority.file}"
    site.env["AISPM_TEST_PASSWORD"] = PASSWORD
    ways = {
        "tls": (broker.ssl, f", tls: {{{ca}, cert_file: {cert}, key_file: {key}}}"),
        "plain": (broker.sasl, f", tls: {{{ca}}}, password: {{env: AISPM_TEST_PASSWORD}}, options: {{sasl.username: alice}}"),
        "scram": (broker.sasl, f", tls: {{{ca}}}, password: {{env: AISPM_TEST_PASSWORD}}, "
                               "options: {sasl.username: alice, sasl.mechanism: SCRAM-SHA-512}"),
        "token": (broker.sasl, f", options: {{ssl.ca.location: {broker.authority.file}}}, {auth(tokens)}"),
    }
    sinks = [sink(f"localhost:{port}", topic, more).replace("name: bus", f"name: {name}") for name, (port, more) in ways.items()]
    site.configure(*sinks)
    online = site.run("check", "-c", str(site.conf), "--online")
    assert online.returncode == 0 and all(f"sink {name}: reached" in online.stdout for name in ways), online.stdout
    assert broker.read(topic, isolation="read_uncommitted") == []
    site.append([record(n) for n in range(20)])
    done = site.once()
    assert done.returncode == 0, done.stderr
    assert collections.Counter(uids([e for _, e in broker.read(topic)])) == {u: 4 for u in ids(20)}
    scope = next(r["form"] for r in tokens.requests if "form" in r)
    assert "scope=https%3A%2F%2Flocalhost%2F.default" in scope
    taken = broker.topic()
    broker.produce(taken, [record(n) for n in range(100, 120)])
    site.configure(site.file_sink())
    text, sources = site.conf.read_text(), ""
    for name, (port, more) in ways.items():
        sources += source(f"localhost:{port}", taken, more).replace("name: hub", f"name: {name}").replace("group: ", f"group: {name}-")
    site.conf.write_text(text[:text.index("  - {name: in")] + sources + text[text.index("sinks:"):])
    done = site.once()
    assert done.returncode == 0, done.stderr
    got = collections.Counter(u for u in uids(site.events()) if u not in ids(20))
    assert got == {record(n)["correlationId"]: 4 for n in range(100, 120)}
    said = done.stderr + site.run("check", "-c", str(site.conf)).stdout
    assert PASSWORD not in said and not any(t[:40] in said for t in tokens.given)


def test_who_cannot_log_in_is_told_the_likely_cause(site, broker, tokens, tmp_path, running):
    topic = broker.topic(1)
    tokens.lives = [-30] * 50
    site.env["AISPM_TEST_PASSWORD"] = PASSWORD
    other, ca = Authority(tmp_path / "other", "another").file, broker.authority.file
    rows = {
        "wrong_ca": (broker.sasl, f"tls: {{ca_file: {other}}}, password: {{env: AISPM_TEST_PASSWORD}}, options: {{sasl.username: alice}}",
                     "held", "tls.ca_file must hold"),
        "wrong_password": (broker.sasl, f"tls: {{ca_file: {ca}}}, password: {{env: AISPM_TEST_SECRET}}, options: {{sasl.username: alice}}",
                           "held", "check user, password"),
        "old_tokens": (broker.sasl, f"options: {{ssl.ca.location: {ca}}}, {auth(tokens)}", "held", "check user"),
        "no_certificate": (broker.ssl, f"tls: {{ca_file: {ca}}}", "held", "client certificate"),
        "no_tls": (broker.sasl, "password: {env: AISPM_TEST_PASSWORD}, options: {sasl.username: alice, security.protocol: SASL_PLAINTEXT}",
                   "not ready", "security.protocol"),
    }
    v4 = "options: {broker.address.family: v4"        # localhost may be ::1 as well, where nobody listens
    rows = {name: (port, more.replace("options: {", v4 + ", ") if "options" in more else f"{more}, {v4}}}", *rest) for name, (port, more, *rest) in rows.items()}
    site.configure(*(sink(f"localhost:{port}", topic, ", " + more).replace("name: bus", f"name: {name}")
                     for name, (port, more, _, _) in rows.items()))
    site.append([record(n) for n in range(5)])
    running()

    def told(name, verdict, cause):     # maybe not at once: an address that nobody listens at may be tried before
        return any(f'sink="{name}"' in text and f"sink {verdict}" in text and cause in text for text in site.log().splitlines())
    try:
        wait_for(lambda: all(told(name, verdict, cause) for name, (_, _, verdict, cause) in rows.items()))
    except AssertionError:
        raise AssertionError(site.log())
    said = site.log() + site.run("status", "-c", str(site.conf)).stdout
    assert PASSWORD not in said and "very-secret-word" not in said and not any(t[:40] in said for t in tokens.given)
    assert broker.read(topic, isolation="read_uncommitted") == []


def test_check_online_names_what_keeps_kafka_away(site, broker):
    site.env["AISPM_TEST_PASSWORD"] = "wrong"
    site.configure(
        sink(f"localhost:{broker.sasl}", broker.topic(), f", tls: {{ca_file: {broker.authority.file}}}, "
             "password: {env: AISPM_TEST_PASSWORD}, options: {sasl.username: alice}").replace("name: bus", "name: password"),
        sink(broker.address, broker.topic()).replace("name: bus", "name: good"))
    text = site.conf.read_text()
    site.conf.write_text(text.replace("sources:\n", "sources:\n" + source(broker.address, broker.topic())))
    done = site.run("check", "-c", str(site.conf), "--online", timeout=90)
    assert done.returncode == 69 and "sink good: reached" in done.stdout and "source hub: reached" in done.stdout
    line = next(li for li in done.stdout.splitlines() if li.startswith("sink password: "))
    assert "password" in line.lower() or "authentication" in line.lower(), line


def test_a_refused_token_is_fetched_anew_and_the_sink_goes_on(site, broker, tokens):
    topic = broker.topic()
    tokens.lives = [-30]
    site.configure(sink(f"localhost:{broker.sasl}", topic, f", options: {{ssl.ca.location: {broker.authority.file}}}, {auth(tokens)}"))
    site.append([record(n) for n in range(20)])
    done = site.once()
    assert done.returncode == 0, done.stderr
    assert len(tokens.given) == 2
    assert sorted(uids([e for _, e in broker.read(topic)])) == ids(20)


def test_an_unreachable_broker_costs_time_and_nothing_else(site):
    site.configure(f"{{name: bus, type: kafka, brokers: \"127.0.0.1:{free_port()}\", topic: t}}", site.file_sink())
    site.append([record(n) for n in range(10)])
    site.once_in_vain(lambda done: len(site.events()) == 10)
