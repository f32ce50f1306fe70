"""The service under a real systemd: a bare root with the .deb in it is booted, and the unit lives a day there. Only with LONG=1. The tests build on each other,
in this order."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import LONG, VERSION, FarSide, make_root, need, sh
from test_deb import repack

pytestmark = pytest.mark.skipif(not LONG, reason="LONG=1 boots a systemd with the package in it")
SECRET = "word-that-only-systemd-passes"
UNIT = "aispm-agent.service"


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.2)
    raise AssertionError("did not happen in time")


class Machine:
    """A root in which systemd is process 1. Its control groups are below one that is made for it, and go with it."""

    def __init__(self, root, log):
        self.root, self.n = root, 0
        self.groups = [p / "aispm-boot-test" for p in (pathlib.Path("/sys/fs/cgroup/systemd"), pathlib.Path("/sys/fs/cgroup/unified"),
                                                       pathlib.Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists()]
        for g in self.groups:
            g.mkdir(exist_ok=True)
        enter = "".join(f"echo $$ >{g}/cgroup.procs; " for g in self.groups)
        self.nspawn = subprocess.Popen(["sh", "-c", enter + 'exec systemd-nspawn --quiet --register=no --keep-unit --console=pipe --kill-signal=SIGRTMIN+3 '
                                        '-D "$0" --boot', str(root.path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.leader = wait_for(self.process_1)
        wait_for(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), seconds=180)

    def process_1(self):
        if self.nspawn.poll() is not None:
            pytest.skip(f"systemd-nspawn cannot boot a root here: it ended with {self.nspawn.returncode}")
        for child in pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split():
            if pathlib.Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                return child
        return None

    def run(self, *args, check=True):
        return sh("nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                  *args, check=check, timeout=180)

    def show(self, key):
        return self.run("systemctl", "show", "-P", key, UNIT).stdout.strip()

    def pids(self):
        """Of the unit's processes, the main one first, as this side of the namespace sees them."""
        inside = self.show("MainPID")
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            ns = re.search(r"^NSpid:\t(\d+)\t(\d+)$", text, re.M)
            if ns and ns.group(2) == inside and re.search(r"^Name:\taispm-agent$", text, re.M):
                main = ns.group(1)
                return [main] + [c for f in pathlib.Path(f"/proc/{main}/task").glob("*/children") for c in f.read_text().split()]
        return []

    def append(self, n):
        """Records of Azure OpenAI; their ids."""
        ids = [f"00000000-0000-4000-8000-{i:012d}" for i in range(self.n, self.n + n)]
        self.n += n
        with open(self.root / "/var/log/ai/a.ndjson", "a") as f:
            for i in ids:
                f.write(json.dumps({
                    "time": "2026-10-05T10:00:00.0000000Z", "category": "RequestResponse", "operationName": "ChatCompletions_Create", "resultSignature": "200",
                    "resourceId": "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/contoso",
                    "correlationId": i, "event": "ShoeboxCallResult", "properties": {"modelDeploymentName": "chat", "objectId": "user-1"}}) + "\n")
        return ids

    def close(self):
        self.nspawn.send_signal(signal.SIGTERM)
        try:
            self.nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        for g in self.groups:
            for p in sorted(g.rglob("*"), reverse=True):
                if p.is_dir():
                    p.rmdir()
            g.rmdir()


@pytest.fixture(scope="module")
def far():
    f = FarSide()
    yield f
    f.server.shutdown()
    f.server.server_close()


@pytest.fixture(scope="module")
def machine(deb, far, tmp_path_factory):
    need("systemd-nspawn", "nsenter")
    where = tmp_path_factory.mktemp("boot")
    root = make_root(where / "root")
    root.run("apt-get", "-q", "update")
    root.run("apt-get", "-q", "-y", "--no-install-recommends", "install", "systemd-sysv", "dbus")
    root.install(deb)
    (root / "/etc/aispm-agent/agent.yaml").write_text(f"""agent: {{state_dir: /var/lib/aispm-agent, decode: process}}
sources:
  - {{name: openai, type: file, paths: ["/var/log/ai/*.ndjson"]}}
sinks:
  - {{name: sentinel, type: sentinel, endpoint: "{far.url}", rule: dcr-00000000000000000000000000000000, stream: Custom-AISPMEvents, batch: {{max_wait: 50ms}},
     auth: {{type: client_secret, tenant: t, client_id: c, secret: {{credential: entra}}, authority: "{far.url}"}}}}
  - {{name: disk, type: file, path: /var/log/aispm/events.ndjson}}
""")
    (root / "/etc/aispm-agent/entra.secret").write_text(SECRET)
    os.chmod(root / "/etc/aispm-agent/entra.secret", 0o600)
    (root / "/var/log/ai").mkdir()
    drop_in = root / f"/etc/systemd/system/{UNIT}.d"
    drop_in.mkdir(parents=True)
    (drop_in / "test.conf").write_text("[Service]\nLoadCredential=entra:/etc/aispm-agent/entra.secret\nRestartSec=1\nWatchdogSec=5\n")
    with open(where / "console", "wb") as log:
        m = Machine(root, log)
        yield m
        m.close()
    sh("rm", "-rf", "--one-file-system", where / "root")


def all_there(machine, far):
    wait_for(lambda: len(far.uids()) == machine.n)
    wait_for(lambda: sum('"EventClass":"activity"' in line for line in open(machine.root / "/var/log/aispm/events.ndjson")) >= machine.n)


def test_the_unit_starts_when_the_agent_is_ready_with_the_secret_that_systemd_passes(machine, far):
    machine.append(50)
    machine.run("systemctl", "restart", UNIT)                  # Type=notify: comes back when it has said READY=1
    assert machine.show("ActiveState") == "active" and machine.show("SubState") == "running"
    all_there(machine, far)
    assert set(far.secrets) == {SECRET}
    assert machine.run("stat", "-c", "%U:%G:%a", "/var/log/aispm/events.ndjson").stdout.strip() == "aispm-agent:aispm-agent:600"
    assert SECRET not in machine.run("journalctl", "-u", UNIT).stdout


def test_both_processes_live_in_the_units_cage(machine):
    """The decode worker too: same control group and user, no new privileges, system calls filtered."""
    pids = machine.pids()
    assert len(pids) >= 2
    assert b"decode-worker" in pathlib.Path(f"/proc/{pids[1]}/cmdline").read_bytes()
    for pid in pids:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^Seccomp:\t2$", status, re.M)
        assert re.search(r"^Cap(Eff|Prm|Bnd|Amb):\t0+$", status, re.M) and not re.search(r"^Cap\w+:\t0*[1-9a-f]", status, re.M), status
        assert f"/{UNIT}" in pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        assert not re.search(r"^Uid:\t0\t", status, re.M)
    assert machine.show("MemoryMax") == str(1 << 30) and machine.show("TasksMax") == "256" and machine.show("MemorySwapMax") == "0"
    exposure = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", UNIT).stdout
    assert float(re.search(r"Overall exposure level.*: ([\d.]+)", exposure).group(1)) <= 2.0


def test_reload_takes_a_changed_file_and_refuses_a_wrong_one(machine, far):
    conf = machine.root / "/etc/aispm-agent/agent.yaml"
    good, pid = conf.read_text(), machine.show("MainPID")
    conf.write_text(good.replace("/var/log/ai/*.ndjson\"]", "/var/log/ai/*.ndjson\", \"/var/log/more/*.ndjson\"]"))
    (machine.root / "/var/log/more").mkdir()
    machine.run("systemctl", "reload", UNIT)
    (machine.root / "/var/log/more/b.ndjson").write_text((machine.root / "/var/log/ai/a.ndjson").read_text().replace("00000000-0000-4000", "00000000-0000-4001"))
    machine.n += 50
    all_there(machine, far)
    conf.write_text("sources: 12\n")
    machine.run("systemctl", "reload", UNIT)
    wait_for(lambda: "sources" in machine.run("journalctl", "-u", UNIT, "-n", "5").stdout)
    conf.write_text(good.replace("/var/log/ai/*.ndjson\"]", "/var/log/ai/*.ndjson\", \"/var/log/more/*.ndjson\"]"))
    machine.append(10)
    all_there(machine, far)
    assert machine.show("MainPID") == pid and machine.show("ActiveState") == "active"


def test_a_killed_agent_is_started_again_and_loses_nothing(machine, far):
    pid = machine.pids()[0]
    machine.append(20)
    os.kill(int(pid), signal.SIGKILL)
    machine.append(20)
    wait_for(lambda: machine.show("NRestarts") == "1" and machine.show("ActiveState") == "active")
    all_there(machine, far)


def test_a_killed_decode_worker_is_replaced_by_the_agent_itself(machine, far):
    main, worker = machine.pids()[:2]
    os.kill(int(worker), signal.SIGKILL)
    machine.append(20)
    all_there(machine, far)
    wait_for(lambda: len(machine.pids()) >= 2)
    assert machine.pids()[0] == main and worker not in machine.pids() and machine.show("NRestarts") == "1"


def test_one_that_hangs_is_restarted_by_the_watchdog(machine, far):
    time.sleep(6)                   # longer than WatchdogSec: an idle agent is left alone
    assert machine.show("NRestarts") == "1"
    os.kill(int(machine.pids()[0]), signal.SIGSTOP)
    machine.append(20)
    wait_for(lambda: machine.show("NRestarts") == "2" and machine.show("ActiveState") == "active", seconds=120)
    assert "Watchdog timeout" in machine.run("journalctl", "-u", UNIT).stdout
    all_there(machine, far)


def test_stop_drains_and_what_cannot_go_waits_for_the_next_start(machine, far):
    machine.append(500)
    wait_for(lambda: len(far.uids()) > machine.n - 500)
    machine.run("systemctl", "stop", UNIT)
    assert machine.show("Result") == "success" and machine.show("ExecMainStatus") == "0"
    far.status = 503
    machine.append(20)
    machine.run("systemctl", "start", UNIT)
    time.sleep(1)
    machine.run("systemctl", "stop", UNIT)
    assert machine.show("Result") == "success"
    assert len(far.uids()) < machine.n
    far.status = 204
    machine.run("systemctl", "start", UNIT)
    all_there(machine, far)


def test_an_upgrade_restarts_it_and_what_lay_in_the_spool_is_delivered(machine, far, deb, tmp_path):
    far.status = 503
    machine.append(200)
    pid = machine.show("MainPID")
    newer = repack(deb, f"{VERSION}-2", tmp_path)
    shutil.copy(newer, machine.root / "/root/newer.deb")
    machine.run("dpkg", "-i", "/root/newer.deb")
    assert machine.run("dpkg-query", "-W", "-f", "${Version}", "aispm-agent").stdout == f"{VERSION}-2"
    wait_for(lambda: machine.show("ActiveState") == "active" and machine.show("MainPID") != pid)
    assert len(far.uids()) < machine.n
    far.status = 204
    all_there(machine, far)


def test_a_wrong_configuration_fails_once_and_an_empty_one_not_at_all(machine):
    conf = machine.root / "/etc/aispm-agent/agent.yaml"
    good = conf.read_text()
    machine.run("systemctl", "stop", UNIT)
    conf.write_text("sources: 12\n")
    machine.run("systemctl", "start", UNIT, check=False)
    wait_for(lambda: machine.show("ActiveState") == "failed")
    time.sleep(3)               # longer than RestartSec: it is not tried again
    assert machine.show("ActiveState") == "failed" and machine.show("ExecMainStatus") == "78"
    assert "agent.yaml:1" in machine.run("journalctl", "-u", UNIT, "-n", "20").stdout
    conf.write_text("agent: {state_dir: /var/lib/aispm-agent}\n")
    machine.run("systemctl", "reset-failed", UNIT)
    machine.run("systemctl", "start", UNIT)
    assert machine.show("ActiveState") == "inactive" and machine.show("Result") == "exec-condition"
    conf.write_text(good)
    machine.run("systemctl", "start", UNIT)
    assert machine.show("ActiveState") == "active"


def test_removing_the_package_stops_it(machine):
    machine.run("apt-get", "-q", "-y", "purge", "aispm-agent")
    assert machine.run("systemctl", "is-active", UNIT, check=False).stdout.strip() in ("inactive", "unknown", "failed")
    assert not machine.pids()
    assert not (machine.root / "/etc/aispm-agent").exists() and not (machine.root / "/var/lib/aispm-agent").exists()
