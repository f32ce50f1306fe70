"""What Microsoft's records mean: class, resource, actor, result, severity of each family, over samples of this tree and, where
they are, over real ones. Helpers are test_formats.py's."""
import json

import pytest

from test_formats import (ACCOUNT, AGENT, COG, SCHEMAS, SHARED, activity, assert_nothing_empty, assert_valid, events, explain, families,
                          needs_agent, needs_shared)

pytestmark = needs_agent
ML = ACCOUNT.replace("Microsoft.CognitiveServices/accounts/contoso-chat", "Microsoft.MachineLearningServices/workspaces/w")


def sample(family, name):
    return events(SCHEMAS / family / "samples" / f"{name}.in.json")


def real(folder, name):
    return events(SHARED / "samples" / folder / f"{name}.ndjson")


def more(event, *names):
    return tuple(event["AdditionalFields"].get(n) for n in names)


# ---- recommendations -------------------------------------------------------------------------------------------------


def assessment(name="A name", target=ACCOUNT, code="Unhealthy", **properties):
    return {"id": f"{target}/providers/Microsoft.Security/assessments/k", "name": "k", "type": "Microsoft.Security/assessments",
            "properties": {"displayName": name, "status": {"code": code, "statusChangeDate": "2026-10-05T07:11:22.1234567Z"},
                           "resourceDetails": {"source": "Azure", "id": target}, **properties}}


def test_the_four_requirements_of_the_control_are_named_with_their_category():
    wanted = {
        "Azure AI Services resources should use a managed identity": ("managed_identity", "Identity"),
        "Azure AI Services resources should have key access disabled (disable local authentication)": ("managed_identity", "Identity"),
        "Azure AI Services resources should restrict network access": ("restricted_network_access", "Network"),
        "Azure AI Services resources should use Azure Private Link": ("restricted_network_access", "Network"),
        "Diagnostic logs in Azure AI services resources should be enabled": ("diagnostic_logging", "Data"),
        "Resource logs in Azure Machine Learning Workspaces should be enabled": ("diagnostic_logging", "Data"),
        "Keys of Azure AI services should be rotated": ("key_rotation", "Identity"),
        "Storage should be encrypted with a customer-managed key": (None, "Data"),
        "Something else": (None, None),
    }
    got = explain(*[assessment(n) for n in wanted])
    assert {e["EventName"]: more(e, "ControlRequirement", "Category") for e in got} == wanted


def test_only_what_is_about_an_ai_resource_is_an_ai_finding():
    vm = ACCOUNT.replace("CognitiveServices/accounts/contoso-chat", "Compute/virtualMachines/v")
    subscription = ACCOUNT.split("/resourceGroups")[0]
    rows = {ACCOUNT: True, ML: True, ACCOUNT + "/projects/p": True, vm: None, subscription: None}
    got = explain(*[assessment("Endpoint protection should be installed", t) for t in rows])
    assert [e["EventClass"] for e in got] == ["recommendation"] * 5
    assert {e["TargetResourceId"]: more(e, "IsAiFinding")[0] for e in got} == rows
    named, beside = explain(assessment("Microsoft Defender for Azure OpenAI should be enabled", subscription),
                            assessment("Machines used for Azure OpenAI should be patched", vm))
    assert more(named, "IsAiFinding") == (True,) and named["TargetResourceType"] == "azure_openai"
    assert more(beside, "IsAiFinding") == (None,) and beside["TargetResourceType"] == "other"


def test_states_results_and_risks_of_recommendations():
    states = {"Healthy": "Success", "Unhealthy": "Failure", "NotApplicable": "NA"}
    got = explain(*[assessment(code=c) for c in states])
    assert {e["RecommendationState"]: e["EventResult"] for e in got} == states
    assert [e["EventSeverity"] for e in got] == ["Informational", "Medium", "Informational"]
    risky = explain(*[assessment(risk={"level": r}) for r in ("Critical", "High", "Medium", "Low", "None")])
    assert [e.get("RiskLevel") for e in risky] == ["Critical", "High", "Medium", "Low", None]
    rated = explain(assessment(risk={"level": "Critical"}, metadata={"severity": "Low"}))[0]
    assert (rated["EventSeverity"], rated["RiskLevel"]) == ("Low", "Critical")


def test_dates_that_the_term_is_counted_from_are_kept():
    e = explain(assessment(status={"code": "Unhealthy", "statusChangeDate": "2026-10-05T07:11:22.1234567Z",
                                   "firstEvaluationDate": "2026-09-01T02:00:00Z"}))[0]
    assert e["TimeGenerated"] == e["EventStartTime"] == "2026-10-05T07:11:22.123Z"
    assert more(e, "StatusChangeDate", "FirstEvaluationDate") == ("2026-10-05T07:11:22.123Z", "2026-09-01T02:00:00.000Z")
    first = explain(assessment(status={"code": "Unhealthy", "firstEvaluationDate": "2026-09-01T02:00:00Z"}))[0]
    assert first["TimeGenerated"] == "2026-09-01T02:00:00.000Z"


def test_a_snapshot_is_the_same_event_and_a_deletion_another():
    exported = sample("defender_recommendation", "export_network_access_unhealthy")[0]
    snapshot, deleted = sample("defender_recommendation", "export_again_as_snapshot_then_deleted")
    assert snapshot["EventId"] == exported["EventId"] != deleted["EventId"]
    assert (deleted["RecommendationState"], deleted["EventResult"]) == ("NotApplicable", "NA")
    a, b, c, d = explain(assessment(), assessment(code="Healthy"), assessment(risk={"level": "High"}),
                         assessment(metadata={"description": "reworded"}))
    assert len({a["EventId"], b["EventId"], c["EventId"]}) == 3 and d["EventId"] == a["EventId"]


def test_an_assessment_id_in_the_place_of_the_resource_is_cut():
    e = explain(assessment(resourceDetails={"source": "Azure", "id": f"{ACCOUNT}/providers/Microsoft.Security/assessments/k"}))[0]
    assert e["TargetResourceId"] == ACCOUNT and e["TargetResourceName"] == "contoso-chat"
    e = explain(assessment(resourceDetails={}))[0]
    assert e["TargetResourceId"] == ACCOUNT


# ---- attack paths ---------------------------------------------------------------------------------------------------


def test_attack_paths_carry_risk_target_and_what_they_pass():
    documented = sample("defender_attack_path", "graph_documented_shape")[0]
    assert documented["EventClass"] == "attack_path" and documented["TargetResourceName"] == "contoso-chat"
    assert documented["EventSeverity"] == "Medium" and "RiskLevel" not in documented      # unknown: never less
    assert more(documented, "IsAiFinding", "ThroughServicePrincipal", "ThroughDataStore") == (True, True, None)
    live = sample("defender_attack_path", "graph_exposure_management_shape")[0]
    assert (live["RiskLevel"], live["EventSeverity"], live["TargetResourceName"]) == ("Critical", "Critical", "contosodata")
    assert more(live, "RiskRank", "ThroughDataStore", "ThroughServicePrincipal") == (1, True, True)
    assert (live["AttackTactics"], live["AttackTechniques"]) == ("InitialAccess,Collection", "T1078.004,T1530")
    assert "<p>" not in live["EventMessage"] and "ActorUserId" not in live


def test_an_attack_path_with_another_risk_is_another_event():
    path = json.loads((SCHEMAS / "defender_attack_path" / "samples" / "graph_exposure_management_shape.in.json").read_text())
    lower = json.loads(json.dumps(path))
    lower["properties"]["riskLevel"] = "Low"
    a, b, c = explain(path, path, lower)
    assert a["EventId"] == b["EventId"] != c["EventId"] and c["EventSeverity"] == "Low"


# ---- compliance and plans ---------------------------------------------------------------------------------------------


def test_compliance_and_scores_are_controls_on_the_subscription():
    got = sample("defender_compliance", "regulatory") + sample("defender_compliance", "secure_score")
    assert {e["EventClass"] for e in got} == {"control"}
    assert [e.get("RecommendationState") for e in got[:4]] == ["Unhealthy", "Healthy", "Unhealthy", "NotApplicable"]
    assert got[2]["TargetResourceId"] == "/subscriptions/7d1b6f0e-52c3-4c9a-9a41-0d6f6c2b8e15"
    assert more(got[4], "ScoreCurrent", "ScoreMax", "ScorePercentage") == (31.42, 58, 0.5417)


def test_plans_tell_what_is_on_and_what_the_control_misses():
    ai, posture = sample("defender_plan", "plans_on")
    assert (ai["RecommendationState"], ai["EventResult"], ai["EventSeverity"]) == ("Healthy", "Success", "Medium")
    assert more(ai, "AIPromptEvidence", "AIPromptSharingWithPurview", "AIModelScanner") == (True, False, False)   # the last one failed
    assert more(posture, "SensitiveDataDiscovery", "EntraPermissionsManagement") == (True, False)
    off = sample("defender_plan", "plans_off_and_others")
    assert [(e["EventSeverity"], e["EventResult"]) for e in off] == [("High", "Failure")] * 2 + [("Informational", "NA")] * 3
    assert {e["EventClass"] for e in off} == {"control"}


# ---- inventory ----------------------------------------------------------------------------------------------------------


def test_inventory_knows_each_kind_of_resource():
    def row(kind, type_="microsoft.cognitiveservices/accounts", **properties):
        return {"id": ACCOUNT if "cognitive" in type_ else ML, "name": "n", "type": type_, "kind": kind, "properties": properties}
    ml = "microsoft.machinelearningservices/workspaces"
    rows = [(row("OpenAI"), "azure_openai"), (row("AIServices"), "azure_ai_services"), (row("ContentSafety"), "azure_ai_services"),
            (row("AIServices", allowProjectManagement=True), "azure_ai_foundry"), (row("Hub", ml), "azure_ai_foundry"),
            (row("Project", ml), "azure_ai_foundry"), (row("Default", ml), "azure_ml"), (row(None, ml), "azure_ml"),
            (row(None, "microsoft.cognitiveservices/accounts/projects") | {"id": ACCOUNT + "/projects/p"}, "azure_ai_foundry")]
    got = explain(*[r for r, _ in rows])
    assert [e["TargetResourceType"] for e in got] == [t for _, t in rows]
    assert {e["EventClass"] for e in got} == {"inventory"}


def test_inventory_keeps_the_configuration_and_no_secret():
    account = sample("azure_inventory", "accounts_of_each_kind")[0]
    assert more(account, "PublicNetworkAccess", "DisableLocalAuth", "NetworkDefaultAction", "IdentityType", "EncryptionKeySource") == \
        ("Enabled", False, "Deny", "SystemAssigned", "Microsoft.CognitiveServices")
    assert account["AdditionalFields"]["Configuration"]["networkAcls"]["ipRules"] == [{"value": "203.0.113.0/24"}]
    deployment, rai, defender, _, connection, setting, role = sample("azure_inventory", "what_stands_on_an_account")
    assert (deployment["AiModelName"], deployment["AiModelVersion"], deployment["AiDeployment"]) == ("gpt-4o", "2024-11-20", "gpt-4o-prod")
    assert [more(e, "ResourceKind")[0] for e in (rai, defender, connection, setting, role)] == \
        ["content_filter", "defender_plan", "connection", "diagnostic_setting", "role_assignment"]
    assert setting["TargetResourceId"] == role["TargetResourceId"] and setting["TargetResourceName"] == "contoso-chat"
    assert "S3cr3t" not in json.dumps(connection) and more(defender, "DefenderForAiState") == ("Disabled",)
    phi = sample("azure_inventory", "machine_learning")[4]
    assert (phi["AiModelName"], phi["AiModelVersion"], phi["AiDeployment"]) == ("Phi-4", "7", "blue")


def test_an_unchanged_resource_is_one_event_and_a_changed_one_another():
    row = json.loads((SCHEMAS / "azure_inventory" / "samples" / "accounts_of_each_kind.in.json").read_text().splitlines()[0])
    opened = json.loads(json.dumps(row))
    opened["properties"]["networkAcls"]["defaultAction"] = "Allow"
    a, b, c = explain(row, row, opened)
    assert a["EventId"] == b["EventId"] != c["EventId"]


# ---- the Activity Log --------------------------------------------------------------------------------------------------

MLS = "Microsoft.MachineLearningServices/"
CHANGES = {
    "deployment": [COG + "accounts/deployments/write", COG + "accounts/deployments/delete", MLS + "workspaces/onlineEndpoints/deployments/write",
                   MLS + "workspaces/batchEndpoints/deployments/delete", MLS + "workspaces/endpoints/deployments/write", MLS + "workspaces/services/aks/write"],
    "content_filter": [COG + "accounts/raiPolicies/write", COG + "accounts/raiPolicies/delete", COG + "accounts/raiTopics/write"],
    "blocklist": [COG + "accounts/raiBlocklists/write", COG + "accounts/raiBlocklists/raiBlocklistItems/delete",
                  COG + "accounts/raiBlocklists/addRaiBlocklistItems/action", COG + "accounts/raiBlocklists/batchDeleteRaiBlocklistItems/action"],
    "model": [MLS + "workspaces/models/write", MLS + "workspaces/models/versions/delete", MLS + "workspaces/models/package/action"],
    "connection": [COG + "accounts/connections/write", COG + "accounts/projects/connections/delete", MLS + "workspaces/connections/write"],
    "endpoint": [MLS + "workspaces/onlineEndpoints/write", MLS + "workspaces/serverlessEndpoints/delete", MLS + "workspaces/batchEndpoints/write"],
    "key": [COG + "accounts/regenerateKey/action", MLS + "workspaces/onlineEndpoints/regenerateKeys/action", MLS + "workspaces/resynckeys/action"],
    "key_read": [COG + "accounts/listKeys/action", MLS + "workspaces/listKeys/action", MLS + "workspaces/onlineEndpoints/token/action"],
    "secret_read": [COG + "accounts/connections/listsecrets/action", MLS + "workspaces/datastores/listsecrets/action"],
    "network": [COG + "accounts/joinPerimeter/action", COG + "accounts/networkSecurityPerimeterAssociationProxies/delete", MLS + "workspaces/outboundRules/write"],
    "private_endpoint": [COG + "accounts/privateEndpointConnections/delete", COG + "accounts/privateEndpointConnectionProxies/write",
                         MLS + "workspaces/privateEndpointConnections/write", "Microsoft.Network/privateEndpoints/delete"],
    "diagnostic_setting": ["Microsoft.Insights/diagnosticSettings/write", "Microsoft.Insights/diagnosticSettings/delete"],
    "role_assignment": ["Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete",
                        "Microsoft.Authorization/roleDefinitions/write"],
    "defender_plan": ["Microsoft.Security/pricings/write", "Microsoft.Security/pricings/delete", COG + "accounts/defenderForAISettings/write"],
    "account": [COG + "accounts/write", COG + "accounts/delete", COG + "locations/resourceGroups/deletedAccounts/delete",
                MLS + "workspaces/write", MLS + "workspaces/hubs/delete"],
    "project": [COG + "accounts/projects/write", COG + "accounts/projects/delete"],
    "agent_service": [COG + "accounts/capabilityHosts/write", COG + "accounts/projects/capabilityHosts/delete", COG + "accounts/projects/applications/write"],
    "datastore": [MLS + "workspaces/datastores/write", MLS + "workspaces/data/write"],
    "training_job": [MLS + "workspaces/jobs/write"], "environment": [MLS + "workspaces/environments/versions/write"],
    "compute": [MLS + "workspaces/computes/delete"], "registry": [MLS + "registries/write"],
    "monitoring": [MLS + "workspaces/endpoints/deployments/modelmonitorings/delete"],
    "policy": ["Microsoft.Authorization/policyExemptions/write", MLS + "workspaces/hubs/policies/write"],
    "alert_suppression": ["Microsoft.Security/alertsSuppressionRules/write"], "lock": ["Microsoft.Authorization/locks/delete"],
    "gateway_policy": ["Microsoft.ApiManagement/service/apis/policies/write"], "encryption": [COG + "accounts/encryptionScopes/write"],
}


def test_every_operation_that_changes_an_ai_configuration_is_named_and_never_informational():
    wanted = {o: kind for kind, operations in CHANGES.items() for o in operations}
    got = explain(*[activity(o, ML if o.startswith(MLS) else ACCOUNT) for o in wanted])
    assert {o: more(e, "ChangeKind")[0] for o, e in zip(wanted, got)} == wanted
    for operation, e in zip(wanted, got):
        assert e["EventClass"] == "activity" and e["EventSeverity"] != "Informational", operation
        assert e["TargetResourceType"] == ("azure_ml" if operation.startswith(MLS) else "azure_ai_services")


def test_an_operation_that_reads_has_no_change_kind():
    got = explain(activity(COG + "accounts/read"), activity(COG + "accounts/deployments/read"))
    assert [more(e, "ChangeKind") for e in got] == [(None,)] * 2


# ---- API Management and Azure ML --------------------------------------------------------------------------------------


def test_gateway_records_give_tokens_verdicts_and_no_text():
    call, tokens, rest = sample("azure_apim", "gateway_and_llm_of_one_request")
    assert (call["PromptTokens"], call["CompletionTokens"], call["RequestCount"], call["SrcIpAddr"]) == (21, 9, 1, "198.51.100.23")
    assert (tokens["PromptTokens"], tokens["EventOriginalUid"]) == (21, call["EventOriginalUid"])
    assert "PromptTokens" not in rest and "RequestCount" not in rest
    assert len({e["EventId"] for e in (call, tokens, rest)}) == 3
    assert call["AiModelName"] == "gpt-4o-2024-11-20"       # the answer's, not what the request calls it
    assert "?" not in call["AdditionalFields"]["Url"]
    refused = sample("azure_apim", "refused_by_the_content_filter")[0]
    assert (refused["EventResult"], refused["EventSeverity"], refused["HttpStatusCode"]) == ("Failure", "Medium", 400)
    other, probe = sample("azure_apim", "other_apis_and_probes")
    assert "RequestCount" not in other and "RequestCount" not in probe and other["TargetResourceType"] == "other"


def test_an_endpoint_call_has_its_caller_and_its_status():
    token, key = sample("azure_ml_logs", "traffic")
    assert (token["ActorUserId"], token["AiDeployment"], token["HttpStatusCode"], token["DurationMs"]) == \
        ("0c1d2e3f-1111-4222-8333-944455556666", "blue", 200, 220)
    assert (key["EventResult"], key["HttpStatusCode"], more(key, "AuthType")) == ("Failure", 403, ("Key",))
    assert "ActorUserId" not in key and token["AdditionalFields"]["Path"] == "/score"


# ---- Microsoft 365 ---------------------------------------------------------------------------------------------------------


def test_copilot_interactions_and_what_makes_an_alert_of_one():
    plain, studio, blocked, jailbreak, injected = sample("m365_copilot", "interactions")
    assert [e["EventClass"] for e in (plain, studio, blocked, jailbreak, injected)] == ["activity"] * 3 + ["alert"] * 2
    assert (plain["ActorUsername"], plain["EventResult"], plain["SrcIpAddr"], plain["AiModelName"]) == \
        ("ana@contoso.example", "Success", "2001:db8::5", "gpt-5")
    assert (studio["TargetResourceType"], studio["TargetResourceName"], studio["RequestCount"]) == ("copilot_studio", "Help desk", 2)
    assert (blocked["EventResult"], blocked["EventSeverity"]) == ("Partial", "Medium")
    assert (jailbreak["EventSeverity"], jailbreak["AttackTechniques"]) == ("High", "AML.T0054")
    assert (injected["EventSeverity"], injected["AttackTechniques"]) == ("High", "AML.T0051.001")
    assert "SrcIpAddr" not in injected and more(injected, "ClientIpRaw") == ("ffff:10.11.0.229",)


def test_an_audit_record_has_one_id_in_every_wrapper_and_keeps_the_outer_one():
    record = json.loads((SCHEMAS / "m365_copilot" / "samples" / "interactions.in.json").read_text().splitlines()[3])
    graph = {"id": "outer-1", "createdDateTime": record["CreationTime"] + "Z", "auditLogRecordType": "copilotInteraction",
             "operation": "CopilotInteraction", "auditData": record}
    export = {"Identity": "outer-2", "RecordType": "CopilotInteraction", "AuditData": json.dumps(record)}
    row = {"Timestamp": record["CreationTime"] + "Z", "ActionType": "CopilotInteraction", "ReportId": "outer-3", "RawEventData": record}
    bare, g, e, r = explain(record, graph, export, row)
    assert bare["EventId"] == g["EventId"] == e["EventId"] == r["EventId"]
    assert [more(x, "AuditLogRecordId", "CloudAppReportId") for x in (bare, g, e, r)] == \
        [(None, None), ("outer-1", None), ("outer-2", None), (None, "outer-3")]
    assert {x["EventClass"] for x in (bare, g, e, r)} == {"alert"}
    outside = sample("m365_copilot", "graph_audit_search")[2]       # its auditData says nothing
    assert (outside["Operation"], outside["ActorUsername"], outside["EventSeverity"]) == ("UpdateCopilotSettings", "admin@contoso.example", "Medium")


def test_copilot_studio_administration_has_the_severity_of_what_it_changes():
    got = {e["Operation"]: e for e in sample("power_platform", "copilot_studio")}
    assert {o: e["EventSeverity"] for o, e in got.items()} == {
        "BotUpdateOperation-BotAuthUpdate": "High", "BotUpdateOperation-BotShare": "Medium", "BotCreate": "Medium", "BotDelete": "High",
        "BotComponentUpdate": "Medium", "AIPluginOperationCreate": "Medium", "BotUpdateOperation-BotIconUpdate": "Informational",
        "BotAppInsightsUpdate": "Medium"}
    auth = got["BotUpdateOperation-BotAuthUpdate"]
    assert (auth["TargetResourceType"], auth["TargetResourceName"], auth["ActorUsername"]) == ("copilot_studio", "cr1_helpdesk", "maker@contoso.example")
    assert more(auth, "Change")[0]["AuthenticationMode"] == {"Old": "Integrated", "New": "None"}
    assert got["BotDelete"]["EventResult"] == "Failure" and got["BotCreate"]["EventResult"] == "Success"


# ---- real records ------------------------------------------------------------------------------------------------------------

REAL = {        # folder/name: family and, event by event, what must come out
    "A_arm_assessments/list_assessments_2021-06-01": ("defender_recommendation", [
        {"EventClass": "recommendation", "RecommendationState": "Healthy", "TargetResourceName": "vmss1", "EventResult": "Success", "TargetResourceType": "other"},
        {"RecommendationState": "NotApplicable", "TargetResourceName": "vmss2", "EventSeverity": "Informational"}]),
    "A_continuous_export/elastic_assessment": ("defender_recommendation", [
        {"EventClass": "recommendation", "EventSeverity": "Low", "TargetResourceName": "mbranca-esf", "TimeGenerated": "2023-05-09T13:19:49.338Z"}]),
    "A_continuous_export/elastic_subassessment_pascalcase": ("defender_recommendation", [
        {"RecommendationState": "NotApplicable", "EventSeverity": "Low", "TargetResourceName": "sdh-3372", "EventName": "Ensure DCCP is disabled"}]),
    "A_continuous_export/elastic_regulatory": ("defender_compliance", [{"EventClass": "control", "RecommendationState": "NotApplicable"}]),
    "A_continuous_export/elastic_secure_score_control": ("defender_compliance", [{"EventClass": "control", "EventName": "Apply system updates"}]),
    "A_arm_pricings/list_pricings_2024-01-01": ("defender_plan", [{"EventClass": "control", "TargetResourceName": "VirtualMachines"}] + [{}] * 11 +
        [{"TargetResourceName": "CloudPosture", "RecommendationState": "Healthy", "EventResult": "Success"}]),
    "A_arm_pricings/list_pricings_2024-01-01_page": ("defender_plan", [{}] * 12 + [{"TargetResourceName": "CloudPosture"}]),
    "A_arm_cognitive/inventory_2024-10-01": ("azure_inventory", [
        {"EventClass": "inventory", "TargetResourceType": "azure_ai_services", "TargetResourceName": "myAccount", "CloudRegion": "westus"},
        {"AiDeployment": "deploymentName", "AiModelName": "ada", "AiModelVersion": "1", "TargetResourceName": "accountName"},
        {"EventName": "raiPolicyName", "TargetResourceName": "accountName"}, {"ActorUsername": "xxx@microsoft.com"}]),
    "A_pricings/ASC_Azure_Defender_AI_Full_Features_DINE": ("azure_policy", [{"EventClass": "control"}]),
    "A_pricings/ASC_Azure_Defender_CSPM_Full_Features_DINE": ("azure_policy", [{"EventClass": "control"}]),
    "A_pricings/ASC_ExportToEventHubAsTrustedService_DINE": ("azure_policy", [{"EventClass": "control"}]),
    "B_apim/elastic_apim_gatewaylogs": ("azure_apim", [
        {"EventResult": "Success", "HttpStatusCode": 200, "PromptTokens": 14, "CompletionTokens": 8, "SrcIpAddr": "81.2.69.144", "AiModelName": "gpt-35-turbo",
         "AiDeployment": "gpt-chat-pilot", "TargetResourceType": "azure_openai", "RequestCount": 1},
        {"EventResult": "Failure", "HttpStatusCode": 400, "EventSeverity": "Low", "AiDeployment": "gpt-chat-pilot"}]),
    "D_copilot/o365_copilot_schema_examples": ("m365_copilot", [
        {"EventClass": "activity", "ActorUsername": "admin@MODERNCOMMS975184.onmicrosoft.com", "CloudProvider": "Microsoft365", "TargetResourceName": "Word",
         "RequestCount": 1, "EventResult": "Success", "TimeGenerated": "2023-12-13T17:12:36.000Z"},
        {"SrcIpAddr": "2401:4900:60d2:179b:c004:b6f:b678:b148", "AiModelName": "DEEP_LEO", "CloudRegion": "IN"}]),
}


@needs_shared
@pytest.mark.parametrize("name", REAL)
def test_a_real_record_means_what_it_says(name):
    family, wanted = REAL[name]
    path = SHARED / "samples" / f"{name}.ndjson"
    assert set(families(path)) == {family}
    got = events(path)
    assert len(got) == len(wanted)
    for event, columns in zip(got, wanted):
        assert_valid(event)
        assert_nothing_empty(event)
        assert {k: event.get(k) for k in columns} == columns


@needs_shared
def test_one_real_export_file_holds_three_families():
    path = SHARED / "samples" / "A_export_sumologic" / "continuous_export.ndjson"
    assert families(path) == ["defender_alert", "defender_recommendation", "defender_compliance"]
    alert, recommendation, control = events(path)
    assert [e["EventClass"] for e in (alert, recommendation, control)] == ["alert", "recommendation", "control"]
    assert recommendation["RecommendationState"] == "NotApplicable" and more(recommendation, "StatusCause") == ("UnsupportedPricingPlan",)
    assert (control["EventResult"], control["RecommendationState"]) == ("Failure", "Unhealthy")


# ---- how much of the columns each family fills -------------------------------------------------------------------------------

ALWAYS = "TimeGenerated EventId EventClass EventName EventMessage EventSeverity EventResult EventVendor EventProduct EventOriginalType " \
         "CloudProvider".split()


def test_every_event_of_a_microsoft_family_says_what_where_and_how_grave():
    families_ = [p.parent for p in SCHEMAS.glob("*/mapping.yaml") if p.parent.name.startswith(("azure_", "defender_", "m365_", "power_"))]
    assert len(families_) >= 13
    for home in families_:
        got = [e for path in home.glob("samples/*.in.json") for e in events(path)]
        columns = {c for e in got for c in e}
        print(f"{home.name}: {len(got)} events, {len(columns)} columns, {sum(len(e) for e in got) / len(got):.1f} on average")
        for e in got:
            assert [c for c in ALWAYS if c not in e] == [], (home.name, e["EventName"])
