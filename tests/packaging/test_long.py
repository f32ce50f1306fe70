"""Debian's own judges of a package, minutes each: only with LONG=1. They install what they need by themselves, or say what is missing."""
import os

import pytest

from conftest import CODENAME, LONG, need, sh

pytestmark = pytest.mark.skipif(not LONG, reason="LONG=1 asks piuparts, autopkgtest and the SELinux compiler")


def test_piuparts_finds_nothing_left_behind(deb):
    need("piuparts")
    if os.geteuid() != 0:
        pytest.skip("piuparts needs root")
    done = sh("piuparts", "-d", CODENAME, "--warn-on-leftovers-after-purge", "--no-eatmydata", deb, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "PASS: All tests" in done.stdout + done.stderr


def test_autopkgtest_passes_in_a_root(bare, deb):
    need("autopkgtest")
    done = sh("autopkgtest", deb, deb.parent / (deb.name.rsplit("_", 1)[0] + ".dsc"), "--no-built-binaries", "--", "chroot", bare.path, timeout=1800, check=False,
              env={k: v for k, v in os.environ.items()                          # it hands them on into the root, where these name nothing
                   if k != "TMPDIR" and not k.startswith("AISPM_")})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_the_selinux_module_compiles(tmp_path):
    makefile = "/usr/share/selinux/devel/Makefile"
    if not os.path.exists(makefile):
        pytest.skip("no selinux-policy-dev here")
    from conftest import SRC
    for part in ("te", "fc", "if"):
        (tmp_path / f"aispm_agent.{part}").write_text((SRC / f"packaging/selinux/aispm_agent.{part}").read_text())
    sh("make", "-f", makefile, "aispm_agent.pp", cwd=tmp_path)
    assert (tmp_path / "aispm_agent.pp").stat().st_size > 1000
