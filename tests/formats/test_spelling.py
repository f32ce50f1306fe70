"""One thing has one spelling, whichever record it comes from: the table "One spelling" of schemas/README.md, over every sample and every real record.

An analyst writes one rule for all clouds: `summarize by CloudAccountId, TargetResourceName` must put together what is one resource.
"""
import csv
import fnmatch
import ipaddress
import json
import re

import pytest

from test_formats import REAL, SAMPLES, SCHEMAS, events, ids, needs_agent, needs_shared, out_of

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = r"(?:AML\.)?T\d{4}(?:\.\d{3})?"
TECHNIQUES = re.compile(f"{ID}(?:,{ID})*")
README = (SCHEMAS / "README.md").read_text()
SPELLING = README[README.index("## One spelling"):README.index("## The mapping language")]


def row(column):
    """What the table says of a column."""
    return re.search(rf"^\| [^|]*\b{column}\b[^|]*\|([^|]*)\|", SPELLING, re.M)[1]


USER_TYPES = set(re.findall(r"`(\w+)`", row("ActorUserType")))
VENDORS = set(re.findall(r"`([\w-]+)`", row("EventVendor")))
CLOUD_OF = {"azure": "Azure", "amazon": "AWS", "gcp": "GCP"}


def top_of(resource):
    """The first resource's name behind an Azure id's provider; else the group's, else the subscription's."""
    found = re.match(r"(?:/subscriptions/([^/]+)(?:/resourcegroups/([^/]+))?)?(?:/tenants/[^/]+)?(?:/providers/[^/]+/[^/]+/([^/]+))?", resource, re.I)
    return found and (found[3] or found[2] or found[1])


def faults(family, e):
    """What of an event is not spelled as the table says."""
    def wrong(column, says):
        bad.append(f"{column} {e.get(column)!r}: {says}")
    bad = []
    cloud, resource, name = (e.get(c, "") for c in ("CloudProvider", "TargetResourceId", "TargetResourceName"))
    for column in ("CloudAccountId", "ActorUserId", "ActingAppId"):
        if GUID.fullmatch(e.get(column, "")) and e[column] != e[column].lower():
            wrong(column, "a GUID is in lower case")
    if cloud == "AWS" and not family.startswith("defender_") and not re.fullmatch(r"\d{12}", e.get("CloudAccountId", "0" * 12)):
        wrong("CloudAccountId", "twelve digits")
    if not re.fullmatch(r"[a-z0-9-]+|[A-Z]{2}", e.get("CloudRegion", "x")):
        wrong("CloudRegion", "lower case without blanks, or a country's two letters")
    if name != name.lower() and resource.startswith("/SUBSCRIPTIONS/") and "/PRICINGS/" not in resource:
        wrong("TargetResourceName", "of an id in capitals in lower case")
    if re.match("/(subscriptions|providers)/", resource, re.I) and family in ONE_NAME and "/alerts/" not in resource and top_of(resource).lower() != name.lower():
        wrong("TargetResourceName", f"the top resource of {resource}")
    if resource.startswith("arn:") and name != re.split("[/:]", resource, maxsplit=0)[-1] and name != resource.rsplit("/", 1)[-1]:
        wrong("TargetResourceName", f"the end of {resource}")
    kind = e.get("TargetResourceType", "other").split("_")[0]
    if kind in CLOUD_OF and cloud and cloud != CLOUD_OF[kind]:
        wrong("TargetResourceType", f"not of {cloud}")
    if e.get("ActorUserType") and e["ActorUserType"] not in USER_TYPES:
        wrong("ActorUserType", "not in the table")
    if family not in ("otel_spans", "otel_logs", "ocsf", "aws_securityhub") and e.get("EventVendor", "Microsoft") not in VENDORS:
        wrong("EventVendor", "not in the table")
    if e.get("EventVendor", "").lower() in ("amazon", "amazon web services", "google cloud", "gcp", "azure"):
        wrong("EventVendor", "not the table's word for it")
    if "SrcIpAddr" in e and str(ipaddress.ip_address(e["SrcIpAddr"])) != e["SrcIpAddr"]:
        wrong("SrcIpAddr", "RFC 5952's spelling")
    if not TECHNIQUES.fullmatch(e.get("AttackTechniques", "T1078")):
        wrong("AttackTechniques", "ids of ATT&CK and ATLAS, joined by commas")
    for column in ("TimeGenerated", "EventStartTime", "EventEndTime", "SlaDueTime"):
        if not TIME.fullmatch(e.get(column, "2026-01-01T00:00:00.000Z")):
            wrong(column, "UTC with milliseconds")
    for column in ("CloudAccountId", "TargetResourceName", "ActorUserId", "Operation", "CloudRegion"):
        if e.get(column, "x") != e.get(column, "x").strip():
            wrong(column, "no blanks around")
    return bad


# Whose TargetResourceName is the top resource's of TargetResourceId; of the others the record names it.
ONE_NAME = {"azure_activity", "azure_ai_logs", "azure_apim", "azure_ml_logs", "azure_inventory", "defender_alert", "defender_recommendation",
            "defender_attack_path"}


@pytest.mark.parametrize("path", SAMPLES, ids=ids)
def test_a_sample_is_spelled_as_the_table_says(path):
    for line in out_of(path).read_text().splitlines():
        assert faults(path.parent.parent.name, json.loads(line)) == []


@needs_agent
@needs_shared
@pytest.mark.parametrize("path", REAL, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_real_record_is_spelled_as_the_table_says(path):
    for e in events(path):
        assert faults("", e) == []


# One resource in the samples: where it must come by one name.
ONE = {
    ("7d1b6f0e-52c3-4c9a-9a41-0d6f6c2b8e15", "contoso-chat"): "azure_activity azure_ai_logs azure_inventory defender_alert defender_attack_path defender_recommendation",
    ("7d1b6f0e-52c3-4c9a-9a41-0d6f6c2b8e15", "contoso-ml"): "azure_ml_logs azure_inventory defender_attack_path defender_recommendation",
    ("210987654321", "gr7x2k9q1abc"): "aws_cloudtrail aws_guardduty",
    ("210987654321", "amazon.nova-lite-v1:0"): "aws_cloudtrail bedrock_invocation",
    ("contoso-ai", "4711"): "gcp_audit gcp_request_response gcp_scc",
}


def test_one_resource_has_one_account_and_name_in_every_family():
    homes = {}
    for path in SAMPLES:
        for line in out_of(path).read_text().splitlines():
            e = json.loads(line)
            homes.setdefault((e.get("CloudAccountId"), e.get("TargetResourceName")), set()).add(path.parent.parent.name)
    for key, families in ONE.items():
        assert set(families.split()) <= homes.get(key, set()), key
    folded = {}
    for account, name in homes:
        folded.setdefault((str(account).lower(), str(name).lower()), set()).add((account, name))
    assert [both for both in folded.values() if len(both) > 1] == []


@needs_agent
def test_a_region_an_account_and_an_address_come_out_in_one_spelling_of_any_record():
    """Own mappings and what no mapping knows included: the columns see to it."""
    record = {"time": "2026-10-01T00:00:00Z", "location": "West US 2", "subscriptionId": "7D1B6F0E-52C3-4C9A-9A41-0D6F6C2B8E15",
              "objectId": "5F1A2B3C-4D5E-46F7-8899-AABBCCDDEEFF", "callerIpAddress": "2001:0DB8:0:0:0:0:0:5", "appId": "04B07795-8DDB-461A-BBEE-02F9E1BF7B46"}
    got = events(data=json.dumps(record).encode())[0]
    assert [got.get(c) for c in ("CloudRegion", "CloudAccountId", "ActorUserId", "SrcIpAddr", "ActingAppId")] == \
        ["westus2", "7d1b6f0e-52c3-4c9a-9a41-0d6f6c2b8e15", "5f1a2b3c-4d5e-46f7-8899-aabbccddeeff", "2001:db8::5", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"]
    assert faults("unknown", got) == []


# learn.microsoft.com/azure/sentinel/normalization-entity-user, UserType
ASIM_USER_TYPES = {"Regular", "Machine", "Admin", "System", "Application", "Service Principal", "Service", "Anonymous", "Other"}


def test_every_user_type_of_the_table_has_its_word_in_asim():
    rules = [r for r in csv.DictReader((SCHEMAS / "event" / "asim.csv").open()) if r["asim"] == "ActorUserType"]
    assert [r["schema"] for r in rules] == ["AuditEvent"]
    words = [pair.split("=") for pair in rules[0]["words"].split("|")]
    assert {word for _, word in words} <= ASIM_USER_TYPES
    without = {kind for kind in USER_TYPES if not any(fnmatch.fnmatchcase(kind, pattern) for pattern, _ in words)}
    assert without == {"Group", "Reserved", "CustomPolicy", "Directory", "Unknown"}, "who cannot have changed anything by themselves"
