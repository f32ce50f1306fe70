#!/usr/bin/env python3
"""A soak: the real agent in its default configuration reads a file that grows by RATE events a second and is rotated, and its Sentinel is away half of the
time, in turn by refusing connections, by 503 and by stalling. Prints a line a minute; ends with 0 only if every event arrived, each under one
EventId, nothing is left in the spool or set aside, and memory stayed flat.
Use: soak.py AGENT DATA_DIR [MINUTES [RATE]]          (make soak; 20 minutes at 5,000 by default)"""
import array
import ctypes
import gzip
import http.server
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SPELL_S = 60                        # up so long, away so long; in a run of a few minutes less
AWAY = ("refuses", "503", "stalls")  # the last takes what comes and never says so: it comes again
STUCK_S = 180                       # of catching up without one new event
ROTATE_BYTES, KEEP_FILES = 64 << 20, 8
FLAT_KIB = 12 << 10                 # what the agent and its decode process may be above their mark of a tenth of the time
ROW = re.compile(rb'"EventId":"([0-9a-f]{16})[0-9a-f]{16}"[^{}]*?"EventOriginalUid":"soak-(\d{12})"')


def spell(began, length):
    """What the far side does now: up in even spells."""
    n = int((time.monotonic() - began) / length)
    return "up" if n % 2 == 0 else AWAY[n // 2 % len(AWAY)]


TIED = [shutil.which("setpriv"), "--pdeathsig", "KILL"] if shutil.which("setpriv") else []      # nothing is left behind, however we end


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


# ---- the far side, a process of its own --------------------------------------------------------

class Seen:
    """Which events came, and as what: 8 bytes of the EventId each."""

    def __init__(self, most):
        self.ids, self.counts = array.array("Q", bytes(8 * most)), dict.fromkeys(("rows", "once", "again", "other_id", "findings", "posts", "away"), 0)
        self.lock = threading.Lock()

    def take(self, body):
        rows = ROW.findall(body)
        with self.lock:
            self.counts["posts"] += 1
            self.counts["rows"] += len(rows)
            self.counts["findings"] += body.count(b'"EventClass":"') - len(rows)
            for event, number in rows:
                n, event = int(number), int(event, 16) | 1
                if self.ids[n] == 0:
                    self.ids[n] = event
                    self.counts["once"] += 1
                else:
                    self.counts["again" if self.ids[n] == event else "other_id"] += 1


def far_side(port, most, began, length, over, pipe):
    end_with_parent()
    seen = Seen(most)

    def now():
        return "up" if over.is_set() else spell(began, length)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args):
            pass

        def reply(self, status, body=b""):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state = now()
            if state != "up":
                with seen.lock:
                    seen.counts["away"] += 1
            if state == "stalls":
                if "/oauth2/" not in self.path:
                    seen.take(gzip.decompress(body))
                while now() == "stalls":
                    time.sleep(0.2)
                self.close_connection = True
            elif state == "refuses":            # a connection of before
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            elif state == "503":
                self.reply(503)
            elif "/oauth2/" in self.path:
                self.reply(200, json.dumps({"access_token": "t", "expires_in": 600}).encode())
            else:
                seen.take(gzip.decompress(body))
                self.reply(204)

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *args):
            pass

        def process_request(self, request, address):
            request.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            super().process_request(request, address)

    def answer():
        while pipe.poll(None):
            if pipe.recv() is None:
                os._exit(0)
            with seen.lock:
                pipe.send(dict(seen.counts))

    threading.Thread(target=answer, daemon=True).start()
    while True:
        if now() == "refuses":
            time.sleep(0.1)
            continue
        server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        while now() != "refuses":
            time.sleep(0.1)
        server.shutdown()
        server.server_close()


# ---- the feeder, a process of its own ----------------------------------------------------------

def line(n, now):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}0000Z"
    return (f'{{"time":"{stamp}","resourceId":"/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/Microsoft.'
            f'CognitiveServices/accounts/contoso{n % 3}","category":"RequestResponse","operationName":"ChatCompletions_Create","resultSignature":"200",'
            f'"correlationId":"soak-{n:012d}","durationMs":{200 + n % 700},"callerIpAddress":"10.1.2.***","event":"ShoeboxCallResult","properties":'
            f'{{"modelDeploymentName":"chat","modelName":"gpt-4o","objectId":"user-{n % 50}","streamType":"Streaming","requestLength":{100 + n % 50}}}}}\n')


def feed(folder, rate, seconds, fed):
    """A tenth of a second's worth at a time; files are renamed and the oldest removed, as by logrotate."""
    end_with_parent()
    path, n, began = folder / "ai.ndjson", 0, time.monotonic()
    out = open(path, "a", buffering=1 << 20)
    while (passed := time.monotonic() - began) < seconds:
        now = time.time()
        while n < rate * passed:
            out.write(line(n, now))
            n += 1
        out.flush()
        fed.value = n
        if out.tell() > ROTATE_BYTES:
            for i in range(KEEP_FILES, 0, -1):
                if (old := folder / f"ai.ndjson.{i}").exists():
                    old.rename(folder / f"ai.ndjson.{i + 1}") if i < KEEP_FILES else old.unlink()
            path.rename(folder / "ai.ndjson.1")
            out.close()
            out = open(path, "a", buffering=1 << 20)
        time.sleep(0.1)
    out.close()


# ---- looking ---------------------------------------------------------------------------------------

def below(pid):
    """A process and those below it, the agent first, then its keeper and its worker."""
    found = [pid]
    for p in found:
        try:
            found += [int(c) for c in pathlib.Path(f"/proc/{p}/task/{p}/children").read_text().split()]
        except OSError:
            pass
    return found


def rss(pid):
    try:
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
    except (OSError, TypeError):
        return 0


def cpu(pids):
    total = 0
    for p in pids:
        try:
            total += sum(map(int, pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def size(folder):
    total = 0
    for f in folder.rglob("*"):
        try:
            total += f.stat().st_size
        except OSError:
            pass
    return total


def status(agent, conf, env):
    return json.loads(subprocess.run([agent, "status", "-c", conf, "--json"], env=env, capture_output=True, text=True, check=True).stdout)


class Watch:
    """Samples every few seconds; a line a minute."""

    def __init__(self, p, where):
        self.p, self.where, self.began, self.rows, self.told, self.spool_peak = p, where, time.monotonic(), [], 0, 0

    def look(self, fed, counts):
        pids = below(self.p.pid)
        minute, spool = (time.monotonic() - self.began) / 60, size(self.where / "state" / "spool")
        self.spool_peak = max(self.spool_peak, spool)
        self.rows.append((minute, rss(pids[0]), rss(pids[-1]) if len(pids) > 1 else 0))
        if minute >= self.told:
            self.told += 1
            print(f"{minute:5.1f} min  fed {fed:9d}  behind {fed - counts['once']:8d}  agent {self.rows[-1][1]:6d} KiB  decode {self.rows[-1][2]:6d} KiB  "
                  f"spool {spool >> 20:5d} MiB  CPU {cpu(pids):7.1f} s", flush=True)

    def at(self, minute):
        return min(self.rows, key=lambda r: abs(r[0] - minute))


def main():
    agent, data = sys.argv[1:3]
    minutes, rate = float(sys.argv[3]) if len(sys.argv) > 3 else 20, int(sys.argv[4]) if len(sys.argv) > 4 else 5000
    most, began, fed, over = int(rate * minutes * 60 * 1.1) + rate, time.monotonic(), multiprocessing.Value("Q"), multiprocessing.Event()
    ours, theirs = multiprocessing.Pipe()
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="aispm-soak-") as tmp:
        where = pathlib.Path(tmp)
        (where / "in").mkdir()
        (where / "agent.yaml").write_text(f"""agent: {{state_dir: {where}/state}}
sources:
  - {{name: ai, type: file, paths: ["{where}/in/ai.ndjson*"]}}
sinks:
  - name: sentinel
    type: sentinel
    endpoint: http://127.0.0.1:{port}
    rule: dcr-00000000000000000000000000000000
    stream: Custom-AISPMEvents
    auth: {{type: client_secret, tenant: t, client_id: c, secret: {{env: AISPM_SOAK_SECRET}}, authority: "http://127.0.0.1:{port}"}}
""")
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | {"AISPM_DATA_DIR": data, "AISPM_SOAK_SECRET": "s"}
        far = multiprocessing.Process(target=far_side, args=(port, most, began, min(SPELL_S, minutes * 60 / 8), over, theirs), daemon=True)
        feeder = multiprocessing.Process(target=feed, args=(where / "in", rate, minutes * 60, fed), daemon=True)
        far.start()
        p = subprocess.Popen([*TIED, agent, "run", "-c", where / "agent.yaml"], env=env, stderr=open(where / "log", "wb"))
        feeder.start()
        watch, counts, last = Watch(p, where), {"once": 0}, (0, 0)

        def ask():
            ours.send(True)
            return ours.recv()
        try:
            while feeder.is_alive() or counts["once"] < fed.value:
                if not feeder.is_alive() and not over.is_set():
                    over.set()
                    fed_at, behind = time.monotonic(), fed.value - ask()["once"]
                counts = ask()
                watch.look(fed.value, counts)
                assert p.poll() is None, "the agent has ended: " + (where / "log").read_text()[-2000:]
                if counts["once"] > last[1]:
                    last = time.monotonic(), counts["once"]
                if over.is_set() and time.monotonic() - max(last[0], fed_at) > STUCK_S:
                    break
                time.sleep(2)
            caught = time.monotonic() - fed_at
            time.sleep(3)
            counts, pids, at_end = ask(), below(p.pid), status(agent, where / "agent.yaml", env)
            used = cpu(pids)
            p.send_signal(signal.SIGTERM)
            ended = p.wait(60)
            dead = subprocess.run([agent, "spool", "dead", where / "state" / "dead"], env=env, capture_output=True, text=True).stdout.count("\n")
        finally:
            if p.poll() is None:
                p.kill()
            ours.send(None)
        left = sum(s["sink_pending_events"] for s in at_end["sinks"])
        return judge(minutes, fed.value, behind, caught, counts, used, watch, left, dead, ended, (where / "log").read_text(errors="replace"))


def judge(minutes, fed, behind, caught, counts, used, watch, left, dead, ended, log):
    marks = [watch.at(minutes * part) for part in (0.1, 0.5, 1.0)]
    print(f"{fed} events in {minutes:g} minutes; the far side away half of the time ({counts['away']} requests met it so)")
    print(f"delivered {counts['once']}, lost {fed - counts['once']}, repeated {counts['again']} (same EventId), under two EventIds {counts['other_id']}, "
          f"findings {counts['findings']}")
    print(f"behind by {behind} when feeding ended, caught up {caught:.0f} s later; left in the spool {left}; set aside {dead}; largest spool {watch.spool_peak >> 20} MiB")
    print("memory " + ", ".join(f"minute {m:.0f}: agent {a} KiB, decode {w} KiB" for m, a, w in marks)
          + f"; most: agent {max(r[1] for r in watch.rows)} KiB, decode {max(r[2] for r in watch.rows)} KiB")
    print(f"CPU {used:.0f} s of agent and decode, {used / fed * 1e6:.1f} us an event, {used / (minutes * 60) * 100:.0f} % of a core")
    flat = all(r[part] <= marks[0][part] + FLAT_KIB for r in watch.rows if r[0] > marks[0][0] for part in (1, 2))
    wrong = [text for bad, text in (
        (counts["once"] != fed, "events are lost"), (counts["other_id"] > 0, "an event had two EventIds"), (left > 0, "the spool is not empty"),
        (dead > 0, "events were set aside"), (not flat, f"memory grew by more than {FLAT_KIB >> 10} MiB"), (ended != 0, f"the agent ended with {ended}"),
        ("decode process ended" in log, "the decode process ended")) if bad]
    print("ok" if not wrong else "NOT OK: " + "; ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
