"""Metrics, health and the status page: what they say, to whom, and what they never show."""
import contextlib
import functools
import html.parser
import http.client
import re
import shutil
import socket
import subprocess
import threading

import pytest

from conftest import free_port, record, wait_for


def ask(port, path, method="GET", headers=None, body=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        c.request(method, path, body=body, headers=headers or {})
        r = c.getresponse()
        return r.status, dict(r.getheaders()), r.read().decode()
    except ConnectionRefusedError:
        return None, {}, ""
    finally:
        c.close()


@pytest.fixture
def page(site, running):
    """An agent with a page; page(path, method, headers, body) gives (status, headers, body)."""
    port = free_port()
    site.configure(site.file_sink(), "{name: nowhere, type: file, path: /nonexistent/x, batch: {max_wait: 50ms}}")
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", ")
                         .replace("name: in,", "name: \"in\","))
    site.append([record(n) for n in range(20)] + ["not json at all <script>alert(1)</script> top-secret-prompt"])
    running()

    wait_for(lambda: 'aispm_sink_delivered_events_total{sink="disk",type="file"} 20' in ask(port, "/metrics")[2])
    return functools.partial(ask, port)


def test_metrics_are_silent_under_promtool_in_both_forms(page):
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian's prometheus) is not here")
    text = page("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text[2], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    status, headers, body = page("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text") and body.endswith("# EOF\n")
    assert "# TYPE aispm_source_records counter\n" in body and "# TYPE aispm_source_records_total counter\n" in text[2]
    assert 'aispm_source_dead_records_total{source="in",type="file"} 1' in body


def test_health_and_readiness_are_apart(page):
    assert page("/healthz")[0] == 200
    assert page("/readyz")[0] == 200            # a sink that waits is no reason
    assert page("/nowhere")[0] == 404


def test_a_sink_that_is_held_makes_the_agent_unready_and_leaves_it_healthy(site, far, running):
    port = free_port()
    far.decide = lambda rows: 403
    site.configure(site.sentinel_sink(far))
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", "))
    site.append([record(1)])
    running()
    wait_for(lambda: ask(port, "/readyz")[0] == 503)
    assert ask(port, "/readyz")[2] == "sink sentinel is held\n"
    assert ask(port, "/healthz")[0] == 200


class Outline(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_is_readable_without_scripts_and_shows_nothing_of_records(page):
    status, headers, body = page("/")
    out = Outline()
    out.feed(body)
    tags = [t for t, _ in out.tags]
    assert status == 200 and "script" not in tags and "default-src 'none'" in headers["Content-Security-Policy"]
    assert dict(out.tags[0:1])["html"]["lang"] == "en" and "main" in tags and tags.count("caption") == tags.count("table") >= 4
    assert all("scope" in a for t, a in out.tags if t == "th")
    for words in ("Sources", "Detectors", "Spool", "Sinks", "Posture", "nowhere", "waiting", "prefers-color-scheme"):
        assert words in body
    assert "top-secret-prompt" not in body and "user-" not in body


def test_the_busiest_series_are_drawn_and_told_in_words(site, running):
    port = free_port()
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", "))
    site.append([record(n) for n in range(0, 3600, 2)])
    running()

    body = wait_for(lambda: (b := ask(port, "/")[2]).count("<figure>") >= 2 and b)
    assert re.search(r"<b>contoso</b> <span id=words\d>30 requests in the newest window", body) and "deployment chat of contoso" in body
    assert body.count("<figure>") == body.count("aria-labelledby=chart") == body.count("aria-describedby=words") == body.count("<title id=chart") >= 2


def test_only_reading_from_this_machine_is_answered(page):
    assert page("/", headers={"Host": "evil.example"})[0] == 403
    assert page("/", headers={"Host": "localhost:1"})[0] == 200
    assert page("/", method="POST", body="x" * 10)[0] == 405
    assert page("/", method="HEAD")[2] == ""


def test_nobody_can_occupy_it(page):
    """Silent visitors, ones that do not read, and ones whose request never ends: health is answered all the same."""
    over, visitors = threading.Event(), []

    def dawdle():
        while not over.wait(0.5):
            for c in visitors:
                with contextlib.suppress(OSError):
                    c.send(b"x")

    thread = threading.Thread(target=dawdle)
    thread.start()
    try:
        for i in range(60):
            visitors.append(socket.create_connection(("127.0.0.1", page.args[0]), timeout=60))
            visitors[-1].sendall((b"", b"GET / HTTP/1.1\r\nHost: local", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)[i % 3])
        assert page("/healthz")[::2] == (200, "ok\n")
        assert page("/metrics")[0] == 200
    finally:
        over.set()
        thread.join()
        for c in visitors:
            c.close()


def test_a_heartbeat_comes_the_way_of_every_event(site, running):
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", "agent: {heartbeat: 1s, "))
    running()
    wait_for(lambda: len(site.events()) >= 2)
    beats = site.events()
    assert {b["EventClass"] for b in beats} == {"agent"} and len({b["EventId"] for b in beats}) == len(beats)
    assert beats[-1]["AdditionalFields"]["Sources"][0]["name"] == "in"
