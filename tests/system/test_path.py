"""The whole path with the real binary: what goes in comes out, once, whatever happens on the way."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from conftest import AGENT, LONG, RULE, FarSide, record, wait_for


def uids(rows):
    return [r["EventOriginalUid"] for r in rows if r["EventClass"] == "activity"]


def test_once_delivers_everything_and_a_second_run_nothing_again(site):
    site.configure(site.file_sink())
    site.append([record(n) for n in range(500)])
    assert site.once().returncode == 0
    assert sorted(uids(site.events())) == sorted(record(n)["correlationId"] for n in range(500))
    assert site.once().returncode == 0
    assert len(site.events()) == 500


def test_order_of_a_source_is_kept_in_the_file(site):
    site.configure(site.file_sink())
    site.append([record(n) for n in range(300)])
    assert site.once().returncode == 0
    assert uids(site.events()) == [record(n)["correlationId"] for n in range(300)]


def test_an_unterminated_last_line_counts_with_once(site):
    site.configure(site.file_sink())
    (site.path / "in" / "a.ndjson").write_text(json.dumps(record(1)) + "\n" + json.dumps(record(2)))
    assert site.once().returncode == 0
    assert len(site.events()) == 2


def test_what_is_no_json_goes_to_the_dead_letter_and_harms_nothing_else(site):
    site.configure(site.file_sink())
    site.append([record(1), '{"half": ', record(2)])
    done = site.once()
    assert done.returncode == 65
    assert "set aside" in done.stderr
    assert len(site.events()) == 2
    dead = site.run("spool", "dead", str(site.path / "state" / "dead"))
    letter = json.loads(dead.stdout)
    assert letter["from"] == "in" and letter["length"] == len('{"half": ')


def test_a_line_beyond_the_cap_goes_to_the_dead_letter(site):
    site.configure(site.file_sink(), max_record="64KiB")
    site.append([record(1), json.dumps({"x": "y" * 200000}), record(2)])
    assert site.once().returncode == 65
    assert len(site.events()) == 2


@pytest.mark.parametrize("decode", ["process", "inline"])
def test_events_of_another_agent_are_believed_only_where_the_source_says_so(site, decode):
    """Whoever can write a line into a log could else reuse the EventId of a finding, speak for an agent that is gone, or send any text."""
    forged = {"EventId": "0" * 31 + "1", "EventClass": "agent", "EventSchemaVersion": "1", "TimeGenerated": "2026-10-05T10:00:00Z",
              "AgentId": "victim", "EventMessage": "my secret prompt " * 20, "AdditionalFields": {"prompt": "my secret prompt text"}}
    site.append([forged], "log.ndjson")
    site.append([dict(forged, AgentId="first")], "relay.ndjson")
    site.conf.write_text(f"agent: {{state_dir: {site.path}/state, decode: {decode}}}\nsources:\n"
                         f"  - {{name: log, type: file, paths: [\"{site.path}/in/log.ndjson\"]}}\n"
                         f"  - {{name: stage, type: file, paths: [\"{site.path}/in/relay.ndjson\"], relay: true}}\n"
                         f"sinks:\n  - {site.file_sink()}\n")
    done = site.run("run", "--once", "-c", str(site.conf))
    assert done.returncode == 0, done.stderr
    believed, unknown = sorted(site.events(), key=lambda e: e["EventClass"] != "agent")
    assert believed["EventId"] == forged["EventId"] and believed["AgentId"] == "first"
    assert unknown["EventClass"] == "activity" and unknown["EventId"] != forged["EventId"] and unknown["AgentId"] not in ("victim", "first")
    assert "secret prompt" not in json.dumps(unknown)
    assert json.loads(site.run("explain", str(site.path / "in" / "log.ndjson")).stdout)["EventId"] == unknown["EventId"]


def test_prompts_appear_nowhere_by_default(site):
    site.configure(site.file_sink())
    site.append([{"prompt": "my secret prompt text", "messages": [{"content": "my secret prompt text"}], "n": 1}])
    done = site.once()
    assert done.returncode == 0
    assert len(site.events()) == 1
    assert "secret prompt" not in site.out.read_text() + done.stderr


def test_rotation_by_rename_and_growth_are_followed(site, running):
    site.configure(site.file_sink())
    site.append([record(n) for n in range(10)])
    running()
    wait_for(lambda: len(site.events()) >= 10)
    (site.path / "in" / "a.ndjson").rename(site.path / "in" / "a.ndjson.1")
    site.append([record(n) for n in range(10, 20)])
    wait_for(lambda: len(site.events()) >= 20)
    assert len(set(uids(site.events()))) == 20


def test_term_drains_and_the_next_start_goes_on(site, running):
    site.configure(site.file_sink())
    site.append([record(n) for n in range(100)])
    p = running()
    wait_for(lambda: len(site.events()) >= 100)
    site.append([record(n) for n in range(100, 200)])
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 0
    assert site.once().returncode == 0
    assert len(site.events()) == 200 and len(set(uids(site.events()))) == 200


def test_a_wrong_configuration_on_hup_leaves_the_old_one_running(site, running):
    site.configure(site.file_sink())
    p = running()
    wait_for(lambda: (site.path / "state" / "status.sock").exists())
    good = site.conf.read_text()
    site.conf.write_text(good + "nonsense: 1\n")
    p.send_signal(signal.SIGHUP)
    wait_for(lambda: "refused" in site.log())
    told = site.run("status", "-c", str(site.conf))  # of the agent that runs, whatever the file is like now
    assert told.returncode == 0 and "CONFIGURATION REFUSED" in told.stdout and "nonsense" in told.stderr, told
    site.append([record(1)])
    wait_for(lambda: len(site.events()) == 1)
    site.conf.write_text(good.replace("name: disk", "name: other"))
    p.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in site.log())
    assert "REFUSED" not in site.run("status", "-c", str(site.conf)).stdout
    site.append([record(2)])
    wait_for(lambda: record(2)["correlationId"] in uids(site.events()))


def test_status_answers_and_a_second_copy_says_who_holds_the_lock(site, running):
    site.configure(site.file_sink())
    p = running()
    wait_for(lambda: (site.path / "state" / "status.sock").exists())
    status = json.loads(site.run("status", "-c", str(site.conf), "--json").stdout)
    assert status["pid"] == p.pid and status["sinks"][0]["name"] == "disk"
    assert "sink disk" in site.run("status", "-c", str(site.conf)).stdout
    second = site.once()
    assert second.returncode == 69 and str(p.pid) in second.stderr


def test_what_the_command_line_has_wrong_is_named(site):
    for args, word in ((["chekc"], "chekc"), (["check", "--bogus"], "--bogus"), (["check", "-c"], "-c"), (["run", "--timeout"], "--timeout")):
        done = site.run(*args)
        assert done.returncode == 64 and f"aispm-agent: {word}: " in done.stderr, done.stderr


def test_a_file_source_of_nothing_yet_is_reached_and_says_so(site):
    site.configure(site.file_sink())
    site.conf.write_text(re.sub(r"paths: .*?\]", 'paths: ["/nowhere/at/all/*.ndjson"]', site.conf.read_text()))
    done = site.run("check", "-c", str(site.conf), "--online")
    assert done.returncode == 0 and "reached; /nowhere/at/all/*.ndjson: no file is there yet" in done.stdout, done.stdout


def test_check_names_file_line_key_and_what_is_allowed(site):
    site.conf.write_text("sources:\n  - {name: a, type: fil, paths: [x]}\nsinks:\n  - {name: b, type: file, pth: /x}\n")
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 78
    assert f"{site.conf}:2: " in done.stdout and "did you mean \"file\"" in done.stdout
    assert f"{site.conf}:4: " in done.stdout and "path" in done.stdout


def test_the_spool_is_sound_and_told(site):
    site.configure(site.file_sink())
    site.append([record(n) for n in range(50)])
    assert site.once().returncode == 0
    spool = str(site.path / "state" / "spool")
    assert site.run("spool", "verify", spool).returncode == 0
    assert json.loads(site.run("spool", "stat", "--json", spool).stdout)["events"] == 50
    assert len(site.run("spool", "dump", spool).stdout.splitlines()) == 50


# ---- Sentinel ---------------------------------------------------------------------

def test_sentinel_gets_every_row_in_batches_below_a_megabyte(site, far):
    site.configure(site.sentinel_sink(far))
    site.append([record(n) for n in range(3000)])
    assert site.once().returncode == 0
    posts = far.posts()
    assert sorted(uids(far.rows())) == sorted(record(n)["correlationId"] for n in range(3000))
    assert all(p["bytes"] <= 1048576 and p["sent"] <= 1048576 for p in posts)
    assert all(p["headers"]["Content-Encoding"] == "gzip" for p in posts)
    assert posts[0]["path"].startswith(f"/dataCollectionRules/{RULE}/streams/Custom-AISPMEvents?")


def test_retry_after_is_obeyed_and_nothing_is_lost(site, far):
    far.script = [(429, [("Retry-After", "2")], "")]
    site.configure(site.sentinel_sink(far))
    site.append([record(n) for n in range(20)])
    assert site.once().returncode == 0
    first, second = far.posts()[:2]
    assert second["at"] - first["at"] >= 2
    assert first["headers"]["x-ms-client-request-id"] == second["headers"]["x-ms-client-request-id"]
    assert len(far.rows()) == 20


def test_401_makes_a_new_token(site, far):
    far.script = [401]
    site.configure(site.sentinel_sink(far))
    site.append([record(1)])
    assert site.once().returncode == 0
    assert [p["headers"]["Authorization"] for p in far.posts()] == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("status", [400, 413])
def test_the_guilty_event_is_set_aside_and_its_neighbours_pass(site, far, status):
    guilty = record(37)["correlationId"]
    far.decide = lambda rows: (status, [("x-ms-request-id", "r-1")], '{"error":{"code":"BadRow"}}') \
        if guilty in uids(rows) else 204
    site.configure(site.sentinel_sink(far))
    site.append([record(n) for n in range(100)])
    done = site.once()
    assert done.returncode == 65
    assert sorted(uids(far.rows())) == sorted(record(n)["correlationId"] for n in range(100) if n != 37)
    dead = [json.loads(x) for x in site.run("spool", "dead", str(site.path / "state" / "dead")).stdout.splitlines()]
    assert len(dead) == 1 and str(status) in dead[0]["reason"] and "BadRow" in dead[0]["reason"]


def test_403_holds_the_sink_names_both_causes_and_holds_no_other_back(site, far):
    far.decide = lambda rows: 403
    site.configure(site.sentinel_sink(far), site.file_sink())
    site.append([record(n) for n in range(10)])
    done = site.once_in_vain(lambda done: "Monitoring Metrics Publisher" in done.stderr and len(site.events()) == 10)
    assert "private link" in done.stderr.lower()
    assert "very-secret-word" not in done.stderr and "token-1" not in done.stderr


def test_a_connection_lost_before_and_after_the_answer_repeats_at_most_with_equal_ids(site, far):
    far.script = ["drop", 204, "drop"]
    site.configure(site.sentinel_sink(far))
    site.append([record(n) for n in range(50)])
    assert site.once().returncode == 0
    rows = far.rows()
    assert set(uids(rows)) == {record(n)["correlationId"] for n in range(50)}
    assert len({r["EventId"] for r in rows}) == 50


def test_our_request_is_the_official_client_s(site, certificate, tmp_path):
    """azure-monitor-ingestion is the yardstick: method, path, query, headers and shape of body."""
    ca, context = certificate
    script = tmp_path / "client.py"
    script.write_text(f"""
import sys
import threading
from azure.core.credentials import AccessToken
from azure.monitor.ingestion import LogsIngestionClient
class Credential:
    def get_token(self, *scopes, **kw):
        print(scopes[0])
        return AccessToken("token-x", 9999999999)
LogsIngestionClient(sys.argv[1], Credential()).upload(rule_id="{RULE}", stream_name="Custom-AISPMEvents", logs=[{{"a": 1}}])
""")
    far = FarSide(tls=context)
    try:
        client = subprocess.run([sys.executable, script, far.url], env=dict(os.environ, REQUESTS_CA_BUNDLE=str(ca)),
                                capture_output=True, text=True, timeout=60)
        assert client.returncode == 0, client.stderr
        theirs = far.posts()[0]
        site.configure(site.sentinel_sink(far, f", tls: {{ca_file: {ca}}}"))
        site.append([record(1)])
        done = site.once()
        assert done.returncode == 0, done.stderr
        ours = far.posts()[1]
        token = next(r for r in far.requests if r["token"])
    finally:
        far.close()
    assert ours["path"].replace("%2D", "-") == theirs["path"].replace("%2D", "-")
    for name in ("Content-Type", "Content-Encoding"):
        assert ours["headers"][name] == theirs["headers"][name]
    wanted = {"authorization", "content-type", "content-encoding", "content-length", "x-ms-client-request-id"}
    assert wanted <= {k.lower() for k in ours["headers"]}
    assert isinstance(ours["rows"], list) and isinstance(theirs["rows"], list)
    assert token["form"]["scope"] == [client.stdout.strip()]
    assert token["form"]["grant_type"] == ["client_credentials"] and token["form"]["client_secret"] == ["very-secret-word"]


def test_a_certificate_that_nobody_vouches_for_is_refused(site, certificate):
    far = FarSide(tls=certificate[1])
    try:
        site.configure(site.sentinel_sink(far))
        site.append([record(1)])
        site.once_in_vain(lambda done: "certificate" in done.stderr.lower())
    finally:
        far.close()
    assert far.posts() == []


# ---- kill -9 ------------------------------------------------------------------------

def test_kill_9_at_random_moments_loses_nothing_and_repeats_show_by_event_id(site, far):
    """On any machine, as any user; test_chaos.py has more troubles and more kills."""
    rng = random.Random(20261124)
    faults = [204, 204, 204, 429, 500, 503, "drop"]
    far.decide = lambda rows: rng.choice(faults)
    site.configure(site.sentinel_sink(far), site.file_sink())
    n = 0
    for _ in range(25):
        p = site.start()
        end = time.monotonic() + rng.uniform(0.01, 0.35)
        while time.monotonic() < end:
            site.append([record(n + i, second=(n + i) % 1000) for i in range(5)])
            n += 5
            time.sleep(0.02)
        p.send_signal(signal.SIGKILL)
        p.wait()
    far.decide = None
    assert site.once().returncode == 0
    wanted = {record(i)["correlationId"] for i in range(n)}
    for rows in (far.rows(), site.events()):
        rows = [r for r in rows if r["EventClass"] == "activity"]
        assert set(uids(rows)) == wanted
        assert len({r["EventId"] for r in rows}) == n
    assert all(line.startswith("{") and line.endswith("}") for line in site.out.read_text().splitlines())


def test_one_record_larger_than_a_small_spool_can_hold_is_set_aside_and_blocks_nothing(site):
    site.configure(site.file_sink(), max_record="64MiB")
    site.conf.write_text(site.conf.read_text().replace("agent: {", "agent: {spool: {max_bytes: 64MiB}, "))
    site.append([record(1), json.dumps({"records": [record(n) for n in range(10, 40000)]}), record(2)])
    done = site.once()
    assert done.returncode == 65
    assert uids(site.events()) == [record(1)["correlationId"], record(2)["correlationId"]]


def test_check_tells_what_a_sink_would_refuse_at_start(site, far):
    site.configure(site.sentinel_sink(far, ", tls: {ca_file: /nowhere/ca.pem}"))
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 78 and done.stdout.startswith(f"{site.conf}:5: tls.ca_file: /nowhere/ca.pem") and done.stdout.count("agent.yaml") == 1
    assert "very-secret-word" not in done.stdout + done.stderr


def test_zones_and_posture_speak_of_what_was_read(site):
    site.configure(site.file_sink(), extra='zones: {default: 2, rules: [{match: "/subscriptions/11111111-*", zone: 3}]}\n')
    site.append([record(n) for n in range(3)])
    assert site.once().returncode == 0
    assert [e["GovernanceZone"] for e in site.events()] == [3, 3, 3]
    done = site.run("posture", "-c", str(site.conf), "--json")
    rows = {(r["requirement"], r["zone"]): r for r in json.loads(done.stdout)["requirements"]}
    assert done.returncode == 1                         # zone 3 asks for Sentinel
    assert rows["sentinel", 3]["result"] == "fail" and rows["sentinel", 2]["result"] == "pass"
    assert rows["alerting", 3]["result"] == "pass"
    assert rows["cspm_plan", 3]["result"] == "unknown" and "11111111-2222" in rows["cspm_plan", 3]["evidence"]


def test_activity_is_summarized_with_sums_and_each_finding_goes_on_its_own(site, far):
    """Three summaries' worth of time; what is delivered is far less, and no call is missing in the sums."""
    site.configure(site.sentinel_sink(far, ", activity: {summarize: 5m}"), site.file_sink())
    site.append([record(n) for n in range(900)])        # 15 minutes of one call a second, seven callers
    assert site.once().returncode == 0
    rows, single = far.rows(), [e for e in site.events() if e["EventClass"] == "activity"]
    sums = [r for r in rows if r["EventClass"] == "activity"]
    assert len(single) == 900 and len(sums) == 3 * 7
    assert sum(r["EventCount"] for r in sums) == 900 and len({r["EventId"] for r in sums}) == len(sums)
    for r in sums:
        assert r["AdditionalFields"]["Summary"] is True and r["EventStartTime"] <= r["EventEndTime"] == r["TimeGenerated"]
        mine = [e for e in single if e["ActorUserId"] == r["ActorUserId"] and
                r["EventStartTime"] <= e["TimeGenerated"] <= r["EventEndTime"]]
        assert len(mine) == r["EventCount"] and r["TargetResourceId"] == mine[0]["TargetResourceId"]
    findings = {e["EventId"] for e in site.events() if e["EventClass"] != "activity"}
    assert {r["EventId"] for r in rows if r["EventClass"] != "activity"} == findings


def test_summaries_lose_nothing_through_kills(site, far, running):
    """A kill in the middle may tell a summary twice, under one EventId and growing: the latest of each adds up to all."""
    site.configure(site.sentinel_sink(far, ", activity: {summarize: 1m}"))
    rounds = 12 if LONG else 4
    for k in range(rounds):
        site.append([record(n) for n in range(k * 200, (k + 1) * 200)])
        p = running()
        time.sleep(0.3 + random.random() * 0.5)
        p.send_signal(signal.SIGKILL)
        p.wait()
    assert site.once().returncode == 0
    latest = {}
    for r in far.rows():
        if r["EventClass"] == "activity":
            if r["EventId"] not in latest or r["EventCount"] >= latest[r["EventId"]]["EventCount"]:
                latest[r["EventId"]] = r
    assert sum(r["EventCount"] for r in latest.values()) == rounds * 200


def test_once_does_not_call_it_everything_when_a_source_could_not_be_read(site):
    site.configure(site.file_sink())
    site.append([record(1)])
    site.conf.write_text(site.conf.read_text().replace("/in/*.ndjson", "/nowhere/*.ndjson"))
    done = site.once()
    assert done.returncode == 74 and "there is no such directory" in done.stderr and "everything delivered" not in done.stderr


def test_a_sink_that_a_source_would_read_again_is_refused(site):
    site.configure(f"{{name: disk, type: file, path: {site.path}/in/out.ndjson}}", f"{{name: two, type: file, path: {site.path}/in/out.ndjson}}")
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 78 and "is read by source in" in done.stdout and "is written by sink disk already" in done.stdout


def test_debug_tells_of_each_batch_file_group_and_token_and_nothing_of_records(site, far, running):
    site.configure(site.sentinel_sink(far), site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", "agent: {log_level: debug, "))
    site.append([record(n) for n in range(10)])
    running()
    wait_for(lambda: len(site.events()) >= 10 and "batch answered: sink=\"sentinel\"" in site.log())
    (site.path / "in" / "a.ndjson").rename(site.path / "in" / "b.ndjson")
    wait_for(lambda: "is now called" in site.log())
    log = site.log()
    assert re.search(r'batch answered: sink="sentinel" events=10 bytes=\d+ first=1 answer="delivered" ms=\d+ said="204; client request [0-9a-f-]{36}; 127', log)
    assert re.search(r'batch answered: sink="disk" events=10 ', log)
    assert re.search(r'sink did: sink="sentinel" what="token by client_secret from 127.0.0.1: good for 3\d+ s', log)
    assert re.search(r'source did: source="in" what="\S+/a.ndjson: taken up, from byte 0 of ', log)
    assert re.search(r"group on disk: events=10 bytes=\d+ last=10 ms=\d+", log)
    assert "very-secret-word" not in log and "token-1" not in log and "user-1" not in log and "ChatCompletions" not in log


def test_a_reload_keeps_the_counters(site, running):
    site.configure(site.file_sink())
    site.append([record(n) for n in range(10)])
    p = running()

    def delivered():
        done = site.run("status", "-c", str(site.conf), "--json")
        return json.loads(done.stdout)["sinks"][0]["sink_delivered_events"] if done.returncode == 0 else None
    wait_for(lambda: delivered() == 10)
    p.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration reloaded" in site.log())
    assert delivered() == 10 and site.log().count("started: ") == 1
    site.append([record(n) for n in range(10, 15)])
    wait_for(lambda: delivered() == 15)


def test_a_reload_waits_for_what_is_out_and_nothing_comes_twice(site, far, running):
    asked = threading.Event()

    def slowly(rows):
        asked.set()
        time.sleep(1)
        return 204

    far.decide = slowly
    site.configure(site.sentinel_sink(far), site.file_sink())
    site.append([record(n) for n in range(10)])
    p = running()
    assert asked.wait(60)
    p.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration reloaded" in site.log())
    site.append([record(n) for n in range(10, 20)])
    wait_for(lambda: len({r["EventId"] for r in far.rows() if r["EventClass"] == "activity"}) == 20 and len(site.events()) >= 20)
    for rows in (far.rows(), site.events()):
        ids = [r["EventId"] for r in rows]
        assert len(ids) == len(set(ids))


def test_a_far_side_that_refuses_everything_does_not_empty_the_spool_into_the_dead_letter(site, far, running):
    far.decide = lambda rows: (400, [], json.dumps({"error": {"code": "InvalidStream", "message": "no"}}))
    site.configure(site.sentinel_sink(far))
    site.append([record(n) for n in range(400)])
    running()
    wait_for(lambda: "sink held" in site.log(), seconds=40)
    assert "one after another were refused" in site.log()
    sets = [json.loads(x) for x in site.run("spool", "dead", str(site.path / "state" / "dead"), "--json").stdout.splitlines()]
    assert len(sets) == 100


def test_what_cannot_be_read_is_65_whatever_reads_it(site):
    for args in (["explain", "/nowhere"], ["backtest", "--detector", "volume", "/nowhere"], ["backtest", "--detector", "config", "/nowhere"],
                 ["spool", "verify", "/nowhere"], ["spool", "stat", str(site.path)]):
        assert site.run(*args).returncode == 65, args


def test_check_tells_of_a_damaged_spool(site):
    site.configure(site.file_sink())
    site.append([record(n) for n in range(50)])
    assert site.once().returncode == 0
    assert site.run("check", "-c", str(site.conf)).returncode == 0
    segment = sorted((site.path / "state" / "spool").glob("*.seg"))[0]
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.write_bytes(raw)
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 65 and "spool verify" in done.stdout
