"""The Debian package: clean by lintian, and a whole life in a bare root. The tests of the root build on each other, in this order."""
import json
import re
import shutil

from conftest import SRC, VERSION, FarSide, need, sh


def repack(deb, version, where, change=None):
    """The same package with another version, and maybe another content."""
    unpacked = where / f"unpacked-{version}"
    sh("dpkg-deb", "-R", deb, unpacked)
    control = unpacked / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    if change:
        change(unpacked)
    out = where / f"aispm-agent_{version}_all.deb"
    sh("dpkg-deb", "--root-owner-group", "-b", unpacked, out)
    shutil.rmtree(unpacked)
    return out


def test_lintian_is_silent_and_each_exception_has_its_reason(deb):
    need("lintian")
    done = sh("lintian", "-EIL", "+pedantic", "--allow-root", "--fail-on", "error,warning,info,pedantic,experimental", *deb.parent.glob("*.changes"),
              check=False)
    assert done.returncode == 0 and done.stdout == "", done.stdout + done.stderr
    for name in ("source/lintian-overrides", "aispm-agent.lintian-overrides"):
        lines = (SRC / "packaging" / "deb" / name).read_text().splitlines()
        assert lines[0].startswith("# "), name


def test_a_package_holds_the_hardening_that_it_promises(deb, tmp_path):
    sh("dpkg-deb", "-x", deb, tmp_path)
    elf = sh("readelf", "-hdlW", tmp_path / "usr/bin/aispm-agent").stdout
    assert "DYN" in elf and "BIND_NOW" in elf and "GNU_RELRO" in elf and not re.search(r"GNU_STACK.*RWE", elf)
    assert "__stack_chk_fail" in sh("readelf", "-sW", "--dyn-syms", tmp_path / "usr/bin/aispm-agent").stdout


def test_the_package_installs_into_a_bare_root(bare, deb):
    bare.install(deb)
    assert f"aispm-agent {VERSION}" in bare.run("aispm-agent", "--version").stdout
    assert bare.run("getent", "passwd", "aispm-agent").stdout.strip().endswith(":/var/lib/aispm-agent:/usr/sbin/nologin")
    for path, mode in (("/var/lib/aispm-agent", "700"), ("/var/log/aispm", "750")):
        assert bare.run("stat", "-c", "%U:%G:%a", path).stdout.strip() == f"aispm-agent:aispm-agent:{mode}"
    said = bare.run("aispm-agent", "check")
    assert "fine: 0 sources, 0 sinks" in said.stdout
    assert bare.run("/usr/share/aispm-agent/ready", "/usr/bin/aispm-agent", "/etc/aispm-agent/agent.yaml", check=False).returncode == 1
    assert bare.run("systemctl", "is-enabled", "aispm-agent").stdout.strip() == "enabled"


def test_each_example_passes_check_as_installed(bare):
    examples = bare.run("sh", "-c", "ls /usr/share/aispm-agent/examples/*.yaml").stdout.split()
    assert len(examples) >= 5
    for example in examples:
        assert ": fine: " in bare.run("aispm-agent", "check", "-c", example).stdout, example


def test_the_demo_runs_from_the_installed_package(bare):
    said = bare.run("runuser", "-u", "nobody", "--", "sh", "/usr/share/aispm-agent/examples/demo/demo.sh").stdout
    for kind in ("volume_spike", "access_anomaly", "config_change"):
        assert re.search(rf"^{kind} ", said, re.M), said


def test_day_one_from_init_to_events(bare):
    """What a new user does: look, init, check, run once, status."""
    (bare / "/var/log/ai").mkdir()
    awk = "/usr/share/aispm-agent/examples/demo/generate.awk"
    bare.run("sh", "-c", f"awk -f {awk} | head -n 2000 >/var/log/ai/openai.ndjson")
    said = bare.run("aispm-agent", "init", "--yes", "--sink", "file")
    assert "/etc/aispm-agent/agent.yaml: written, and fine: 1 sources, 1 sinks" in said.stdout
    assert bare.run("stat", "-c", "%U:%G:%a", "/etc/aispm-agent/agent.yaml").stdout.strip() == "root:aispm-agent:640"
    assert "/var/log/ai/*.ndjson" in (bare / "/etc/aispm-agent/agent.yaml").read_text()
    as_daemon = ("runuser", "-u", "aispm-agent", "--")
    assert ": fine: 1 sources, 1 sinks" in bare.run(*as_daemon, "aispm-agent", "check", "--online").stdout
    bare.run(*as_daemon, "aispm-agent", "run", "--once")
    events = [json.loads(line) for line in (bare / "/var/log/aispm/events.ndjson").read_text().splitlines()]
    assert sum(e["EventVendor"] == "Microsoft" for e in events) == 2000
    assert bare.run("aispm-agent", "status", check=False).returncode == 69
    assert bare.run("/usr/share/aispm-agent/ready", "/usr/bin/aispm-agent", "/etc/aispm-agent/agent.yaml", check=False).returncode == 0
    assert bare.run("aispm-agent", "init", "--yes", "--sink", "file", check=False).returncode == 78


def test_day_one_with_sentinel_and_status(bare):
    """The transcript in the README, against a stand-in."""
    far = FarSide()
    (bare / "/etc/aispm-agent/entra.secret").write_text("stand-in")
    bare.run("sh", "-c", "mkdir -p /tmp/one && chown aispm-agent: /tmp/one && chgrp aispm-agent /etc/aispm-agent/entra.secret && chmod 640 /etc/aispm-agent/entra.secret")
    conf = "/etc/aispm-agent/one.yaml"
    said = bare.run("aispm-agent", "init", "-c", conf, "--yes", "--endpoint", far.url, "--rule", "dcr-" + "0" * 32, "--identity", "client_secret", "--tenant",
                    "t", "--client-id", "c", "--secret", "file:/etc/aispm-agent/entra.secret", "--authority", far.url).stdout
    assert "written, and fine: 1 sources, 1 sinks" in said and "sink sentinel: reached" in said
    text = (bare / conf).read_text()
    (bare / conf).write_text(text.replace("agent:\n", "agent:\n  state_dir: /tmp/one\n", 1))
    as_daemon = ("runuser", "-u", "aispm-agent", "--")
    assert "sink sentinel: reached" in bare.run(*as_daemon, "aispm-agent", "check", "--online", "-c", conf).stdout
    assert "everything delivered" in bare.run(*as_daemon, "aispm-agent", "run", "--once", "-c", conf).stderr
    assert sum(r["EventVendor"] == "Microsoft" for r in far.rows) == 2000 and set(far.secrets) == {"stand-in"}
    status = bare.run(*as_daemon, "sh", "-c", f"aispm-agent run -c {conf} & until aispm-agent status -c {conf} 2>/dev/null; do sleep 0.2; done; kill $!; wait").stdout
    assert "source files" in status and "sink sentinel" in status and "delivering" in status
    far.server.shutdown()
    far.server.server_close()
    bare.run("rm", "-r", conf, "/etc/aispm-agent/entra.secret", "/tmp/one")


def test_an_upgrade_keeps_configuration_and_state_and_so_does_a_downgrade(bare, deb, tmp_path):
    """The new version ships another agent.yaml: the admin's stays, the new one lies beside it."""
    (bare / "/etc/aispm-agent/conf.d/mine.yaml").write_text("agent: {log_level: debug}\n")
    mine = (bare / "/etc/aispm-agent/agent.yaml").read_text()
    agent_id = bare.run("cat", "/var/lib/aispm-agent/agent_id").stdout

    def other_default(unpacked):
        path = unpacked / "etc/aispm-agent/agent.yaml"
        path.write_text(path.read_text() + "# another default\n")

    newer = repack(deb, f"{VERSION}-2", tmp_path, other_default)
    for package, options in ((newer, ()), (deb, ("--allow-downgrades",))):
        bare.install(package, "-o", "Dpkg::Options::=--force-confold", *options)
        assert (bare / "/etc/aispm-agent/agent.yaml").read_text() == mine
        assert (bare / "/etc/aispm-agent/conf.d/mine.yaml").exists()
        assert bare.run("cat", "/var/lib/aispm-agent/agent_id").stdout == agent_id
        before = len((bare / "/var/log/aispm/events.ndjson").read_text().splitlines())
        bare.run("runuser", "-u", "aispm-agent", "--", "aispm-agent", "run", "--once")
        assert len((bare / "/var/log/aispm/events.ndjson").read_text().splitlines()) == before     # nothing again
    assert bare.run("dpkg-query", "-W", "-f", "${Version}", "aispm-agent").stdout == f"{VERSION}-1"


def test_remove_keeps_what_the_admin_wrote_and_purge_nothing(bare):
    bare.run("apt-get", "-q", "-y", "remove", "aispm-agent")
    assert not (bare / "/usr/bin/aispm-agent").exists()
    assert (bare / "/etc/aispm-agent/agent.yaml").exists() and (bare / "/var/lib/aispm-agent/spool").exists()
    (bare / "/var/log/aispm-old").mkdir()
    bare.run("apt-get", "-q", "-y", "purge", "aispm-agent")
    left = [p for p in ("/etc/aispm-agent", "/etc/logrotate.d/aispm-agent", "/var/lib/aispm-agent", "/var/log/aispm", "/var/log/aispm-old",
                        "/usr/share/aispm-agent", "/usr/share/doc/aispm-agent") if (bare / p).exists()]
    assert left == []
    assert sh("find", bare.path, "-xdev", "-name", "*aispm*", "-not", "-path", "*/tmp/*").stdout == ""
