"""AWS, Google Cloud, OpenTelemetry and OCSF, through the real binary: what each record means, whatever it came in.

Real records of others are read from AISPM_SHARED where it is; the rest are the samples of this tree and variants of them.
"""
import base64
import gzip
import json

import pytest

from test_formats import (SCHEMAS, SHARED, assert_nothing_empty, assert_valid, events, explain, families,
                          needs_agent, needs_shared, run)

FAMILIES = {"aws_cloudtrail", "bedrock_invocation", "aws_guardduty", "aws_securityhub", "gcp_audit", "gcp_request_response",
            "gcp_scc", "otel_spans", "otel_logs", "ocsf"}
pytestmark = needs_agent


def sample(family, name):
    return SCHEMAS / family / "samples" / f"{name}.in.json"


def of(family, name):
    return events(sample(family, name))


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def shared(name):
    return SHARED / "samples" / name


def columns(event, *names):
    return tuple(event.get(n) for n in names)


def extra(event, name):
    return event["AdditionalFields"].get(name)


# ---- every sample -------------------------------------------------------------------------------------------------------

# What people, models and secrets said in the samples. Each stands there, and must not leave.
SAID = ["order of Mrs Novak", "refunds below 500", "ABSKS3cr3tNeverShown", "Y3VybCBodHRw", "Pa55-never", "takeover plan", "plan of the takeover",
        "forget the rules", "blocked by policy", "boss earn", "boss of Contoso", "one more secret", "suppliers of arms", "these suppliers",
        "layoffs letter", "ill in my team", "k3y-never-shown", "gets the bonus", "bonus goes to", "build a bomb", "patient Novak", "wage list",
        "wages are these", "wage assistant", "everybody in sales", "filter stopped", "about the merger", "merger will be", "insults the merger",
        "board members", "rm -rf everything"]


def test_what_a_written_configuration_says_to_a_model_stays_and_what_it_sets_leaves():
    body = {"properties": {"mode": "Default", "systemPrompt": "be kind to Novak", "instructions": "be kind to Novak", "messages": [{"content": "be kind to Novak"}],
                           "contentFilters": [{"name": "hate", "source": "Prompt", "enabled": False}], "pattern": "Novak"}}
    record = {"time": "2026-10-05T10:00:00Z", "category": "Administrative", "operationName": "Microsoft.CognitiveServices/accounts/raiPolicies/write",
              "resourceId": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/a/raiPolicies/p",
              "properties": {"requestbody": json.dumps(body)}}
    done = run(data=json.dumps(record).encode())
    sent = json.loads(done.stdout)["AdditionalFields"]["RequestBody"]["properties"]
    assert b"Novak" not in done.stdout and sent["mode"] == "Default" and sent["contentFilters"] == body["properties"]["contentFilters"]


def test_nothing_that_was_said_leaves_by_any_way():
    plain = {}
    for family in sorted(FAMILIES):
        for path in sorted((SCHEMAS / family / "samples").glob("*.in.json")):
            done = run("--why", path)
            assert done.returncode == 0 and done.stderr == b""
            plain[path] = done.stdout.decode()
    texts = "".join(p.read_text() for p in plain)
    for e in (json.loads(text) for text in texts.splitlines() if '"data": "' in text and text.startswith("{")):
        texts += str(e)
    for word in SAID:
        assert word in texts, f"{word} is in no sample any more"
        for path, told in plain.items():
            assert word not in told, f"{word} leaves {path}"


def test_every_event_names_cloud_time_and_operation_or_finding():
    seen = set()
    for family in sorted(FAMILIES):
        for path in (SCHEMAS / family / "samples").glob("*.in.json"):
            assert set(families(path)) == {family}
            for e in events(path):
                seen.add(family)
                assert_valid(e)
                assert_nothing_empty(e)
                assert e["TimeGenerated"] < "2026-11", "it is the record's own time"
                for name in ("EventName", "EventMessage", "EventProduct", "EventOriginalUid", "EventOriginalType", "TargetResourceType"):
                    assert name in e, (path.name, name)
                assert "CloudProvider" in e or family.startswith("otel")
    assert seen == FAMILIES


# ---- wrappers ----------------------------------------------------------------------------------------------------------


def b64(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(text).decode()


def subscription(record):
    return {"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"],
            "logEvents": [{"id": "1", "timestamp": 1777885560000, "message": json.dumps(record)}]}


def wrappings(r):
    packed = b64(gzip.compress(json.dumps(subscription(r)).encode()))
    yield "S3 file", {"Records": [r]}
    yield "EventBridge", {"version": "0", "id": "x", "detail-type": "AWS API Call via CloudTrail", "source": "aws.bedrock", "account": "1",
                          "time": "2026-01-01T00:00:00Z", "region": "r", "resources": [], "detail": r}
    yield "LookupEvents", {"Events": [{"EventId": "x", "EventName": "y", "CloudTrailEvent": json.dumps(r)}], "NextToken": "n"}
    yield "CloudWatch", subscription(r)
    yield "Lambda", {"awslogs": {"data": packed}}
    yield "Kinesis", {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"partitionKey": "p", "data": packed}}]}
    yield "Firehose", {"requestId": "q", "timestamp": 1777885560000, "records": [{"data": packed}]}
    yield "SNS", {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(r)}
    yield "push", {"message": {"data": b64(r), "messageId": "1", "publishTime": "2026-01-01T00:00:00Z", "attributes": {}}, "subscription": "s"}
    yield "pull", {"receivedMessages": [{"ackId": "a", "message": {"data": b64(r), "messageId": "1"}, "deliveryAttempt": 2}]}
    yield "message", {"data": b64(r), "message_id": "1", "attributes": {}}
    yield "decoded", {"message": {"data": r, "messageId": "1"}, "subscription": "s"}
    yield "entries", {"entries": [r], "nextPageToken": "t"}


@pytest.mark.parametrize("family,name", [("aws_cloudtrail", "changes_sagemaker"), ("bedrock_invocation", "s3_file"), ("gcp_audit", "admin_activity")])
def test_a_record_gives_the_same_event_in_every_wrapper_of_its_clouds(family, name):
    record = records(sample(family, name))[0]
    plain = explain(record)
    assert len(plain) == 1
    for wrapper, wrapped in wrappings(record):
        assert explain(wrapped) == plain, wrapper
    assert events(data=gzip.compress(json.dumps({"Records": [record]}).encode())) == plain


def test_what_a_message_holds_instead_of_a_record_is_forwarded_as_unknown():
    got = explain({"message": {"data": "bm8ganNvbg==", "messageId": "1"}, "subscription": "s"})
    assert len(got) == 1 and got[0]["EventName"] == "Unknown record"
    assert "no json" not in json.dumps(got)


# ---- CloudTrail ------------------------------------------------------------------------------------------------------------


def test_cloudtrail_tells_who_called_which_model_and_what_it_took():
    got = of("aws_cloudtrail", "runtime_calls")
    who = ("ActorUserId", "ActorUsername", "ActorUserType", "ActingAppId", "SrcIpAddr")
    assert columns(got[0], *who) == ("arn:aws:sts::210987654321:assumed-role/AiPlatformEngineer/maria.fernandez", "maria.fernandez", "AssumedRole",
                                     "arn:aws:iam::210987654321:role/AiPlatformEngineer", "198.51.100.24")
    call = ("Operation", "EventResult", "HttpStatusCode", "EventSeverity", "AiModelName", "RequestCount", "PromptTokens", "CompletionTokens")
    assert columns(got[0], *call) == ("Converse", "Success", None, "Informational", "anthropic.claude-sonnet-4-20250514-v1:0", 1, 1834, 412)
    assert columns(got[1], *call) == ("InvokeModelWithResponseStream", "Failure", 403, "Low", "anthropic.claude-3-haiku-20240307-v1:0", 1, None, None)
    assert columns(got[2], *call) == ("InvokeModel", "Failure", 429, "Informational", "amazon.nova-lite-v1:0", 1, None, None)
    assert [extra(e, "AuthKind") for e in got[:4]] == ["temporary_key", "long_term_key", "temporary_key", "api_key"]
    assert extra(got[0], "InferenceRegion") == "eu-central-1" and extra(got[2], "GuardrailId") == "gr7x2k9q1abc"
    assert extra(got[1], "ErrorCode") == "AccessDenied" and "not authorized" in got[1]["EventMessage"]
    assert [e["TargetResourceType"] for e in got] == ["amazon_bedrock"] * 5 + ["amazon_sagemaker"]
    assert got[2]["TargetResourceId"] == "amazon.nova-lite-v1:0", "the model, not its guardrail"
    assert got[4]["TargetResourceId"].endswith("agent-alias/AGENT12345/TSTALIASID")
    assert got[5]["AiDeployment"] == "fraud-prod"
    for e in got:
        assert e["RequestCount"] == 1 and e["CloudRegion"] == "eu-west-1" and e["CloudAccountId"] == "210987654321"
        assert "RequestBody" not in e["AdditionalFields"] and "ChangeKind" not in e["AdditionalFields"]


def cloudtrail(name, source="bedrock.amazonaws.com", **members):
    record = dict(records(sample("aws_cloudtrail", "changes_sagemaker"))[0], eventName=name, eventSource=source, requestParameters={"x": 1})
    record.update(members)
    return record


CHANGES = {
    "bedrock.amazonaws.com": {
        "DeleteModelInvocationLoggingConfiguration": ("High", "logging"), "PutModelInvocationLoggingConfiguration": ("Medium", "logging"),
        "DeleteGuardrail": ("High", "guardrail"), "UpdateGuardrail": ("Medium", "guardrail"), "CreateGuardrail": ("Informational", "guardrail"),
        "DeleteGuardrailVersion": ("Medium", "guardrail"), "PutEnforcedGuardrailConfiguration": ("Medium", "guardrail"),
        "DeleteEnforcedGuardrailConfiguration": ("High", "guardrail"), "PutUseCaseForModelAccess": ("Medium", "access"),
        "PutFoundationModelEntitlement": ("Medium", "access"), "CreateFoundationModelAgreement": ("Medium", "access"),
        "PutResourcePolicy": ("Medium", "access"), "CreateModelCustomizationJob": ("Medium", "model"), "CreateModelImportJob": ("Medium", "model"),
        "DeleteImportedModel": ("Medium", "model"), "CreateCustomModelDeployment": ("Medium", "endpoint"), "UpdateProvisionedModelThroughput": ("Medium", "endpoint"),
        "CreateInferenceProfile": ("Low", "endpoint"), "DeleteMarketplaceModelEndpoint": ("Medium", "endpoint"), "UpdateAgent": ("Medium", "agent"),
        "CreateAgentActionGroup": ("Medium", "agent"), "UpdateAgentAlias": ("Low", "agent"), "AssociateAgentKnowledgeBase": ("Medium", "data"),
        "AssociateAgentCollaborator": ("Medium", "agent"), "DeleteKnowledgeBase": ("Medium", "data"), "UpdateDataSource": ("Medium", "data"),
        "StartIngestionJob": ("Low", "data"), "CreateFlow": ("Low", "agent"), "UpdatePrompt": ("Low", "agent"), "CreateGateway": ("Medium", "agent"),
        "CreateModelInvocationJob": ("Medium", "model"), "DeleteSomethingNew": ("Low", "other"), "TagResource": ("Low", "tag")},
    "sagemaker.amazonaws.com": {
        "CreateEndpoint": ("Medium", "endpoint"), "UpdateEndpointWeightsAndCapacities": ("Medium", "endpoint"), "DeleteEndpointConfig": ("Medium", "endpoint"),
        "CreateModel": ("Medium", "model"), "UpdateModelPackage": ("Medium", "model"), "CreateNotebookInstanceLifecycleConfig": ("High", "code"),
        "CreateStudioLifecycleConfig": ("High", "code"), "StopNotebookInstance": ("Low", "notebook"), "CreatePresignedNotebookInstanceUrl": ("Medium", "access"),
        "PutModelPackageGroupPolicy": ("Medium", "access"), "DeleteMonitoringSchedule": ("High", "logging"), "UpdateDomain": ("Medium", "domain"),
        "CreateTrainingJob": ("Low", "model"), "AddTags": ("Low", "tag")}}


def test_every_operation_that_changes_aws_ai_is_marked_and_weighed():
    for source, operations in CHANGES.items():
        got = explain(*[cloudtrail(o, source) for o in operations])
        assert {e["Operation"]: (e["EventSeverity"], extra(e, "ChangeKind")) for e in got} == operations
        for e in got:
            assert e["EventClass"] == "activity" and extra(e, "RequestBody") == {"x": 1} and "RequestCount" not in e


def test_what_only_reads_or_belongs_to_others_is_no_change():
    reads = ["GetGuardrail", "ListGuardrails", "GetModelInvocationLoggingConfiguration", "ListKnowledgeBases", "GetKnowledgeBase", "GetAgent", "ListTagsForResource"]
    got = explain(*[cloudtrail(o, readOnly=True) for o in reads], cloudtrail("DescribeEndpoint", "sagemaker.amazonaws.com", readOnly=True),
                  cloudtrail("CreateApp", "amplify.amazonaws.com"), cloudtrail("DeleteGuardrail", "control-tower.amazonaws.com"))
    for e in got:
        assert e["EventSeverity"] == "Informational" and extra(e, "ChangeKind") is None and "RequestCount" not in e, e["Operation"]
    assert [e["TargetResourceType"] for e in got[-2:]] == ["other", "other"]


def test_a_change_is_weighed_by_what_it_says():
    got = of("aws_cloudtrail", "changes_bedrock")
    weight = [(e["Operation"], e["EventSeverity"], e["EventResult"]) for e in got]
    assert weight[:4] == [("PutModelInvocationLoggingConfiguration", "High", "Success"), ("PutModelInvocationLoggingConfiguration", "Medium", "Success"),
                          ("UpdateGuardrail", "High", "Success"), ("DeleteGuardrail", "Low", "Failure")]
    no_place = cloudtrail("PutModelInvocationLoggingConfiguration", requestParameters={"loggingConfig": {"textDataDeliveryEnabled": True}})
    assert explain(no_place)[0]["EventSeverity"] == "High", "nowhere to log to"
    agent = got[4]
    assert agent["AiModelName"] == "anthropic.claude-sonnet-4-20250514-v1:0" and agent["TargetResourceName"] == "AGENT12345"
    assert extra(agent, "RequestBody")["instruction"] == "(redacted)" and extra(agent, "RequestBody")["agentName"] == "support"
    assert set(extra(agent, "Instruction")) == {"length", "sha256"}
    key = got[7]
    assert columns(key, "TargetResourceType", "EventSeverity") == ("amazon_bedrock", "Medium") and extra(key, "ChangeKind") == "key"
    script = of("aws_cloudtrail", "changes_sagemaker")[0]
    assert script["EventSeverity"] == "High" and extra(script, "StartScript")["length"] == 36


def test_cloudtrail_actors_of_all_kinds():
    lake, service, root, other, agentcore = of("aws_cloudtrail", "oddities")
    assert columns(lake, "ActorUsername", "TargetResourceId", "TimeGenerated") == ("maria.fernandez", "gr7x2k9q1abc", "2026-05-04T08:33:30.000Z")
    assert columns(service, "ActorUserId", "ActorUserType") == ("bedrock.amazonaws.com", "AWSService") and "SrcIpAddr" not in service
    assert extra(service, "SourceAddress") == "bedrock.amazonaws.com"
    assert columns(root, "ActorUsername", "ActorUserType") == ("root", "Root") and extra(root, "SourceAddress") == "AWS Internal"
    assert columns(other, "TargetResourceType", "EventSeverity") == ("other", "Informational")
    assert columns(agentcore, "EventResult", "HttpStatusCode", "TargetResourceType") == ("Failure", 424, "amazon_bedrock")


def test_the_copies_of_two_records_with_one_event_id_are_told_apart():
    a = cloudtrail("UpdateGuardrail")
    one, again, other = explain(a, dict(reversed(a.items())), dict(a, eventName="DeleteGuardrail"))
    assert one["EventId"] == again["EventId"] != other["EventId"]


@needs_shared
def test_the_real_cloudtrail_records_come_out_right():
    delete, listed = events(shared("E_cloudtrail/panther_bedrock_delete_logging.ndjson"))
    assert columns(delete, "TimeGenerated", "EventSeverity", "ActorUsername", "SrcIpAddr", "CloudRegion", "TargetResourceType") == \
        ("2025-01-21T17:49:47.000Z", "High", "dr.evil", "161.97.249.211", "us-west-2", "amazon_bedrock")
    assert extra(delete, "ChangeKind") == "logging" and extra(listed, "ChangeKind") is None
    update, gone, _ = events(shared("E_cloudtrail/panther_bedrock_guardrail.ndjson"))
    assert [e["EventSeverity"] for e in (update, gone)] == ["Medium", "High"]
    assert update["TargetResourceName"] == gone["TargetResourceName"] == "cmy5azq5koeo"
    stratus = events(shared("E_cloudtrail/stratus_bedrock_invoke_model.ndjson"))
    assert len({e["EventId"] for e in stratus}) == len(stratus) == 15
    assert all(e["ActorUsername"] == "cli" and "SrcIpAddr" not in e and extra(e, "SourceAddress") == "035.249.253.232" for e in stratus)
    assert sorted(e["Operation"] for e in stratus if extra(e, "ChangeKind") == "access") == \
        ["CreateFoundationModelAgreement", "PutFoundationModelEntitlement", "PutUseCaseForModelAccess"]
    assert [e["AiModelName"] for e in stratus if "RequestCount" in e] == ["anthropic.claude-3-sonnet-20240229-v1:0"]
    runtime, = events(shared("E_cloudtrail_sumologic/bedrock_agentcore_createagentruntime.ndjson"))
    call, = events(shared("E_cloudtrail_sumologic/bedrock_invokemodel.ndjson"))
    tags, = events(shared("E_cloudtrail_sumologic/sagemaker_listtags.ndjson"))
    assert runtime["EventId"] != call["EventId"]
    assert columns(runtime, "TargetResourceId", "ActorUsername", "EventSeverity") == ("CustomerSupportAgent", "developer", "Medium")
    assert columns(call, "RequestCount", "ActorUserType", "SrcIpAddr") == (1, "IAMUser", "182.70.74.235") and extra(call, "AuthKind") == "long_term_key"
    assert columns(tags, "TargetResourceType", "TargetResourceName", "EventSeverity") == ("amazon_sagemaker", "anemaNoteBook", "Informational")


# ---- Bedrock's own log ------------------------------------------------------------------------------------------------------


def test_an_invocation_log_counts_tokens_and_shows_guardrails_and_no_word():
    got = of("bedrock_invocation", "s3_file")
    facts = ("Operation", "AiModelName", "PromptTokens", "CompletionTokens", "DurationMs", "EventResult", "EventSeverity")
    assert [columns(e, *facts) for e in got] == [
        ("Converse", "anthropic.claude-sonnet-4-20250514-v1:0", 3, 210, 5120, "Success", "Informational"),
        ("InvokeModelWithResponseStream", "pm0001", 15, 0, 640, "Partial", "Medium"),
        ("Converse", "amazon.nova-lite-v1:0", 0, 0, 310, "Partial", "Medium"),
        ("InvokeModel", "amazon.titan-text-express-v1", 91000, 4000, None, "Success", "Informational"),
        ("InvokeModel", "amazon.nova-pro-v1:0", None, None, None, "Failure", "Low")]
    assert extra(got[0], "CacheWriteTokens") == 28857 and extra(got[0], "RequestMetadata") == {"team": "legal"}
    assert [extra(e, "GuardrailFilter") for e in got[1:3]] == ["PROMPT_ATTACK", "NAME"]
    assert got[1]["AttackTechniques"] == "AML.T0051" and "AttackTechniques" not in got[2]
    assert got[1]["AiDeployment"] == "pm0001" and got[1]["ActorUserType"] == "IAMUser"
    assert got[4]["HttpStatusCode"] == 429
    for e in got:
        assert e["EventClass"] == "activity" and e["RequestCount"] == 1 and e["TargetResourceType"] == "amazon_bedrock"
    assert set(extra(got[0], "InputBody")) == {"length", "sha256"}
    watched = json.loads(json.dumps(records(sample("bedrock_invocation", "s3_file"))[1]).replace("INTERVENED", "NONE"))
    assert explain(watched)[0]["EventResult"] == "Success", "a guardrail that only watches"


@needs_shared
def test_the_real_invocation_logs_come_out_right():
    got = events(shared("E_bedrock_invocation/panther_guardrailintervened.ndjson"))
    assert [e["EventResult"] for e in got] == ["Success", "Success", "Partial", "Partial"]
    assert extra(got[3], "GuardrailFilter") == "VIOLENCE" and got[3]["TimeGenerated"] == "2025-05-15T14:14:49.000Z"
    tokens = events(shared("E_bedrock_invocation/panther_abnormaltokenusage.ndjson"))
    assert [extra(e, "TotalTokens") for e in tokens] == [2000, 5000, 0, 0]
    assert [columns(e, "PromptTokens", "CompletionTokens", "DurationMs") for e in tokens] == [(0, 0, 249)] * 4
    assert len({e["EventId"] for e in tokens}) == 4
    assert {e["ActorUsername"] for e in tokens} == {"suspicious.user", "regular.user"}


# ---- GuardDuty, Security Hub -------------------------------------------------------------------------------------------------


def test_guardduty_findings_on_ai_are_alerts_with_their_technique():
    harvest, = of("aws_guardduty", "eventbridge_cost_harvesting")
    assert columns(harvest, "EventClass", "EventSeverity", "TargetResourceType", "AiModelName", "AttackTechniques", "AttackTactics", "EventCount", "SrcIpAddr") == \
        ("alert", "Low", "amazon_bedrock", "anthropic.claude-sonnet-4-20250514-v1:0", "AML.T0034", "Impact", 4, "198.51.100.200")
    assert columns(harvest, "EventStartTime", "EventEndTime") == ("2026-05-04T07:00:00.000Z", "2026-05-04T09:10:00.000Z")
    assert extra(harvest, "IsAiAlert") is True and harvest["EventUrl"].endswith("fId=" + harvest["EventOriginalUid"])
    through, blocked, other = of("aws_guardduty", "s3_export")
    assert [(e["EventSeverity"], e["EventResult"]) for e in (through, blocked, other)] == [("Medium", "Success"), ("Low", "Failure"), ("High", "NA")]
    assert extra(other, "IsAiAlert") is None and other["TargetResourceType"] == "other"
    api, = of("aws_guardduty", "get_findings")
    assert columns(api, "EventSeverity", "TargetResourceType", "Operation") == ("Medium", "amazon_bedrock", "DeleteModelInvocationLoggingConfiguration")
    assert extra(api, "IsSample") is True


@pytest.mark.parametrize("number,word", [(0.5, "Informational"), (1, "Low"), (3.9, "Low"), (4, "Medium"), (6.9, "Medium"), (7, "High"), (8.9, "High"), (9, "Critical"),
                                         (9.5, "Critical"), (10, "Critical"), (10.0, "Critical")])
def test_guardduty_severity_by_number(number, word):
    finding = records(sample("aws_guardduty", "s3_export"))[2]
    assert explain(dict(finding, severity=number))[0]["EventSeverity"] == word


def test_an_updated_finding_is_a_new_event():
    finding = records(sample("aws_guardduty", "s3_export"))[0]
    a, b, c = explain(finding, dict(reversed(finding.items())), dict(finding, updatedAt="2026-05-05T00:00:00.000Z"))
    assert a["EventId"] == b["EventId"] != c["EventId"]


def test_security_hub_controls_are_recommendations_and_findings_of_others_alerts():
    notebook, runtime = of("aws_securityhub", "eventbridge_imported")
    wanted = ("EventClass", "EventSeverity", "RecommendationState", "TargetResourceType", "TargetResourceName")
    assert columns(notebook, *wanted) == ("recommendation", "High", "Unhealthy", "amazon_sagemaker", "nb1")
    assert columns(runtime, *wanted) == ("recommendation", "Medium", "Healthy", "amazon_bedrock", "helper-1")
    assert extra(notebook, "ControlId") == "SageMaker.1" and extra(notebook, "IsAiFinding") is True
    threat, bucket = of("aws_securityhub", "findings_of_others")
    assert columns(threat, "EventClass", "TargetResourceType", "ActorUsername", "SrcIpAddr", "EventProduct", "AttackTactics") == \
        ("alert", "amazon_bedrock", "ChatBackend", "198.51.100.77", "GuardDuty", "DefenseEvasion")
    assert columns(bucket, *wanted[:4]) == ("recommendation", "Critical", "NotApplicable", "other")


# ---- Google Cloud ---------------------------------------------------------------------------------------------------------------


def test_google_data_access_is_calls_of_models():
    stream, quota, denied, bidi, listed = of("gcp_audit", "data_access")
    call = ("EventResult", "HttpStatusCode", "EventSeverity", "RequestCount", "AiModelName", "AiModelVersion", "AiDeployment", "ActorUserType")
    assert columns(stream, *call) == ("Success", None, "Informational", 1, "gemini-2.5-pro", None, None, "Service")
    assert columns(quota, *call) == ("Failure", 429, "Medium", 1, None, None, "4711", "User")
    assert columns(denied, *call) == ("Failure", 403, "Medium", 1, "gemini-2.5-flash", "001", None, "User")
    assert columns(bidi, "EventResult", "RequestCount") == ("NA", None), "of a long call the last record counts"
    assert columns(listed, "RequestCount", "EventSeverity") == (None, "Informational") and extra(listed, "ChangeKind") is None
    assert extra(quota, "ErrorCode") == "RESOURCE_EXHAUSTED" and extra(denied, "PermissionDenied") == "aiplatform.x"
    for e in (stream, quota, denied):
        assert e["CloudAccountId"] == "contoso-ai" and e["CloudRegion"] == "europe-west4" and "RequestBody" not in e["AdditionalFields"]


def test_google_changes_are_marked_and_weighed():
    got = of("gcp_audit", "admin_activity")
    seen = [(e["Operation"].rsplit(".", 2)[-1], e["EventSeverity"], e["EventResult"], extra(e, "ChangeKind"), e["TargetResourceType"]) for e in got]
    v = "gcp_vertex_ai"
    assert seen == [
        ("DeployModel", "Medium", "NA", "endpoint", v), ("DeployModel", "Medium", "Success", "endpoint", v),
        ("CreateReasoningEngine", "Medium", "Success", "agent", v), ("SetPublisherModelConfig", "High", "Success", "logging", v),
        ("ExportModel", "High", "Success", "model", v), ("DeleteTemplate", "High", "Success", "guardrail", v),
        ("SetIamPolicy", "High", "Success", "access", v), ("UpdateInstance", "Medium", "Success", "notebook", v),
        ("CreateVersion", "Medium", "Success", "model", "gcp_ai_platform"), ("SetIamPolicy", "High", "Success", "logging", "other"),
        ("delete", "Informational", "Success", None, "other")]
    assert got[0]["AdditionalFields"]["OperationId"] == got[1]["AdditionalFields"]["OperationId"] and got[0]["EventId"] != got[1]["EventId"]
    assert got[2]["TargetResourceName"] == "77", "what was made, not where"
    assert extra(got[0], "RequestBody")["deployedModel"]["displayName"] == "fraud-2"
    assert columns(got[8], "AiModelName", "AiModelVersion") == ("old_fraud", "v3")
    assert extra(got[6], "PolicyDelta")["bindingDeltas"][0]["member"] == "allUsers"
    assert "SrcIpAddr" not in got[10] and extra(got[10], "SourceAddress") == "gce-internal-ip"


def test_google_service_account_keys_and_impersonation_are_seen():
    deleted, = of("gcp_audit", "pubsub_push")
    assert columns(deleted, "ActorUserType", "ActorUsername") == ("Service", "deployer@contoso-ai.iam.gserviceaccount.com")
    assert extra(deleted, "AuthKind") == "long_term_key" and extra(deleted, "ImpersonatedBy") == "ci@contoso-ai.iam.gserviceaccount.com"


def test_any_version_of_the_api_is_known_by_service_and_method():
    record = records(sample("gcp_audit", "admin_activity"))[3]
    for version in ("v1", "v1beta1", "ui", "internal", "v2alpha"):
        record["protoPayload"]["methodName"] = f"google.cloud.aiplatform.{version}.EndpointService.SetPublisherModelConfig"
        assert explain(record)[0]["EventSeverity"] == "High"
    record["protoPayload"]["request"]["publisherModelConfig"]["loggingConfig"]["enabled"] = True
    assert explain(record)[0]["EventSeverity"] == "Informational", "logging on"


@needs_shared
def test_the_real_google_audit_records_come_out_right():
    predict, = events(shared("F_gcp_audit/google.cloud.aiplatform.v1.PredictionService.Predict.ndjson"))
    assert columns(predict, "TimeGenerated", "AiModelName", "AiModelVersion", "CloudRegion", "CloudAccountId", "ActorUsername", "SrcIpAddr", "EventResult", "RequestCount") == \
        ("2024-02-22T14:33:29.284Z", "code-bison", "002", "us-central1", "my-project", "test-user@example.com", "203.0.113.255", "Success", 1)
    generate, = events(shared("F_gcp_audit/google.cloud.aiplatform.v1beta1.PredictionService.GenerateContent.ndjson"))
    assert columns(generate, "AiModelName", "TargetResourceType", "EventOriginalUid") == ("gemini-1.0-pro-001", "gcp_vertex_ai", "a9mqkae614f2")


def test_a_request_response_row_counts_what_was_thought_too():
    pro, blocked, endpoint, safety = of("gcp_request_response", "bigquery_rows")
    facts = ("EventResult", "EventSeverity", "AiModelName", "PromptTokens", "CompletionTokens", "DurationMs")
    assert columns(pro, *facts) == ("Success", "Informational", "gemini-2.5-pro", 3, 930, 11226)
    assert columns(blocked, *facts) == ("Partial", "Medium", "gemini-2.5-flash", 9, None, 80)
    assert columns(safety, *facts) == ("Partial", "Medium", "gemini-2.5-pro", 12, 0, None)
    assert columns(endpoint, "AiDeployment", "EventOriginalUid", "CloudRegion") == ("5555", "4611686018427387903", "europe-west4"), "no digit lost"
    assert extra(pro, "TotalTokens") == 933 and pro["AiModelVersion"] == "gemini-2.5-pro-preview" and "AiModelVersion" not in safety


def test_security_command_center_by_class_and_cloud():
    public, threat, toxic, bedrock = of("gcp_scc", "notifications")
    facts = ("EventClass", "EventSeverity", "TargetResourceType", "CloudProvider", "CloudAccountId", "RecommendationState")
    assert columns(public, *facts) == ("recommendation", "High", "gcp_vertex_ai", "GCP", "contoso-ai", "Unhealthy")
    assert columns(threat, *facts) == ("alert", "Medium", "gcp_vertex_ai", "GCP", "contoso-ai", None)
    assert columns(toxic, *facts) == ("attack_path", "Critical", "gcp_vertex_ai", "GCP", "contoso-ai", "Unhealthy")
    assert columns(bedrock, *facts) == ("recommendation", "Low", "amazon_bedrock", "AWS", "210987654321", "Healthy")
    assert columns(threat, "AttackTactics", "ActorUserType", "SrcIpAddr", "AiModelName") == ("InitialAccess,Exfiltration", "Service", "198.51.100.66", "gemini-2.5-pro")
    assert all(extra(e, "IsAiFinding") is True for e in (public, threat, toxic, bedrock))
    broken, = of("gcp_scc", "pubsub_decoded_object")
    assert broken["TimeGenerated"] == "2026-05-04T11:59:00.250Z", "of a broken time the time it was made"
    firewall, = of("gcp_scc", "list_findings")
    assert firewall["TargetResourceType"] == "other" and extra(firewall, "IsAiFinding") is None


@needs_shared
def test_the_real_security_command_center_findings_come_out_right():
    got = events(shared("F_scc_security_response_automation/scc_findings.ndjson"))
    assert [(e["EventClass"], e["EventSeverity"]) for e in got] == [("alert", "Medium"), ("recommendation", "Medium"), ("recommendation", "High"),
                                                                    ("recommendation", "High"), ("recommendation", "High"), ("recommendation", "High")]
    assert [e["CloudAccountId"] for e in got[1:4]] == ["unique-test", "test-project", "test-project"]
    assert all(e["RecommendationState"] == "Unhealthy" for e in got[1:])


# ---- OpenTelemetry ----------------------------------------------------------------------------------------------------------------


def test_each_gen_ai_span_is_an_event_and_an_agents_own_counts_no_token_twice():
    got = of("otel_spans", "gateway_trace")
    facts = ("Operation", "AiModelName", "PromptTokens", "CompletionTokens", "RequestCount", "DurationMs", "EventResult", "EventSeverity")
    assert [columns(e, *facts) for e in got] == [
        ("chat", "gpt-4o-2024-08-06", 571, 42, 1, 1234, "Success", "Informational"),
        ("chat", "gpt-4o", None, None, 1, 50, "Failure", "Low"),
        ("invoke_agent", None, None, None, None, 3000, "Success", "Informational"),
        ("execute_tool", None, None, None, None, 20, "Success", "Informational"),
        (None, "gemini-2.5-pro", 33, 7, 1, 700, "Partial", "Medium")]
    assert [e["TargetResourceType"] for e in got] == ["azure_openai", "azure_openai", "azure_openai", "other", "gcp_vertex_ai"]
    assert [e["ActingAppId"] for e in got] == ["chat-gateway"] * 4 + ["litellm"], "each span has its own resource"
    assert columns(got[0], "ActorUserId", "SrcIpAddr", "EventVendor", "CloudRegion", "EventOriginalUid") == \
        ("u-4711", "198.51.100.5", "azure.ai.openai", "westeurope", "5b8efff798038103d269b633813fc60c/eee19b7ec3c1b001")
    assert got[1]["HttpStatusCode"] == 429 and extra(got[2], "SummedInputTokens") == 1200 and extra(got[3], "ToolName") == "get_wages"
    assert columns(got[0], "EventStartTime", "EventEndTime", "TimeGenerated") == \
        ("2026-05-04T11:20:01.000Z", "2026-05-04T11:20:02.234Z", "2026-05-04T11:20:02.234Z")
    home, = of("otel_spans", "self_hosted_numbers")
    assert columns(home, *facts[1:5]) == ("meta-llama/Llama-3.3-70B-Instruct", 12, 345, 1)


def test_the_old_and_the_new_names_of_otel_mean_the_same():
    record = json.loads(sample("otel_spans", "gateway_trace").read_text())
    new = explain(record)[0]
    text = json.dumps(record).replace("gen_ai.provider.name", "gen_ai.system").replace("usage.input_tokens", "usage.prompt_tokens") \
        .replace("usage.output_tokens", "usage.completion_tokens").replace("azure.ai.openai", "az.ai.openai")
    old = events(data=text.encode())[0]
    assert columns(old, "PromptTokens", "CompletionTokens", "TargetResourceType", "EventId") == columns(new, "PromptTokens", "CompletionTokens", "TargetResourceType", "EventId")


def test_spans_of_others_make_no_event():
    record = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [{"traceId": "0" * 32, "spanId": "1" * 16, "name": "GET", "attributes": [
        {"key": "http.method", "value": {"stringValue": "GET"}}]}]}]}]}
    assert explain(record) == []
    told = run("--why", data=json.dumps(record).encode()).stdout.decode()
    assert "element 1 makes no event" in told


def test_otel_logs_count_the_call_once_and_hide_what_was_said():
    got = of("otel_logs", "events")
    assert [e["EventOriginalType"] for e in got] == ["gen_ai.client.inference.operation.details", "gen_ai.user.message", "gen_ai.choice", "gen_ai.evaluation.result"]
    assert [e.get("RequestCount") for e in got] == [1, None, None, None]
    assert columns(got[0], "PromptTokens", "CompletionTokens", "AiModelName", "TargetResourceType", "CloudProvider") == \
        (90, 11, "anthropic.claude-sonnet-4-20250514-v1:0", "amazon_bedrock", "AWS")
    assert got[3]["EventSeverity"] == "High" and extra(got[3], "EvaluationLabel") == "fail" and extra(got[3], "EvaluationScore") == 0.93
    assert len({e["EventId"] for e in got}) == 4


# ---- OCSF -------------------------------------------------------------------------------------------------------------------------


def test_ocsf_classes_come_in_as_ours():
    call, control, malware = of("ocsf", "events")
    assert columns(call, "EventClass", "EventResult", "Operation", "AiModelName", "PromptTokens", "CompletionTokens", "RequestCount", "ActorUsername", "SrcIpAddr",
                   "TargetResourceType", "HttpUserAgent") == ("activity", "Failure", "InvokeModel", "amazon.nova-pro-v1:0", 17, 0, 1, "batch", "198.51.100.9",
                                                              "amazon_bedrock", "Boto3/1.40")
    assert columns(control, "EventClass", "EventSeverity", "RecommendationState", "TargetResourceType", "EventResult") == \
        ("recommendation", "High", "Unhealthy", "amazon_bedrock", "NA")
    assert columns(malware, "EventClass", "EventSeverity", "CloudProvider", "TargetResourceType", "SrcIpAddr", "TimeGenerated") == \
        ("alert", "Critical", "GCP", "gcp_vertex_ai", "203.0.113.4", "2026-05-04T12:00:00.789Z")


@needs_shared
def test_the_real_ocsf_finding_comes_out_right_and_schemas_are_no_events():
    got, = events(shared("G_ocsf/sechub_guardduty_ocsf_example.ndjson"))
    assert columns(got, "EventClass", "EventSeverity", "EventProduct", "CloudProvider", "CloudAccountId", "CloudRegion", "SrcIpAddr", "Operation", "ActorUsername",
                   "ActorUserType", "AttackTactics", "EventStartTime") == \
        ("alert", "Low", "GuardDuty", "AWS", "111111111111", "us-east-2", "52.94.133.131", "DeleteTrail", "Admin", "AssumedRole", "DefenseEvasion",
         "2023-09-19T14:55:09.000Z")
    for path in shared("G_ocsf").glob("*s__*.ndjson"):
        assert set(families(path)) == {"unknown"}, path.name


# ---- explain ----------------------------------------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("name,family", [("E_cloudtrail", "aws_cloudtrail"), ("E_cloudtrail_sumologic", "aws_cloudtrail"), ("E_bedrock_invocation", "bedrock_invocation"),
                                         ("F_gcp_audit", "gcp_audit"), ("F_scc_security_response_automation", "gcp_scc")])
def test_explain_says_which_path_filled_each_column_of_a_real_record(name, family):
    for path in sorted(shared(name).glob("*.ndjson")):
        assert set(families(path)) == {family}
        told = run("--why", path).stdout.decode()
        for column in ("TimeGenerated", "EventOriginalUid", "EventSeverity", "TargetResourceType"):
            lines = [line for line in told.splitlines() if line.startswith(f"  {column} ")]
            assert lines and all(f"{family}/mapping.yaml:" in line for line in lines), column
        for e in events(path):
            assert_valid(e)
            assert_nothing_empty(e)


