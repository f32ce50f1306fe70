"""What the system tests share: the real binary, and a far side that speaks as Entra and the Logs Ingestion API do."""
import gzip
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

AGENT = os.environ.get("AISPM_AGENT", "")
SRC = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))
LONG = os.environ.get("LONG") == "1"
RULE = "dcr-00000000000000000000000000000000"

SETPRIV = shutil.which("setpriv")

if not AGENT:
    pytest.skip("AISPM_AGENT names no binary", allow_module_level=True)


def tied(*args):
    """A command that the kernel ends when the test run ends, however that does; its process id is the program's own."""
    return [SETPRIV, "--pdeathsig", "KILL", *map(str, args)] if SETPRIV else list(map(str, args))


def record(n, second=0, prompt=100):
    """One usage record of Azure OpenAI; n makes it unlike any other."""
    return {"time": f"2026-10-05T10:{n // 60 % 60:02d}:{n % 60:02d}.{second:03d}0000Z",
            "resourceId": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/"
                          "Microsoft.CognitiveServices/accounts/contoso",
            "category": "RequestResponse", "operationName": "ChatCompletions_Create", "resultSignature": "200",
            "correlationId": f"00000000-0000-4000-8000-{n:012d}", "event": "ShoeboxCallResult",
            "properties": {"modelDeploymentName": "chat", "modelName": "gpt-4o", "objectId": f"user-{n % 7}",
                           "streamType": "Streaming", "requestLength": prompt}}


class FarSide:
    """Answers by script: an entry is a status, or (status, headers, body), or "drop" (after reading, before answering),
    or "stall"; past the script's end 204. A function decides by the rows. Everything that came is kept."""

    def __init__(self, tls=None):
        self.script, self.requests, self.tokens = [], [], 0
        self.decide = None
        self.lock = threading.Lock()
        far = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def reply(self, status, body=b"", headers=()):
                self.send_response(status)
                for k, v in headers:
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                far.token(self)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if "/oauth2/" in self.path:
                    far.token(self, body)
                else:
                    far.ingest(self, body)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, handler, body=b""):
        with self.lock:
            self.tokens += 1
            name = f"token-{self.tokens}"
            self.requests.append({"token": True, "path": handler.path, "headers": dict(handler.headers),
                                  "form": urllib.parse.parse_qs(body.decode())})
        handler.reply(200, json.dumps({"access_token": name, "expires_in": 3600, "token_type": "Bearer"}).encode(),
                      [("Content-Type", "application/json")])

    def ingest(self, handler, body):
        raw = gzip.decompress(body) if handler.headers.get("Content-Encoding") == "gzip" else body
        rows = json.loads(raw)
        with self.lock:
            what = self.script.pop(0) if self.script else self.decide(rows) if self.decide else 204
            self.requests.append({"token": False, "path": handler.path, "headers": dict(handler.headers), "rows": rows,
                                  "bytes": len(raw), "sent": len(body), "answer": what, "at": time.monotonic()})
        if what == "drop":
            handler.close_connection = True
            handler.connection.close()
        elif what == "stall":
            time.sleep(2)
            handler.close_connection = True
        elif isinstance(what, tuple):
            handler.reply(what[0], what[2].encode(), what[1])
        else:
            handler.reply(what)

    def posts(self):
        with self.lock:
            return [r for r in self.requests if not r["token"]]

    def rows(self):
        """Rows the far side said yes to, or would have kept: a dropped connection kept them too."""
        return [row for r in self.posts() if r["answer"] in (204, "drop", "stall") for row in r["rows"]]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Site:
    """A directory with a configuration, and the agent run on it."""

    def __init__(self, path):
        self.path = path
        self.conf = path / "agent.yaml"
        self.out = path / "out.ndjson"
        self.env = dict(os.environ, AISPM_DATA_DIR=str(SRC), AISPM_TEST_SECRET="very-secret-word")
        for name in list(self.env):
            if name.lower().endswith("_proxy"):
                del self.env[name]
        (path / "in").mkdir()

    def configure(self, *sinks, extra="", max_record=None):
        more = f", max_record: {max_record}" if max_record else ""
        self.conf.write_text(f"agent: {{state_dir: {self.path}/state}}\nsources:\n"
                             f"  - {{name: in, type: file, paths: [\"{self.path}/in/*.ndjson\"]{more}}}\n"
                             + ("sinks:\n" + "".join(f"  - {s}\n" for s in sinks) if sinks else "") + extra)

    def file_sink(self):
        return f"{{name: disk, type: file, path: {self.out}, batch: {{max_wait: 50ms}}}}"

    def sentinel_sink(self, far, more=""):
        return (f"{{name: sentinel, type: sentinel, endpoint: \"{far.url}\", rule: {RULE}, stream: Custom-AISPMEvents, "
                f"batch: {{max_wait: 50ms}}, auth: {{type: client_secret, tenant: t, client_id: c, "
                f"secret: {{env: AISPM_TEST_SECRET}}, authority: \"{far.url}\"}}{more}}}")

    def append(self, records, name="a.ndjson"):
        with open(self.path / "in" / name, "a") as f:
            for r in records:
                f.write((r if isinstance(r, str) else json.dumps(r)) + "\n")

    def run(self, *args, timeout=60, stdin=None):
        return subprocess.run([AGENT, *args], env=self.env, capture_output=True, text=True, timeout=timeout, input=stdin)

    def once(self, timeout=120, limit="60s"):
        return self.run("run", "-c", str(self.conf), "--once", "--timeout", limit, timeout=timeout)

    def once_in_vain(self, seen):
        """--once where a sink cannot deliver: ends by its time limit, which is raised until `seen`, since a busy machine is slow."""
        for limit in (3, 12, 48):
            done = self.once(limit=f"{limit}s", timeout=limit + 60)
            if done.returncode != 69 or seen(done):
                break
        assert done.returncode == 69 and seen(done), done.stderr
        return done

    def start(self):
        return subprocess.Popen(tied(AGENT, "run", "-c", self.conf), env=self.env, stdout=subprocess.DEVNULL,
                                stderr=open(self.path / "log", "ab"))

    def log(self):
        return (self.path / "log").read_text(errors="replace")

    def events(self):
        """Of the lines that are whole: the agent may be writing one."""
        text = self.out.read_text() if self.out.exists() else ""
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


def free_port():
    """Below the ephemeral ones, or a client might sit on it before its server does."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


def wait_for(what, seconds=60, every=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(every)
    raise AssertionError("did not happen in time")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def far():
    f = FarSide()
    yield f
    f.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """An own CA and a certificate for localhost; (ca file, server context)."""
    d = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", d / "key.pem", "-out",
                    d / "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(d / "cert.pem", d / "key.pem")
    return d / "cert.pem", context


@pytest.fixture
def running(site):
    """Starts the agent; ends it, whatever the test did, by its own process id."""
    started = []

    def start():
        p = site.start()
        started.append(p)
        return p

    yield start
    for p in started:
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
            p.wait()
