"""The detectors in the real agent: killed anywhere they say the same, what is kept back is shown, and what a flood costs."""
import datetime
import json
import random
import re
import signal
import time

from conftest import LONG, wait_for

MONDAY = datetime.datetime(2026, 9, 28)
ACCOUNT = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/contoso"
SURGE = 28 * 60


def at(minute, second=0.0):
    return (MONDAY + datetime.timedelta(minutes=minute, seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


class Story:
    """A day and a bit of calls, then a surge, a burst of denials, and a network opened in three records."""

    def __init__(self):
        self.n, self.records = 0, []
        r = random.Random(3)
        for minute in range(30 * 60):
            for _ in range(60 if SURGE <= minute < SURGE + 5 else r.choice([2, 3, 3, 4])):
                self.call(minute, r.random() * 60, "mallory" if SURGE <= minute < SURGE + 5 else r.choice(["ana", "bo"]))
            if minute == SURGE + 20:
                for k in range(14):
                    self.call(minute, k, "eve", 403)
            if minute in (SURGE + 40, SURGE + 41):
                self.opened(minute, "Started" if minute == SURGE + 40 else "Succeeded")
        self.records.sort(key=lambda x: x["time"])

    def call(self, minute, second, who, status=200):
        self.n += 1
        self.records.append({"time": at(minute, second), "resourceId": ACCOUNT.upper(), "category": "RequestResponse", "operationName": "ChatCompletions_Create",
                             "resultSignature": str(status), "callerIpAddress": "192.0.2.***", "correlationId": f"00000000-0000-4000-8000-{self.n:012d}",
                             "event": "ShoeboxCallResult", "properties": {"modelDeploymentName": "chat", "modelName": "gpt-4o", "objectId": f"{who}-id", "requestLength": 900}})

    def opened(self, minute, status):
        self.records.append({"time": at(minute), "resourceId": ACCOUNT.upper(), "operationName": "MICROSOFT.COGNITIVESERVICES/ACCOUNTS/WRITE", "category": "Administrative",
                             "resultType": "Start" if status == "Started" else "Success", "resultSignature": f"{status}.", "callerIpAddress": "198.51.100.7",
                             "correlationId": "0e0e0e0e-0000-4000-8000-000000000001", "level": "Information",
                             "identity": {"claims": {"name": "erin", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "erin@contoso.example"}},
                             "properties": {"requestbody": json.dumps({"properties": {"publicNetworkAccess": "Enabled"}})} if status == "Started" else {}})


def findings(site):
    found = {}
    for e in site.events():
        if e["EventClass"] in ("volume_spike", "access_anomaly", "config_change"):
            found.setdefault(e["EventId"], set()).add((e["EventClass"], e["EventMessage"], e["EventSeverity"]))
    return found


def sink(site, more=""):
    return f"{{name: disk, type: file, path: {site.out}, events: findings, batch: {{max_wait: 50ms}}{more}}}"


def test_killed_anywhere_the_detectors_say_the_same_under_the_same_ids(site, running):
    records = Story().records
    site.configure(sink(site))
    site.append(records)
    assert site.once().returncode == 0
    whole = findings(site)
    assert {kind for told in whole.values() for kind, _, _ in told} == {"volume_spike", "access_anomaly", "config_change"}
    assert all(len(told) == 1 for told in whole.values())

    for name in ("state", "out.ndjson", "in/a.ndjson"):
        (site.path / name).rename(site.path / f"{name.replace('/', '-')}.whole")
    pieces = 24 if LONG else 6
    edges = sorted(random.sample(range(1, len(records)), pieces - 1))
    for begin, end in zip([0, *edges], [*edges, len(records)]):
        site.append(records[begin:end])
        p = running()
        time.sleep(0.1 + random.random() * 0.7)
        p.send_signal(signal.SIGKILL)
        p.wait()
    assert site.once().returncode == 0
    assert findings(site) == whole


def test_what_a_rule_keeps_back_is_counted_and_shown_with_its_reason(site, running):
    rule = "detectors: {suppress: [{match: {EventOriginalType: \"volume.*\"}, until: 2027-01-01, reason: load test of the platform team}]}\n"
    site.configure(sink(site), extra=rule)
    site.append(Story().records)
    running()

    def status():
        done = site.run("status", "-c", str(site.conf), "--json")
        detectors = json.loads(done.stdout)["detectors"] if done.returncode == 0 else []
        by_name = {d["name"]: d for d in detectors}
        kept = any(d.get("detector_suppressed_findings", 0) >= 2 for d in detectors if d["name"].startswith("suppress"))
        return by_name if kept and by_name["volume"]["detector_findings"] >= 2 and by_name["access"]["detector_series"] >= 3 else None
    assert wait_for(status)["volume"]["detector_series"] > 0
    text = site.run("status", "-c", str(site.conf)).stdout
    assert "load test of the platform team" in text and "until 2027-01-01" in text
    assert re.search(r"\d+ findings in \d+ events; \d+ series", text)
    wait_for(lambda: any(e["EventClass"] == "access_anomaly" for e in site.events()))
    assert not any(e["EventClass"] == "volume_spike" for e in site.events())


def test_a_rule_without_end_or_reason_is_refused_with_its_line(site):
    for rule, says in (("{match: {ActorUserId: x}, reason: r}", "until"), ("{match: {ActorUserId: x}, until: 2027-01-01}", "reason"),
                       ("{match: {ActorUserId: x}, until: someday, reason: r}", "2026-12-31"), ("{match: {Nobody: x}, until: 2027-01-01, reason: r}", "match")):
        site.configure(sink(site), extra=f"detectors:\n  suppress:\n    - {rule}\n")
        done = site.run("check", "-c", str(site.conf))
        assert done.returncode == 78 and says in done.stdout and re.search(r"agent\.yaml:\d+: ", done.stdout), done.stdout
