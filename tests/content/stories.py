"""Ordinary days of a small company's AI services, and attacks told into them. All names and addresses are made up.

`ordinary()` gives the records of 17 days in which nothing is wrong. Each function of STORIES adds an attack on day 16 or 17 and says which rule must
fire, and on what: {rule: [text that the alert must hold, ..]}, one text an alert.
"""
import datetime
import hashlib
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench" / "access"))
from generate import DAY, HOUR, MODELS, SUB, Caller, World, iso  # noqa: E402
import inject  # noqa: E402

BEGIN = 1790553600          # 2026-09-28, a Monday
DAYS = 17
LAST = BEGIN + (DAYS - 1) * DAY
ADMIN, PIPELINE = "erin@contoso.example", "pipeline@contoso.example"
ACCOUNT = f"/subscriptions/{SUB}/resourceGroups/RG/providers/Microsoft.CognitiveServices/accounts/"
REGULATED = "11111111-2222-4333-8444-555555555555"


def guid(text):
    h = hashlib.md5(text.encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"


class Company(World):
    """The records of one run; the writers of single records are those of the access bench."""

    def __init__(self):
        super().__init__(7, 0, DAYS)
        self.at, self.arrived = {}, {}
        self.caller("lena", "sso", "aws", "81.20.30.*", 15, hours=(8, 17), agent="aws-cli/2.15.3 Python/3.11 Linux/5.10 exe/x86_64")
        for name in ("svc-tool", "svc-probe", "svc-denied", "svc-copy", "svc-many"):
            self.caller(name, "service", "aws", f"62.{10 + len(self.at)}.4.*", 40, agent="Boto3/1.34.7 md/Botocore#1.34 os/linux lang/python#3.11")
        self.caller("filtered", "user", "aws", "81.20.30.*", 15, hours=(8, 17), agent="aws-cli/2.15.3 Python/3.11 Linux/5.10 exe/x86_64")
        self.caller("app-key", "key", "azure", "52.100.7.*", 60, resource="contoso-key")

    def caller(self, name, kind, cloud, net, rate, hours=None, agent=None, resource=None):
        c = Caller(name, kind, cloud, self.rng)
        c.oid, c.nets, c.rate, c.hours, c.agent, c.resource = guid(name), [net], rate, hours, agent, resource
        c.person = kind in ("sso", "user")
        # each has a model of its own, so that what befalls one is not laid at another's door
        c.models, c.weekend = (["gpt-4o-prod"], True) if cloud == "azure" else ([f"vendor.model-{name}-v1:0"], not c.person)
        self.at[name] = c
        self.callers.append(c)

    # ---- records that the bench does not write ------------------------------------------------
    def change(self, t, operation, resource, who=ADMIN, body=None, ip="198.51.100.7", status="Succeeded.OK"):
        r = {"time": iso(t), "resourceId": (resource if resource.startswith("/") else ACCOUNT + resource).upper(), "operationName": operation.upper(),
             "category": "Administrative", "resultType": "Success", "resultSignature": status, "callerIpAddress": ip, "correlationId": guid(f"{t}{operation}{resource}"),
             "level": "Information", "location": "global", "identity": {"claims": {
                 "http://schemas.microsoft.com/identity/claims/objectidentifier": guid(who), "name": who,
                 "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": who}}}
        if body is not None:
            r["properties"] = {"requestbody": json.dumps(body)}
        self.add(t, r)

    def alert(self, t, kind, title, severity, resource, who=None, status="New", uid=None, text="Defender says so."):
        when = iso(t)
        r = {"VendorName": "Microsoft", "AlertType": kind, "ProductName": "Microsoft Defender for Cloud", "StartTimeUtc": when, "EndTimeUtc": when,
             "TimeGenerated": when, "ProcessingEndTime": when, "Severity": severity, "Status": status, "SystemAlertId": uid or guid(f"{t}{kind}{resource}"),
             "Intent": "Impact", "AzureResourceId": resource if resource.startswith("/") else ACCOUNT + resource, "CompromisedEntity": resource, "AlertDisplayName": title, "Description": text,
             "AlertUri": "https://portal.azure.com/#blade/Microsoft_Azure_Security/AlertBlade"}
        if who:
            r["Entities"] = json.dumps([{"Type": "account", "Name": who.split("@")[0], "UPNSuffix": who.split("@")[1], "AadUserId": guid(who)}])
        self.add(t, r)

    def weakness(self, t, name, resource, state, since, level="Critical", sub=SUB):
        self.arrived.setdefault((name, resource, state), []).append(t)
        rid = f"/subscriptions/{sub}/resourceGroups/RG/providers/Microsoft.CognitiveServices/accounts/{resource}"
        self.add(t, {"assessmentEventDataEnrichment": {"action": "Write", "apiVersion": "2021-06-01", "isSnapshot": False}, "TimeGenerated": iso(t),
                     "type": "Microsoft.Security/assessments", "id": f"{rid}/providers/Microsoft.Security/assessments/{guid(name)}", "name": guid(name),
                     "properties": {"resourceDetails": {"source": "Azure", "id": rid, "resourceName": resource}, "displayName": name,
                                    "status": {"code": state, "statusChangeDate": iso(since)},
                                    "metadata": {"displayName": name, "severity": "Medium", "categories": ["Networking"]}, "risk": {"level": level}}})

    def attack_path(self, t, name, risk, resource):
        self.add(t, {"TimeGenerated": iso(t), "Type": "SecurityAttackPathData", "AttackPathId": guid(name), "AttackPathDisplayName": name, "AttackPathType": "VmToAi",
                     "RiskLevel": risk, "SubscriptionId": SUB, "Description": f"{name}.", "Target": json.dumps({"entityName": resource, "resourceId": ACCOUNT + resource})})

    def plan(self, t, name, tier):
        """As continuous export sends it, with a time of its own."""
        self.add(t, {"id": f"/subscriptions/{SUB}/providers/Microsoft.Security/pricings/{name}", "name": name, "type": "Microsoft.Security/pricings",
                     "properties": {"pricingTier": tier, "resourcesCoverageStatus": "FullyCovered" if tier == "Standard" else "NotCovered",
                                    "freeTrialRemainingTime": "PT0S"}})

    def busy(self, resource, deployment, begin, end, a_minute, prompt=300, completion=100, status=200, usage=True, refused=0.0, who="app"):
        """Calls of one application, a request and its usage each, spread evenly with a little noise."""
        r = random.Random(f"{resource}{begin}")
        rid = (ACCOUNT + resource).upper()
        for minute in range(int(begin // 60), int(end // 60)):
            for k in range(max(0, round(r.gauss(a_minute, a_minute ** 0.5 / 2)))):
                t, uid = minute * 60 + r.randrange(60), self.uid()
                self.add(t, {"time": iso(t), "resourceId": rid, "category": "RequestResponse", "operationName": "ChatCompletions_Create",
                             "resultSignature": "429" if r.random() < refused else str(status),
                             "durationMs": "500", "callerIpAddress": "10.20.4.***", "correlationId": uid, "location": "swedencentral", "event": "ShoeboxCallResult",
                             "properties": {"modelDeploymentName": deployment, "modelName": "gpt-4o", "modelVersion": "2024-08-06", "objectId": guid(who),
                                            "callerObjectId": guid(who), "requestLength": round(prompt * r.uniform(2, 6)), "responseLength": completion * 4, "streamType": "Streaming"}})
                if status == 200 and usage:
                    self.add(t, {"time": iso(t), "resourceId": rid, "category": "AzureOpenAIRequestUsage", "operationName": "ChatCompletions_Create", "correlationId": uid,
                                 "location": "swedencentral", "event": "ShoeboxAzureOpenAIRequestUsage",
                                 "properties": {"modelDeploymentName": deployment, "promptTokens": [round(r.gauss(prompt, prompt / 10))], "cachedTokens": [0],
                                                "generatedTokens": [round(r.gauss(completion, completion / 10))]}})


def ordinary():
    c = Company()
    for day in range(DAYS):
        t0 = BEGIN + day * DAY
        for who in c.callers:
            if day % 7 < 5 or who.weekend:
                c.one_day(who, t0)
        c.activity(t0 + 3 * HOUR, PIPELINE, "microsoft.cognitiveservices/accounts/listKeys/action", "contoso-app", "20.50.1.9")
    # busy services that began five days before
    for resource in ("contoso-tokens", "contoso-calls"):
        c.busy(resource, "chat-prod", BEGIN + (DAYS - 6) * DAY, LAST + 30 * HOUR, 1)
    c.busy("contoso-refused", "chat-prod", LAST - 5 * DAY, LAST + 14 * HOUR, 6, usage=False, refused=0.04)
    c.busy("contoso-refused", "chat-prod", LAST + 14 * HOUR + 900, LAST + 16 * HOUR, 6, usage=False, refused=0.04)
    for minute in range(4 * 1440):
        c.aws(c.at["svc-probe"], LAST - 3 * DAY + minute * 60 + minute * 7 % 60, "InvokeModel", model=c.at["svc-probe"].models[0])
    # what an administrator does, what Defender says, and what changes nothing
    c.change(BEGIN + 2 * DAY + 9 * HOUR, "microsoft.insights/diagnosticSettings/write", ACCOUNT + "contoso-app/providers/microsoft.insights/diagnosticSettings/soc",
             body={"properties": {"logs": [{"category": "Audit", "enabled": True}], "workspaceId": "/w"}})
    for day in (1, 8, 15):
        c.change(BEGIN + day * DAY + 10 * HOUR, "microsoft.cognitiveservices/accounts/deployments/write", ACCOUNT + "contoso-app/deployments/chat-prod",
                 body={"sku": {"capacity": 10 + day}, "properties": {"model": {"name": "gpt-4o", "version": "2024-08-06"}}})
        c.change(BEGIN + day * DAY + 10 * HOUR + 60, "microsoft.cognitiveservices/accounts/write", ACCOUNT + "contoso-app",
                 body={"properties": {"publicNetworkAccess": "Disabled", "disableLocalAuth": True, "networkAcls": {"defaultAction": "Deny"}}})
    for day in (3, 15):
        c.alert(BEGIN + day * DAY + 11 * HOUR, "AI.Azure_Jailbreak.ContentFiltering.BlockedAttempt", "A jailbreak attempt was blocked by Prompt Shields", "Medium", "contoso-app")
        c.alert(BEGIN + day * DAY + 12 * HOUR, "AI.Azure_LLMReconnaissance", "Reconnaissance of a model", "Low", "contoso-app")
    c.alert(BEGIN + 15 * DAY + 13 * HOUR, "SQL.DB_BruteForce", "Brute force on SQL", "High", f"/subscriptions/{SUB}/resourceGroups/RG/providers/Microsoft.Sql/servers/crm")
    for day in range(0, DAYS, 2):
        t = BEGIN + day * DAY + 2 * HOUR
        c.weakness(t, "AI accounts should use private link", "contoso-app", "Unhealthy", BEGIN + 10 * DAY if day >= 10 else BEGIN, "Critical")
        c.weakness(t, "AI accounts should have key access off", "contoso-app", "Healthy", BEGIN)
        c.attack_path(t, "VM reaches contoso-app", "Medium", "contoso-app")
    c.plan(LAST, "AI", "Standard")
    c.plan(LAST, "CloudPosture", "Standard")
    return c


# ---- attacks -------------------------------------------------------------------------------------------------------

def a_jailbreak_gets_through(c):
    c.alert(LAST + 9 * HOUR, "AI.Azure_Jailbreak.ContentFiltering.DetectedAttempt", "A jailbreak attempt was detected by Prompt Shields", "Medium", "contoso-jail", uid="jail-1")
    c.alert(LAST + 10 * HOUR, "AI.Azure_Jailbreak.ContentFiltering.DetectedAttempt", "A jailbreak attempt was detected by Prompt Shields", "Medium", "contoso-jail",
            uid="jail-1", status="InProgress")
    return {"AISPMJailbreakNotBlocked": ["contoso-jail"]}


def defender_sees_a_suspicious_address(c):
    c.alert(LAST + 9 * HOUR, "AI.Azure_AccessFromSuspiciousIP", "Access from a suspicious address", "High", "contoso-suspicious")
    return {"AISPMThreatAlert": ["contoso-suspicious"]}


def an_abuse_tool_calls(c):
    c.aws(c.at["svc-tool"], LAST + 10 * HOUR, "InvokeModel", model=c.at["svc-tool"].models[0], agent="stratus-red-team_1234")
    return {"AISPMAccessAnomaly": ["svc-tool"]}


def a_stolen_role_probes_lists_calls_and_spends(c):
    who, t = c.at["svc-probe"], LAST + 9 * HOUR
    for k in range(12):
        c.aws(who, t + k * 5, "InvokeModel", model=MODELS[k % 3], error="ValidationException")
    c.aws(who, t + 900, "ListFoundationModels")
    c.aws(who, t + 920, "GetFoundationModelAvailability")
    c.aws(who, t + 940, "ListInferenceProfiles")
    c.aws(who, t + 1000, "InvokeModel", model=who.models[0])
    for k in range(30):
        c.aws(who, t + 2 * HOUR + k * 20, "InvokeModel", model=who.models[0], tokens=60000 + 900 * (k * 7 % 30))
    return {"AISPMLLMjacking": ["svc-probe"], "AISPMAccessAnomaly": ["svc-probe", "svc-probe"], "AISPMManySignsOneCaller": ["svc-probe"], "AISPMChainLLMjackingCost": ["svc-probe"], "AISPMTokenSpike": ["model-svc-probe"]}


def a_burst_of_denials_then_success(c):
    inject.a7_granted(c, c.at["svc-denied"], LAST + 10 * HOUR)
    return {"AISPMDeniedThenSuccess": ["svc-denied"]}


def one_prompt_after_another_is_filtered(c):
    inject.a19_blocks(c, c.at["filtered"], LAST + 11 * HOUR)
    return {"AISPMContentFilterProbing": ["filtered"]}


def a_model_is_copied(c):
    for k in range(900):
        c.aws(c.at["svc-copy"], LAST + 10 * HOUR + k * 3, "InvokeModel", model=c.at["svc-copy"].models[0], tokens=60)
    return {"AISPMModelExtraction": ["svc-copy"], "AISPMRequestSpike": ["model-svc-copy"]}


def a_key_is_read_and_used_from_elsewhere(c):
    t = LAST + 9 * HOUR
    c.change(t, "microsoft.cognitiveservices/accounts/write", "contoso-key", "mallory@contoso.example", ip="91.1.2.3",
             body={"properties": {"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Allow"}}})
    c.activity(t + 600, "mallory@contoso.example", "microsoft.cognitiveservices/accounts/listKeys/action", "contoso-key", "91.1.2.3")
    for k in range(10):
        c.azure(c.at["app-key"], t + 1500 + k * 20, ip="185.9.8.66")
    return {"AISPMNetworkOpened": ["contoso-key"], "AISPMKeyUsedAfterRead": ["contoso-key"], "AISPMChainKeyTheft": ["contoso-key"],
            "AISPMAccessAnomaly": ["contoso-key"]}


def tokens_without_end_and_defender_agrees(c):
    t = LAST + 10 * HOUR
    c.busy("contoso-tokens", "chat-prod", t, t + 900, 2, prompt=30000, completion=9000, who="thief")
    c.alert(t + 1800, "AI.Azure_DOWVolumeAnomaly", "Suspected wallet attack - volume anomaly", "Medium", "contoso-tokens")
    return {"AISPMTokenSpike": ["contoso-tokens"], "AISPMChainDenialOfWallet": ["contoso-tokens"], "AISPMThreatAlert": ["contoso-tokens"]}


def made_blind_and_then_flooded(c):
    t = LAST + 8 * HOUR
    c.change(t, "microsoft.insights/diagnosticSettings/delete", ACCOUNT + "contoso-calls/providers/microsoft.insights/diagnosticSettings/soc", "mallory@contoso.example")
    c.busy("contoso-calls", "chat-prod", t + 3 * HOUR, t + 3 * HOUR + 900, 60, prompt=10, completion=5, who="thief")
    return {"AISPMLoggingDisabled": ["contoso-calls"], "AISPMRequestSpike": ["contoso-calls"], "AISPMChainBlindSpike": ["contoso-calls"]}


def calls_are_refused(c):
    t = LAST + 14 * HOUR
    c.busy("contoso-refused", "chat-prod", t, t + 900, 20, status=429)
    # and two hours later nobody calls any more
    return {"AISPMRefusalSpike": ["contoso-refused"], "AISPMServiceSilent": ["contoso-refused"]}


def a_filter_is_lowered_and_put_back(c):
    strict = {"properties": {"mode": "Default", "contentFilters": [{"name": "Hate", "blocking": True, "enabled": True, "severityThreshold": "Low", "source": "Prompt"}]}}
    loose = {"properties": {"mode": "Default", "contentFilters": [{"name": "Hate", "blocking": False, "enabled": True, "severityThreshold": "High", "source": "Prompt"}]}}
    target = ACCOUNT + "contoso-filter/raiPolicies/strict"
    operation = "microsoft.cognitiveservices/accounts/raiPolicies/write"
    c.change(BEGIN + 3 * DAY, operation, target, body=strict)
    c.change(LAST + 9 * HOUR, operation, target, body=loose)
    c.change(LAST + 9 * HOUR + 600, operation, target, body=strict)
    return {"AISPMGuardrailWeakened": ["contoso-filter"], "AISPMChangeUndone": ["contoso-filter"]}


def key_access_comes_back(c):
    c.change(LAST + 10 * HOUR, "microsoft.cognitiveservices/accounts/write", "contoso-local", body={"properties": {"disableLocalAuth": False}})
    return {"AISPMKeyAccessEnabled": ["contoso-local"]}


def somebody_becomes_owner(c):
    c.change(LAST + 10 * HOUR, "microsoft.authorization/roleAssignments/write", ACCOUNT + "contoso-role/providers/Microsoft.Authorization/roleAssignments/1",
             body={"properties": {"roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "principalId": guid("x")}})
    return {"AISPMPrivilegeGranted": ["contoso-role"]}


def a_stranger_swaps_a_model(c):
    c.change(LAST + 10 * HOUR, "microsoft.cognitiveservices/accounts/deployments/write", ACCOUNT + "contoso-model/deployments/chat", "newcomer@contoso.example",
             body={"properties": {"model": {"name": "gpt-oss", "version": "1"}}})
    return {"AISPMSupplyChainByNewActor": ["newcomer@contoso.example"]}


def defender_is_switched_off(c):
    c.change(LAST + 10 * HOUR, "microsoft.security/pricings/write", f"/subscriptions/{SUB}/providers/Microsoft.Security/pricings/CloudPosture",
             body={"properties": {"pricingTier": "Free"}})
    c.plan(LAST, "AI", "Free")
    return {"AISPMDefenderSwitchedOff": ["CloudPosture", "AI"]}


def several_small_signs(c):
    who, t = c.at["svc-many"], LAST + 9 * HOUR
    inject.a6_denied(c, who, t, 30)
    for k, region in enumerate(["us-west-2", "eu-central-1", "ap-southeast-1", "sa-east-1", "eu-west-3"]):
        c.aws(who, t + 3 * HOUR + k * 60, "InvokeModel", model=who.models[0], region=region)
    for k, m in enumerate(MODELS[2:14]):
        c.aws(who, t + 5 * HOUR + k * 30, "Converse", model=m)
    return {"AISPMManySignsOneCaller": ["svc-many"], "AISPMDeniedThenSuccess": ["svc-many"], "AISPMAccessAnomaly": ["svc-many", "svc-many"]}


def an_attack_path_appears(c):
    for k in range(3):
        c.attack_path(LAST + 6 * HOUR + k * 2 * HOUR, "Internet exposed VM reaches contoso-path", "High", "contoso-path")
    return {"AISPMAttackPath": ["contoso-path"]}


def a_regulated_weakness_stays_open(c):
    for day in (12, 14, 16):
        c.weakness(BEGIN + day * DAY + 4 * HOUR, "AI accounts should restrict network access", "contoso-late", "Unhealthy", BEGIN + 12 * DAY, sub=REGULATED)
    return {"AISPMOverdueRemediation": ["contoso-late"]}


def a_passed_control_fails(c):
    for day, state in ((5, "Healthy"), (9, "Healthy"), (16, "Unhealthy")):
        c.weakness(BEGIN + day * DAY + 4 * HOUR, "AI accounts should log", "contoso-control", state, BEGIN + (16 if day == 16 else 5) * DAY, "Medium")
    return {"AISPMControlRegressed": ["contoso-control"]}


STORIES = [v for k, v in list(globals().items()) if callable(v) and k.startswith(("a_", "an_", "defender_", "one_", "tokens_", "made_", "calls_", "key_", "somebody_", "several_"))]


def copilot_jailbreak_then_labelled_documents():
    """Records of a run of its own, in which activity is kept: who asked a Copilot for what it must not say, and what was read after."""
    def say(t, who, more):
        return {"CreationTime": iso(t)[:-1], "Id": guid(f"{t}{who}"), "Operation": "CopilotInteraction", "OrganizationId": guid("org"), "RecordType": 261, "UserKey": guid(who)[:16],
                "UserType": 0, "Workload": "Copilot", "ClientIP": "203.0.113.7", "UserId": who, "CopilotEventData": {"AppHost": "Word", "AppIdentity": "Copilot.Office.Word", **more}}
    read = {"Messages": [{"Id": "1", "isPrompt": True}], "AccessedResources": [{"Id": "r1", "Name": "Plan.docx", "Action": "Read", "SensitivityLabelId": guid("secret")}]}
    t = LAST + 9 * HOUR
    records = [say(t - 2 * HOUR, "ana@contoso.example", read), say(t, "ana@contoso.example", {"Messages": [{"Id": "1", "isPrompt": True, "JailbreakDetected": True}]}),
               say(t + 600, "ben@contoso.example", read), say(t + 1200, "ana@contoso.example", read), say(t + 1800, "ana@contoso.example", read)]
    return [json.dumps(r) for r in records], {"AISPMChainJailbreakThenData": ["ana@contoso.example"], "AISPMJailbreakNotBlocked": ["ana@contoso.example"]}


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
