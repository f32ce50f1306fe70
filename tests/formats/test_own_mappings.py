"""Mappings of one's own: the worked example of aispm-agent-mappings(5) does what the page says, a file in mappings.d adds a family or
replaces a shipped one, and a wrong one is named by file and line."""
import json
import os
import re
import subprocess

import pytest

from test_formats import AGENT, SCHEMAS, SRC, needs_agent

pytestmark = needs_agent
PAGE = SRC / "packaging" / "man" / "aispm-agent-mappings.5"


def blocks():
    """The examples of the page, as one would type them."""
    found = re.findall(r"\.nf\n\.RS\n(.*?)\.RE\n\.fi\n", PAGE.read_text(), re.S)
    return [b.replace("\\-", "-").replace("\\&", "") for b in found]


def block(begins):
    return next(b for b in blocks() if b.startswith(begins))


@pytest.fixture
def site(tmp_path):
    class Site:
        mappings = tmp_path / "mappings.d"
        config = tmp_path / "agent.yaml"

        def run(self, *args, data=None):
            env = dict(os.environ, AISPM_DATA_DIR=str(SRC))
            return subprocess.run([AGENT, args[0], "-c", str(self.config), *map(str, args[1:])], input=data, capture_output=True, env=env,
                                  timeout=60)

        def explain(self, *records):
            done = self.run("explain", data="\n".join(json.dumps(r) for r in records).encode())
            assert done.returncode == 0, done.stderr.decode()
            return [json.loads(line) for line in done.stdout.decode().splitlines()]

    s = Site()
    s.mappings.mkdir()
    s.config.write_text(f"agent: {{mappings_dir: {s.mappings}}}\n")
    return s


def test_the_example_of_the_page_does_what_the_page_says(site):
    (site.mappings / "acme_gateway.yaml").write_text(block("family: acme_gateway"))
    record = json.loads(block('{"gateway"'))
    event = site.explain(record)[0]
    assert event["EventMessage"] == "m-large was called by ana@example.com: Failure"
    assert (event["TimeGenerated"], event["SrcIpAddr"], event["EventSeverity"], event["PromptTokens"]) == \
        ("2026-01-31T00:00:00.000Z", "192.0.2.7", "Medium", 214)
    assert event["AdditionalFields"]["Prompt"]["length"] == 16 and "secret" not in json.dumps(event)
    told = site.run("explain", "--why", data=json.dumps(record).encode()).stdout.decode()
    assert re.search(rf"^family +acme_gateway \({site.mappings}/acme_gateway.yaml:\d+, shape 1\)$", told, re.M)
    assert re.search(r"^  SrcIpAddr +<- headers\[name=x-forwarded-for\]\.value +\S+acme_gateway.yaml:\d+  \"192.0.2.7\"$", told, re.M)


def test_a_wrapper_of_ones_own_is_taken_off(site):
    (site.mappings / "acme_gateway.yaml").write_text(block("family: acme_gateway"))
    (site.mappings / "envelopes.yaml").write_text(block("- name: acme_batch"))
    record = json.loads(block('{"gateway"'))
    bare, inside = site.explain(record, {"batch": "b-7", "items": [record]})
    assert inside["EventId"] == bare["EventId"] and inside["AdditionalFields"]["Batch"] == "b-7"


def test_a_file_under_a_shipped_familys_name_replaces_it_and_nothing_else(site):
    shipped = (SCHEMAS / "azure_ai_logs" / "mapping.yaml").read_text()
    assert "EventProduct:\n" in shipped
    own = site.mappings / "ours.yaml"
    own.write_text(shipped.replace("  EventVendor: {value: Microsoft}\n", "  EventVendor: {value: Contoso}\n"))
    sample = SCHEMAS / "azure_ai_logs" / "samples" / "audit_keys.in.json"
    other = SCHEMAS / "defender_alert" / "samples" / "export_malicious_url.in.json"
    done = site.run("explain", sample, other)
    assert done.returncode == 0, done.stderr.decode()
    vendors = [json.loads(line)["EventVendor"] for line in done.stdout.decode().splitlines()]
    assert vendors[-1] == "Microsoft" and set(vendors[:-1]) == {"Contoso"}
    assert str(own) in site.run("explain", "--why", sample).stdout.decode()
    own.unlink()
    assert all(json.loads(line)["EventVendor"] == "Microsoft" for line in site.run("explain", sample).stdout.decode().splitlines())


@pytest.mark.parametrize("text, line, says", [
    ("family: x\nmatch: [{a: present}]\nfields:\n  EventClas: {value: activity}\n", 4, "EventClass"),
    ("family: x\nmatch: [{a: present}]\nfields:\n  EventSeverity: {from: a, table: levels}\n", 4, "no such table"),
    ("family: x\nmatch:\n  - {'a[': present}\n", 3, "a key is empty"),
    ("family: x\nfields: {EventName: a}\n", 1, "match is missing"),
])
def test_a_wrong_mapping_is_named_by_file_and_line(site, text, line, says):
    wrong = site.mappings / "wrong.yaml"
    wrong.write_text(text)
    for command in ("check", "explain"):
        done = site.run(command, data=b"{}")
        told = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == 78, told
        assert re.search(rf"^(\S+: )?{re.escape(str(wrong))}:{line}: .*{re.escape(says)}", told, re.M), told
