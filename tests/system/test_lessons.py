"""What users of other agents ran into and no other test here asks; tests/README.md has the whole list."""
import json
import os
import subprocess
import sys
import urllib.parse

import pytest

from conftest import FarSide, record, wait_for


def dead(site):
    return [json.loads(x) for x in site.run("spool", "dead", str(site.path / "state" / "dead")).stdout.splitlines()]


def test_no_configuration_makes_a_call_larger_than_the_service_takes(site, far):
    site.configure(site.sentinel_sink(far).replace("batch: {max_wait: 50ms}", "batch: {max_bytes: 1000001B}"))
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 78 and "sinks[0].batch.max_bytes" in done.stdout


def test_large_prompts_leave_as_hashes_and_take_no_small_record_with_them(site, far):
    """Six prompts of 240 KB beside a small record: together above what one call may hold."""
    secret = "the whole of the customer's contract "
    large = [record(n) for n in range(6)]
    for r in large:
        r["properties"]["RequestBody"] = {"messages": [{"role": "user", "content": secret * (240000 // len(secret))}]}
    site.configure(site.sentinel_sink(far))
    site.append([*large, record(6)])
    assert site.once().returncode == 0
    assert sorted(r["EventOriginalUid"] for r in far.rows()) == [record(n)["correlationId"] for n in range(7)]
    assert secret not in json.dumps(far.rows()) and sum(p["bytes"] for p in far.posts()) < 100000


def test_what_is_set_aside_keeps_status_code_and_request_id_through_a_restart(site, far):
    guilty = record(3)["correlationId"]
    far.decide = lambda rows: (400, [("x-ms-request-id", "5b2f8e7a-3d41-4c86-9f20-6ab1c7e0abcd")],
                               '{"error":{"code":"InvalidPayload","message":"column Foo"}}') if guilty in json.dumps(rows) else 204
    site.configure(site.sentinel_sink(far))
    site.append([record(n) for n in range(8)])
    assert site.once().returncode == 65
    far.decide = None
    site.append([record(8)])
    assert site.once().returncode in (0, 65)
    letters = dead(site)
    assert len(letters) == 1 and letters[0]["from"] == "sentinel"
    for word in ("400", "InvalidPayload", "5b2f8e7a-3d41-4c86-9f20-6ab1c7e0abcd"):
        assert word in letters[0]["reason"]


def test_memory_stays_where_it_was_while_the_far_side_throttles(site, far, running):
    """Four times the bound lies on disk in the end."""
    far.decide = lambda rows: 429
    site.configure(site.sentinel_sink(far))
    wide = record(7777777)
    wide["operationName"] = "x" * 3000
    wide = json.dumps(wide)
    p = running()
    for n in range(0, 60000, 5000):
        site.append([wide.replace("7777777", f"{n + i:07d}") for i in range(5000)])

    def spooled():
        done = site.run("status", "-c", str(site.conf), "--json")
        return done.returncode == 0 and json.loads(done.stdout)["sinks"][0]["sink_pending_events"] >= 60000
    wait_for(spooled, seconds=120, every=0.3)
    assert sum(f.stat().st_size for f in (site.path / "state" / "spool").glob("*.seg")) > 200 << 20
    status = open(f"/proc/{p.pid}/status").read().split()
    peak = int(status[status.index("VmHWM:") + 1])
    assert peak < 64 * 1024, f"{peak} KiB"
    assert any(post["answer"] == 429 for post in far.posts()) and not far.rows()


class Entra(FarSide):
    """Also says where its endpoints are, as MSAL asks before anything else."""

    def token(self, handler, body=b""):
        path = urllib.parse.urlparse(handler.path).path
        if not path.endswith("/openid-configuration"):
            super().token(handler, body)
            return
        base = f"{self.url}/{path.split('/')[1]}"
        handler.reply(200, json.dumps({"issuer": f"{base}/v2.0", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                                       "token_endpoint": f"{base}/oauth2/v2.0/token", "device_authorization_endpoint": f"{base}/devicecode"}).encode(),
                      [("Content-Type", "application/json")])


def test_our_token_request_is_the_official_clients(site, certificate, tmp_path):
    """azure-identity is the yardstick: path and form, but for what it tells of itself."""
    pytest.importorskip("azure.identity")
    ca, context = certificate
    far = Entra(tls=context)
    script = tmp_path / "client.py"
    tenant, client = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
    script.write_text(f"""
import sys
from azure.identity import ClientSecretCredential
c = ClientSecretCredential("{tenant}", "{client}", "very-secret-word", authority=sys.argv[1], disable_instance_discovery=True)
print(c.get_token("https://monitor.azure.com/.default").token)
""")
    try:
        theirs = subprocess.run([sys.executable, script, far.url], env=dict(os.environ, REQUESTS_CA_BUNDLE=str(ca)), capture_output=True, text=True,
                                timeout=60)
        assert theirs.returncode == 0 and theirs.stdout.strip() == "token-1", theirs.stderr
        site.configure(site.sentinel_sink(far, f", tls: {{ca_file: {ca}}}").replace("tenant: t", f"tenant: {tenant}")
                       .replace("client_id: c", f"client_id: {client}"))
        site.append([record(1)])
        done = site.once()
        assert done.returncode == 0, done.stderr
        official, ours = [r for r in far.requests if r["token"]]
    finally:
        far.close()
    assert ours["path"] == official["path"] == f"/{tenant}/oauth2/v2.0/token"
    assert ours["form"] == {k: v for k, v in official["form"].items() if not k.startswith("x-client-") and k not in ("client_info", "claims")}
    assert ours["headers"]["Content-Type"] == official["headers"]["Content-Type"]
