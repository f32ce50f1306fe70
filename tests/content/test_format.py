"""Rules and hunting queries in the form that the public Sentinel repository demands: its checks, and the limits of the service, written again."""
import re
import uuid

import pytest

import sentinel

RULES, HUNTS, PARSERS = sentinel.load("rules"), sentinel.load("hunting"), sentinel.load("parsers")
TACTICS = {"InitialAccess", "Execution", "Persistence", "PrivilegeEscalation", "DefenseEvasion", "CredentialAccess", "Discovery", "LateralMovement", "Collection", "Exfiltration",
           "CommandAndControl", "Impact", "Reconnaissance", "ResourceDevelopment", "ImpairProcessControl", "InhibitResponseFunction"}
# ATT&CK v16, the techniques used here
TECHNIQUES = {"T1071": {"CommandAndControl"}, "T1078": {"InitialAccess", "Persistence", "PrivilegeEscalation", "DefenseEvasion"}, "T1090": {"CommandAndControl"},
              "T1098": {"Persistence", "PrivilegeEscalation"}, "T1110": {"CredentialAccess"}, "T1190": {"InitialAccess"}, "T1213": {"Collection"}, "T1496": {"Impact"}, "T1499": {"Impact"},
              "T1505": {"Persistence"}, "T1525": {"Persistence"}, "T1526": {"Discovery"}, "T1552": {"CredentialAccess"}, "T1556": {"CredentialAccess", "DefenseEvasion", "Persistence"},
              "T1562": {"DefenseEvasion"}, "T1567": {"Exfiltration"}}
# what identifies an entity: the identifiers that there are, and those of which one must be there
ENTITIES = {"Account": ({"Name", "FullName", "NTDomain", "DnsDomain", "UPNSuffix", "Sid", "AadTenantId", "AadUserId", "PUID", "IsDomainJoined", "DisplayName", "ObjectGuid"},
                        {"FullName", "Sid", "Name", "AadUserId", "PUID", "ObjectGuid"}),
            "Host": ({"DnsDomain", "NTDomain", "HostName", "FullName", "NetBiosName", "AzureID", "OMSAgentID", "OSFamily", "OSVersion", "IsDomainJoined"},
                     {"FullName", "HostName", "NetBiosName", "AzureID", "OMSAgentID"}),
            "IP": ({"Address"}, {"Address"}), "AzureResource": ({"ResourceId"}, {"ResourceId"}), "URL": ({"Url"}, {"Url"}),
            "CloudApplication": ({"AppId", "Name", "InstanceName"}, {"AppId", "Name"})}
REQUIRED = ["id", "name", "version", "kind", "description", "severity", "requiredDataConnectors", "queryFrequency", "queryPeriod", "triggerOperator", "triggerThreshold", "tactics",
            "relevantTechniques", "query", "entityMappings", "customDetails", "alertDetailsOverride"]
KNOWN = set(REQUIRED) | {"status", "eventGroupingSettings", "incidentConfiguration"}
ATLAS = re.compile(r"AML\.T\d{4}(?:\.\d{3})?")
each_rule = pytest.mark.parametrize("name", sorted(RULES))
each = pytest.mark.parametrize("kind,name", [("rules", n) for n in sorted(RULES)] + [("hunting", n) for n in sorted(HUNTS)])


def of(kind, name):
    return (RULES if kind == "rules" else HUNTS)[name]


def test_there_are_enough_of_each():
    assert len(RULES) >= 15 and len(HUNTS) >= 5 and len(PARSERS) == 6


def test_no_id_and_no_name_is_used_twice():
    every = [*RULES.values(), *HUNTS.values()]
    assert len({y["id"] for y in every}) == len(every) and len({y["name"] for y in every}) == len(every)


@each
def test_id_name_version_and_description_are_within_their_limits(kind, name):
    y = of(kind, name)
    assert str(uuid.UUID(y["id"])) == y["id"] and re.fullmatch(r"\d+\.\d+\.\d+", y["version"])
    assert 0 < len(y["name"]) <= 80 and y["name"][0].isupper() and not y["name"].endswith(".")
    assert y["description"].startswith("Identifies ") and len(y["description"]) <= 5000 and len(y["description"].split(". ")) <= 6
    assert 0 < len(y["query"]) <= 10000 and isinstance(y["requiredDataConnectors"], list)


@each
def test_tactics_and_techniques_are_words_of_attack_and_each_technique_has_its_tactic(kind, name):
    y = of(kind, name)
    assert y["tactics"] and set(y["tactics"]) <= TACTICS and y["relevantTechniques"]
    for t in y["relevantTechniques"]:
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", t) and TECHNIQUES[t.split(".")[0]] & set(y["tactics"]), t


@each
def test_entities_have_identifiers_that_are_enough(kind, name):
    mappings = of(kind, name)["entityMappings"]
    assert 1 <= len(mappings) <= (5 if kind == "rules" else 10)
    for m in mappings:
        all_of, one_of = ENTITIES[m["entityType"]]
        used = [f["identifier"] for f in m["fieldMappings"]]
        assert 1 <= len(used) <= 3 and len(set(used)) == len(used) and set(used) <= all_of and set(used) & one_of
        assert all(re.fullmatch(r"[a-zA-Z_]\w*", f["columnName"]) and len(f["columnName"]) <= 500 for f in m["fieldMappings"])


@each_rule
def test_a_rule_has_each_field_and_none_that_nobody_knows(name):
    y = RULES[name]
    assert [k for k in REQUIRED if k not in y] == [] and set(y) <= KNOWN
    assert y["severity"] in ("Informational", "Low", "Medium", "High") and y["kind"] == "Scheduled"
    assert y["triggerOperator"] in ("gt", "lt", "eq", "ne") and 0 <= y["triggerThreshold"] <= 10000
    assert y["eventGroupingSettings"]["aggregationKind"] in ("SingleAlert", "AlertPerResult")


@each_rule
def test_an_automation_rule_finds_each_rule_by_two_letters(name):
    assert "AI" in RULES[name]["name"]


@each_rule
def test_a_rule_looks_back_over_more_than_its_pause(name):
    every, back = sentinel.span(RULES[name]["queryFrequency"]), sentinel.span(RULES[name]["queryPeriod"])
    five, hour, fortnight = sentinel.span("5m"), sentinel.span("1h"), sentinel.span("14d")
    assert five <= every <= fortnight and every < back <= fortnight
    assert back < sentinel.span("2d") or every >= hour, "the service wants an hour between runs that look back two days or more"


@each_rule
def test_a_rule_allows_for_delay_removes_repeats_and_reads_one_table(name):
    y = RULES[name]
    q = re.sub(r"//[^\n]*", "", y["query"])
    assert "| summarize arg_max(TimeGenerated, *) by EventId" in q
    if "ingestion_time()" in q:
        # what this run has not seen is what came after the run before: the same span as the pause
        assert f"ago({y['queryFrequency']})" in q
        assert all(span == y["queryFrequency"] for span in re.findall(r"(?:ingestion_time\(\)|IngestedAt) <= ago\((\w+)\)", q))
    else:
        assert name in ("AISPMAgentSilent", "AISPMAgentImpaired"), "silence and trouble are told by the clock"
    assert set(re.findall(r"\b\w+_CL\b", q)) == {"AISPMEvents_CL"} and not re.search(r"\b(search|union|externaldata|workspace|cluster|database)\b", q)


@each_rule
def test_custom_details_and_overrides_are_within_their_limits(name):
    y = RULES[name]
    assert 1 <= len(y["customDetails"]) <= 20
    for k, v in y["customDetails"].items():
        assert re.fullmatch(r"[a-zA-Z]\w{0,19}", k) and re.fullmatch(r"[a-zA-Z_]\w{0,499}", v)
    o = y["alertDetailsOverride"]
    for key, most in (("alertDisplayNameFormat", 256), ("alertDescriptionFormat", 5000)):
        assert 1 <= len(o[key]) <= most and len(re.findall(r"\{\{\w+\}\}", o[key])) <= 3
    assert set(o) <= {"alertDisplayNameFormat", "alertDescriptionFormat", "alertSeverityColumnName", "alertTacticsColumnName"}


@each_rule
def test_atlas_stands_in_the_description_and_in_the_details_and_nowhere_else(name):
    y = RULES[name]
    assert ATLAS.search(y["description"]) and y["customDetails"]["AtlasTechniques"] == "AtlasTechniques"
    assert not any(ATLAS.search(t) for t in y["relevantTechniques"] + y["tactics"])


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_parser_takes_what_its_schemas_unifying_parser_hands_on(name):
    y = PARSERS[name]
    filters = {"AgentEvent": ["agentid_has_any", "agentname_has_any", "username_has_any"],
               "AlertEvent": ["ipaddr_has_any_prefix", "hostname_has_any", "username_has_any", "attacktactics_has_any", "attacktechniques_has_any", "threatcategory_has_any",
                              "alertverdict_has_any", "eventseverity_has_any"],
               "AuditEvent": ["srcipaddr_has_any_prefix", "actorusername_has_any", "operation_has_any", "eventtype_in", "eventresult", "object_has_any", "newvalue_has_any"]}
    schema = y["Normalization"]["Schema"]
    wanted = ["starttime", "endtime", *filters[schema], "disabled", "pack"] if name.startswith("vim") else ["disabled", "pack"]
    assert [p["Name"] for p in y["ParserParams"]] == wanted and y["ParserName"] == name
    for p in wanted:
        assert re.search(rf"\b{p}\b", y["ParserQuery"]), f"{p} is not used"
