"""Who the agent says it is: certificates and federated tokens as Entra demands them, and check --online that tries it all."""
import base64
import hashlib
import json
import subprocess

import pytest

from conftest import RULE, record

cryptography = pytest.importorskip("cryptography")
from cryptography import x509                                              # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization           # noqa: E402
from cryptography.hazmat.primitives.asymmetric import padding              # noqa: E402

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"


def unpack(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def sink(far, auth, name="sentinel"):
    return (f"{{name: {name}, type: sentinel, endpoint: \"{far.url}\", rule: {RULE}, stream: Custom-AISPMEvents, "
            f"batch: {{max_wait: 50ms}}, auth: {auth}}}")


@pytest.fixture
def own(tmp_path):
    """A client certificate with its key, in one PEM file each."""
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, "-subj",
                    "/CN=aispm-agent"], check=True, capture_output=True)
    return cert, key


def token_form(far):
    return next(r for r in far.requests if r["token"])


def test_a_certificate_signs_an_assertion_that_its_public_key_accepts(site, far, own):
    cert, key = own
    site.configure(sink(far, f"{{type: client_certificate, tenant: {TENANT}, client_id: {CLIENT}, certificate: {cert}, key: {key}, "
                             f"authority: \"{far.url}\"}}"))
    site.append([record(1)])
    assert site.once().returncode == 0
    ask = token_form(far)
    form = {k: v[0] for k, v in ask["form"].items()}
    assert ask["path"] == f"/{TENANT}/oauth2/v2.0/token"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert form["grant_type"] == "client_credentials" and form["scope"] == "https://monitor.azure.com/.default"
    head, claims, signature = form["client_assertion"].split(".")
    public = x509.load_pem_x509_certificate(cert.read_bytes())
    public.public_key().verify(unpack(signature), f"{head}.{claims}".encode(),
                               padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size), hashes.SHA256())
    head, claims = json.loads(unpack(head)), json.loads(unpack(claims))
    der = public.public_bytes(serialization.Encoding.DER)
    assert head["alg"] == "PS256" and unpack(head["x5t#S256"]) == hashlib.sha256(der).digest() and "x5c" not in head
    assert claims["aud"] == f"{far.url}/{TENANT}/oauth2/v2.0/token"
    assert claims["iss"] == claims["sub"] == CLIENT and claims["exp"] - claims["nbf"] == 900 and len(claims["jti"]) == 32


def test_an_assertion_is_made_anew_and_may_carry_its_chain(site, far, own):
    cert, key = own
    cert.write_bytes(cert.read_bytes() + key.read_bytes())
    site.configure(sink(far, f"{{type: client_certificate, tenant: {TENANT}, client_id: {CLIENT}, certificate: {cert}, "
                             f"send_chain: true, authority: \"{far.url}\"}}"))
    site.append([record(1)])
    far.script = [401]
    assert site.once().returncode == 0
    asked = [r["form"]["client_assertion"][0] for r in far.requests if r["token"]]
    ids = [json.loads(unpack(a.split(".")[1]))["jti"] for a in asked]
    assert len(ids) == 2 and ids[0] != ids[1]
    assert len(json.loads(unpack(asked[0].split(".")[0]))["x5c"]) == 1


@pytest.mark.parametrize("spoil, says", [("key", "not that of the first certificate"), ("cert", "holds no certificate"),
                                         ("phrase", "without a passphrase")])
def test_a_certificate_that_cannot_sign_holds_the_sink_and_says_why(site, far, own, tmp_path, spoil, says):
    cert, key = own
    if spoil == "key":
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    elif spoil == "cert":
        cert.write_text("no pem")
    else:
        subprocess.run(["openssl", "rsa", "-aes128", "-passout", "pass:word", "-in", key, "-out", tmp_path / "locked.key"], check=True,
                       capture_output=True)
        key = tmp_path / "locked.key"
    site.configure(sink(far, f"{{type: client_certificate, tenant: {TENANT}, client_id: {CLIENT}, certificate: {cert}, key: {key}, "
                             f"authority: \"{far.url}\"}}"))
    done = site.run("check", "-c", str(site.conf), "--online")
    assert done.returncode == 69 and says in done.stdout and "PRIVATE" not in done.stdout
    assert far.requests == []


def test_a_federated_token_is_read_anew_for_each_request(site, far, tmp_path):
    token = tmp_path / "federated"
    token.write_text("first.token.here\n")
    site.env.update(AZURE_TENANT_ID=TENANT, AZURE_CLIENT_ID=CLIENT, AZURE_FEDERATED_TOKEN_FILE=str(token),
                    AZURE_AUTHORITY_HOST=far.url + "/")
    site.configure(sink(far, "{type: workload_identity}"))
    site.append([record(1)])
    assert site.once().returncode == 0
    token.write_text("second.token.here")
    site.append([record(2)])
    assert site.once().returncode == 0
    forms = [r for r in far.requests if r["token"]]
    assert [f["form"]["client_assertion"][0] for f in forms] == ["first.token.here", "second.token.here"]
    assert forms[0]["path"] == f"/{TENANT}/oauth2/v2.0/token" and forms[0]["form"]["client_id"] == [CLIENT]


def test_a_missing_variable_is_named(site, far):
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        site.env.pop(name, None)
    site.configure(sink(far, f"{{type: workload_identity, tenant: {TENANT}, client_id: {CLIENT}, authority: \"{far.url}\"}}"))
    done = site.run("check", "-c", str(site.conf), "--online")
    assert done.returncode == 69 and "AZURE_FEDERATED_TOKEN_FILE" in done.stdout and f"{site.conf}:" in done.stdout


def test_check_online_tries_everything_and_sends_no_event(site, far):
    site.configure(site.sentinel_sink(far), site.file_sink())
    site.append([record(1)])
    done = site.run("check", "-c", str(site.conf), "--online")
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("source in: reached", "sink sentinel: reached", "sink disk: reached"):
        assert line in done.stdout
    assert [p["rows"] for p in far.posts()] == [[]]
    assert not site.out.exists()


@pytest.mark.parametrize("status, says", [(403, "Monitoring Metrics Publisher"), (404, "404"), (401, "401")])
def test_check_online_names_what_is_missing(site, far, status, says):
    far.decide = lambda rows: (status, [], json.dumps({"error": {"code": "x", "message": "y"}}))
    site.configure(site.sentinel_sink(far))
    done = site.run("check", "-c", str(site.conf), "--online")
    assert done.returncode == 69 and "sink sentinel: " in done.stdout and says in done.stdout
    assert "very-secret-word" not in done.stdout + done.stderr


def test_check_online_finds_no_fault_with_what_does_not_exist_yet(site, far):
    site.configure(site.file_sink())
    done = site.run("check", "-c", str(site.conf), "--online")
    assert done.returncode == 0 and "source in: reached" in done.stdout
