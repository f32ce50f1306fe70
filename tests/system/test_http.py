"""Source http: each sender's protocol, who may send, how much, how slowly; and that a yes means the records are on disk."""
import base64
import concurrent.futures
import gzip
import http.client
import json
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
import zlib

import pytest

from conftest import AGENT, LONG, SRC, free_port, record, wait_for

TOKEN = "a-token-of-the-tests-0123456789"
JSON = "application/json"


SANITIZED = b"__asan_init" in pathlib.Path(AGENT).read_bytes()
HAS_SOURCE = "http source: yes" in subprocess.run([AGENT, "--version"], capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def of_this_build(request):
    if HAS_SOURCE == (request.function is test_check_says_that_this_build_has_no_http_source):
        pytest.skip("another build")


def test_check_says_that_this_build_has_no_http_source(site):
    site.conf.write_text(f"sources:\n  - {{name: push, type: http, max_body: 1MiB}}\nsinks:\n  - {site.file_sink()}\n")
    for command in ("check", "run"):
        done = site.run(command, "-c", str(site.conf))
        assert done.returncode == 78 and "this agent was built without libmicrohttpd and GnuTLS, so it has no http source" in done.stdout + done.stderr


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.raw = response.status, dict(response.getheaders()), response.read()

    def json(self):
        return json.loads(self.raw)


class Push:
    """An agent with an http source, and a client of it."""

    def __init__(self, site, more="", sink=None, agent="", loopback_token=True):
        self.site, self.port = site, free_port()
        self.token_file = site.path / "token"
        self.token_file.write_text(TOKEN + "\n")
        self.tls = None
        token = f", token: {{file: \"{self.token_file}\"}}" if loopback_token else ""
        site.conf.write_text(f"agent: {{state_dir: {site.path}/state{agent}}}\nsources:\n"
                             f"  - {{name: push, type: http, listen: \"127.0.0.1:{self.port}\"{token}{more}}}\n"
                             f"sinks:\n  - {sink or site.file_sink()}\n")

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, path, body=None, headers=None, method="POST", token=TOKEN, kind=JSON):
        send = {"Content-Type": kind} if kind else {}
        if token:
            send["Authorization"] = f"Bearer {token}"
        send.update(headers or {})
        if isinstance(body, str):
            body = body.encode()
        c = self.connect()
        try:
            c.request(method, path, body=body, headers=send)
            return Answer(c.getresponse())
        finally:
            c.close()

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def peak_kib(self):
        words = open(f"/proc/{self.process.pid}/status").read().split()
        return int(words[words.index("VmHWM:") + 1])

    def status(self):
        done = self.site.run("status", "-c", str(self.site.conf), "--json")
        return json.loads(done.stdout)["sources"][0] if done.returncode == 0 else {}


@pytest.fixture
def push(site, running):
    def start(*args, **kw):
        p = Push(site, *args, **kw)
        p.process = running()
        wait_for(p.listens)
        return p

    return start


def ids_of(site, *records):
    """What explain makes of them."""
    done = site.run("explain", stdin="".join(json.dumps(r) + "\n" for r in records))
    assert done.returncode == 0, done.stderr
    return sorted(json.loads(line)["EventId"] for line in done.stdout.splitlines())


def delivered(site, n):
    wait_for(lambda: len(site.events()) >= n)
    return sorted(e["EventId"] for e in site.events() if e["EventClass"] not in ("access_anomaly", "volume_spike", "config_change"))


def sample(name):
    return json.loads((SRC / "schemas" / name).read_text())


def b64(value):
    return base64.b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()


# ---- protocols -------------------------------------------------------------------------------

RECORDS = [record(n) for n in range(5)]
LINES = "".join(json.dumps(r) + "\n" for r in RECORDS)


@pytest.mark.parametrize("body,headers", [
    (LINES, {"Content-Type": "application/x-ndjson"}),
    (LINES, {}),
    (json.dumps(RECORDS), {}),
    ("[\n  " + ",\n  ".join(map(json.dumps, RECORDS)) + "\n]\n", {"Content-Type": "application/json; charset=utf-8"}),
    (json.dumps({"records": RECORDS}), {}),
    (gzip.compress(LINES.encode()), {"Content-Encoding": "gzip"}),
], ids=["ndjson", "lines", "array", "several lines", "records", "gzip"])
def test_plain_json_is_taken_in_each_form_that_files_have(push, site, body, headers):
    p = push()
    a = p.ask("/records", body, headers)
    assert (a.status, a.raw, a.headers["Content-Type"]) == (200, b"{}", JSON)
    assert delivered(site, 5) == ids_of(site, *RECORDS)


def test_a_chunked_body_is_taken(push, site):
    p = push()
    a = p.ask("/records", iter([LINES[:100].encode(), LINES[100:].encode()]))
    assert a.status == 200 and delivered(site, 5) == ids_of(site, *RECORDS)


def test_otlp_json_of_traces_and_logs_is_answered_as_the_protocol_wants(push, site):
    p = push()
    traces, logs = sample("otel_spans/samples/gateway_trace.in.json"), sample("otel_logs/samples/events.in.json")
    for path, body in (("/v1/traces", traces), ("/v1/logs", logs)):
        a = p.ask(path, gzip.compress(json.dumps(body).encode()), {"Content-Encoding": "gzip"})
        assert (a.status, a.json(), a.headers["Content-Type"]) == (200, {}, JSON)
    wanted = ids_of(site, traces, logs)
    assert len(wanted) > 2 and delivered(site, len(wanted)) == wanted
    refused = p.ask("/v1/traces", b"\n\x02\x08\x01", kind="application/x-protobuf")
    assert refused.status == 415 and "JSON" in refused.json()["message"]
    assert p.ask("/v1/metrics", "{}").status == 404


def test_event_grid_asks_for_validation_and_is_told_the_code_if_the_token_is_right(push, site):
    p = push()
    event = [{"id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66", "topic": "/subscriptions/x", "subject": "", "eventTime": "2026-11-01T00:00:00Z",
              "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "metadataVersion": "1", "dataVersion": "1",
              "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://rp-eastus2.eventgrid.azure.net/x"}}]
    kind = {"aeg-event-type": "SubscriptionValidation"}
    a = p.ask(f"/eventgrid?token={TOKEN}", json.dumps(event), kind, token=None)
    assert (a.status, a.json()) == (200, {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"})
    for wrong in ("", "?token=", "?token=nonsense-nonsense-nonsense", f"?tokem={TOKEN}"):
        refused = p.ask("/eventgrid" + wrong, json.dumps(event), kind, token=None)
        assert refused.status == 401 and b"512d38b6" not in refused.raw
    for broken in ("", "[]", "{}", "[1]", "not json", '[{"data":{"validationCode":7}}]', '[{"data":[]}]', '{"data":{"validationCode":"' + "x" * 600 + '"}}'):
        assert p.ask(f"/eventgrid?token={TOKEN}", broken, kind, token=None).status == 400
    assert site.events() == []


def test_cloud_events_handshake_is_answered_if_the_token_is_right(push):
    p = push()
    asks = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120", "WebHook-Request-Callback": "https://x"}
    a = p.ask(f"/eventgrid?token={TOKEN}", None, asks, "OPTIONS", None, None)
    assert a.status == 200 and a.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net" and a.headers["WebHook-Allowed-Rate"] == "120"
    assert a.headers["Allow"] == "POST"
    refused = p.ask("/eventgrid?token=nonsense-nonsense-nonsense", None, asks, "OPTIONS", None, None)
    assert refused.status == 401 and "WebHook-Allowed-Origin" not in refused.headers
    assert p.ask(f"/eventgrid?token={TOKEN}", None, {}, "OPTIONS", None, None).status == 400
    assert p.ask(f"/eventgrid?token={TOKEN}", None, {"WebHook-Request-Origin": "a b"}, "OPTIONS", None, None).status == 400
    assert p.ask("/records", None, asks, "OPTIONS").status == 405


def test_event_grid_events_of_both_schemas_are_decoded(push, site):
    p = push()
    events = sample("azure_activity/samples/eventgrid_account_deleted.in.json")
    cloud = [{"specversion": "1.0", "type": e["eventType"], "source": e["topic"], "id": "c" + e["id"], "time": e["eventTime"], "subject": e["subject"],
              "data": e["data"]} for e in events]
    assert p.ask(f"/eventgrid?token={TOKEN}", json.dumps(events), {"aeg-event-type": "Notification"}, token=None).status == 200
    assert p.ask(f"/eventgrid?token={TOKEN}", json.dumps(cloud), kind="application/cloudevents-batch+json; charset=utf-8", token=None).status == 200
    assert delivered(site, 2 * len(events)) == ids_of(site, *events, *cloud)
    assert {e["EventName"] for e in site.events() if e["EventClass"] == "activity"} != {"Unknown record"}


def firehose(request_id, *data):
    return json.dumps({"requestId": request_id, "timestamp": 1578090901599, "records": [{"data": d} for d in data]})


def test_firehose_is_answered_with_its_request_id_and_each_record_stands_alone(push, site):
    p = push()
    first, *rest = sample("aws_cloudtrail/samples/runtime_calls.in.json")["Records"]
    lines = "".join(json.dumps(r) + "\n" for r in rest).encode()
    body = firehose("ed4acda5-034f-9f42-bba1-f29aea6d7d8f", b64(first), b64(gzip.compress(lines)), b64(b"hello, no JSON"), "%%%")
    head = {"X-Amz-Firehose-Protocol-Version": "1.0", "X-Amz-Firehose-Request-Id": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f",
            "X-Amz-Firehose-Access-Key": TOKEN, "Content-Encoding": "gzip"}
    before = time.time() * 1000 - 1
    a = p.ask("/firehose", gzip.compress(body.encode()), head, token=None)
    assert a.status == 200 and a.headers["Content-Type"] == JSON
    assert a.json()["requestId"] == "ed4acda5-034f-9f42-bba1-f29aea6d7d8f" and before <= a.json()["timestamp"] <= time.time() * 1000 + 1
    wanted = ids_of(site, first, *rest)
    assert delivered(site, len(wanted)) == wanted
    dead = site.run("spool", "dead", f"{site.path}/state").stdout
    assert len(dead.splitlines()) == 2 and "not JSON" in dead and "no base64" in dead
    refused = p.ask("/firehose", body, {**head, "X-Amz-Firehose-Access-Key": "nonsense-nonsense-nonsense"}, token=None)
    assert refused.status == 401 and set(refused.json()) == {"requestId", "timestamp", "errorMessage"}
    assert refused.json()["requestId"] == head["X-Amz-Firehose-Request-Id"]
    del head["X-Amz-Firehose-Request-Id"]
    assert p.ask("/firehose", body, head, token=None).status == 400


def test_pubsub_pushes_wrapped_and_unwrapped(push, site):
    p = push()
    wrapped = sample("gcp_audit/samples/pubsub_push.in.json")
    wrapped = wrapped[0] if isinstance(wrapped, list) else wrapped
    entry = json.loads(base64.b64decode(wrapped["message"]["data"]))
    bare = json.loads(json.dumps(entry))
    bare["insertId"] = "another"
    assert p.ask(f"/pubsub?token={urllib.parse.quote(TOKEN)}", json.dumps(wrapped), {"Authorization": "Bearer eyJhbGciOi.a.google-jwt"}, token=None).status == 200
    assert p.ask(f"/pubsub?token={TOKEN}", json.dumps(bare), {"x-goog-pubsub-message-id": "1"}, token=None, kind="application/octet-stream").status == 200
    assert p.ask(f"/pubsub?token={TOKEN}", json.dumps({"message": {"data": b64(b"only words"), "messageId": "7"}, "subscription": "s"}), token=None).status == 200
    assert delivered(site, 2) == ids_of(site, entry, bare)
    dead = site.run("spool", "dead", f"{site.path}/state").stdout
    assert len(dead.splitlines()) == 1 and '"length":10' in dead


def test_what_is_no_json_is_taken_and_set_aside_and_its_neighbours_go_on(push, site):
    p = push()
    lines = LINES.splitlines()
    assert p.ask("/records", "\n".join(lines[:2] + ["{broken", "words"] + lines[2:])).status == 200
    assert p.ask("/records", "nothing but words").status == 200
    assert p.ask("/records", b"\x1f\x8b\x08 not gzip", {"Content-Encoding": "gzip"}).status == 200
    assert p.ask("/records", gzip.compress(LINES.encode())[:-20], {"Content-Encoding": "gzip"}).status == 200
    assert p.ask("/records", "").status == 200
    assert delivered(site, 5) == ids_of(site, *RECORDS)
    assert len(site.run("spool", "dead", f"{site.path}/state").stdout.splitlines()) == 5
    assert p.status()["source_dead_records"] == 5


# ---- who may send ------------------------------------------------------------------------------

def test_a_token_is_needed_where_one_is_set_and_stands_nowhere(push, site):
    p = push(agent=f", log_level: debug, http: \"127.0.0.1:{(page := free_port())}\"")
    secret = "WRONG-but-maybe-of-another-system-99"
    for headers in ({}, {"Authorization": f"Bearer {secret}"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {TOKEN}x"},
                    {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"X-Amz-Firehose-Access-Key": TOKEN}):
        a = p.ask("/records", LINES, headers, token=None)
        assert a.status == 401 and a.headers["WWW-Authenticate"] == "Bearer", headers
    assert p.ask(f"/records?token={TOKEN}", LINES, token=None).status == 401        # only where a sender can do no better
    assert p.ask(f"/eventgrid?token={secret}", LINES, token=None).status == 401
    assert p.ask("/records", LINES).status == 200
    delivered(site, 5)
    status = p.status()
    assert status["source_refused_token_requests"] == 9 and status["source_requests"] == 1
    metrics = http.client.HTTPConnection("127.0.0.1", page, timeout=60)
    metrics.request("GET", "/metrics")
    shown = metrics.getresponse().read().decode() + site.log() + json.dumps(status) + site.out.read_text()
    assert 'aispm_source_refused_token_requests_total{source="push",type="http"} 9' in shown
    assert "requests refused: 1 no or a wrong token or certificate; the latest from 127.0.0.1" in site.log() and "in trouble" not in site.log()
    assert "/eventgrid: 401, " in shown and "/records: 200, " in shown
    assert TOKEN not in shown and secret not in shown and "token=" not in shown


def test_tokens_follow_each_other_without_a_reload(push):
    p = push()
    other = "the-next-token-0123456789"
    assert p.ask("/records", "{}", token=other).status == 401
    p.token_file.write_text(f"{TOKEN}\n{other}\n")
    assert p.ask("/records", "{}", token=other).status == 200 and p.ask("/records", "{}").status == 200
    p.token_file.write_text(other)
    assert p.ask("/records", "{}", token=other).status == 200 and p.ask("/records", "{}").status == 401
    p.token_file.unlink()                   # our fault, so the sender is told to come again
    assert p.ask("/records", "{}", token=other).status == 503
    p.token_file.write_text("short")
    assert p.ask("/records", "{}", token="short").status == 503


def test_a_token_that_is_none_is_said_and_senders_are_told_to_come_again(site, running):
    p = Push(site)
    p.token_file.write_text("has blanks between its words")
    online = site.run("check", "-c", str(site.conf), "--online")
    assert online.returncode == 69 and "token: a line of it is no token" in online.stdout and "blanks between" not in online.stdout
    running()
    wait_for(p.listens)
    assert p.ask("/records", "{}").status == 503 and p.ask("/records", "{}", token="between-its-words").status == 503
    assert site.log().count("a line of it is no token") == 1 and "blanks between" not in site.log()
    p.token_file.write_text(TOKEN)
    assert p.ask("/records", "{}").status == 200


def test_pages_in_a_browser_are_refused(push):
    p = push(loopback_token=False)
    assert p.ask("/records", "{}", {"Origin": "https://evil.example"}, token=None).status == 403
    assert p.ask("/records", "{}", token=None).status == 200


def test_what_is_not_as_a_form_wants_it_is_refused_with_words(push):
    p = push(", accept: [records, pubsub]")
    for path, method, kind, coding, status in (("/records", "GET", None, None, 405), ("/records", "PUT", JSON, None, 405), ("/", "POST", JSON, None, 404),
                                               ("/eventgrid", "POST", JSON, None, 404), ("/firehose", "POST", JSON, None, 404), ("/v1/logs", "POST", JSON, None, 404),
                                               ("/records", "POST", "application/x-www-form-urlencoded", None, 415),
                                               ("/records", "POST", "multipart/form-data; boundary=x", None, 415), ("/records", "POST", "application/x-protobuf", None, 415),
                                               ("/records", "POST", JSON, "br", 415), ("/records", "POST", JSON, "deflate", 415)):
        a = p.ask(path, "{}" if method != "GET" else None, {"Content-Encoding": coding} if coding else {}, method, TOKEN, kind)
        assert a.status == status and (method == "GET" or a.json()["message"]), (path, method, kind, coding)
    assert p.ask("/healthz", None, {}, "GET", None, None).raw == b"ok\n"
    assert p.status()["source_refused_form_requests"] == 11


@pytest.mark.parametrize("listen,more,words", [
    ("0.0.0.0:8443", ", token: {env: T}", "loopback"),
    ("0.0.0.0:8443", ", tls: {cert_file: /c, key: {file: /k}}", "loopback"),
    ("[::]:8443", "", "loopback"),
    ("localhost:8088", "", "ADDRESS:PORT"),
    ("127.0.0.1", "", "ADDRESS:PORT"),
    ("127.0.0.1:0", "", "ADDRESS:PORT"),
    ("127.0.0.1:8088", ", accept: [kinesis]", "eventgrid"),
    ("127.0.0.1:8088", ", token: secret-in-the-file", "literal"),
    ("127.0.0.1:8088", ", tls: {cert_file: /c}", "key"),
    ("127.0.0.1:8088", ", max_body: 1GiB", "max_body"),
])
def test_check_says_what_is_allowed(site, listen, more, words):
    site.conf.write_text(f"sources:\n  - {{name: push, type: http, listen: \"{listen}\"{more}}}\nsinks:\n  - {site.file_sink()}\n")
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 78 and words in done.stdout + done.stderr


def test_two_sources_of_one_address_are_a_fault(site):
    site.conf.write_text("agent: {http: \"127.0.0.1:8089\"}\nsources:\n" + "".join(
        f"  - {{name: p{n}, type: http, listen: \"127.0.0.1:{port}\"}}\n" for n, port in enumerate((8088, 8088, 8089))) + f"sinks:\n  - {site.file_sink()}\n")
    done = site.run("check", "-c", str(site.conf))
    text = done.stdout + done.stderr
    assert done.returncode == 78 and "source p0 listens on 127.0.0.1:8088 already" in text and "status page" in text


# ---- how much, how slowly ---------------------------------------------------------------------------

def test_bodies_and_what_they_unpack_to_have_a_limit(push, site):
    p = push(", max_body: 64KiB")
    large = json.dumps({"a": "x" * (64 << 10)})
    assert p.ask("/records", large).status == 413
    assert p.ask("/records", iter([large[:1000].encode()] * 80)).status == 413           # chunked: its length is not told before
    assert p.ask("/records", gzip.compress(b'"' + b"x" * (300 << 20) + b'"'), {"Content-Encoding": "gzip"}).status == 413 if LONG else True
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = deflate.compress(b"x" * (20 << 20)) + deflate.flush()
    assert len(bomb) < 64 << 10 and p.ask("/records", bomb, {"Content-Encoding": "gzip"}).status == 413
    a = p.ask("/firehose", large, {"X-Amz-Firehose-Request-Id": "r", "X-Amz-Firehose-Access-Key": TOKEN}, token=None)
    assert a.status == 413 and a.json()["requestId"] == "r" and "max_body" in a.json()["errorMessage"]
    whole = json.dumps({"a": "x" * ((64 << 10) - 9)})
    assert len(whole) == 64 << 10 and p.ask("/records", whole).status == 200
    assert p.ask("/records", gzip.compress(whole.encode()), {"Content-Encoding": "gzip"}).status == 200
    assert SANITIZED or p.peak_kib() < 100 * 1024
    assert p.status()["source_refused_size_requests"] in (4, 5)
    delivered(site, 2)


def ended(s):
    """True once the other side has closed it, with nothing but silence or an answer before."""
    s.settimeout(60)
    try:
        while s.recv(4096):
            pass
        return True
    except ConnectionResetError:
        return True


def test_slow_senders_are_cut_off_and_others_are_served_meanwhile(push):
    p = push(", timeout: 3s, max_connections: 8")
    head = f"POST /records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {JSON}\r\n".encode()
    starts = [b"", b"POST /rec", head, head + b"Content-Length: 1000\r\n\r\n{", head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
    slow = [socket.create_connection(("127.0.0.1", p.port)) for _ in starts]
    for s, start in zip(slow, starts):
        s.sendall(start)
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.2):
            for s in slow[1:3]:
                try:
                    s.sendall(b"X")             # each byte is life, to who only looks at silence
                except OSError:
                    pass

    threading.Thread(target=trickle, daemon=True).start()
    assert p.ask("/records", "{}").status == 200
    assert all(ended(s) for s in slow)
    stop.set()
    assert p.ask("/records", "{}").status == 200
    wait_for(lambda: p.status()["source_refused_time_requests"] >= 5)


def test_many_connections_wait_to_be_let_in(push, site):
    p = push(", max_connections: 8, max_waiting: 8")
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda n: p.ask("/records", json.dumps(record(n))).status, range(200)))
    assert answers == [200] * 200
    assert delivered(site, 200) == ids_of(site, *(record(n) for n in range(200)))


def test_strangers_cannot_hold_all_connections(push):
    p = push(", timeout: 60s, max_connections: 8")
    start = [b"", b"POST /records HTTP/1.1\r\nHost: x\r\n", b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"]
    slow = [socket.create_connection(("127.0.0.1", p.port)) for _ in range(16)]
    for n, s in enumerate(slow):
        s.sendall(start[n % 3])
    assert p.ask("/records", "{}").status == 200
    assert all(ended(s) for s in slow[:8])


def test_requests_past_the_limit_are_told_to_come_again(push):
    p = push(", max_waiting: 1")
    s = socket.create_connection(("127.0.0.1", p.port))
    s.sendall(f"POST /records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 2\r\n\r\n{{".encode())
    wait_for(lambda: p.status()["source_waiting_requests"] == 1)
    a = p.ask("/records", "{}")
    assert a.status == 503 and a.headers["Retry-After"] == "5"
    s.sendall(b"}")
    assert b"200 OK" in s.recv(1000)
    assert p.ask("/records", "{}").status == 200


# ---- on disk, or no answer ---------------------------------------------------------------------------

def wide(n):
    r = record(n)
    r["correlationId"] = f"00000000-0000-4000-8000-{n:012d}"
    r["properties"]["modelName"] = "x" * 3000
    return r


def test_a_full_spool_is_a_503_and_nothing_that_was_taken_is_lost(push, site):
    late = site.path / "late"
    site.out = late / "out.ndjson"
    p = push(", timeout: 5s", agent=", spool: {max_bytes: 64MiB}")
    taken, n, last = [], 0, None
    while n < 60000:
        batch = [wide(i) for i in range(n, n + 2000)]
        last = p.ask("/records", "".join(json.dumps(r) + "\n" for r in batch), kind="application/x-ndjson")
        if last.status != 200:
            break
        taken += batch
        n += 2000
    assert last.status == 503 and last.headers["Retry-After"] and 2000 <= n < 60000
    assert "spool full" in site.log()
    wait_for(lambda: p.ask("/records", json.dumps(wide(n))).status == 503)      # before its body
    assert p.ask("/healthz", None, {}, "GET", None, None).status == 503
    assert p.status()["source_refused_room_requests"] >= 1
    assert SANITIZED or p.peak_kib() < 150 * 1024
    late.mkdir()
    wait_for(lambda: p.ask("/records", json.dumps(wide(n))).status == 200, every=0.5)
    wanted = {r["correlationId"] for r in taken} | {wide(n)["correlationId"]}
    wait_for(lambda: wanted <= set(uids(site)), every=0.5)
    assert all(len(v) == 1 for v in uids(site).values())


class Senders:
    """Clients that send each record until they hear yes."""

    def __init__(self, p, n=6):
        self.p, self.stop, self.lock = p, threading.Event(), threading.Lock()
        self.next, self.taken, self.again, self.refused = 0, [], 0, 0
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(n)]
        for t in self.threads:
            t.start()

    def send(self):
        while not self.stop.is_set():
            with self.lock:
                n, self.next = self.next, self.next + 3
            body = "".join(json.dumps(record(i)) + "\n" for i in range(n, n + 3))
            while True:
                try:
                    if self.p.ask("/records", body).status == 200:
                        break
                except ConnectionRefusedError:
                    self.refused += 1
                    time.sleep(0.02)
                except (OSError, http.client.HTTPException):
                    pass
                self.again += 1
            with self.lock:
                self.taken += range(n, n + 3)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive()


def uids(site):
    """By a record's own id the EventIds it came under; a line that was being written at a kill is no event."""
    seen = {}
    for line in site.out.read_text(errors="replace").splitlines() if site.out.exists() else ():
        try:
            e = json.loads(line)
        except json.JSONDecodeError:
            continue
        if e["EventClass"] == "activity":
            seen.setdefault(e.get("EventOriginalUid"), set()).add(e["EventId"])
    return seen


def test_kill_9_in_the_middle_and_each_record_that_was_answered_is_there_under_one_id(push, site, running):
    p = push()
    senders = Senders(p)
    rng = random.Random(7)
    process = p.process
    for _ in range(60 if LONG else 6):
        before = len(senders.taken)
        wait_for(lambda: len(senders.taken) > before + 20)
        time.sleep(rng.random() / 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = running()
        wait_for(p.listens)
    senders.end()
    assert senders.again > 0
    wanted = {record(n)["correlationId"] for n in senders.taken}
    wait_for(lambda: wanted <= set(uids(site)))
    assert all(len(v) == 1 for v in uids(site).values())


def test_yes_means_on_disk_even_if_the_agent_dies_with_the_answer(push, site, running):
    p = push(sink="{name: nowhere, type: file, path: /nonexistent/x}")
    for n in range(4):
        assert p.ask("/records", json.dumps(record(n))).status == 200
        p.process.send_signal(signal.SIGKILL)
        p.process.wait()
        p.process = running()
        wait_for(p.listens)
    p.process.send_signal(signal.SIGKILL)
    p.process.wait()
    dump = site.run("spool", "dump", f"{site.path}/state").stdout
    assert all(record(n)["correlationId"] in dump for n in range(4))


def test_a_reload_refuses_no_connection_and_a_stop_answers_who_waits(push, site):
    p = push()
    senders = Senders(p)
    for n in range(8):
        before = len(senders.taken)
        wait_for(lambda: len(senders.taken) > before + 10)
        reloads = site.log().count("configuration reloaded")
        p.process.send_signal(signal.SIGHUP)
        wait_for(lambda: site.log().count("configuration reloaded") > reloads)
    senders.end()
    assert senders.refused == 0
    p.process.send_signal(signal.SIGTERM)
    assert p.process.wait(60) == 0
    wanted = {record(n)["correlationId"] for n in senders.taken}
    assert wanted <= set(uids(site))
    assert not p.listens()


def test_a_reload_to_another_address_leaves_the_old_one(push, site):
    p = push()
    old, new = p.port, free_port()
    site.conf.write_text(site.conf.read_text().replace(f":{old}", f":{new}"))
    p.process.send_signal(signal.SIGHUP)
    p.port = new
    wait_for(p.listens)
    assert p.ask("/records", "{}").status == 200
    p.port = old
    assert not p.listens()


def test_an_address_that_is_taken_is_said_and_tried_again(site, running):
    p = Push(site)
    with socket.create_server(("127.0.0.1", p.port)):
        running()
        wait_for(lambda: "another program has it" in site.log())
        online = site.run("check", "-c", str(site.conf), "--online")
        assert "is taken" in online.stdout, online.stdout + online.stderr
    wait_for(lambda: p.ask("/records", "{}").status == 200 if p.listens() else False)


def test_once_says_that_nothing_is_pushed_to_it(site):
    Push(site)
    done = site.once()
    assert done.returncode == 0 and "takes nothing from a source that is pushed to" in done.stderr


# ---- TLS -------------------------------------------------------------------------------------------

def make_ca(d, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "40", "-keyout", d / f"{name}.key", "-out", d / f"{name}.pem",
                    "-subj", f"/CN={name}"], check=True, capture_output=True)


def make_cert(d, ca, name, purpose, days=40):
    subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", d / f"{name}.key", "-out", d / f"{name}.csr", "-subj", f"/CN={name}"],
                   check=True, capture_output=True)
    (d / "ext").write_text(f"subjectAltName=DNS:localhost\nextendedKeyUsage={purpose}\n")
    subprocess.run(["openssl", "x509", "-req", "-in", d / f"{name}.csr", "-CA", d / f"{ca}.pem", "-CAkey", d / f"{ca}.key", "-CAcreateserial", "-days", str(days),
                    "-out", d / f"{name}.pem", "-extfile", d / "ext"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    d = tmp_path_factory.mktemp("push-tls")
    for ca in ("ca", "other"):
        make_ca(d, ca)
    make_cert(d, "ca", "server", "serverAuth")
    make_cert(d, "ca", "renewed", "serverAuth", days=20)
    make_cert(d, "ca", "client", "clientAuth")
    make_cert(d, "other", "stranger", "clientAuth")
    return d


def client(d, who=None, **limits):
    context = ssl.create_default_context(cafile=d / "ca.pem")
    if who:
        context.load_cert_chain(d / f"{who}.pem", d / f"{who}.key")
    for k, v in limits.items():
        setattr(context, k, v)
    return context


def with_tls(d, site, more=""):
    for part in ("pem", "key"):
        (site.path / f"server.{part}").write_bytes((d / f"server.{part}").read_bytes())
    return f", tls: {{cert_file: {site.path}/server.pem, key: {{file: {site.path}/server.key}}{more}}}"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_is_1_2_or_better_and_plain_http_gets_no_answer_from_it(push, site, certificates):
    p = push(with_tls(certificates, site))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        p.tls = client(certificates, minimum_version=version, maximum_version=version)
        assert p.ask("/records", LINES).status == 200
    old = client(certificates)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    p.tls = old
    with pytest.raises(OSError):
        p.ask("/records", LINES)
    p.tls = None
    with pytest.raises((OSError, http.client.HTTPException)):
        p.ask("/records", LINES)
    p.tls = client(certificates)
    large = "".join(json.dumps(record(n)) + "\n" for n in range(20, 4000))
    assert p.ask("/records", large).status == 200
    wanted = {record(n)["correlationId"] for n in [*range(5), *range(20, 4000)]}
    wait_for(lambda: wanted <= set(uids(site)))


def test_only_clients_of_the_authority_are_taken(push, site, certificates):
    p = push(with_tls(certificates, site, f", client_ca_file: {certificates}/ca.pem"))
    p.tls = client(certificates, "client")
    assert p.ask("/records", LINES).status == 200
    assert p.ask("/records", LINES, token=None).status == 401           # a certificate is no token
    for who in (None, "stranger", "server"):                            # of the authority, but not for clients
        p.tls = client(certificates, who)
        try:
            assert p.ask("/records", LINES).status == 403, who
        except OSError:
            assert who == "stranger"                                    # a client may end it as soon as it hears which authorities are known
    assert delivered(site, 5) == ids_of(site, *RECORDS)


def test_a_renewed_certificate_is_taken_into_use_and_open_connections_live_on(push, site, certificates):
    p = push(with_tls(certificates, site))
    p.tls = client(certificates)
    c = p.connect()
    head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": JSON}
    c.request("POST", "/records", body=b"{}", headers=head)
    assert c.getresponse().read() == b"{}"
    (site.path / "server.pem").write_bytes((certificates / "renewed.pem").read_bytes())
    wait_for(lambda: "the certificate before stays in use" in site.log())
    (site.path / "server.key").write_bytes((certificates / "renewed.key").read_bytes())     # its key comes later

    def shown():
        with socket.create_connection(("127.0.0.1", p.port)) as s, p.tls.wrap_socket(s, server_hostname="localhost") as t:
            return dict(x[0] for x in t.getpeercert()["subject"])["commonName"]

    wait_for(lambda: shown() == "renewed")
    c.request("POST", "/records", body=b"{}", headers=head)
    assert c.getresponse().read() == b"{}"
    c.close()
    assert p.ask("/records", "{}").status == 200
    wait_for(lambda: "ends in 19 days" in site.log())


def test_check_online_looks_at_certificate_key_and_address(site, certificates):
    p = Push(site, with_tls(certificates, site))
    assert site.run("check", "-c", str(site.conf), "--online").stdout.count("reached") == 2
    (site.path / "server.key").write_bytes((certificates / "client.key").read_bytes())
    wrong = site.run("check", "-c", str(site.conf), "--online")
    assert wrong.returncode == 69 and "tls.key: it is not the key of the certificate" in wrong.stdout
    for part in ("key", "pem"):
        (site.path / f"server.{part}").write_bytes((certificates / f"renewed.{part}").read_bytes())
    assert "ends in 19 days" in site.run("check", "-c", str(site.conf), "--online").stdout
    (site.path / "server.pem").write_text("no certificate")
    assert "no certificate (PEM)" in site.run("check", "-c", str(site.conf), "--online").stdout
    (site.path / "server.pem").unlink()
    assert "server.pem" in site.run("check", "-c", str(site.conf), "--online").stdout
    assert p.port


# ---- hostile bytes -------------------------------------------------------------------------------------

def test_no_bytes_hurt_it(push, site):
    p = push(agent=", dead_letter: {max_bytes: 1MiB}")
    rng = random.Random(20261125)
    seeds = [("/firehose", firehose("r", b64({"a": 1}), b64(b"x"))), ("/pubsub", json.dumps({"message": {"data": b64({"a": 1}), "messageId": "1"}})),
             ("/eventgrid", json.dumps([{"eventType": "x", "data": {"validationCode": "c"}}])), ("/records", LINES[:1500]), ("/v1/logs", '{"resourceLogs":[]}')]
    c = p.connect()
    for n in range(400):
        path, text = rng.choice(seeds)
        body = bytearray(text.encode())
        for _ in range(rng.randrange(1, 8)):
            i = rng.randrange(len(body))
            body[i:i + rng.randrange(3)] = bytes(rng.choice((rng.randrange(256), ord(rng.choice('{}[]",:\\\n=')))) for _ in range(rng.randrange(4)))
            body = body or bytearray(b"x")
        head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": JSON, "X-Amz-Firehose-Request-Id": "r\"\\<" + "é" * rng.randrange(3)}
        if rng.random() < 0.3:
            head["aeg-event-type"] = "SubscriptionValidation"
        if rng.random() < 0.2:
            head["Content-Encoding"] = "gzip"
            body = bytearray(gzip.compress(bytes(body)))
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        c.request("POST", path, body=bytes(body), headers={k: v.encode("utf-8") for k, v in head.items()})
        r = c.getresponse()
        answer = r.read()
        assert r.status in (200, 400, 413), (path, bytes(body))
        json.loads(answer)
    assert p.process.poll() is None and p.ask("/records", LINES).status == 200


@pytest.mark.parametrize("head", [
    b"\x00" * 2000, b"GET / HTTP/9.9\r\n\r\n", b"POST /records HTTP/1.1\r\n\r\n", b"POST " + b"/" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /records HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", b"POST /records HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
], ids=range(10))
def test_no_head_hurts_it(push, head):
    p = push(", timeout: 1s")
    s = socket.create_connection(("127.0.0.1", p.port))
    try:
        s.sendall(head)
    except OSError:
        pass
    assert ended(s)
    assert p.ask("/records", "{}").status == 200 and p.process.poll() is None


