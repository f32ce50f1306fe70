#!/usr/bin/env python3
"""generate.py [--check] - writes what repeats another file's truth: parsers/*.yaml and azuredeploy.json.

The columns come from schemas/event/AISPMEvents_CL.json, the parsers from schemas/event/asim.csv, all else from the files beside this one: rules/, hunting/,
functions/, workbook.json, playbook.json. --check writes nothing and exits 1 if a file is not what it would write. Needs PyYAML.
"""
import csv
import json
import pathlib
import sys
import uuid

import yaml

HERE = pathlib.Path(__file__).resolve().parent
EVENT = HERE.parent.parent / "schemas" / "event"
TABLE = json.loads((EVENT / "AISPMEvents_CL.json").read_text())["properties"]
COLUMNS = {c["name"]: c["type"] for c in TABLE["schema"]["columns"]}
SPACE = uuid.UUID("6f1f6c3e-6a1c-4d57-9a34-2f0c1d6a7b11")

# ---- ASIM parsers ------------------------------------------------------------------------------------------------------
# The parameters are those that each schema's unifying parser hands on; a filter is on the source's own columns, before anything is renamed.
SCHEMAS = {
    "AgentEvent": ("Agent Event", "ASimAgentEventDoc", ["agentid_has_any", "agentname_has_any", "username_has_any"], {
        "agentid_has_any": "TargetResourceId has_any (agentid_has_any)", "agentname_has_any": "TargetResourceName has_any (agentname_has_any)",
        "username_has_any": "ActorUsername has_any (username_has_any)"}),
    "AlertEvent": ("Alert Event", "ASimAlertEventDoc", ["ipaddr_has_any_prefix", "hostname_has_any", "username_has_any", "attacktactics_has_any", "attacktechniques_has_any",
                                                      "threatcategory_has_any", "alertverdict_has_any", "eventseverity_has_any"], {
        "ipaddr_has_any_prefix": "has_any_ipv4_prefix(SrcIpAddr, ipaddr_has_any_prefix)", "hostname_has_any": "TargetResourceName has_any (hostname_has_any)",
        "username_has_any": "ActorUsername has_any (username_has_any)", "attacktactics_has_any": "AttackTactics has_any (attacktactics_has_any)",
        "attacktechniques_has_any": "AttackTechniques has_any (attacktechniques_has_any)",
        "threatcategory_has_any": "false", "alertverdict_has_any": "false", "eventseverity_has_any": None}),
    "AuditEvent": ("Audit Event", "ASimAuditEventDoc", ["srcipaddr_has_any_prefix", "actorusername_has_any", "operation_has_any", "eventtype_in", "eventresult", "object_has_any",
                                                      "newvalue_has_any"], {
        "srcipaddr_has_any_prefix": "has_any_ipv4_prefix(SrcIpAddr, srcipaddr_has_any_prefix)", "actorusername_has_any": "ActorUsername has_any (actorusername_has_any)",
        "operation_has_any": "Operation has_any (operation_has_any)", "object_has_any": "(TargetResourceName has_any (object_has_any) or TargetResourceId has_any (object_has_any))",
        "newvalue_has_any": "NewValue has_any (newvalue_has_any)", "eventtype_in": None, "eventresult": None}),
}
# Filters on columns that only the parser makes.
LATE = {"eventseverity_has_any": "array_length(eventseverity_has_any) == 0 or EventSeverity in (eventseverity_has_any)",
        "eventtype_in": "array_length(eventtype_in) == 0 or EventType in (eventtype_in)", "eventresult": 'eventresult == "*" or EventResult == eventresult'}
# ASIM's aliases: fields that repeat another one, which analysts and the schema's tests ask for.
ALIASES = {
    "AgentEvent": [("User", "ActorUsername"), ("IpAddr", "SrcIpAddr"), ("Src", "SrcIpAddr"), ("Dvc", 'iff(isnotempty(PlatformTargetAgentName), PlatformTargetAgentName, EventProduct)'),
                   ("TargetAgentId", "PlatformTargetAgentId"), ("TargetAgentName", "PlatformTargetAgentName")],
    "AlertEvent": [("AlertId", "EventUid"), ("AlertDescription", "EventMessage"), ("Rule", "RuleName"), ("User", "Username"), ("IpAddr", "DvcIpAddr"), ("Hostname", "DvcHostname"),
                   ("Dvc", "iff(isnotempty(DvcId), DvcId, iff(isnotempty(DvcHostname), DvcHostname, EventProduct))")],
    "AuditEvent": [("Value", "NewValue"), ("User", "ActorUsername"), ("IpAddr", "SrcIpAddr"), ("Src", "SrcIpAddr"), ("Application", "TargetAppName")],
}


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def source(spec):
    """Columns of which the first present counts, and a literal if none is: `A|B|=text`."""
    parts = [p for p in spec.split("|") if p]
    said = [quoted(p[1:]) if p.startswith("=") else p for p in parts]
    return said[0] if len(said) == 1 else f"coalesce({', '.join(said)})"


def one_word(expression, pattern, word):
    if pattern == "*":
        return None, quoted(word)
    body = pattern.strip("*")
    how = "contains" if pattern.startswith("*") and pattern.endswith("*") else "endswith" if pattern.startswith("*") else "startswith" if pattern.endswith("*") else "=~"
    return f"{expression} {how} {quoted(body)}", quoted(word)


def value(row):
    expression = source(row["source"])
    if not row["words"]:
        return expression
    cases, default = [], '""'
    for pair in row["words"].split("|"):
        test, word = one_word(expression, *pair.rsplit("=", 1))
        if test is None:
            default = word
        else:
            cases.append(f"{test}, {word}")
    return f"case({', '.join(cases)}, {default})"


def kind(row):
    first = next(p for p in row["source"].split("|") if p)
    return "string" if first.startswith("=") or row["words"] else COLUMNS[first]


def parameters(schema):
    given = [("starttime", "datetime", "datetime(null)"), ("endtime", "datetime", "datetime(null)")]
    given += [(p, "string", "'*'") if p == "eventresult" else (p, "dynamic", "dynamic([])") for p in SCHEMAS[schema][2]]
    return given + [("disabled", "bool", "false"), ("pack", "bool", "false")]


def body(schema, filters):
    rows = [r for r in csv.DictReader((EVENT / "asim.csv").open()) if r["schema"] == schema]
    classes = ", ".join(quoted(c) for c in rows[0]["EventClass"].split())
    lines = ["AISPMEvents_CL", "| where not(disabled)"]
    if filters:
        lines += ["| where (isnull(starttime) or TimeGenerated >= starttime) and (isnull(endtime) or TimeGenerated <= endtime)"]
    lines += [f"| where EventClass in ({classes})"]
    early, late = SCHEMAS[schema][3], []
    for name in SCHEMAS[schema][2] if filters else []:
        if early[name] is None:
            late.append(f"| where {LATE[name]}")
        else:
            lines.append(f"| where array_length({name}) == 0 or {early[name]}")
    lines += ["| summarize arg_max(TimeGenerated, *) by EventId"]
    made = ",\n    ".join(f"{r['asim']} = {'iff(pack, AdditionalFields, dynamic(null))' if r['asim'] == 'AdditionalFields' else value(r)}" for r in rows)
    aliases = ",\n    ".join(f"{a} = {e}" for a, e in ALIASES[schema] if a not in {r["asim"] for r in rows})
    return "\n".join(lines) + f"\n| project\n    {made}\n" + "\n".join(late) + ("\n" if late else "") + f"| extend\n    {aliases},\n    Type = \"AISPMEvents_CL\"\n"


def parser(schema, filters):
    words, link, _, _ = SCHEMAS[schema]
    version = next(r["source"][1:] for r in csv.DictReader((EVENT / "asim.csv").open()) if r["schema"] == schema and r["asim"] == "EventSchemaVersion")
    name = f"{'vim' if filters else 'ASim'}{schema}AISPMAgent"
    return name, {
        "Parser": {"Title": f"{words} ASIM {'filtering ' if filters else ''}parser for aispm-agent", "Version": "1.0.0", "LastUpdated": "Nov 25, 2026"},
        "Product": {"Name": "aispm-agent"},
        "Normalization": {"Schema": schema, "Version": version},
        "References": [{"Title": f"ASIM {words} Schema", "Link": f"https://aka.ms/{link}"}, {"Title": "ASIM", "Link": "https://aka.ms/AboutASIM"}],
        "Description": f"This ASIM parser supports {'filtering and ' if filters else ''}normalizing events of aispm-agent, in the table AISPMEvents_CL, to the ASIM {words} schema. Repeats are removed.\n",
        "ParserName": name,
        "ParserParams": [{"Name": n, "Type": t, "Default": d} for n, t, d in (parameters(schema) if filters else parameters(schema)[-2:])],
        "ParserQuery": body(schema, filters),
    }


def parsers():
    return dict(parser(s, f) for s in SCHEMAS for f in (True, False))


class Block(yaml.SafeDumper):
    pass


Block.add_representer(str, lambda d, s: d.represent_scalar("tag:yaml.org,2002:str", s, style="|" if "\n" in s else None))

# ---- the deployment ------------------------------------------------------------------------------------------------------


def functions():
    found = {p.stem: yaml.safe_load(p.read_text()) for p in sorted((HERE / "functions").glob("*.yaml"))}
    return {y["FunctionName"]: (y["FunctionParameters"], y["FunctionQuery"]) for y in found.values()} | {
        n: (y["ParserParams"], y["ParserQuery"]) for n, y in sorted(parsers().items())}


def signature(params):
    return ", ".join(f"{p['Name']}:{p['Type']}={p['Default']}" for p in params)


def escaped(x):
    """A template takes a text that begins with [ for an expression."""
    if isinstance(x, dict):
        return {k: escaped(v) for k, v in x.items()}
    if isinstance(x, list):
        return [escaped(v) for v in x]
    return "[" + x if isinstance(x, str) and x.startswith("[") else x


def saved(name, category, display, query, alias=None, params=None, tags=None):
    properties = {"category": category, "displayName": display, "query": query, "version": 2}
    if alias:
        properties |= {"functionAlias": alias, "functionParameters": signature(params)}
    if tags:
        properties["tags"] = tags
    return {"type": "Microsoft.OperationalInsights/workspaces/savedSearches", "apiVersion": "2020-08-01", "name": f"[concat(parameters('workspaceName'), '/{name}')]",
            "dependsOn": [TABLE_ID], "properties": escaped(properties)}


WORKSPACE_ID = "resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspaceName'))"
TABLE_ID = "[resourceId('Microsoft.OperationalInsights/workspaces/tables', parameters('workspaceName'), 'AISPMEvents_CL')]"
RULE_ID = "resourceId('Microsoft.Insights/dataCollectionRules', parameters('dataCollectionRuleName'))"
TRANSFORM = "source"


def cef_columns():
    """The columns that format commonsecuritylog sends, named and typed by its table; TimeGenerated leads."""
    rows = list(csv.DictReader((EVENT / "commonsecuritylog.csv").open()))
    names = {r["column"]: r["type"] for r in rows}
    return [{"name": n, "type": t} for n, t in ({"TimeGenerated": "datetime"} | names).items()]


def duration(text):
    """15m, 47h, 14d -> ISO 8601."""
    n, unit = text[:-1], text[-1]
    return f"P{n}D" if unit == "d" else f"PT{n}{unit.upper()}"


def alert_rule(rule):
    p = {"displayName": rule["name"], "description": rule["description"].strip(), "severity": rule["severity"], "enabled": True, "query": rule["query"],
         "queryFrequency": duration(rule["queryFrequency"]), "queryPeriod": duration(rule["queryPeriod"]), "triggerOperator": "GreaterThan",
         "triggerThreshold": rule["triggerThreshold"], "suppressionDuration": "PT5H", "suppressionEnabled": False, "tactics": rule["tactics"],
         "techniques": rule["relevantTechniques"], "entityMappings": rule["entityMappings"],
         "customDetails": rule["customDetails"], "alertDetailsOverride": rule["alertDetailsOverride"], "eventGroupingSettings": rule["eventGroupingSettings"],
         "incidentConfiguration": rule["incidentConfiguration"]}
    return {"type": "Microsoft.SecurityInsights/alertRules", "apiVersion": "2023-02-01", "name": rule["id"], "kind": "Scheduled", "condition": "[parameters('deployContent')]",
            "scope": f"[{WORKSPACE_ID}]", "dependsOn": [TABLE_ID], "properties": escaped(p)}


def hunt(name, q):
    tags = [{"name": "description", "value": q["description"].strip()}, {"name": "tactics", "value": ",".join(q["tactics"])},
            {"name": "techniques", "value": ",".join(q["relevantTechniques"])}]
    return dict(saved(name, "Hunting Queries", q["name"], q["query"], tags=tags), condition="[parameters('deployContent')]")


def workbook():
    return {"type": "Microsoft.Insights/workbooks", "apiVersion": "2022-04-01", "name": "[guid(resourceGroup().id, parameters('workspaceName'), 'aispm-agent')]",
            "location": "[parameters('location')]", "kind": "shared", "condition": "[parameters('deployContent')]", "dependsOn": [TABLE_ID],
            "properties": {"displayName": "AI security posture", "category": "sentinel", "version": "1.0", "sourceId": f"[{WORKSPACE_ID}]",
                           "serializedData": json.dumps(json.loads((HERE / "workbook.json").read_text()), separators=(",", ":"))}}


def deployment():
    flows = [{"streams": ["Custom-AISPMEvents"], "destinations": ["workspace"], "transformKql": TRANSFORM, "outputStream": "Custom-AISPMEvents_CL"}]
    cef_flow = [{"streams": ["Custom-AISPMCommonSecurityLog"], "destinations": ["workspace"], "transformKql": TRANSFORM, "outputStream": "Microsoft-CommonSecurityLog"}]
    own = [{"name": n, "type": t} for n, t in COLUMNS.items()]
    rules = [yaml.safe_load(p.read_text()) for p in sorted((HERE / "rules").glob("*.yaml"))]
    hunts = {p.stem: yaml.safe_load(p.read_text()) for p in sorted((HERE / "hunting").glob("*.yaml"))}
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "metadata": {"description": "Microsoft Sentinel's side of aispm-agent. Written by generate.py: change the files it reads, not this one."},
        "parameters": {
            "workspaceName": {"type": "string", "metadata": {"description": "The Log Analytics workspace that Sentinel is on, in this resource group"}},
            "principalId": {"type": "string", "minLength": 36, "maxLength": 36, "metadata": {"description":
                            "Object id of the identity that the agent logs in with: of the managed identity, or of the service principal (not of the app registration)"}},
            "principalType": {"type": "string", "defaultValue": "ServicePrincipal", "allowedValues": ["ServicePrincipal", "User", "Group"],
                              "metadata": {"description": "A managed identity is a ServicePrincipal"}},
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]", "metadata": {"description": "The workspace's region"}},
            "dataCollectionRuleName": {"type": "string", "defaultValue": "aispm-agent", "metadata": {"description": "Name of the data collection rule"}},
            "tablePlan": {"type": "string", "defaultValue": TABLE["plan"], "allowedValues": ["Analytics", "Basic"],
                          "metadata": {"description": "Rules need Analytics"}},
            "retentionInDays": {"type": "int", "defaultValue": TABLE["retentionInDays"], "minValue": 4, "maxValue": 730, "metadata": {"description": "Interactive retention; Analytics only"}},
            "totalRetentionInDays": {"type": "int", "defaultValue": TABLE["totalRetentionInDays"], "minValue": 4, "maxValue": 4383, "metadata": {"description": "With long-term retention"}},
            "commonSecurityLog": {"type": "bool", "defaultValue": False, "metadata": {"description": "Also take the stream Custom-AISPMCommonSecurityLog (format: commonsecuritylog)"}},
            "deployContent": {"type": "bool", "defaultValue": True, "metadata": {"description": "Analytics rules, hunting queries and the workbook too; Sentinel must be on in the workspace"}},
        },
        "variables": {
            "publisherRole": "[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '3913510d-42f4-4e42-8a64-420c390055eb')]",
            "flows": flows, "cefFlow": cef_flow,
            "streams": {"Custom-AISPMEvents": {"columns": own}},
            "cefStreams": {"Custom-AISPMCommonSecurityLog": {"columns": cef_columns()}},
        },
        "resources": [
            {"type": "Microsoft.OperationalInsights/workspaces/tables", "apiVersion": "2023-09-01", "name": "[concat(parameters('workspaceName'), '/AISPMEvents_CL')]",
             "properties": {"schema": TABLE["schema"], "plan": "[parameters('tablePlan')]",
                            "retentionInDays": "[if(equals(parameters('tablePlan'), 'Analytics'), parameters('retentionInDays'), null())]",
                            "totalRetentionInDays": "[parameters('totalRetentionInDays')]"}},
            {"type": "Microsoft.Insights/dataCollectionRules", "apiVersion": "2023-03-11", "name": "[parameters('dataCollectionRuleName')]", "location": "[parameters('location')]",
             "kind": "Direct", "dependsOn": [TABLE_ID],
             "properties": {"description": "What aispm-agent sends",
                            "streamDeclarations": "[if(parameters('commonSecurityLog'), union(variables('streams'), variables('cefStreams')), variables('streams'))]",
                            "destinations": {"logAnalytics": [{"workspaceResourceId": f"[{WORKSPACE_ID}]", "name": "workspace"}]},
                            "dataFlows": "[if(parameters('commonSecurityLog'), concat(variables('flows'), variables('cefFlow')), variables('flows'))]"}},
            {"type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01", "scope": f"[{RULE_ID}]",
             "name": f"[guid({RULE_ID}, parameters('principalId'), variables('publisherRole'))]", "dependsOn": [f"[{RULE_ID}]"],
             "properties": {"roleDefinitionId": "[variables('publisherRole')]", "principalId": "[parameters('principalId')]", "principalType": "[parameters('principalType')]",
                            "description": "Lets aispm-agent send to its data collection rule, and nothing else"}},
            *[saved(n, "aispm-agent" if not n.startswith(("vim", "ASim")) else "ASIM", n, q, n, p) for n, (p, q) in functions().items()],
            *[alert_rule(r) for r in rules],
            *[hunt(n, q) for n, q in hunts.items()],
            workbook(),
        ],
        "outputs": {
            "endpoint": {"type": "string", "metadata": {"description": "endpoint: in agent.yaml"}, "value": f"[reference({RULE_ID}, '2023-03-11').endpoints.logsIngestion]"},
            "rule": {"type": "string", "metadata": {"description": "rule: in agent.yaml"}, "value": f"[reference({RULE_ID}, '2023-03-11').immutableId]"},
            "stream": {"type": "string", "metadata": {"description": "stream: in agent.yaml"}, "value": "Custom-AISPMEvents"},
            "agentYaml": {"type": "string", "metadata": {"description": "Ready to paste into agent.yaml below sinks:"}, "value":
                          f"[format('- {{{{name: sentinel, type: sentinel, endpoint: \"{{0}}\", rule: {{1}}, stream: Custom-AISPMEvents, auth: {{{{type: managed_identity}}}}}}}}', "
                          f"reference({RULE_ID}, '2023-03-11').endpoints.logsIngestion, reference({RULE_ID}, '2023-03-11').immutableId)]"},
        },
    }


def written():
    files = {HERE / "parsers" / f"{n}.yaml": "# Written by generate.py from schemas/event/asim.csv.\n" + yaml.dump(y, Dumper=Block, sort_keys=False, width=1000) for n, y in parsers().items()}
    files[HERE / "azuredeploy.json"] = json.dumps(deployment(), indent=2, ensure_ascii=False) + "\n"
    return files


def main():
    stale = []
    for path, text in written().items():
        if not path.exists() or path.read_text() != text:
            stale.append(path.relative_to(HERE))
            if "--check" not in sys.argv:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
    for path in stale:
        print(path, "is not what generate.py writes" if "--check" in sys.argv else "written")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
