"""Prometheus rules and the Grafana dashboard: read by their own tools, true to the metrics, quiet on a good day and loud on each bad one."""
import datetime
import json
import re
import shutil
import socket
import subprocess

import pytest
import yaml

from conftest import SRC, free_port, record, wait_for
from test_web import ask

RULES = SRC / "packaging" / "prometheus" / "aispm-agent.rules.yaml"
DASHBOARD = SRC / "packaging" / "grafana" / "aispm-agent.json"
MINUTES = 8 * 60             # of a day in the tests of alerts
LONG_MINUTES = 27 * 60       # of one that is about a day of silence


def promtool(*args, given=None):
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool (Debian's prometheus) is not here")
    return subprocess.run([program, *map(str, args)], input=given, capture_output=True, text=True, timeout=120)


def rules():
    return yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


# ---- the files ---------------------------------------------------------------------


def test_promtool_takes_the_rules():
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr
    assert "duplicate" not in done.stdout + done.stderr


def test_each_alert_says_what_it_means_and_what_to_do():
    names = [r["alert"] for r in rules()]
    assert len(names) == len(set(names)) and all(re.fullmatch(r"Aispm[A-Z]\w+", n) for n in names)
    for r in rules():
        assert r["labels"]["severity"] in ("critical", "warning", "info"), r["alert"]
        said = r["annotations"]
        assert set(said) == {"summary", "description", "runbook"} and all(len(t) > 20 and t[-1] in ".?" for t in said.values()), r["alert"]
        assert r["alert"] == "AispmAgentAbsent" or "$labels.instance" in said["summary"], r["alert"]


# ---- a good day, and one bad day for each alert --------------------------------------

AT = 'instance="vm1",job="aispm-agent"'
IN, SINK, DETECTOR = (f'{AT},source="hub",type="kafka"', f'{AT},sink="sentinel",type="sentinel"', f'{AT},detector="access",type="access"')
CRITICAL = f'{AT},class="config_change",severity="Critical"'


def flat(v):
    return f"{v}+0x{LONG_MINUTES}"


def grows(step, start=0):
    return f"{start}+{step}x{LONG_MINUTES}"


GOOD = {
    f"up{{{AT}}}": flat(1), f"aispm_start_time_seconds{{{AT}}}": flat(5), f"aispm_loop_turn_age_seconds{{{AT}}}": flat(2),
    f"aispm_time_seconds{{{AT}}}": grows(60), f"aispm_certificate_end_time_seconds{{{AT}}}": flat(90 * 86400), f"aispm_config_refused{{{AT}}}": flat(0),
    f"aispm_decode_restarts_total{{{AT}}}": flat(1), f"aispm_decode_inline{{{AT}}}": flat(0),
    f"aispm_sink_state{{{SINK}}}": flat(0), f"aispm_sink_pending_events{{{SINK}}}": flat(40), f"aispm_sink_last_delivery_time_seconds{{{SINK}}}": grows(60),
    f"aispm_sink_holds_total{{{SINK}}}": flat(1), f"aispm_sink_set_aside_events_total{{{SINK}}}": flat(3),
    f"aispm_source_paused{{{IN}}}": flat(0), f"aispm_source_lag_records{{{IN}}}": flat(300), f"aispm_source_lag_bytes{{{IN}}}": flat(0),
    f"aispm_source_files_not_followed{{{IN}}}": flat(0), f"aispm_source_refused_token_requests_total{{{IN}}}": flat(4),
    f"aispm_source_troubles_total{{{IN}}}": flat(2), f"aispm_source_last_event_time_seconds{{{IN}}}": grows(60),
    f"aispm_source_records_total{{{IN}}}": grows(6000), f"aispm_source_unknown_records_total{{{IN}}}": grows(6),
    f"aispm_spool_bytes{{{AT}}}": flat(10_000_000), f"aispm_spool_max_bytes{{{AT}}}": flat(4 << 30), f"aispm_spool_damages_total{{{AT}}}": flat(0),
    f"aispm_spool_lost_entries_total{{{AT}}}": flat(0), f"aispm_dead_letter_entries_total{{{AT}}}": flat(3), f"aispm_dead_letter_removed_total{{{AT}}}": flat(0),
    f"aispm_detector_evicted_series_total{{{DETECTOR}}}": flat(7), f"aispm_detector_refused_series_total{{{DETECTOR}}}": flat(0),
    f"aispm_detector_events_total{{{DETECTOR}}}": grows(6000), f"aispm_detector_late_events_total{{{DETECTOR}}}": grows(10),
    f"aispm_events_total{{{CRITICAL}}}": flat(0),
}
LATE = MINUTES - 10         # the last ten minutes

# alert: what is otherwise on that day; None: the series is not there
BAD = {
    "AispmAgentDown": {f"up{{{AT}}}": flat(0)},
    "AispmAgentAbsent": {f"up{{{AT}}}": None},
    "AispmAgentRestarting": {f"aispm_start_time_seconds{{{AT}}}": f"5+0x{LATE} 100000 100060 100120 100180 100180"},
    "AispmLoopStalled": {f"aispm_loop_turn_age_seconds{{{AT}}}": grows(60)},
    "AispmSinkHeld": {f"aispm_sink_state{{{SINK}}}": flat(2)},
    "AispmSinkFlapping": {f"aispm_sink_holds_total{{{SINK}}}": grows(0.02)},
    "AispmSinkNotDelivering": {f"aispm_sink_state{{{SINK}}}": flat(1), f"aispm_sink_last_delivery_time_seconds{{{SINK}}}": flat(0)},
    "AispmSinkBacklogGrowing": {f"aispm_sink_pending_events{{{SINK}}}": grows(100)},
    "AispmSinkRefusesEvents": {f"aispm_sink_set_aside_events_total{{{SINK}}}": grows(0.05)},
    "AispmSourcePaused": {f"aispm_source_paused{{{IN}}}": flat(1)},
    "AispmSourceLagGrowing": {f"aispm_source_lag_records{{{IN}}}": grows(100)},
    "AispmSourceTroubled": {f"aispm_source_troubles_total{{{IN}}}": grows(1)},
    "AispmSourceFilesNotFollowed": {f"aispm_source_files_not_followed{{{IN}}}": flat(3)},
    "AispmSourceRequestsUnauthorized": {f"aispm_source_refused_token_requests_total{{{IN}}}": grows(5)},
    "AispmSourceSilent": {f"aispm_source_last_event_time_seconds{{{IN}}}": flat(60)},
    "AispmRecordsUnknown": {f"aispm_source_unknown_records_total{{{IN}}}": grows(600)},
    "AispmEventsFromTheFuture": {f"aispm_source_last_event_time_seconds{{{IN}}}": grows(60, 7200)},
    "AispmSpoolNearlyFull": {f"aispm_spool_bytes{{{AT}}}": flat(3_600_000_000)},
    "AispmSpoolFillsSoon": {f"aispm_spool_bytes{{{AT}}}": grows(5_000_000, 900_000_000)},
    "AispmSpoolDamaged": {f"aispm_spool_damages_total{{{AT}}}": flat(1)},
    "AispmDeadLetterGrowing": {f"aispm_dead_letter_entries_total{{{AT}}}": grows(1)},
    "AispmDeadLetterOverflows": {f"aispm_dead_letter_removed_total{{{AT}}}": grows(1)},
    "AispmDetectorTableFull": {f"aispm_detector_evicted_series_total{{{DETECTOR}}}": grows(5)},
    "AispmEventsLate": {f"aispm_detector_late_events_total{{{DETECTOR}}}": grows(1000)},
    "AispmCriticalFinding": {f"aispm_events_total{{{CRITICAL}}}": f"0+0x{LATE} 1+0x9"},
    "AispmClockSkew": {f"aispm_time_seconds{{{AT}}}": grows(60, 400)},
    "AispmCertificateEndsSoon": {f"aispm_certificate_end_time_seconds{{{AT}}}": flat(10 * 86400)},
    "AispmConfigRefused": {f"aispm_config_refused{{{AT}}}": flat(1)},
    "AispmDecodeRestarting": {f"aispm_decode_restarts_total{{{AT}}}": grows(1)},
    "AispmDecodeInline": {f"aispm_decode_inline{{{AT}}}": flat(1)},
}


def labels_of(series):
    return dict(re.findall(r'(\w+)="([^"]*)"', series))


def day(name, changes, loud):
    minutes = LONG_MINUTES if loud == "AispmSourceSilent" else MINUTES
    series = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    expected = {}
    if loud:
        rule = next(r for r in rules() if r["alert"] == loud)
        labels = {"job": "aispm-agent"} if loud == "AispmAgentAbsent" else labels_of(next(iter(changes)))
        expected[loud] = [{"exp_labels": {**labels, **rule["labels"]}}]
    return {"name": name, "interval": "1m", "input_series": [{"series": k, "values": v.replace(f"x{LONG_MINUTES}", f"x{minutes}")} for k, v in series.items()],
            "alert_rule_test": [{"eval_time": f"{minutes}m", "alertname": r["alert"], "exp_alerts": expected.get(r["alert"], [])} for r in rules()]}


def bare_rules(tmp_path):
    """The rules without their words, which promtool would want word for word."""
    text = yaml.safe_load(RULES.read_text())
    for r in text["groups"][0]["rules"]:
        del r["annotations"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(text))
    return tmp_path / "rules.yaml"


def judge(tmp_path, days, rule_file):
    test = tmp_path / "days.yaml"
    test.write_text(yaml.safe_dump({"rule_files": [str(rule_file)], "evaluation_interval": "5m", "tests": days}))
    return promtool("test", "rules", test)


def test_each_alert_fires_on_its_bad_day_alone_and_none_on_a_good_one(tmp_path):
    assert set(BAD) == {r["alert"] for r in rules()}
    days = [day("a good day", {}, None)] + [day(alert, changes, alert) for alert, changes in BAD.items()]
    done = judge(tmp_path, days, bare_rules(tmp_path))
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_the_words_of_an_alert_name_instance_figure_and_unit(tmp_path):
    one = day("words", BAD["AispmCertificateEndsSoon"], None)
    rule = next(r for r in rules() if r["alert"] == "AispmCertificateEndsSoon")
    left = 10 * 86400 - MINUTES * 60
    words = f"A client certificate of vm1 ends in {left // 86400}d {left % 86400 // 3600}h {left % 3600 // 60}m {left % 60}s."
    one["alert_rule_test"] = [{"eval_time": f"{MINUTES}m", "alertname": rule["alert"],
                               "exp_alerts": [{"exp_labels": {"instance": "vm1", "job": "aispm-agent", "severity": "warning"},
                                               "exp_annotations": {**rule["annotations"], "summary": words}}]}]
    done = judge(tmp_path, [one], RULES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


# ---- the dashboard -------------------------------------------------------------------


def dashboard():
    return json.loads(DASHBOARD.read_text())


def panels(of=None):
    for p in (of or dashboard())["panels"]:
        yield p
        yield from p.get("panels", [])


def plain(expr):
    """An expression with Grafana's variables as it would send them."""
    for name, value in (("$__rate_interval", "5m"), ("$__range", "1h"), ("$__interval", "1m"), ("$job", "aispm-agent"), ("$instance", ".*")):
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


def exprs():
    return [t["expr"] for p in panels() for t in p.get("targets", [])]


def test_promtool_parses_every_expression_of_the_dashboard(tmp_path):
    assert len(exprs()) >= 25
    given = tmp_path / "exprs.yaml"
    given.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [{"record": f"aispm:panel{i}", "expr": plain(e)} for i, e in enumerate(exprs())]}]}))
    done = promtool("check", "rules", given)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_laid_out_and_every_panel_says_what_it_shows():
    d = dashboard()
    assert d["uid"] and d["title"] and d["schemaVersion"] >= 36 and "id" not in {k for k, v in d.items() if v is not None}
    ids = [p["id"] for p in panels()]
    assert len(ids) == len(set(ids))
    taken = set()
    for p in panels():
        g = p["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        assert g["x"] + g["w"] <= 24 and not cells & taken, p["title"]
        taken |= cells
        if p["type"] != "row":
            assert p["title"] and p["description"] and p["targets"] and p["fieldConfig"]["defaults"]["unit"], p["title"]
            assert p["datasource"] == {"type": "prometheus", "uid": "${datasource}"} and all(t["datasource"] == p["datasource"] for t in p["targets"])
            assert len({t["refId"] for t in p["targets"]}) == len(p["targets"])
    variables = {v["name"]: v for v in d["templating"]["list"]}
    assert set(variables) == {"datasource", "job", "instance"}
    assert all('job="$job"' in e and 'instance=~"$instance"' in e for e in exprs())


def test_grafanas_own_schema_knows_all_that_the_dashboard_says():
    dashboards = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason="the PyPI package grafana-foundation-sdk is not here")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    register_default_plugins()
    read = json.loads(JSONEncoder(sort_keys=True).encode(dashboards.Dashboard.from_json(dashboard())))

    def lost(mine, theirs, path):
        if isinstance(mine, dict):
            return [x for k, v in mine.items() for x in (lost(v, theirs[k], f"{path}.{k}") if isinstance(theirs, dict) and k in theirs else [f"{path}.{k}"])]
        if isinstance(mine, list):
            return [x for i, v in enumerate(mine) for x in (lost(v, theirs[i], f"{path}[{i}]") if i < len(theirs) else [f"{path}[{i}]"])]
        return [] if mine == theirs else [f"{path}: {mine!r} became {theirs!r}"]
    assert lost(dashboard(), read, "") == []


# ---- the metrics ---------------------------------------------------------------------


def test_every_metric_of_rules_and_dashboard_is_told_by_a_running_agent(site, running):
    port = free_port()
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", "))
    site.append([record(n) for n in range(5)])
    running()
    text = wait_for(lambda: 'aispm_sink_delivered_events_total{sink="disk",type="file"} 5' in (m := ask(port, "/metrics")[2]) and m)
    told = set(re.findall(r"^(aispm_\w+)", text, re.M))
    named = {name for e in exprs() + [r["expr"] for r in rules()] for name in re.findall(r"\baispm_\w+", e)}
    assert len(named) >= 30 and named <= told, named - told
    # and the other way round: what nobody looks at should be left out for a reason
    unseen = told - named
    assert unseen <= {"aispm_source_passed_elements_total", "aispm_source_truncations_total", "aispm_source_streams", "aispm_spool_durable_seq",
                      "aispm_sink_cursor_seq", "aispm_spool_syncs_total", "aispm_source_last_trouble_time_seconds", "aispm_config_reloads_total"}, unseen
    # a finding's counter is there before the first, or its step could not be seen
    for name in ("access_anomaly", "volume_spike", "config_change"):
        assert f'aispm_events_total{{class="{name}",severity="Critical"}} 0' in text
    assert 'aispm_events_total{class="activity",severity="Informational"} 5' in text


def test_metrics_tell_versions_times_and_the_agents_own_state(site, running):
    port = free_port()
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", "))
    agent = running()
    text = wait_for(lambda: ask(port, "/metrics")[2])
    version = (SRC / "VERSION").read_text().strip()
    assert re.search(rf'^aispm_build_info{{version="{re.escape(version)}",json="[^"]+",kafka="(yes|no)"}} 1$', text, re.M)

    def value(name):
        return float(re.search(rf"^{name}(?:{{.*}})? (\S+)$", ask(port, "/metrics")[2], re.M)[1])
    now, start = value("aispm_time_seconds"), value("aispm_start_time_seconds")
    assert 0 <= now - start < 120 and value("aispm_loop_turn_age_seconds") < 30 and value("aispm_sink_last_delivery_time_seconds") == 0
    site.append([record(1)])
    wait_for(lambda: value("aispm_sink_last_delivery_time_seconds") >= int(start))
    # a faulty file is refused, a good one taken, and both are told
    good = site.conf.read_text()
    site.conf.write_text(good + "nonsense: 1\n")
    agent.send_signal(1)
    wait_for(lambda: value("aispm_config_refused") == 1)
    assert value("aispm_config_reloads_total") == 0
    site.conf.write_text(good)
    agent.send_signal(1)
    wait_for(lambda: value("aispm_config_reloads_total") == 1 and value("aispm_config_refused") == 0)
    assert value("aispm_sink_delivered_events_total") == 1      # counters go on


def test_metrics_tell_when_the_client_certificate_ends_and_that_the_sink_is_held(site, far, running):
    port, pem = free_port(), site.path / "client.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-keyout", site.path / "client.key", "-out", pem, "-subj", "/CN=a"],
                   check=True, capture_output=True)
    end = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-enddate", "-dateopt", "iso_8601"], check=True, capture_output=True, text=True).stdout
    end = datetime.datetime.fromisoformat(end.split("=")[1].strip().replace("Z", "+00:00"))
    far.decide = lambda rows: 403
    site.configure(site.sentinel_sink(far).replace("type: client_secret, tenant: t, client_id: c, secret: {env: AISPM_TEST_SECRET}",
                   f"type: client_certificate, tenant: 11111111-2222-3333-4444-555555555555, client_id: 66666666-7777-8888-9999-000000000000, certificate: {pem}, "
                   f"key: {site.path}/client.key"))
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", "))
    site.append([record(1)])
    running()
    text = wait_for(lambda: 'aispm_sink_state{sink="sentinel",type="sentinel"} 2' in (m := ask(port, "/metrics")[2]) and m)
    assert f"aispm_certificate_end_time_seconds {int(end.timestamp())}.000" in text
    assert float(re.search(r'^aispm_sink_holds_total{sink="sentinel",type="sentinel"} (\S+)$', text, re.M)[1]) >= 1
    assert 'aispm_sink_last_delivery_time_seconds{sink="sentinel",type="sentinel"} 0.000' in text


def test_a_page_whose_address_is_taken_comes_when_it_is_free(site, running):
    port = free_port()
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", "))
    with socket.create_server(("127.0.0.1", port)):
        running()
        wait_for(lambda: "cannot listen" in site.log())
    wait_for(lambda: ask(port, "/healthz")[0] == 200)
    assert site.log().count("cannot listen") == 1


def test_the_readme_names_every_alert():
    text = (RULES.parent / "README.md").read_text()
    assert {r["alert"] for r in rules()} == set(re.findall(r"`(Aispm\w+)`", text)) and f"{len(rules())} alerts" in text
