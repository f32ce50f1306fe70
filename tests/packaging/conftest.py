"""What the package tests share: packages made once from a build tree of their own, and roots that nothing outside of them is mounted in."""
import gzip
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.parse

import pytest

SRC = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("AISPM_BUILD", ""))
LONG = os.environ.get("LONG") == "1"
VERSION = (SRC / "VERSION").read_text().strip()
CODENAME = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line).get("VERSION_CODENAME", "")

if not os.environ.get("AISPM_BUILD"):
    pytest.skip("AISPM_BUILD names no build", allow_module_level=True)


def need(*programs):
    for p in programs:
        if shutil.which(p) is None:
            pytest.skip(f"no program {p} here")


def sh(*args, timeout=900, check=True, **more):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout, **more)
    assert not check or done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def source_dir():
    """Where AISPM_BUILD was configured from: has a configure."""
    return pathlib.Path(re.search(r"^abs_top_srcdir = (.*)$", (BUILD / "Makefile").read_text(), re.M).group(1))


def build_tree(where):
    where.mkdir(parents=True, exist_ok=True)
    sh(source_dir() / "configure", "-q", cwd=where)
    return where


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return build_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def deb(tree):
    need("dpkg-buildpackage", "dh")
    sh("make", "-s", "deb", cwd=tree)
    return tree / "dist" / f"aispm-agent_{VERSION}-1_{sh('dpkg', '--print-architecture').stdout.strip()}.deb"


@pytest.fixture(scope="session")
def rpms(tree):
    need("rpmbuild")
    sh("make", "-s", "rpm", cwd=tree)
    return sorted((tree / "dist").glob("aispm-agent-*.rpm"))


class Root:
    """A Debian of its own in a folder. Commands run with a /proc that is mounted in their own namespace only, so the folder never holds a mount."""

    def __init__(self, path):
        self.path = path

    def run(self, *args, check=True, env=(), stdin=None, timeout=600):
        script = 'mount -t proc proc "$0/proc" && root=$0 && exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin ' \
                 'LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root "$@"'
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(self.path), *env, *args],
                              capture_output=True, text=True, timeout=timeout, input=stdin)
        assert not check or done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def __truediv__(self, name):
        return self.path / name.lstrip("/")

    def install(self, deb, *options):
        shutil.copy(deb, self.path / "tmp" / deb.name)
        return self.run("apt-get", "-q", "-y", "--no-install-recommends", *options, "install", f"/tmp/{deb.name}")


class FarSide:
    """Entra and the ingestion service, as far as this needs them."""

    def __init__(self):
        self.secrets, self.rows, self.status = [], [], 204
        far = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if "/oauth2/" in self.path:
                    far.secrets += urllib.parse.parse_qs(body.decode())["client_secret"]
                    answer = json.dumps({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                    return
                if far.status == 204:
                    far.rows += json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(far.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def uids(self):
        return {r["EventOriginalUid"] for r in self.rows if r["EventClass"] == "activity"}


def make_root(path):
    need("mmdebstrap", "unshare")
    if os.geteuid() != 0:
        pytest.skip("only root can make a root")
    made = sh("mmdebstrap", "--quiet", "--variant=apt", CODENAME, path, check=False)
    if made.returncode != 0:
        pytest.skip(f"no bare root could be made: {made.stderr.strip()[-200:]}")
    root = Root(path)
    if root.run("true", check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    return root


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    path = tmp_path_factory.mktemp("root") / "bare"
    root = make_root(path)
    root.run("apt-get", "-q", "update")
    yield root
    sh("rm", "-rf", "--one-file-system", path)


@pytest.fixture
def another_root(tmp_path):
    """For one test alone: nobody's user or file of an earlier package is in it."""
    yield make_root(tmp_path / "root")
    sh("rm", "-rf", "--one-file-system", tmp_path / "root")
