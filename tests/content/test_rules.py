"""Each analytics rule, run as Sentinel runs it, over what the real agent makes of the stories. Every event is delivered twice, forty minutes apart."""
import copy
import datetime
import json
import re
import signal
import subprocess
import time

import pytest

pytest.importorskip("duckdb_kql", reason="the PyPI package duckdb-kql, which runs KQL, is not here")
import sentinel  # noqa: E402
import stories  # noqa: E402
from conftest import moment  # noqa: E402

RULES = sentinel.load("rules")
HEALTH = {"AISPMAgentSilent", "AISPMAgentImpaired"}
OWN_RUN = HEALTH | {"AISPMChainJailbreakThenData"}
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MINUTE, HOUR = datetime.timedelta(minutes=1), datetime.timedelta(hours=1)


def holds(alert):
    return " ".join(str(v) for v in alert.values()).lower()


def fits(alerts, wanted):
    """Each text in an alert of its own, and no alert without a text."""
    left = list(alerts)
    for text in wanted:
        hit = next((a for a in left if text.lower() in holds(a)), None)
        if hit is None:
            return False
        left.remove(hit)
    return not left


def short(alerts):
    return [f"{a['RunAt']} {a.get('EventName')} {a.get('TargetResourceName')} {a.get('EventMessage', '')}"[:200] for a in alerts]


@pytest.mark.parametrize("name", sorted(set(RULES) - OWN_RUN))
def test_a_rule_fires_once_on_each_of_its_stories_and_on_nothing_else(name, told):
    workspace, want, begin, end = told
    assert want.get(name), "no story for this rule"
    alerts = workspace.alerts(RULES[name], begin, end)
    assert fits(alerts, want[name]), (want[name], short(alerts))
    assert all((a["ActorEntraId"] or "") == (a["ActorUserId"] if GUID.fullmatch(a["ActorUserId"] or "") else "") for a in alerts if "ActorEntraId" in a)
    first_attack = moment(stories.LAST) + 4 * HOUR
    assert all(a["RunAt"] > first_attack for a in alerts if name != "AISPMOverdueRemediation"), "it fired on an ordinary day"


def test_every_story_is_about_a_rule_that_exists(told):
    assert set(told[1]) <= set(RULES)


def test_a_jailbreak_of_copilot_followed_by_labelled_documents_is_told(tmp_path):
    if not sentinel.agent():
        pytest.skip("AISPM_AGENT names no binary")
    lines, want = stories.copilot_jailbreak_then_labelled_documents()
    begin, end = moment(stories.LAST), moment(stories.LAST) + 24 * HOUR
    workspace = sentinel.Workspace(sentinel.emit(tmp_path / "run", lines, events="all"), end)
    for rule, texts in want.items():
        alerts = workspace.alerts(RULES[rule], begin, end)
        assert fits(alerts, texts), (rule, short(alerts))
    # without the jailbreak the same reading is ordinary
    tame = sentinel.Workspace(sentinel.emit(tmp_path / "tame", [x for x in lines if "JailbreakDetected" not in x], events="all"), end)
    assert tame.alerts(RULES["AISPMChainJailbreakThenData"], begin, end) == []


@pytest.mark.parametrize("name,needed", [("AISPMChainKeyTheft", "config.account.weakened"), ("AISPMChainBlindSpike", "config.diagnostics.removed"),
                                         ("AISPMChainLLMjackingCost", "access.probing"), ("AISPMChainDenialOfWallet", "AI.Azure_DOWVolumeAnomaly")])
def test_a_chain_needs_each_of_its_parts_and_their_order(name, needed, told):
    workspace, _, _, end = told
    sql = workspace.translate(RULES[name]["query"])
    whole = datetime.timedelta(hours=47)
    now = end - HOUR

    def after(change=None):
        """How much the rule finds when all came just now, so that nothing was told before, and this was changed."""
        workspace.con.execute("BEGIN")
        workspace.con.execute("UPDATE Raw SET IngestionTime = ?", [now - MINUTE])
        if change:
            workspace.con.execute(change, [needed])
        try:
            return len(workspace.run(sql, now, whole))
        finally:
            workspace.con.execute("ROLLBACK")

    assert after() == 1
    assert after("DELETE FROM Raw WHERE EventOriginalType = ?") == 0
    assert after("UPDATE Raw SET TimeGenerated = TimeGenerated + INTERVAL 20 HOUR, EventStartTime = EventStartTime + INTERVAL 20 HOUR WHERE EventOriginalType = ?") == 0


def test_a_finding_that_another_agent_relays_is_told_once_by_either_way(told, tmp_path):
    """An agent whose detectors are on sends its findings itself, puts them on a bus, or both: of the second agent they are alerts with the same EventId."""
    workspace, _, begin, end = told
    columns = [n for n, _ in sentinel.COLUMNS]
    rows = workspace.con.execute(f"SELECT DISTINCT {', '.join(columns)} FROM Raw WHERE EventClass IN ('config_change', 'volume_spike') AND TimeGenerated > ?",
                                 [begin]).fetchall()
    found = [{n: v.isoformat() + "Z" if isinstance(v, datetime.datetime) else json.loads(v) if n == "AdditionalFields" else v
              for n, v in zip(columns, row) if v is not None and v != ""} for row in rows]
    relayed = sentinel.emit(tmp_path / "second", [json.dumps(f) for f in found], relay=True)
    assert {e["EventId"] for e in relayed} == {e["EventId"] for e in found} and {e["EventClass"] for e in relayed} == {"alert"}
    rule = RULES["AISPMThreatAlert"]
    alone = sentinel.Workspace(relayed, end).alerts(rule, begin, end)
    matters = {f["AdditionalFields"].get("series", f["EventId"]) + f["EventStartTime"] for f in found if f["EventSeverity"] in ("Medium", "High", "Critical")}
    assert len(alone) == len(matters) > 10, (short(alone), matters)
    # among them what is of no AI resource, such as a plan of Defender that was switched off
    assert any(a["TargetResourceType"] == "other" for a in alone)
    assert sentinel.Workspace(relayed + found, end).alerts(rule, begin, end) == []


# ---- heartbeats -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def heartbeat(tmp_path_factory):
    """One heartbeat that the running agent sent."""
    if not sentinel.agent():
        pytest.skip("AISPM_AGENT names no binary")
    where = tmp_path_factory.mktemp("heartbeat")
    (where / "in.ndjson").write_text("")
    out = where / "out.ndjson"
    (where / "agent.yaml").write_text(f"agent: {{state_dir: {where}/state, heartbeat: 1s, log_level: error}}\nsources: [{{name: s, type: file, paths: [\"{where}/in.ndjson\"]}}]\n"
                                      f"sinks: [{{name: disk, type: file, path: {out}, events: all}}]\n")
    p = subprocess.Popen([sentinel.agent(), "run", "-c", str(where / "agent.yaml")], stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(300):
            lines = out.read_text().splitlines() if out.exists() else []
            if lines:
                return json.loads(lines[0])
            assert p.poll() is None, p.stderr.read()
            time.sleep(0.1)
        pytest.fail("no heartbeat within 30 s")
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait(30)


BEGIN = datetime.datetime(2026, 10, 14, 8)


def beats(template, minutes, result="Success"):
    found = []
    for minute in minutes:
        at = BEGIN + minute * MINUTE
        found.append(dict(copy.deepcopy(template), TimeGenerated=at.isoformat() + ".000Z", EventResult=result, EventId=f"{minute:032x}"))
    return found


def test_the_agents_heartbeat_is_of_class_agent_and_names_its_host(heartbeat):
    assert heartbeat["EventClass"] == "agent" and heartbeat["AgentId"] and heartbeat["DvcHostname"] and heartbeat["EventResult"] == "Success"


def test_silence_is_told_once_and_again_after_the_agent_was_back(heartbeat):
    rule = RULES["AISPMAgentSilent"]
    events = beats(heartbeat, [*range(0, 120, 5), *range(240, 360, 5)])
    alerts = sentinel.Workspace(events).alerts(rule, BEGIN, BEGIN + 8 * HOUR)
    assert [a["LastHeartbeat"] for a in alerts] == [BEGIN + 115 * MINUTE, BEGIN + 355 * MINUTE]
    assert all(a["DvcHostname"] == heartbeat["DvcHostname"] for a in alerts)


def test_an_agent_that_speaks_is_not_silent(heartbeat):
    assert sentinel.Workspace(beats(heartbeat, range(0, 300, 5))).alerts(RULES["AISPMAgentSilent"], BEGIN, BEGIN + 5 * HOUR) == []


def test_trouble_that_lasts_is_told_once_and_a_short_one_never(heartbeat):
    rule = RULES["AISPMAgentImpaired"]
    long = beats(heartbeat, range(0, 60, 5)) + beats(heartbeat, range(60, 240, 5), "Partial") + beats(heartbeat, range(240, 300, 5))
    brief = beats(heartbeat, range(0, 60, 5)) + beats(heartbeat, [60, 65], "Partial") + beats(heartbeat, range(70, 300, 5))
    assert len(sentinel.Workspace(long).alerts(rule, BEGIN, BEGIN + 5 * HOUR)) == 1
    assert sentinel.Workspace(brief).alerts(rule, BEGIN, BEGIN + 5 * HOUR) == []
