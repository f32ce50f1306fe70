"""init: flags or questions to a configuration that passes check, and never over one that is there."""
import json
import os
import pty
import select
import stat
import subprocess
import time

import pytest

from conftest import AGENT, RULE, record

ENDPOINT = "https://soc-dcr-x1y2.eastus-1.ingest.monitor.azure.com"


@pytest.fixture
def machine(tmp_path):
    """A folder that stands for another machine."""
    root = tmp_path / "machine"
    (root / "var/log").mkdir(parents=True)
    return root


@pytest.fixture
def init(site, machine):
    def call(*args, yes=True):
        return site.run("init", "-c", str(site.conf), "--root", str(machine), *(["--yes"] if yes else []), *args)
    return call


def put_logs(machine, path="var/log/ai/a.ndjson", records=3, mode=0o644):
    f = machine / path
    f.parent.mkdir(parents=True, exist_ok=True)
    f.write_text("".join(json.dumps(record(n)) + "\n" for n in range(records)))
    f.chmod(mode)
    return f


def test_log_files_of_this_machine_are_found_and_others_are_not(init, site, machine):
    put_logs(machine)
    put_logs(machine, "var/log/ai/b.ndjson")
    put_logs(machine, "var/log/azure/deep/er/c.json", records=1)
    (machine / "var/log/app.log").write_text("hello\nworld\n")
    (machine / "var/log/other.json").write_text('{"level": "info", "msg": "no AI here"}\n')
    done = init("--offline", "--endpoint", ENDPOINT, "--rule", RULE, "--identity", "managed_identity")
    assert done.returncode == 0, done.stderr
    text = site.conf.read_text()
    assert 'paths: ["/var/log/ai/*.ndjson", "/var/log/azure/deep/er/*.json"]' in text
    assert stat.S_IMODE(site.conf.stat().st_mode) == 0o640
    assert site.run("check", "-c", str(site.conf)).stdout.endswith(": fine: 1 sources, 1 sinks\n")


def test_files_that_only_a_group_may_read_are_named(init, machine):
    put_logs(machine, mode=0o640)
    said = init("--offline", "--sink", "file").stdout
    assert "readable by group" in said and "read-logs.conf" in said


@pytest.mark.parametrize("sign, identity", [("var/opt/azcmagent", "azure_arc"), ("sys/class/dmi/id/chassis_asset_tag", "managed_identity")])
def test_the_machines_identity_is_seen(init, site, machine, sign, identity):
    put_logs(machine)
    path = machine / sign
    path.parent.mkdir(parents=True)
    if "dmi" in sign:
        path.write_text("7783-7084-3265-9085-8269-3286-77\n")
    else:
        path.mkdir()
    done = init("--offline", "--endpoint", ENDPOINT, "--rule", RULE)
    assert done.returncode == 0, done.stderr
    assert f'type: "{identity}"' in site.conf.read_text()


def test_without_an_identity_it_says_which_flags_help(init, site, machine):
    put_logs(machine)
    done = init("--offline", "--endpoint", ENDPOINT, "--rule", RULE)
    assert done.returncode == 64 and "--identity" in done.stderr and not site.conf.exists()


def test_without_a_source_it_says_which_flags_help(init, site):
    done = init("--sink", "file")
    assert done.returncode == 64 and "--files" in done.stderr and not site.conf.exists()


def test_one_that_is_there_stays_unless_forced_and_is_kept_then(init, site):
    site.conf.write_text("# mine\n")
    done = init("--sink", "file", "--files", "/var/log/ai/*.ndjson", "--offline")
    assert done.returncode == 78 and "--force" in done.stderr and site.conf.read_text() == "# mine\n"
    assert init("--force", "--sink", "file", "--files", "/var/log/ai/*.ndjson", "--offline").returncode == 0
    assert "written by aispm-agent init" in site.conf.read_text()
    assert site.conf.with_name("agent.yaml.old").read_text() == "# mine\n"


def test_wrong_values_are_said_of_their_flags_and_nothing_is_written(init, site):
    done = init("--files", "relative", "--endpoint", "http://example.com", "--rule", "dcr-1", "--identity", "client_secret", "--secret", "hunter2")
    assert done.returncode == 78
    for flag in ("--files:", "--endpoint:", "--rule:", "--tenant:", "--client-id:", "--secret:"):
        assert flag in done.stderr, flag
    assert "hunter2" not in done.stderr + done.stdout
    assert list(site.path.glob("agent.yaml*")) == []


@pytest.mark.parametrize("args, says", [(["--sink", "elastic"], "allowed: sentinel|kafka|syslog|file"), (["--nonsense"], "no such flag"),
                                        (["--endpoint"], "needs a value"), (["--yes=1"], "takes no value")])
def test_a_wrong_command_line_is_64(init, args, says):
    done = init(*args)
    assert done.returncode == 64 and says in done.stderr


def test_without_a_terminal_and_without_yes_it_asks_for_yes(init):
    done = init("--sink", "file", yes=False)
    assert done.returncode == 64 and "--yes" in done.stderr


def test_a_fault_between_settings_is_found_before_anything_is_written(init, site):
    """An endpoint of another cloud: only opening the sink tells."""
    done = init("--files", "/x", "--identity", "managed_identity", "--cloud", "usgov", "--endpoint", ENDPOINT, "--rule", RULE, "--offline")
    assert done.returncode == 78 and "--endpoint:" in done.stderr and list(site.path.glob("agent.yaml*")) == []


def test_every_kind_of_source_and_sink_gives_a_configuration_that_passes(init, site):
    rows = [["--sink", "kafka", "--brokers", "k.example.net:9093"], ["--sink", "syslog"], ["--sink", "file"],
            ["--endpoint", ENDPOINT.replace(".com", ".us"), "--rule", RULE, "--cloud", "usgov", "--identity", "client_certificate", "--tenant", "contoso.example",
             "--client-id", "00000000-0000-4000-8000-000000000001", "--certificate", "/etc/ssl/a.pem",
             "--subscription", "11111111-2222-3333-4444-555555555555", "--http", "127.0.0.1:9464"]]
    kafka = "kafka: yes" in site.run("--version").stdout
    if kafka:
        rows.append(["--sink", "file", "--hub", "soc.servicebus.windows.net:9093/insights-logs", "--hub", "soc.servicebus.windows.net:9093/other",
                     "--identity", "workload_identity"])
    if "http source: yes" in site.run("--version").stdout:
        rows.append(["--sink", "file", "--push", "127.0.0.1:8088"])
    for row in rows if kafka else rows[1:]:
        done = init("--force", "--offline", "--files", "/var/log/ai/*.ndjson", *row)
        assert done.returncode == 0, (row, done.stderr)
        again = site.run("check", "-c", str(site.conf))
        assert again.returncode == 0, again.stdout


def test_it_tries_what_it_wrote_and_says_what_comes_next(init, site, far):
    site.append([record(1)])
    row = ["--files", f"{site.path}/in/*.ndjson", "--endpoint", far.url, "--rule", RULE, "--identity", "client_secret", "--tenant", "t",
           "--client-id", "00000000-0000-4000-8000-000000000001", "--secret", "env:AISPM_TEST_SECRET", "--authority", far.url]
    done = init(*row)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sink sentinel: reached" in done.stdout and "next: systemctl enable --now aispm-agent" in done.stdout
    far.decide = lambda rows: 403
    done = init("--force", *row)
    assert done.returncode == 69 and "sink sentinel: " in done.stdout and "check --online" in done.stdout
    assert site.conf.exists()


# ---- on a terminal ------------------------------------------------------------------------------

def talk(site, machine, answers, seconds=60):
    """Answers each question whose text holds a key, on a terminal of its own. The whole talk, and the exit status."""
    leader, follower = pty.openpty()
    p = subprocess.Popen([AGENT, "init", "-c", str(site.conf), "--root", str(machine), "--offline"], env=site.env, stdin=follower, stdout=follower,
                         stderr=follower, close_fds=True)
    os.close(follower)
    said, at, end = "", 0, time.monotonic() + seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([leader], [], [], 0.2)
        if ready:
            try:
                got = os.read(leader, 4096).decode()
            except OSError:
                break
            said += got
        elif p.poll() is not None:
            break
        question = said[at:].rsplit("\n", 1)[-1]
        if question.endswith(": "):
            at = len(said)
            key = next((k for k in answers if k in question), None)
            answer = answers[key] if key else ""
            os.write(leader, ((answer.pop(0) if isinstance(answer, list) and answer else answer if isinstance(answer, str) else "") + "\n").encode())
    if p.poll() is None and time.monotonic() >= end:
        p.kill()
    os.close(leader)
    return said, p.wait()


def test_on_a_terminal_it_asks_and_asks_again_until_the_answer_is_allowed(site, machine):
    put_logs(machine)
    said, status = talk(site, machine, {"Read /var/log/ai": "", "Another log file": ["nonsense", "/srv/logs/*.json", ""], "Where events go": "",
                                        "How the agent proves": "managed_identity", "endpoint": ["http://evil.example", ENDPOINT],
                                        "immutable id": ["dcr-1", RULE]})
    assert status == 0, said
    assert said.count("Logs ingestion endpoint") >= 2 and said.count("immutable id (dcr-...)") >= 2
    text = site.conf.read_text()
    assert 'paths: ["/var/log/ai/*.ndjson", "/srv/logs/*.json"]' in text and ENDPOINT in text and RULE in text
    assert site.run("check", "-c", str(site.conf)).returncode == 0


def test_a_terminal_that_goes_away_leaves_nothing(site, machine):
    leader, follower = pty.openpty()
    p = subprocess.Popen([AGENT, "init", "-c", str(site.conf), "--root", str(machine)], env=site.env, stdin=follower, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    os.close(follower)
    os.write(leader, b"\x04\x04\x04\x04")
    _, stderr = p.communicate(timeout=60)
    os.close(leader)
    assert p.returncode == 64 and "nothing was written" in stderr and list(site.path.glob("agent.yaml*")) == []
