"""Source azure against a scripted Resource Manager: pages, what is new, refusals, room, restarts; and the posture it gives evidence for."""
import http.server
import json
import re
import threading
import time

import pytest

from conftest import SRC, record, wait_for

SUB = "11111111-2222-3333-4444-555555555555"
AI = f"/subscriptions/{SUB}/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/contoso"


def alert(n, severity="High"):
    return {"id": f"/subscriptions/{SUB}/resourceGroups/ai/providers/Microsoft.Security/locations/westeurope/alerts/a{n}", "name": f"a{n}",
            "type": "Microsoft.Security/Locations/alerts",
            "properties": {"alertType": "AI.Azure_Jailbreak.ContentFiltering.BlockedAttempt", "systemAlertId": f"a{n}", "severity": severity,
                           "alertDisplayName": "A jailbreak was blocked", "status": "Active", "timeGeneratedUtc": "2026-11-20T10:00:00Z",
                           "startTimeUtc": "2026-11-20T09:59:00Z", "productName": "Microsoft Defender for Cloud", "vendorName": "Microsoft",
                           "resourceIdentifiers": [{"$id": "1", "type": "AzureResource", "azureResourceId": AI}]}}


def assessment(state="Unhealthy", since="2026-11-01T00:00:00Z"):
    return {"type": "Microsoft.Security/assessments", "id": f"{AI}/providers/Microsoft.Security/assessments/k1", "name": "k1",
            "properties": {"displayName": "Azure AI Services resources should restrict network access",
                           "metadata": {"severity": "High", "displayName": "restrict network access"},
                           "status": {"code": state, "statusChangeDate": since, "firstEvaluationDate": since},
                           "resourceDetails": {"source": "Azure", "id": AI}}}


def pricing(name, tier="Standard"):
    return {"id": f"/subscriptions/{SUB}/providers/Microsoft.Security/pricings/{name}", "name": name, "type": "Microsoft.Security/pricings",
            "properties": {"pricingTier": tier, "enforce": "False", "extensions": []}}


class Manager:
    """Answers as Azure Resource Manager and Entra do; `lists` by dataset, `refuse` a status for a word of the path."""

    def __init__(self):
        self.lists = {"alerts": [], "assessments": [], "pricings": [], "secureScores": [], "attackpaths": [], "inventory": []}
        self.page, self.refuse, self.asked, self.tokens = 100, {}, [], 0
        self.next_link = None
        self.queries = {}
        manager = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def reply(self, status, body, headers=()):
                raw = json.dumps(body).encode()
                self.send_response(status)
                for k, v in headers:
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if "/oauth2/" in self.path:
                    manager.tokens += 1
                    manager.asked.append(("token", body.decode()))
                    self.reply(200, {"access_token": f"t{manager.tokens}", "expires_in": 3600, "token_type": "Bearer"})
                    return
                ask = json.loads(body)
                name = "attackpaths" if "attackpaths" in ask["query"] else "inventory"
                manager.queries[name] = ask["query"]
                start = int(ask["options"].get("$skipToken", 0))
                rows = manager.lists[name]
                answer = {"totalRecords": len(rows), "count": 1, "data": rows[start:start + manager.page]}
                if start + manager.page < len(rows):
                    answer["$skipToken"] = str(start + manager.page)
                self.answer(name, answer)

            def do_GET(self):
                path, _, query = self.path.partition("?")
                name = path.rsplit("/", 1)[1]
                start = int(dict(p.split("=") for p in query.split("&")).get("skip", 0))
                rows = manager.lists[name]
                answer = {"value": rows[start:start + manager.page]}
                if start + manager.page < len(rows):
                    answer["nextLink"] = manager.next_link or f"{manager.url}{path}?{query.split('&skip')[0]}&skip={start + manager.page}"
                self.answer(name, answer)

            def answer(self, name, body):
                manager.asked.append((name, self.headers.get("Authorization")))
                status = manager.refuse.get(name, 200)
                self.reply(status, body if status == 200 else {"error": {"code": "X"}}, [("Retry-After", "1")] if status == 429 else [])

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def manager():
    m = Manager()
    yield m
    m.close()


def configure(site, manager, more="", zones=""):
    site.configure(site.file_sink(), extra=zones)
    text = site.conf.read_text()
    site.conf.write_text(text.replace("sources:\n", "sources:\n" + (
        f"  - {{name: defender, type: azure, subscriptions: [\"{SUB}\"], endpoint: \"{manager.url}\"{more}, auth: {{type: client_secret, tenant: t, "
        f"client_id: c, secret: {{env: AISPM_TEST_SECRET}}, authority: \"{manager.url}\"}}}}\n")))


def by(events, name):
    return [e for e in events if e["EventClass"] == name]


def test_all_datasets_are_read_page_by_page_and_said_to_be(site, manager):
    manager.page = 2
    manager.lists.update(alerts=[alert(n) for n in range(5)], assessments=[assessment()], pricings=[pricing("CloudPosture"), pricing("AI", "Free")],
                         inventory=[{"id": AI, "name": "contoso", "type": "microsoft.cognitiveservices/accounts", "kind": "OpenAI",
                                     "location": "westeurope", "properties": {"publicNetworkAccess": "Enabled"}}])
    configure(site, manager)
    done = site.once()
    assert done.returncode == 0, done.stderr
    events = site.events()
    assert len(by(events, "alert")) == 5 and len(by(events, "recommendation")) == 1 and len(by(events, "inventory")) == 1
    polls = [e for e in events if e.get("EventOriginalType") == "azure_poll"]
    assert {p["Operation"]: p["AdditionalFields"]["Items"] for p in polls} == {
        "alerts": 5, "recommendations": 1, "plans": 2, "secure_score": 0, "attack_paths": 0, "inventory": 1}
    assert re.search(r"case\(risk has 'Critical', 1, .* order by rank asc, id asc", manager.queries["attackpaths"]), "attack paths come by risk"
    assert "scope=https%3A%2F%2Fmanagement.azure.com%2F.default" in dict(manager.asked)["token"]
    assert all(auth == "Bearer t1" for name, auth in manager.asked if name != "token")


def test_the_same_item_is_not_sent_again_and_a_changed_one_is(site, manager, running):
    manager.lists["alerts"] = [alert(n) for n in range(3)]
    configure(site, manager, ", datasets: [alerts], alerts_every: 10s")
    p = running()
    wait_for(lambda: len(by(site.events(), "alert")) == 3)
    manager.lists["alerts"] = [alert(0), alert(1, "Low"), alert(2), alert(3)]
    wait_for(lambda: len(by(site.events(), "alert")) == 5)
    assert sorted(e["EventOriginalUid"] for e in by(site.events(), "alert"))[-1] == "a3"
    polls = [e["AdditionalFields"] for e in site.events() if e.get("EventOriginalType") == "azure_poll"]
    assert polls[0]["Changed"] == 3 and polls[-1]["Items"] == 4
    p.terminate()
    assert p.wait(20) == 0


@pytest.mark.parametrize("status, says", [(403, "Security Reader"), (404, "a subscription of this tenant"), (401, "401")])
def test_a_refusal_names_its_cause_and_the_other_datasets_go_on(site, manager, status, says):
    manager.refuse["assessments"] = status
    manager.lists["alerts"] = [alert(1)]
    configure(site, manager)
    done = site.once()
    assert done.returncode == 69 and says in done.stderr and "very-secret-word" not in done.stderr
    assert len(by(site.events(), "alert")) == 1
    assert "recommendations" not in {e.get("Operation") for e in site.events()}
    if status == 401:
        assert manager.tokens == 2


def test_a_link_to_another_host_is_not_followed(site, manager):
    manager.page, manager.next_link = 1, "https://evil.example/x"
    manager.lists["alerts"] = [alert(1), alert(2)]
    configure(site, manager, ", datasets: [alerts]")
    done = site.once()
    assert done.returncode == 69 and "another host" in done.stderr and len(by(site.events(), "alert")) == 1


def test_throttling_waits_as_long_as_it_is_told(site, manager, running):
    manager.refuse["alerts"] = 429
    manager.lists["alerts"] = [alert(1)]
    configure(site, manager, ", datasets: [alerts]")
    running()
    wait_for(lambda: any(n == "alerts" for n, _ in manager.asked))
    manager.refuse.clear()
    wait_for(lambda: len(by(site.events(), "alert")) == 1)


def test_posture_takes_its_evidence_from_what_was_read(site, manager):
    manager.lists.update(pricings=[pricing("CloudPosture"), pricing("AI", "Free")], assessments=[assessment()])
    configure(site, manager, zones="zones: {default: 3}\n")
    assert site.once().returncode == 0
    due = by(site.events(), "recommendation")[0]
    assert due["GovernanceZone"] == 3 and due["SlaDueTime"] == "2026-11-04T00:00:00.000Z"
    done = site.run("posture", "-c", str(site.conf), "--json")
    got = {r["requirement"]: r["result"] for r in json.loads(done.stdout)["requirements"]}
    assert got["cspm_plan"] == "pass" and got["ai_plan"] == "fail" and got["discovery"] == "pass"
    assert got["attack_paths"] == "pass" and got["recommendations"] == "pass" and got["remediation"] == "fail"


def test_check_online_tries_it(site, manager):
    configure(site, manager)
    assert "source defender: reached" in site.run("check", "-c", str(site.conf), "--online").stdout
    manager.refuse["alerts"] = 403
    done = site.run("check", "-c", str(site.conf), "--online")
    assert done.returncode == 69 and "source defender: 403" in done.stdout


def test_an_endpoint_of_another_cloud_is_refused(site, manager):
    configure(site, manager)
    site.conf.write_text(site.conf.read_text().replace(f"endpoint: \"{manager.url}\"", "endpoint: \"https://management.usgovcloudapi.net\""))
    done = site.run("check", "-c", str(site.conf))
    assert done.returncode == 78 and "https://management.azure.com" in done.stdout
