"""The unit and what stands around it: systemd's own judge, the watchdog as systemd would see it, manual pages, completion, logrotate, confinement."""
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import AGENT, SRC, record, wait_for

BUILD = pathlib.Path(os.environ["AISPM_BUILD"]) if "AISPM_BUILD" in os.environ else pathlib.Path(AGENT).parent


def need(*programs):
    for p in programs:
        if shutil.which(p) is None:
            pytest.skip(f"no program {p} here")


def run(*args, **more):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=60, **more)


# ---- systemd's word ----------------------------------------------------------------------

@pytest.fixture
def unit(tmp_path):
    """The built unit with the paths of this build, so that what it starts is there."""
    need("systemd-analyze")
    text = (BUILD / "aispm-agent.service").read_text()
    text = re.sub(r"(?m)^(ExecStart=)\S+", rf"\1{AGENT}", text)
    text = re.sub(r"(?m)^(ExecCondition=)\S+", rf"\1{SRC}/packaging/systemd/ready", text)
    path = tmp_path / "aispm-agent.service"
    path.write_text(text)
    return path


def test_the_unit_has_no_unknown_key(unit):
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    mine = [line for line in done.stderr.splitlines() if "aispm-agent" in line]
    assert mine == [] and done.returncode == 0, done.stderr


def test_the_unit_is_exposed_to_at_most_2(unit):
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert done.returncode == 0, done.stdout[-300:]
    level = float(re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout).group(1))
    assert level <= 2.0


def test_the_unit_has_limits_and_a_user_of_its_own(unit):
    keys = dict(re.findall(r"(?m)^(\w+)=(.+)$", unit.read_text()))
    assert keys["Type"] == "notify" and keys["User"] == "aispm-agent" and int(keys["WatchdogSec"]) >= 30
    assert keys["MemoryMax"] and keys["TasksMax"] and keys["Restart"] == "on-failure" and keys["LimitCORE"] == "0"
    assert "64 78" in keys["RestartPreventExitStatus"]


def test_each_drop_in_is_one_that_systemd_knows(unit):
    where = unit.parent / "aispm-agent.service.d"
    where.mkdir()
    examples = sorted((SRC / "packaging/examples/systemd").glob("*.conf"))
    assert len(examples) >= 3
    for f in examples:
        shutil.copy(f, where)
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    assert [line for line in done.stderr.splitlines() if ".conf" in line or "aispm-agent" in line] == []


# ---- the watchdog ------------------------------------------------------------------------

class Notify:
    """The socket that systemd would listen on."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.2)
        self.path, self.said = path, []

    def look(self):
        try:
            while True:
                self.said += [(time.monotonic(), line) for line in self.socket.recv(4096).decode().splitlines()]
        except TimeoutError:
            return self.said

    def lines(self):
        return [line for _, line in self.look()]

    def feeds(self):
        return self.lines().count("WATCHDOG=1")


@pytest.fixture
def notify(site, tmp_path):
    n = Notify(tmp_path / "notify")
    site.env["NOTIFY_SOCKET"] = str(n.path)
    yield n
    n.socket.close()


def says_systemd():
    if "libsystemd" not in run("ldd", AGENT).stdout:
        pytest.skip("built without libsystemd")


def test_an_idle_agent_is_ready_feeds_the_watchdog_and_says_when_it_stops(site, notify, running):
    says_systemd()
    site.configure(site.file_sink())
    agent = running()
    wait_for(lambda: "READY=1" in notify.lines())
    wait_for(lambda: notify.feeds() >= 3)
    agent.send_signal(signal.SIGHUP)
    wait_for(lambda: "RELOADING=1" in notify.lines() and notify.lines().count("READY=1") == 2)
    fed = notify.feeds()
    wait_for(lambda: notify.feeds() >= fed + 2)
    agent.send_signal(signal.SIGTERM)
    agent.wait(30)
    assert "STOPPING=1" in notify.lines() and any(re.match(r"EXTEND_TIMEOUT_USEC=\d{7,}$", line) for line in notify.lines())


def test_a_throttled_agent_with_a_full_spool_feeds_the_watchdog_all_the_same(site, far, notify, running):
    """The far side says no for ever, the spool fills, the source waits: no reason to be killed."""
    says_systemd()
    far.decide = lambda rows: (429, [("Retry-After", "1")], "")
    site.configure(site.sentinel_sink(far))
    site.conf.write_text(site.conf.read_text().replace("agent: {", "agent: {spool: {max_bytes: 64MiB}, "))
    body = "x" * 3000
    site.append([dict(record(n), note=f"{n} {body}") for n in range(30000)])
    running()
    wait_for(lambda: "READY=1" in notify.lines())
    wait_for(lambda: len(far.posts()) >= 2)
    fed = notify.feeds()
    wait_for(lambda: notify.feeds() >= fed + 3)


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


@pytest.mark.parametrize("which", [0, 1])
def test_a_loop_that_no_longer_turns_starves_the_watchdog(site, notify, running, which):
    """One of the two loops is held still as a debugger does it; the other goes on, and the main thread too, and yet nothing feeds."""
    says_systemd()
    site.configure(site.file_sink())
    agent = running()
    wait_for(lambda: notify.feeds() >= 1)
    tasks = pathlib.Path(f"/proc/{agent.pid}/task")

    def loops():
        found = [int(t.name) for t in sorted(tasks.iterdir()) if t.name != str(agent.pid) and "epoll" in (t / "wchan").read_text()]
        return found if len(found) >= 2 else None

    if not any((pathlib.Path("/proc") / p / "wchan").read_text().strip("0") for p in ("1", str(agent.pid)) for _ in range(20)):
        pytest.skip("what threads wait in is not told here")
    held = wait_for(loops)[which]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_SEIZE, held, None, None) != 0:
        pytest.skip("no thread may be traced here")
    try:
        assert libc.ptrace(PTRACE_INTERRUPT, held, None, None) == 0
        os.waitpid(held, WALL)
        time.sleep(2.5)                  # what was under way
        fed = notify.feeds()
        time.sleep(5)                    # two looks of the main thread
        starved = notify.feeds() == fed and agent.poll() is None
    finally:
        libc.ptrace(PTRACE_DETACH, held, None, None)
    assert starved
    wait_for(lambda: notify.feeds() > fed)


# ---- manual pages, shells ------------------------------------------------------------------

PAGES = ("aispm-agent.1", "aispm-agent.yaml.5", "aispm-agent-mappings.5")


def page(name, site):
    if name.startswith("aispm-agent-mappings"):
        return (SRC / "packaging/man" / name).read_text()
    return site.run("help", "man", name).stdout


@pytest.mark.parametrize("name", PAGES)
def test_manual_pages_render_without_a_warning(site, name):
    need("mandoc")
    text = page(name, site)
    assert run("mandoc", "-T", "lint", "-W", "warning", input=text).stdout == ""
    if shutil.which("groff"):
        done = run("groff", "-man", "-ww", "-z", "-Tutf8", input=text)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_tells_every_command_with_its_arguments(site):
    need("mandoc")
    text = run("mandoc", "-T", "ascii", "-O", "width=500", input=page("aispm-agent.1", site)).stdout
    plain = re.sub(r".\x08", "", text)
    for command in re.findall(r"(?m)^  (\w+) ", site.run("--help").stdout.split("options:")[0]):
        assert re.search(rf"(?m)^ +{command} [\[s-]", plain), command
    for word in ("check --online", "--replay", "init --yes", "explain --format", "backtest --detector", "aispm-agent posture", "aispm-agent status", "spool repair"):
        assert word in plain.replace("-c agent.yaml ", "").replace("dead -", "-") or word in plain, word


COMPLETION = {
    "": {"run", "check", "explain", "posture", "backtest", "status", "spool", "init", "help"},
    "explain --format": {"json", "cef", "ocsf", "commonsecuritylog"},
    "backtest --detector": {"volume", "access", "config"},
    "init --cloud": {"public", "usgov", "china"},
    "help": {"settings", "man", "completion"},
}


@pytest.mark.parametrize("words", COMPLETION)
def test_bash_offers_what_the_tables_allow(site, words):
    need("bash")
    script = site.run("help", "completion", "bash").stdout
    typed = ["aispm-agent", *words.split(), ""]
    ask = f'COMP_WORDS=({" ".join(repr(w) for w in typed)}); COMP_CWORD={len(typed) - 1}; _aispm_agent; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = run("bash", "--norc", "-c", script + ask)
    assert COMPLETION[words] <= set(done.stdout.split()), done.stdout + done.stderr


@pytest.mark.parametrize("shell, flag", [("bash", "-n"), ("zsh", "-n"), ("fish", "-n")])
def test_each_shell_parses_its_completion(site, tmp_path, shell, flag):
    need(shell)
    script = tmp_path / f"completion.{shell}"
    script.write_text(site.run("help", "completion", shell).stdout)
    assert script.stat().st_size > 500
    done = run(shell, flag, script)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_shell_is_refused(site):
    done = site.run("help", "completion", "tcsh")
    assert done.returncode == 64 and "bash, zsh, fish" in done.stderr


# ---- around ----------------------------------------------------------------------------------

def test_each_example_passes_check(site):
    examples = sorted((SRC / "packaging/examples").glob("*.yaml"))
    assert len(examples) >= 5
    for example in examples:
        done = site.run("check", "-c", str(example))
        assert done.returncode == 0 and ": fine: " in done.stdout, done.stdout + done.stderr


def test_the_demo_finds_all_three_kinds(tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith("AISPM")}
    done = run("sh", SRC / "packaging/examples/demo/demo.sh", AGENT, SRC, tmp_path / "out", env=env)
    assert done.returncode == 0, done.stderr
    for kind in ("volume_spike", "access_anomaly", "config_change"):
        assert re.search(rf"(?m)^{kind} ", done.stdout), done.stdout
    assert done.stdout.count("\n") <= 40          # one screen


def test_logrotate_takes_the_file_and_the_agent_goes_on_in_a_new_one(site, running, tmp_path):
    """The shipped rule with this test's folder and a postrotate that signals this agent."""
    need("logrotate")
    agent_log = tmp_path / "aispm"
    agent_log.mkdir()
    site.out = agent_log / "events.ndjson"
    site.configure(site.file_sink())
    site.append([record(1)])
    agent = running()
    wait_for(lambda: site.out.exists() and "0001" in site.out.read_text())
    rule = (SRC / "packaging/logrotate/aispm-agent").read_text().replace("/var/log/aispm", str(agent_log))
    rule = re.sub(r"\tsu .*\n", "", rule)
    rule = re.sub(r"postrotate\n.*?\tendscript", f"postrotate\n\t\tkill -HUP {agent.pid}\n\tendscript", rule, flags=re.S)
    conf = tmp_path / "rule"
    conf.write_text(rule)
    conf.chmod(0o644)
    done = run("logrotate", "-f", "-s", tmp_path / "rotated", conf)
    assert done.returncode == 0, done.stderr
    site.append([record(2)])
    wait_for(lambda: site.out.exists() and record(2)["correlationId"] in site.out.read_text())
    rotated = [p for p in agent_log.iterdir() if p != site.out]
    assert len(rotated) == 1 and record(1)["correlationId"] in rotated[0].read_text()


def test_the_apparmor_profile_parses(tmp_path):
    need("apparmor_parser")
    done = run("apparmor_parser", "-Q", "-K", SRC / "packaging/apparmor/aispm-agent")
    assert done.returncode == 0, done.stderr
