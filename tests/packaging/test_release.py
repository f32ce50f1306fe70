"""Release habits: one version, the changelog's, the SBOM of what is linked, the same bytes again."""
import json
import re
import shutil
import tarfile

import pytest

from conftest import LONG, SRC, VERSION, build_tree, sh


def test_the_changelog_begins_with_the_version():
    heading = re.search(r"^## (\S+) - (\d{4}-\d\d-\d\d)$", (SRC / "packaging" / "CHANGELOG.md").read_text(), re.M)
    assert heading and heading.group(1) == VERSION


def test_the_version_stands_in_one_place():
    asim = r'EventSchemaVersion = (\\?)"[\d.]+\1"|Schema: \w+Event\n  Version: [\d.]+'       # Microsoft's, which may look the same
    found = [p for p in SRC.glob("packaging/**/*") if p.is_file() and p.name not in ("CHANGELOG.md",)
             and re.search(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])", re.sub(asim, "", p.read_text(errors="replace")))]
    assert found == [], found


@pytest.fixture(scope="module")
def dist(tree):
    sh("make", "-s", "dist", cwd=tree)
    return tree / f"aispm-agent-{VERSION}.tar.xz"


def test_make_dist_leaves_an_sbom_of_every_library_that_configure_asks_for(dist):
    """SPDX 2.3; the same document lies in the tarball. Which libraries: from configure.ac, by another reading than the one that makes it."""
    bom = json.loads((dist.parent / f"aispm-agent-{VERSION}.spdx.json").read_text())
    assert bom["spdxVersion"] == "SPDX-2.3" and bom["dataLicense"] == "CC0-1.0" and bom["documentDescribes"] == ["SPDXRef-aispm-agent"]
    packages = {p["SPDXID"]: p for p in bom["packages"]}
    asked = set(re.findall(r"(?:NEED|OPTIONAL)\(\[[^\]]*\], (?:\[[A-Z]+\], )?\[([a-z][\w.-]*) >= ([\d.]+)\]", (SRC / "configure.ac").read_text()))
    assert len(asked) >= 10
    for module, least in asked:
        assert packages["SPDXRef-" + re.sub(r"[^\w.-]", "-", module)]["versionInfo"] == f">={least}"
    assert len(packages) == len(asked) + 1
    kinds = {r["spdxElementId"]: r["relationshipType"] for r in bom["relationships"]}
    assert kinds["SPDXRef-libcurl"] == "DEPENDENCY_OF" and kinds["SPDXRef-rdkafka"] == "OPTIONAL_DEPENDENCY_OF"
    assert kinds["SPDXRef-cmocka"] == "TEST_DEPENDENCY_OF" and set(kinds) == set(packages) - {"SPDXRef-aispm-agent"} | {"SPDXRef-DOCUMENT"}
    with tarfile.open(dist) as tar:
        inside = json.load(tar.extractfile(f"aispm-agent-{VERSION}/packaging/sbom.spdx.json"))
    assert inside == bom


def test_the_tarball_holds_nothing_that_was_built_and_nobodys_name(dist):
    with tarfile.open(dist) as tar:
        members = tar.getmembers()
    assert not [m.name for m in members if m.name.endswith((".o", ".a", ".pyc", ".log"))]
    assert {(m.uid, m.gid) for m in members} == {(0, 0)} and len({m.mtime for m in members}) == 1


def test_each_awk_makes_the_same_of_the_release_scripts(tmp_path):
    """Debian's own awk is mawk, which knows less than gawk."""
    awks = [a for a in ("mawk", "gawk", "original-awk") if shutil.which(a)]
    assert awks
    packaging = SRC / "packaging"
    for script, *rest in (("sbom.awk", "-v", "version=1", "-v", "date=2026-01-02", packaging / "licences.tbl", SRC / "configure.ac"),
                          ("changelog.awk", "-v", "kind=deb", packaging / "CHANGELOG.md"), ("changelog.awk", "-v", "kind=rpm", packaging / "CHANGELOG.md"),
                          ("examples/demo/generate.awk",)):
        said = {sh(awk, "-f", packaging / script, *rest).stdout for awk in awks}
        assert len(said) == 1 and len(said.pop()) > 200, script


@pytest.mark.skipif(not LONG, reason="LONG=1 builds everything a second time")
def test_the_deb_and_the_tarball_come_out_the_same_from_another_folder(deb, tree, tmp_path):
    other = build_tree(tmp_path / "somewhere" / "else")
    sh("make", "-s", "deb", cwd=other, timeout=1800)
    for first in [deb, *tree.glob("aispm-agent-*.tar.xz")]:
        assert first.read_bytes() == (other / first.relative_to(tree)).read_bytes(), first.name


@pytest.mark.skipif(not LONG, reason="LONG=1 builds everything a second time")
def test_the_rpms_come_out_the_same_from_the_same_folder(rpms, tree):
    """RPM writes the spec as it was read, with the folder's name in it, into its header; mock's folder is always the same."""
    first = {r.name: r.read_bytes() for r in rpms}
    sh("make", "-s", "rpm", cwd=tree, timeout=1800)
    assert len(first) == 2
    for r in rpms:
        assert r.read_bytes() == first[r.name], r.name
