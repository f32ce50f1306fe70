"""The RPM: its spec by itself always; the binary one, and its life in a root that dnf fills, with LONG=1."""
import pathlib
import re

import pytest

from conftest import LONG, SRC, VERSION, need, sh

BCONDS = ("kafka", "microhttpd", "gnutls", "simdjson", "libdeflate")
PATHS = ("/usr/bin/aispm-agent", "/usr/lib/systemd/system/aispm-agent.service", "/usr/lib/sysusers.d/aispm-agent.conf",
         "/usr/lib/tmpfiles.d/aispm-agent.conf", "/etc/aispm-agent/conf.d", "/var/lib/aispm-agent", "/var/log/aispm")


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    need("rpmspec")
    path = tmp_path_factory.mktemp("spec") / "aispm-agent.spec"
    path.write_text((SRC / "packaging/rpm/aispm-agent.spec.in").read_text().replace("@VERSION@", VERSION))
    return path


def test_the_spec_parses_with_and_without_each_optional_library(spec):
    whole = sh("rpmspec", "-P", spec).stdout
    for name in BCONDS:
        less = sh("rpmspec", "-P", f"--without={name}", spec).stdout
        assert whole != less, name
    assert "pkgconfig(rdkafka)" in whole and "pkgconfig(rdkafka)" not in sh("rpmspec", "-P", "--without=kafka", spec).stdout
    assert "pkgconfig(json-c)" in sh("rpmspec", "-P", "--without=simdjson", spec).stdout


def test_every_exception_of_rpmlint_has_its_reason():
    lines = (SRC / "packaging/rpm/rpmlintrc").read_text().splitlines()
    assert lines[0].startswith("# ") and all(re.match(r'# |addFilter\(".+"\)$', line) for line in lines)


@pytest.mark.skipif(not LONG, reason="LONG=1 builds the RPM")
def test_rpmlint_is_silent(rpms):
    need("rpmlint")
    assert len(rpms) == 2
    done = sh("rpmlint", "-r", SRC / "packaging/rpm/rpmlintrc", *rpms, check=False)
    assert re.search(r"2 packages and 0 specfiles checked; 0 errors, 0 warnings", done.stdout), done.stdout


def stub(tmp_path, rpm):
    """A package that provides what the agent's asks for, as a distribution would."""
    wants = [w for w in sh("rpm", "-qp", "--requires", rpm).stdout.splitlines() if not w.startswith("rpmlib(")]
    spec = tmp_path / "stub.spec"
    spec.write_text("Name: stub\nVersion: 1\nRelease: 1\nSummary: stub\nLicense: none\nBuildArch: noarch\n"
                    + "".join(f"Provides: {w.split(' ')[0]}\n" for w in wants) + "%description\nstub\n%files\n")
    sh("rpmbuild", "-bb", "--define", f"_topdir {tmp_path}/stub", spec)
    return next((tmp_path / "stub" / "RPMS").rglob("*.rpm"))


def other_release(tmp_path, tree, release):
    """The same sources with a higher release."""
    top = tmp_path / f"release-{release}"
    (top / "SOURCES").mkdir(parents=True)
    for source in (tree / f"aispm-agent-{VERSION}.tar.xz", SRC / "packaging/systemd/aispm-agent.sysusers"):
        (top / "SOURCES" / source.name).write_bytes(source.read_bytes())
    spec = top / "aispm-agent.spec"
    text = (SRC / "packaging/rpm/aispm-agent.spec.in").read_text().replace("@VERSION@", VERSION)
    spec.write_text(text.replace("Release:        1%", f"Release:        {release}%"))
    sh("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {top}", spec, timeout=1800)
    return next((top / "RPMS").rglob("*.rpm"))


@pytest.mark.skipif(not LONG, reason="LONG=1 builds the RPM")
def test_dnf_installs_upgrades_downgrades_and_removes_it_in_a_root_of_its_own(another_root, rpms, tree, tmp_path):
    """The root is a bare Debian, since scriptlets need a shell, useradd and systemctl; RPM's own database in it is empty."""
    need("dnf", "createrepo_c")
    bare = another_root
    binary = next(r for r in rpms if not r.name.endswith(".src.rpm"))
    repo = tmp_path / "repo"
    repo.mkdir()
    for rpm in (stub(tmp_path, binary), binary, other_release(tmp_path, tree, 2)):
        (repo / rpm.name).write_bytes(pathlib.Path(rpm).read_bytes())
    sh("createrepo_c", "-q", repo)

    def dnf(*words):
        return sh("dnf", "-y", "-q", f"--installroot={bare.path}", f"--repofrompath=local,file://{repo}", "--repo=local", "--nogpgcheck", "--releasever=9",
                  f"--setopt=cachedir={tmp_path}/cache", *words).stdout

    def version():
        return sh("rpm", f"--root={bare.path}", "-q", "aispm-agent").stdout.strip()

    dnf("install", f"aispm-agent-{VERSION}-1")
    assert [p for p in PATHS if not (bare / p).exists()] == []
    assert bare.run("getent", "passwd", "aispm-agent").stdout.strip().endswith(":/sbin/nologin")
    assert bare.run("stat", "-c", "%U:%a", "/var/lib/aispm-agent").stdout.strip() == "aispm-agent:700"
    conf = bare / "/etc/aispm-agent/agent.yaml"
    conf.write_text(conf.read_text() + "# the admin's own\n")
    (bare / "/var/lib/aispm-agent/kept").write_text("state\n")
    dnf("upgrade", "aispm-agent")
    assert version().startswith(f"aispm-agent-{VERSION}-2")
    assert conf.read_text().endswith("# the admin's own\n") and (bare / "/var/lib/aispm-agent/kept").exists()
    dnf("downgrade", f"aispm-agent-{VERSION}-1")
    assert version().startswith(f"aispm-agent-{VERSION}-1")
    assert conf.read_text().endswith("# the admin's own\n") and (bare / "/var/lib/aispm-agent/kept").exists()
    dnf("remove", "aispm-agent")
    assert not (bare / "/usr/bin/aispm-agent").exists()
    assert (bare / "/etc/aispm-agent/agent.yaml.rpmsave").exists() and (bare / "/var/lib/aispm-agent/kept").exists()
