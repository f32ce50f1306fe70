"""The deployment, the playbook and the workbook: evaluated on paper and judged by the services' own models; what they repeat is what its source says."""
import csv
import importlib
import json
import re
import subprocess
import sys
import uuid

import pytest

import arm
import sentinel

TEMPLATE = json.loads((sentinel.SENTINEL / "azuredeploy.json").read_text())
PLAYBOOK = json.loads((sentinel.SENTINEL / "playbook.json").read_text())
GIVEN = {"workspaceName": "soc", "principalId": "77777777-2222-4333-8444-555555555555"}
# type: the module of the SDK, its model, and what newer versions of the service have beside it
MODELS = {
    "Microsoft.OperationalInsights/workspaces/tables": ("azure.mgmt.loganalytics.models", "Table", set()),
    "Microsoft.OperationalInsights/workspaces/savedSearches": ("azure.mgmt.loganalytics.models", "SavedSearch", set()),
    "Microsoft.Insights/dataCollectionRules": ("azure.mgmt.monitor.models", "DataCollectionRuleResource", set()),
    "Microsoft.Authorization/roleAssignments": ("azure.mgmt.authorization.v2022_04_01.models", "RoleAssignmentCreateParameters", set()),
    "Microsoft.SecurityInsights/alertRules": ("azure.mgmt.securityinsight.models", "ScheduledAlertRule", {".properties.techniques: unknown"}),
    "Microsoft.Insights/workbooks": ("azure.mgmt.applicationinsights.v2022_04_01.models", "Workbook", set()),
    "Microsoft.Logic/workflows": ("azure.mgmt.logic.models", "Workflow", set()),
}


@pytest.mark.parametrize("template,given", [(TEMPLATE, GIVEN), (TEMPLATE, {**GIVEN, "commonSecurityLog": True, "tablePlan": "Basic", "deployContent": False}),
                                            (PLAYBOOK, {"webhookUrl": "https://hooks.example/x"})], ids=["deployment", "deployment with CEF and no content", "playbook"])
def test_each_resource_fits_the_model_of_its_service(template, given):
    pytest.importorskip("azure.mgmt.loganalytics", reason="the PyPI packages azure-mgmt-*, which judge the resources, are not here")
    judged = 0
    for r in arm.Deployment(template, **given).resources:
        if r["type"] == "Microsoft.Web/connections":       # no SDK has it; its form is that of Sentinel's own playbooks
            assert set(r["properties"]) == {"displayName", "customParameterValues", "parameterValueType", "api"}
            continue
        module, model, newer = MODELS[r["type"]]
        body = {k: v for k, v in r.items() if k not in ("apiVersion", "dependsOn", "scope", "condition")}
        models = importlib.import_module(module)
        if r["type"] in ("Microsoft.OperationalInsights/workspaces/savedSearches", "Microsoft.Authorization/roleAssignments"):
            body = {"properties": r["properties"]}
        assert [m for m in arm.fields(body, getattr(models, model), models, "") if m not in newer] == [], r["type"]
        judged += 1
    assert judged >= 2


def test_the_judge_sees_what_is_wrong():
    models = pytest.importorskip("azure.mgmt.monitor.models")
    rule = next(r for r in arm.Deployment(TEMPLATE, **GIVEN).resources if r["type"].endswith("dataCollectionRules"))
    body = {k: v for k, v in rule.items() if k not in ("apiVersion", "dependsOn")}
    for change in (lambda p: p.update(dataFlow=[]), lambda p: p["dataFlows"][0].update(transformKQL="source"), lambda p: p.update(destinations=[]),
                   lambda p: p["streamDeclarations"]["Custom-AISPMEvents"]["columns"][0].update(kind="x")):
        bad = json.loads(json.dumps(body))
        change(bad["properties"])
        assert arm.fields(bad, models.DataCollectionRuleResource, models, "") != []


@pytest.mark.parametrize("template", [TEMPLATE, PLAYBOOK], ids=["deployment", "playbook"])
def test_what_a_template_names_is_there_and_what_it_declares_is_used(template):
    text = json.dumps(template)
    for what, key in (("parameters", "parameters"), ("variables", "variables")):
        named = set(re.findall(rf"(?<!@){what}\('([^']+)'\)", text)) - {"$connections"}
        assert named == set(template[key]), what
    made = {r["type"] for r in template["resources"]}
    for r in template["resources"]:
        for d in r.get("dependsOn", []):
            kind = re.search(r"'(Microsoft[^']+)'", d)[1]
            assert kind in made, d
        assert re.fullmatch(r"20\d\d-\d\d-\d\d(-preview)?", r["apiVersion"]) and not r["apiVersion"].endswith("preview")
    assert len(text) < 4 * 1024 * 1024


def test_no_resource_is_there_twice():
    for template, given in ((TEMPLATE, GIVEN), (PLAYBOOK, {"webhookUrl": "https://x"})):
        names = [(r["type"], r["name"]) for r in arm.Deployment(template, **given).resources]
        assert len(set(names)) == len(names)


def test_a_query_that_begins_with_a_bracket_would_stay_a_query():
    d = arm.Deployment({"parameters": {}, "variables": {}, "resources": [{"a": "[[x] | where 1"}]})
    assert d.resources[0]["a"] == "[x] | where 1"


@pytest.fixture(scope="module")
def deployed():
    return arm.Deployment(TEMPLATE, **{**GIVEN, "commonSecurityLog": True})


def find(deployment, kind):
    return [r for r in deployment.resources if r["type"] == kind]


def test_the_table_is_that_of_the_schemas(deployed):
    table = find(deployed, "Microsoft.OperationalInsights/workspaces/tables")[0]
    assert table["name"] == "soc/AISPMEvents_CL" and table["properties"]["schema"] == sentinel.TABLE
    reserved = {"_ResourceId", "id", "_SubscriptionId", "TenantId", "Type", "UniqueId", "Title"}
    assert not reserved & {n for n, _ in sentinel.COLUMNS} and all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,44}", n) for n, _ in sentinel.COLUMNS)


def test_the_rule_is_direct_and_each_flow_ends_in_a_table(deployed):
    rule = find(deployed, "Microsoft.Insights/dataCollectionRules")[0]
    p = rule["properties"]
    assert rule["kind"] == "Direct" and "dataCollectionEndpointId" not in p
    names = [d["name"] for d in p["destinations"]["logAnalytics"]]
    for flow in p["dataFlows"]:
        assert set(flow["streams"]) <= set(p["streamDeclarations"]) and flow["destinations"] == names
    assert [f["outputStream"] for f in p["dataFlows"]] == ["Custom-AISPMEvents_CL", "Microsoft-CommonSecurityLog"]
    for stream in p["streamDeclarations"].values():
        assert stream["columns"] and all(c["type"] in ("string", "int", "long", "real", "boolean", "datetime", "dynamic") for c in stream["columns"])


def test_the_agent_may_publish_to_its_rule_and_nothing_else(deployed):
    grant = find(deployed, "Microsoft.Authorization/roleAssignments")
    assert len(grant) == 1 and grant[0]["scope"].endswith("/providers/Microsoft.Insights/dataCollectionRules/aispm-agent")
    assert grant[0]["properties"]["roleDefinitionId"].endswith("/roleDefinitions/3913510d-42f4-4e42-8a64-420c390055eb")     # Monitoring Metrics Publisher
    assert grant[0]["properties"]["principalId"] == GIVEN["principalId"] and uuid.UUID(grant[0]["name"])


def test_every_rule_query_and_function_is_deployed_as_its_file_says(deployed):
    rules = {r["name"]: r["properties"] for r in find(deployed, "Microsoft.SecurityInsights/alertRules")}
    files = sentinel.load("rules")
    assert {y["id"] for y in files.values()} == set(rules)
    for y in files.values():
        p = rules[y["id"]]
        assert p["query"] == y["query"] and p["displayName"] == y["name"] and p["severity"] == y["severity"] and p["enabled"] is True
        assert p["queryFrequency"] == {"15m": "PT15M", "1h": "PT1H", "1d": "P1D"}[y["queryFrequency"]]
    searches = {r["name"].split("/")[1]: r["properties"] for r in find(deployed, "Microsoft.OperationalInsights/workspaces/savedSearches")}
    for name, y in sentinel.load("hunting").items():
        assert searches[name]["query"] == y["query"] and searches[name]["category"] == "Hunting Queries"
    for name, y in sentinel.load("parsers").items():
        assert searches[name]["query"] == y["ParserQuery"] and searches[name]["functionAlias"] == name
    assert searches["AISPMEvents"]["functionAlias"] == "AISPMEvents"


def test_without_content_only_what_the_agent_needs_is_deployed():
    kinds = {r["type"] for r in arm.Deployment(TEMPLATE, **GIVEN, deployContent=False).resources}
    assert kinds == {"Microsoft.OperationalInsights/workspaces/tables", "Microsoft.Insights/dataCollectionRules", "Microsoft.Authorization/roleAssignments",
                     "Microsoft.OperationalInsights/workspaces/savedSearches"}


def test_what_is_written_by_a_program_is_what_it_writes():
    r = subprocess.run([sys.executable, str(sentinel.SENTINEL / "generate.py"), "--check"], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


def test_the_output_is_accepted_by_the_agent_when_pasted(deployed, tmp_path):
    if not sentinel.agent():
        pytest.skip("AISPM_AGENT names no binary")
    out = deployed.outputs
    assert out["endpoint"].startswith("https://") and re.fullmatch(r"dcr-[0-9a-f]{32}", out["rule"]) and out["stream"] == "Custom-AISPMEvents"
    log = tmp_path / "in.ndjson"
    log.write_text("")
    (tmp_path / "agent.yaml").write_text(f"agent: {{state_dir: {tmp_path}/state}}\nsources: [{{name: s, type: file, paths: [\"{log}\"]}}]\nsinks:\n  {out['agentYaml']}\n")
    r = subprocess.run([sentinel.agent(), "check", "-c", str(tmp_path / "agent.yaml")], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


# ---- playbook and workbook ----------------------------------------------------------------------------------------------

def test_the_playbook_keeps_its_address_secret_and_tells_when_nobody_was_told():
    flow = find(arm.Deployment(PLAYBOOK, webhookUrl="https://hooks.example/secret"), "Microsoft.Logic/workflows")[0]
    definition, text = flow["properties"]["definition"], json.dumps(PLAYBOOK)
    assert PLAYBOOK["parameters"]["webhookUrl"]["type"] == "securestring" and definition["parameters"]["webhookUrl"]["type"] == "SecureString"
    assert "hooks.example" not in json.dumps(definition) and "hooks.example" not in json.dumps(arm.Deployment(PLAYBOOK, webhookUrl="https://hooks.example/secret").outputs)
    assert definition["actions"]["Post_the_card"]["runtimeConfiguration"]["secureData"]["properties"] == ["inputs"]
    after = {n: a["runAfter"] for n, a in definition["actions"].items()}
    assert {s for a in after.values() for s in a.get("Post_the_card", [])} == {"Succeeded", "Failed", "TimedOut"}
    for name in re.findall(r"'\]\['(\w+)'\]\['connectionId'\]|\['(\w+)'\]\['connectionId'\]", text):
        assert (name[0] or name[1]) in flow["properties"]["parameters"]["$connections"]["value"]
    for expression in re.findall(r"@\{([^}]*)\}", text):
        assert expression.count("(") == expression.count(")") and expression.count("[") == expression.count("]"), expression
    assert all(set(v) <= set(definition["actions"]) for v in after.values())


WORKBOOK = json.loads((sentinel.SENTINEL / "workbook.json").read_text())


def test_the_workbook_has_its_parts_under_names_of_their_own():
    names = [i["name"] for i in WORKBOOK["items"]]
    assert WORKBOOK["version"] == "Notebook/1.0" and len(set(names)) == len(names)
    queries = [i["content"] for i in WORKBOOK["items"] if i["type"] == 3]
    for c in queries:
        assert c["version"] == "KqlItem/1.0" and c["timeContextFromParameter"] == "TimeRange" and c["queryType"] == 0
        assert c["visualization"] in ("table", "timechart", "categoricalbar", "areachart", "barchart", "tiles", "piechart")
    declared = {p["name"] for i in WORKBOOK["items"] if i["type"] == 9 for p in i["content"]["parameters"]}
    assert set(re.findall(r"\{(\w+)(?::\w+)?\}", " ".join(c["query"] for c in queries))) <= declared
    titles = " ".join(c["title"] for c in queries).lower()
    for wanted in ("zone", "over time", "callers", "cost", "changes", "agents"):
        assert wanted in titles


def test_the_columns_of_common_security_log_are_its_own(deployed):
    theirs = {r["column"]: r["type"] for r in csv.DictReader((sentinel.SRC / "tests" / "formats" / "CommonSecurityLog.csv").open())}
    stream = find(deployed, "Microsoft.Insights/dataCollectionRules")[0]["properties"]["streamDeclarations"]["Custom-AISPMCommonSecurityLog"]
    assert len(stream["columns"]) > 20
    for c in stream["columns"]:
        assert theirs[c["name"]] == c["type"], c
