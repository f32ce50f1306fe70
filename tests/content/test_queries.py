"""Every query by Microsoft's own parser, against the table: no unknown column, table or function, and the columns that a rule promises are in its result.
And those that are no rules - parsers, functions, hunting queries, the workbook's - run over what the agent emits."""
import csv
import json
import re

import pytest

import arm
import sentinel

RULES, HUNTS, PARSERS, FUNCTIONS = (sentinel.load(f) for f in ("rules", "hunting", "parsers", "functions"))
# the table, and what Log Analytics has on each
TABLE = "(" + ",".join(f"{n}:{t}" for n, t in sentinel.COLUMNS) + ",TenantId:string,Type:string,_ItemId:string)"
SHORT = {"bool": "boolean"}


def called(params):
    return ", ".join(f"{p['Name']}:{p['Type']}={p['Default']}" for p in params)


def functions():
    return [{"name": y["ParserName"], "parameters": f"({called(y['ParserParams'])})", "body": "{" + y["ParserQuery"] + "}"} for y in PARSERS.values()] + \
           [{"name": y["FunctionName"], "parameters": f"({called(y['FunctionParameters'])})", "body": "{" + y["FunctionQuery"] + "}"} for y in FUNCTIONS.values()]


def workbook():
    found = {}
    for i in json.loads((sentinel.SENTINEL / "workbook.json").read_text())["items"]:
        if i["type"] == 3:
            q = i["content"]["query"].replace("{TimeRange:grain}", "1h").replace("{Zone}", "*").replace("{PromptPrice}", "2.50").replace("{CompletionPrice}", "10.00")
            assert "{" not in q
            found[f"workbook/{i['content']['title']}"] = q
    return found


def queries():
    found = {f"rules/{n}": y["query"] for n, y in RULES.items()} | {f"hunting/{n}": y["query"] for n, y in HUNTS.items()} | workbook()
    found |= {f"parsers/{n}": f"{n}()" for n in PARSERS}
    found |= {f"bodies/{n}": "let " + "; let ".join(f"{p['Name']}={p['Default'].replace(chr(39), chr(34))}" for p in y["ParserParams"]) + ";\n" + y["ParserQuery"] for n, y in PARSERS.items()}
    found |= {"functions/AISPMEvents": "AISPMEvents()", "functions/AISPMEvents since": "AISPMEvents(ago(1d), now())",
              "parsers/filtered": 'vimAlertEventAISPMAgent(starttime=ago(1d), username_has_any=dynamic(["erin"]), eventseverity_has_any=dynamic(["High"]), pack=true)'}
    return found


BAD = {"bad/column": "AISPMEvents_CL | where EventKlass == 'x'", "bad/table": "AISPMEvent_CL | take 1", "bad/function": "AISPMEvents_CL | extend a = ingestiontime()",
       "bad/syntax": "AISPMEvents_CL | where", "bad/argument": "AISPMEvents(1, 2, 3)", "bad/late": "AISPMEvents_CL | project EventId | where EventClass == 'x'"}


def flows():
    template = json.loads((sentinel.SENTINEL / "azuredeploy.json").read_text())
    deployed = arm.Deployment(template, workspaceName="soc", principalId="7" * 36, commonSecurityLog=True)
    rule = next(r for r in deployed.resources if r["type"].endswith("dataCollectionRules"))["properties"]
    return [(f, rule["streamDeclarations"][f["streams"][0]]["columns"]) for f in rule["dataFlows"]]


@pytest.fixture(scope="module")
def parsed(parse):
    """Everything in one go: the parser takes seconds to start."""
    tables, asked = {"AISPMEvents_CL": TABLE}, queries() | BAD
    for i, (flow, columns) in enumerate(flows()):
        tables[f"source{i}"] = "(" + ",".join(f"{c['name']}:{c['type']}" for c in columns) + ")"
        asked[f"flow/{flow['outputStream']}"] = re.sub(r"\bsource\b", f"source{i}", flow["transformKql"])
    return parse(asked, tables, functions())


@pytest.mark.parametrize("name", sorted(queries()))
def test_microsofts_parser_has_nothing_to_say(name, parsed):
    assert parsed[name]["errors"] == []
    assert parsed[name]["columns"]


def promised(y):
    o = y.get("alertDetailsOverride", {})
    names = {f["columnName"] for m in y["entityMappings"] for f in m["fieldMappings"]} | set(y.get("customDetails", {}).values())
    names |= set(re.findall(r"\{\{(\w+)\}\}", o.get("alertDisplayNameFormat", "") + o.get("alertDescriptionFormat", "")))
    return names | ({o["alertSeverityColumnName"]} if "alertSeverityColumnName" in o else set())


@pytest.mark.parametrize("name", [f"rules/{n}" for n in sorted(RULES)] + [f"hunting/{n}" for n in sorted(HUNTS)])
def test_what_a_rule_promises_is_in_its_result(name, parsed):
    kind, file = name.split("/")
    y = (RULES if kind == "rules" else HUNTS)[file]
    types = dict(parsed[name]["columns"])
    assert promised(y) - set(types) == set()
    # an alert's details are texts, numbers and times
    assert {c: types[c] for c in promised(y) if types[c] == "dynamic"} == {}


@pytest.mark.parametrize("name", sorted(BAD))
def test_the_parser_sees_what_is_wrong(name, parsed):
    assert any(e.startswith("Error") for e in parsed[name]["errors"])


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_parser_makes_the_fields_of_asim_csv_with_their_types(name, parsed):
    schema, types = PARSERS[name]["Normalization"]["Schema"], dict(parsed[f"bodies/{name}"]["columns"])
    columns = dict(sentinel.COLUMNS)
    rows = [r for r in csv.DictReader((sentinel.SRC / "schemas" / "event" / "asim.csv").open()) if r["schema"] == schema]
    assert len(rows) > 20
    for r in rows:
        first = r["source"].split("|")[0]
        assert types[r["asim"]] == ("string" if first.startswith("=") or r["words"] else columns[first]), r


def test_what_each_flow_gives_is_what_its_table_holds(parsed):
    theirs = {"Custom-AISPMEvents_CL": sentinel.COLUMNS,
              "Microsoft-CommonSecurityLog": [(r["column"], r["type"]) for r in csv.DictReader((sentinel.SRC / "tests" / "formats" / "CommonSecurityLog.csv").open())]}
    assert {f["outputStream"] for f, _ in flows()} == set(theirs)
    for stream, columns in theirs.items():
        result, table = parsed[f"flow/{stream}"], dict(columns)
        assert result["errors"] == []
        given = {n: SHORT.get(t, t) for n, t in result["columns"]}
        assert {n: t for n, t in given.items() if table.get(n) != t} == {} and given["TimeGenerated"] == "datetime"
        if stream.startswith("Custom-"):
            assert list(given) == [n for n, _ in sentinel.COLUMNS]


# ---- run ------------------------------------------------------------------------------------------------------------

RUN = {n: q for n, q in queries().items() if n.startswith(("hunting/", "workbook/"))}


@pytest.fixture(scope="module")
def calls(told, tmp_path_factory):
    """A day of calls with its findings: activity too, which the rules' stories leave out."""
    import stories
    c = stories.Company()
    for day in range(10):
        for who in c.callers:
            c.one_day(who, stories.LAST - (9 - day) * stories.DAY)
    c.aws(c.caller("stranger", "user", "aws", "45.1.2.*", 1, agent="curl/8.4.0") or c.at["stranger"], stories.LAST + 9 * stories.HOUR, "InvokeModel", model="m", tokens=900000)
    who = c.at["lena"]
    for k in range(3):
        c.aws(who, stories.LAST + 10 * stories.HOUR + k, "InvokeModel", model="m", tokens=2000000)
    c.change(stories.LAST + 9 * stories.HOUR, "microsoft.cognitiveservices/accounts/write", "contoso-local", "erin@contoso.example", body={"properties": {"disableLocalAuth": False}})
    c.add(stories.LAST + 9 * stories.HOUR + 600, {"time": stories.iso(stories.LAST + 9 * stories.HOUR + 600), "resourceId": (stories.ACCOUNT + "contoso-local").upper(), "category": "RequestResponse",
          "operationName": "ChatCompletions_Create", "resultSignature": "200", "durationMs": "5", "correlationId": "x1", "callerIpAddress": "10.2.3.***", "event": "ShoeboxCallResult",
          "properties": {"modelDeploymentName": "d", "modelName": "gpt-4o", "objectId": stories.guid("erin@contoso.example"), "callerObjectId": stories.guid("erin@contoso.example")}})
    lines = c.sorted() + stories.copilot_jailbreak_then_labelled_documents()[0]
    events = sentinel.emit(tmp_path_factory.mktemp("calls") / "run", lines, events="all")
    return sentinel.Workspace(events)


# text that a hunt must find in the day above
FOUND = {"AISPMNewCallers": "stranger", "AISPMRareUserAgents": "curl", "AISPMTokenOutliers": "lena", "AISPMLabelledDocumentsByCopilot": "plan.docx", "AISPMKeyCallers": "contoso-key",
         "AISPMFindingEvidence": "microsoft.cognitiveservices/accounts/write on contoso-local by erin@contoso.example"}


@pytest.mark.parametrize("name", sorted(RUN))
def test_a_query_for_people_runs_and_counts_no_event_twice(name, calls):
    import datetime
    import stories
    now = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=stories.LAST + 24 * stories.HOUR)
    rows = calls.run(calls.translate(RUN[name]), now, datetime.timedelta(days=14))
    file = name.split("/")[1]
    if file in FOUND:
        assert FOUND[file] in json.dumps(rows, default=str).lower()
    if name == "workbook/Events by agent and class":
        assert sum(r["Events"] for r in rows) == calls.con.execute("SELECT count(DISTINCT EventId) FROM AISPMEvents_CL").fetchone()[0] > 1000


@pytest.mark.parametrize("name,classes", [("ASimAlertEventAISPMAgent", ("alert", "access_anomaly", "volume_spike", "recommendation", "attack_path", "control")),
                                          ("ASimAuditEventAISPMAgent", ("config_change",))])
def test_a_parser_gives_each_event_of_its_classes_once_with_words_of_the_schema(name, classes, told):
    workspace, _, begin, end = told
    body = PARSERS[name]["ParserQuery"].replace("not(disabled)", "true").replace("iff(pack, AdditionalFields, dynamic(null))", "AdditionalFields")
    rows = workspace.run(workspace.translate(body), end, end - begin)
    ids = {r[0] for r in workspace.con.execute(f"SELECT DISTINCT EventId FROM AISPMEvents_CL WHERE EventClass IN {classes}").fetchall()}
    assert {r["EventUid"] for r in rows} == ids and len(rows) == len(ids) and len(ids) > 5
    for r in rows:
        assert r["EventSeverity"] in ("Informational", "Low", "Medium", "High") and r["EventVendor"] and r["EventProduct"] and r["EventStartTime"] and r["EventEndTime"]
        assert r["EventResult"] in ("Success", "Failure", "Partial", "NA") and r["Dvc"]
    if name.startswith("ASimAudit"):
        assert {r["EventType"] for r in rows} <= {"Set", "Read", "Create", "Delete", "Execute", "Install", "Clear", "Enable", "Disable", "Initialize", "Start", "Stop", "Other"}


def test_the_agent_parser_gives_each_call_once(calls):
    import datetime
    body = PARSERS["ASimAgentEventAISPMAgent"]["ParserQuery"].replace("not(disabled)", "true").replace("iff(pack, AdditionalFields, dynamic(null))", "AdditionalFields")
    now = max(at for at, _ in calls.arrivals)
    rows = calls.run(calls.translate(body), now, datetime.timedelta(days=3))
    n = calls.con.execute("SELECT count(DISTINCT EventId) FROM AISPMEvents_CL WHERE EventClass = 'activity'").fetchone()[0]
    assert len(rows) == n > 100 and all(r["EventType"] and r["EventSchema"] == "AgentEvent" for r in rows)


def test_the_function_that_removes_repeats_removes_them(told):
    workspace, _, begin, end = told
    body = re.sub(r"\| where \(isnull\(starttime\).*\n", "", FUNCTIONS["AISPMEvents"]["FunctionQuery"])
    rows = workspace.run(workspace.translate(body), end, end - begin)
    raw = workspace.con.execute("SELECT count(*) FROM AISPMEvents_CL").fetchone()[0]
    assert len({r["EventId"] for r in rows}) == len(rows) > 20 and raw >= 2 * len(rows)
