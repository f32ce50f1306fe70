"""All at once: kill -9 at random moments of the real binary as it comes (decode in its own process, detectors on), while the far side answers with
its whole table of troubles, tokens expire or are refused, the disk is full now and then, and the file it reads is rotated, also while nobody reads.

Short in each check; `make chaos` (LONG=1) at least 1,000 kills. KILLS=N and SEED=N as you like: the seed is printed, and decides what is tried in which
order; when a process was killed to the millisecond is the machine's to say.
"""
import collections
import ctypes
import gzip
import hashlib
import json
import os
import pathlib
import random
import signal
import socket
import struct
import time

import pytest

from conftest import LONG, RULE, FarSide, record, wait_for

KILLS = int(os.environ.get("KILLS", 1000 if LONG else 25))
SEED = int(os.environ.get("SEED", 20261125))
DISK_BYTES = 24 << 20
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


# ---- a disk that gets full ------------------------------------------------------------------

class Disk:
    """A small file system of our own, in a mount namespace of our own: it goes with us, however we end."""

    def __init__(self, path):
        self.path, self.ballast = path, path / "ballast"
        libc = ctypes.CDLL(None, use_errno=True)
        path.mkdir()
        if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0 or \
                libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, f"size={DISK_BYTES},mode=700".encode()) != 0:
            pytest.skip(f"a disk cannot be made to get full here: mount: {os.strerror(ctypes.get_errno())}")
        self.libc = libc

    def fill(self, spare):
        """Until nothing goes any more, but for `spare` bytes."""
        with open(self.ballast, "ab", buffering=0) as f:
            try:
                while f.write(bytes(1 << 20)) == 1 << 20:
                    pass
            except OSError:
                pass
            f.truncate(max(0, f.tell() - spare))

    def clear(self):
        self.ballast.unlink(missing_ok=True)

    def close(self):
        self.libc.umount2(bytes(self.path), 2)


@pytest.fixture
def disk(tmp_path):
    d = Disk(tmp_path / "disk")
    yield d
    d.close()


# ---- the far side ----------------------------------------------------------------------------------

class Weather(FarSide):
    """The service and its token authority, in all their moods. Remembers of each event whose row it has taken what it looked like."""

    INGEST = {      # what: weight. Those in KEEPS have the rows, whatever the agent hears
        "yes": 30, "429": 3, "429 now": 2, "429 later": 1, "500": 3, "502": 1, "503": 3, "503 later": 1, "504": 1, "408": 1, "401": 2, "403": 1, "404": 1,
        "413": 3, "400": 2, "reset unread": 2, "reset before": 3, "reset after": 3, "half an answer": 2, "no answer, taken": 2, "no answer": 2,
    }
    KEEPS = {"yes", "reset after", "half an answer", "no answer, taken"}
    TOKENS = {"good": 12, "dies at once": 4, "born dead": 2, "500": 1, "429": 1, "400": 1, "reset": 1, "no answer": 1, "nonsense": 1}

    def __init__(self, rng):
        self.rng, self.calm, self.good_until = rng, False, {}
        self.taken, self.again, self.unlike = {}, 0, []
        self.moods = collections.Counter()
        super().__init__()

    def pick(self, what, table, calm):
        with self.lock:
            mood = calm if self.calm else self.rng.choices(list(table), list(table.values()))[0]
            self.moods[f"{what}: {mood}"] += 1
            return mood

    @staticmethod
    def reset(handler):
        """RST, as by a process that died or a gateway that lost its mind."""
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    def token(self, handler, body=b""):
        mood = self.pick("token", self.TOKENS, "good")
        with self.lock:
            self.tokens += 1
            name = f"token-{self.tokens}"
            life = {"good": 3600, "dies at once": 0.15}.get(mood, -1)
            self.good_until[name] = time.monotonic() + life
        if mood in ("500", "429", "400"):
            handler.reply(int(mood), b'{"error":"invalid_client","error_description":"AADSTS7000222: expired"}' if mood == "400" else b"")
        elif mood == "reset":
            self.reset(handler)
        elif mood == "no answer":
            time.sleep(self.rng.uniform(0.1, 1.5))
            handler.close_connection = True
        elif mood == "nonsense":
            handler.reply(200, b'{"access_token": "tok', [("Content-Type", "application/json")])
        else:
            handler.reply(200, json.dumps({"access_token": name, "expires_in": max(1, int(life)), "token_type": "Bearer"}).encode())

    def keep(self, rows):
        with self.lock:
            for row in rows:
                looks = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest()[:8]
                known = self.taken.get(row["EventId"])
                if known is None:
                    self.taken[row["EventId"]] = looks, row["EventClass"], row.get("EventOriginalUid")
                else:
                    self.again += 1
                    if known[0] != looks:
                        self.unlike.append(row)

    def ingest(self, handler, body):
        rows = json.loads(gzip.decompress(body) if handler.headers.get("Content-Encoding") == "gzip" else body)
        token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        with self.lock:
            good = self.good_until.get(token, 0) > time.monotonic()
        mood = self.pick("ingest", self.INGEST, "yes") if good else "401"
        if mood in ("400", "413") and len(rows) == 1:       # a batch may be refused; no event of ours deserves it
            mood = "yes"
        if mood in self.KEEPS:
            self.keep(rows)
        if mood == "yes":
            handler.reply(204)
        elif mood.startswith("reset"):
            self.reset(handler)
        elif mood.startswith("no answer"):
            time.sleep(self.rng.uniform(0.1, 1.5))
            handler.close_connection = True
        elif mood == "half an answer":
            handler.wfile.write(b"HTTP/1.1 204 No Con")
            self.reset(handler)
        else:
            status, later = int(mood[:3]), {" now": "0", " later": "1"}.get(mood[3:])
            handler.reply(status, b'{"error":{"code":"Trouble","message":"as asked for"}}', [("Retry-After", later)] if later else [])




# ---- the world around the agent ----------------------------------------------------------------------

def change(n):
    """A change of configuration that a finding is made of: model invocation logging is switched off."""
    return {"eventVersion": "1.09", "eventTime": f"2026-10-05T10:{n // 60 % 60:02d}:{n % 60:02d}Z", "eventSource": "bedrock.amazonaws.com",
            "eventName": "DeleteModelInvocationLoggingConfiguration", "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.9", "userAgent": "aws-cli",
            "userIdentity": {"type": "IAMUser", "userName": f"admin-{n}", "arn": f"arn:aws:iam::123456789012:user/admin-{n}",
                             "accountId": "123456789012", "principalId": f"AIDA{n}"},
            "requestParameters": None, "responseElements": None, "requestID": f"r-{n}", "eventID": f"00000000-0000-4000-8000-{n:012d}", "readOnly": False,
            "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": "123456789012", "eventCategory": "Management"}


def made(n):
    """Each hundredth or so is a finding."""
    return change(n) if n % 97 == 96 else record(n, second=n % 1000, prompt=100 + n % 13)


class Feed:
    """A program that logs, and its logrotate."""

    def __init__(self, folder, rng):
        self.folder, self.rng, self.n, self.rotations = folder, rng, 0, 0

    def more(self, most=40):
        with open(self.folder / "ai.ndjson", "a") as f:
            for _ in range(self.rng.randint(0, most)):
                f.write(json.dumps(made(self.n)) + "\n")
                self.n += 1

    def rotate(self):
        """ai.ndjson -> .1 -> .2 ..., or to a name by date."""
        log = self.folder / "ai.ndjson"
        if not log.exists():
            return
        self.rotations += 1
        if self.rng.random() < 0.5:
            log.rename(self.folder / f"ai.ndjson-{self.rotations:05d}")
        else:
            numbered = [n for n in range(1, 4) if (self.folder / f"ai.ndjson.{n}").exists()]
            for n in reversed(numbered):
                to = f"ai.ndjson.{n + 1}" if n < 3 else f"ai.ndjson-{self.rotations:05d}-old"
                (self.folder / f"ai.ndjson.{n}").rename(self.folder / to)
            log.rename(self.folder / "ai.ndjson.1")


def configure(site, far, state):
    site.conf.write_text(f"""agent: {{state_dir: {state}}}
sources:
  - {{name: ai, type: file, paths: ["{site.path}/in/ai.ndjson*"]}}
sinks:
  - name: sentinel
    type: sentinel
    endpoint: {far.url}
    rule: {RULE}
    stream: Custom-AISPMEvents
    batch: {{max_wait: 50ms}}
    auth: {{type: client_secret, tenant: t, client_id: c, secret: {{env: AISPM_TEST_SECRET}}, authority: "{far.url}"}}
  - {site.file_sink()}
""")


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def holds_hup(pid):
    """Whether it is past the first instants of a program, in which that signal ends any."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("SigBlk:", 1)[1].split()[0], 16) & 1
    except OSError:
        return False


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Life:
    """From a start to its end, with what happens meanwhile."""

    def __init__(self, site, far, disk, feed, rng, seen):
        self.site, self.far, self.disk, self.feed, self.rng, self.seen = site, far, disk, feed, rng, seen

    def does_something(self):
        """Whether it has come as far as its sinks: past a start there is more to interrupt."""
        return self.far.moods.total() + (self.site.out.stat().st_size if self.site.out.exists() else 0) > self.before

    def trouble(self, p):
        rng = self.rng
        self.feed.more()
        what = rng.choices(("none", "rotate", "fill", "clear", "reload", "worker", "keeper"), (40, 8, 5, 5, 2, 3, 1))[0]
        if what == "rotate":
            self.feed.rotate()
        elif what == "fill":
            self.disk.fill(rng.choice((0, 0, 4096, 65536, 1 << 20)))
        elif what == "clear":
            self.disk.clear()
        elif what == "reload" and holds_hup(p.pid):
            p.send_signal(signal.SIGHUP)
        elif what == "worker":
            kill_all(grandchild for child in children(p.pid) for grandchild in children(child))
        elif what == "keeper":
            kill_all(children(p.pid))
        self.seen[what] += what != "none"

    def live(self):
        rng = self.rng
        self.before = self.far.moods.total() + (self.site.out.stat().st_size if self.site.out.exists() else 0)
        p, asked = self.site.start(), False
        try:
            patience = time.monotonic() + 3
            if rng.random() < 0.7:
                while not self.does_something() and p.poll() is None and time.monotonic() < patience:
                    self.trouble(p)
                    time.sleep(0.03)
            end = time.monotonic() + rng.uniform(0.0, 0.4)
            while time.monotonic() < end and p.poll() is None:
                self.trouble(p)
                time.sleep(rng.uniform(0.0, 0.04))
            if p.poll() is None and rng.random() < 0.05:
                self.seen["term"] += 1
                asked = True
                p.send_signal(signal.SIGTERM)
                time.sleep(rng.uniform(0.0, 0.3))
        finally:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
                self.seen["kill"] += 1
            p.wait()
        ended = [-signal.SIGKILL, *([0, -signal.SIGTERM] if asked else [])]     # the last: before it could hear of it
        if p.returncode not in ended:       # it may give up by itself only where it cannot write
            self.seen["gave up"] += 1
            assert p.returncode == 74 and self.disk.ballast.exists(), (p.returncode, self.site.log()[-3000:])
            self.disk.clear()
        if rng.random() < 0.3:
            self.disk.clear()
        if rng.random() < 0.15:
            self.feed.more()
            self.feed.rotate()


# ---- the promises ----------------------------------------------------------------------------------------

def events_of(path):
    """By EventId, in any order: (what it looks like, class, the record's own id); and those that came again and looked otherwise."""
    found, unlike = {}, []
    with open(path) as f:
        for line in f:
            e = json.loads(line)
            looks = hashlib.sha256(json.dumps(e, sort_keys=True).encode()).digest()[:8]
            if found.setdefault(e["EventId"], (looks, e["EventClass"], e.get("EventOriginalUid")))[0] != looks:
                unlike.append(e)
    return found, unlike


def findings_of(events, *kinds):
    return {i for i, (_, kind, _) in events.items() if (kind in kinds if kinds else kind not in ("activity", "agent"))}


def changes_in_peace(site, n):
    """What an agent that nobody disturbs says of the changes in the same records. What is learnt depends on their order, and that of several
    files that were rotated while nobody read is not that of writing; a change is one whatever came before."""
    calm = site.path / "calm"
    calm.mkdir()
    with open(calm / "ai.ndjson", "w") as f:
        for i in range(n):
            f.write(json.dumps(made(i)) + "\n")
    (calm / "agent.yaml").write_text(f"agent: {{state_dir: {calm}/state}}\nsources: [{{name: ai, type: file, paths: [{calm}/ai.ndjson]}}]\n"
                                     f"sinks: [{{name: disk, type: file, path: {calm}/out.ndjson}}]\n")
    done = site.run("run", "-c", str(calm / "agent.yaml"), "--once", timeout=300)
    assert done.returncode == 0, done.stderr
    return findings_of(events_of(calm / "out.ndjson")[0], "config_change")


def judge(site, far, feed, state):
    """0 lost, 0 repeats that EventId does not show, in both sinks, findings among them; no change untold; nothing set aside; the spool sound."""
    wanted = collections.Counter(record(n)["correlationId"] for n in range(feed.n))
    disk, unlike = events_of(site.out)
    assert not unlike and not far.unlike, "a repeated EventId is another event: " + str((unlike + far.unlike)[:3])
    for name, got in (("sentinel", far.taken), ("file", disk)):
        records = collections.Counter(uid for _, kind, uid in got.values() if kind == "activity")
        assert not wanted - records, (name, "lost", list((wanted - records).items())[:5])
        assert not records - wanted, (name, "under two EventIds", list((records - wanted).items())[:5])
    findings = findings_of(disk)
    assert findings == findings_of(far.taken)
    assert findings_of(disk, "config_change") == changes_in_peace(site, feed.n) != set()
    assert site.run("spool", "dead", str(state / "dead")).stdout == ""
    verify = site.run("spool", "verify", str(state / "spool"))
    assert verify.returncode == 0, verify.stdout + verify.stderr
    return len(findings)


def test_nothing_is_lost_and_no_repeat_is_hidden_whatever_comes_together(site, disk):
    rng = random.Random(SEED)
    print(f"chaos: SEED={SEED} KILLS={KILLS}")
    far, feed, seen, state = Weather(random.Random(SEED + 1)), Feed(site.path / "in", rng), collections.Counter(), disk.path / "state"
    try:
        configure(site, far, state)
        while seen["kill"] < KILLS:
            Life(site, far, disk, feed, rng, seen).live()
        disk.clear()
        far.calm = True
        done = site.once(limit="240s", timeout=300)
        assert done.returncode == 0, done.stderr + site.log()[-3000:]
        findings = judge(site, far, feed, state)
    finally:
        far.close()
        print(f"chaos: {feed.n} records, {feed.rotations} rotations; {dict(seen)}; {dict(far.moods)}")
    print(f"chaos: {len(far.taken)} events taken, {findings} findings, {far.again} rows came again")
    assert not KILLS > 500 or all(f"ingest: {m}" in far.moods for m in Weather.INGEST) and all(f"token: {m}" in far.moods for m in Weather.TOKENS)
