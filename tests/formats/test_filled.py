"""How much of the columns each family fills, from the samples and from the real records: printed as a table, and held to what the records have.

What a record has is asked of its raw bytes by lists of keys that know nothing of the mappings: where one says something, the event must, too.
"""
import collections
import json
import re

import pytest

import golden
from test_formats import REAL, SAMPLES, SCHEMAS, SHARED, events, families, needs_agent, needs_shared, out_of

# Definitions of OCSF's schema lie among the records; they are none.
RECORDS = [p for p in REAL if not p.name.startswith(("events__", "objects__", "profiles__"))]
ASKED = {"time": "EventStartTime", "class": "EventClass", "severity": "EventSeverity", "target": "TargetResourceId TargetResourceName",
         "actor": "ActorUserId ActorUsername ActingAppId", "result": "EventResult", "address": "SrcIpAddr", "account": "CloudAccountId"}


def has(event, what):
    return any(event.get(c) not in (None, "NA") for c in ASKED[what].split())


def shares(got):
    return {what: sum(has(e, what) for e in got) / len(got) for what in ASKED}


def table(rows):
    """family -> events, as lines of text."""
    yield f"{'family':24}{'events':>7}" + "".join(f"{what:>10}" for what in ASKED) + f"{'columns':>9}"
    for family, got in sorted(rows.items()):
        yield f"{family:24}{len(got):7}" + "".join(f"{share:10.0%}" for share in shares(got).values()) + f"{sum(map(len, got)) / len(got):9.1f}"


# Where each of them stands in the vendors' records, as a path of keys with any keys before; * is one key.
KEYS = {
    "time": "time timestamp eventTime eventTimestamp TimeGenerated CreationTime createTime timeGeneratedUtc startTimeUtc updatedAt",
    "target": "resourceId resourceUri modelId protoPayload.resourceName finding.resourceName azureResourceId resourceDetails.id AgentId ThreadId",
    "actor": "caller identity.arn userIdentity.arn userIdentity.principalId authenticationInfo.principalEmail UserKey UserId callerObjectId objectId "
             "claims.appid access.principalEmail",
}
NOTHING = {"", "-", "null", "N/A", "00000000-0000-0000-0000-000000000000"}


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}")
    elif isinstance(value, list):
        for element in value:
            yield from leaves(element, path)
    elif isinstance(value, str) and value[:1] in "{[" and value:
        try:
            yield from leaves(json.loads(value), path)
        except json.JSONDecodeError:
            pass
    elif value is not None and str(value) not in NOTHING:
        yield path.lower()


def named(record, what):
    """Whether a record says so itself, not what it merely carries along (parameters, bodies, the resource's configuration)."""
    ends = tuple("." + key.lower() for key in KEYS[what].split())
    return any(path.endswith(ends) for path in leaves(record) if not re.search("requestparameters|responseelements|body|policyrule|copiloteventdata", path))


@needs_agent
@needs_shared
@pytest.mark.parametrize("folder", sorted({p.parent for p in RECORDS}), ids=lambda p: p.name)
def test_a_real_record_is_of_a_known_family_and_its_events_say_what_it_says(folder):
    for path in [p for p in RECORDS if p.parent == folder]:
        known = set(families(path))
        assert known and "unknown" not in known, path.name
        for number, line in enumerate(filter(str.strip, path.read_text().splitlines()), 1):
            record = json.loads(line)
            got = events(data=line.encode())
            assert got, (path.name, number)
            for e in got:
                missing = [what for what in KEYS if named(record, what) and not has(e, what)]
                missing += [what for what in ("class", "severity") if not has(e, what)]
                assert missing == [], (path.name, number, e["EventName"])


@needs_agent
def test_each_familys_share_of_filled_columns_is_printed_and_has_a_floor(capsys):
    own, real = collections.defaultdict(list), collections.defaultdict(list)
    for path in SAMPLES:
        own[path.parent.parent.name] += [json.loads(line) for line in out_of(path).read_text().splitlines()]
    for path in RECORDS:
        of = set(families(path))
        real[of.pop() if len(of) == 1 else path.parent.name] += events(path)
    with capsys.disabled():
        print("\n\nfilled, of this tree's samples:", *table(own), sep="\n")
        if real:
            print(f"\nfilled, of the real records in {SHARED.name}/samples:", *table(real), sep="\n")
    assert set(own) == {p.parent.name for p in SCHEMAS.glob("*/mapping.yaml")}
    for family, got in own.items():
        filled = shares(got)
        low = {what: f"{filled[what]:.0%}" for what, floor in {**FLOOR, **LESS.get(family, {})}.items() if filled[what] < floor}
        assert low == {}, family


# Of the samples' events this much; less where the family's records do not have it (its NOTES.md).
FLOOR = {"time": 1, "class": 1, "severity": 1, "target": 1, "account": 1}
LESS = {
    "aispm_event": {"time": 0.5, "target": 0.8, "account": 0.8},    # what the other agent had: a heartbeat has neither
    "aws_cloudtrail": {"target": 0.8},              # a list of something has no target
    "azure_inventory": {"time": 0, "account": 0.9},     # a state, not an event; an agent of Copilot Studio is in a tenant
    "azure_policy": {"time": 0.3, "account": 0.6},      # a built-in definition belongs to nobody
    "defender_alert": {"target": 0.9, "account": 0.9},  # of Graph's alerts some name only people
    "defender_attack_path": {"time": 0.2},
    "defender_compliance": {"time": 0.2},
    "defender_plan": {"time": 0},
    "defender_recommendation": {"time": 0.9},           # a row of Resource Graph may have no date
    "gcp_request_response": {"account": 0.5},           # "publishers/google/models/x" names no project
    "m365_copilot": {"target": 0.9},
    "otel_spans": {"account": 0.6},                     # a model at home is in no account
    "unknown": {"target": 0.5, "account": 0.5},
}


# ---- the table of schemas/README.md --------------------------------------------------------------------------------------


def test_the_table_of_families_is_what_the_samples_events_fill():
    """golden.py writes it."""
    page = (SCHEMAS / "README.md").read_text()
    assert page == golden.readme()
    rows = re.findall(r"^\|[^|]+\| (\w+) \|[^|]*\| \[\d+\]\((\S+)\) \|[^|]*\|([^|]*)\|$", page, re.M)
    assert sorted(family for family, _, _ in rows) == golden.families()
    for family, folder, extra in rows:
        assert (SCHEMAS / folder).is_dir()
        known = {name for e in golden.outputs(family) for name in e.get("AdditionalFields", {})}
        assert set(filter(None, extra.strip().split(", "))) <= known, family
