#!/usr/bin/env python3
"""Runs every suite and ends with one line: N passed, N failed, N skipped.

Builds once per variant (below), then runs suites side by side, as many as there are processors. A suite is a row: a name and
a command; it reports by TAP on standard output (unit tests, lint, fuzz) or by a JUnit file (pytest). Its whole
output is in build/check/NAME.log, and is shown when something fails. LONG=1 adds the long ones.

`check.py python` only prints which Python has the packages that the suites need, having made it if need be.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import venv
import xml.etree.ElementTree as ET

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
SRC = BUILD / "src"
OUT = BUILD / "check"
LONG = os.environ.get("LONG") == "1"
SHARED = pathlib.Path(os.environ.get("AISPM_SHARED", TOP.parent / "shared"))
JOBS = os.cpu_count() or 2

# name: configure options, compiler environment
VARIANTS = {
    "gcc": (["--enable-werror", "CFLAGS=-O2 -g", "CXXFLAGS=-O2 -g"], {}),
    "san": (["--enable-werror", "--enable-sanitizers", "--disable-hardening", "CFLAGS=-O1 -g", "CXXFLAGS=-O1 -g"], {}),
    "clang": (["--enable-werror", "--with-json=json-c", "--without-libdeflate", "CC=clang", "CXX=clang++",
               "CFLAGS=-O1 -g", "CXXFLAGS=-O1 -g"], {}),
    "fuzz": (["--enable-fuzzing", "--enable-sanitizers", "--disable-hardening", "CC=clang", "CXX=clang++",
              "CFLAGS=-O1 -g", "CXXFLAGS=-O1 -g"], {}),
}


def say(text):
    print(text, flush=True)


def sh(args, log, cwd=None, env=None, timeout=1800):
    with open(log, "ab") as out:
        return subprocess.run(args, cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT, timeout=timeout).returncode


def build(name):
    """One variant; None, or the reason why not."""
    options, env = VARIANTS[name]
    where = BUILD / name
    where.mkdir(parents=True, exist_ok=True)
    log = OUT / f"build-{name}.log"
    log.write_bytes(b"")
    stamp = where / "options"
    fresh = where.joinpath("Makefile").exists() and stamp.exists() and stamp.read_text() == repr(options) \
        and SRC.joinpath("configure").stat().st_mtime <= where.joinpath("Makefile").stat().st_mtime
    if not fresh:
        if sh([str(SRC / "configure"), "-q", *options], log, cwd=where) != 0:
            return f"configure failed, see {log}"
        stamp.write_text(repr(options))
    for target in ["fuzz-programs"] if name == "fuzz" else ["all", "check-programs"]:
        if sh(["make", "-s", f"-j{JOBS}", target], log, cwd=where) != 0:
            return f"make failed, see {log}"
    return None


def python_env():
    """A virtual environment with what the Python suites need; made once."""
    where = BUILD / "venv"
    wanted = (TOP / "tests" / "requirements.txt").read_text()
    stamp = where / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return where / "bin" / "python"
    say("installing the Python packages of tests/requirements.txt into build/venv")
    shutil.rmtree(where, ignore_errors=True)
    venv.create(where, with_pip=True)
    rc = sh([str(where / "bin" / "pip"), "-q", "install", "-r", str(TOP / "tests" / "requirements.txt")],
            OUT / "pip.log")
    if rc != 0:
        return None
    stamp.write_text(wanted)
    return where / "bin" / "python"


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def tally_tap(text, rc):
    t = Tally()
    for line in text.splitlines():
        if re.match(r"(not )?ok\b.*# *skip", line, re.I):
            t.skipped += 1
        elif re.match(r"ok\b", line):
            t.passed += 1
        elif re.match(r"not ok\b", line):
            t.failed += 1
    if rc != 0 and t.failed == 0:
        t.failed = 1        # it ended in a way that its report does not show
    if t.passed + t.failed + t.skipped == 0:
        t.failed = 1        # a suite that says nothing proves nothing
    return t


def tally_junit(path, rc):
    t = Tally()
    try:
        for suite in ET.parse(path).getroot().iter("testsuite"):
            n, bad, skip = (int(suite.get(k, 0)) for k in ("tests", "failures", "skipped"))
            bad += int(suite.get("errors", 0))
            t.passed += n - bad - skip
            t.failed += bad
            t.skipped += skip
    except (OSError, ET.ParseError):
        pass
    if rc not in (0, 5) and t.failed == 0:
        t.failed = 1
    if t.passed + t.failed + t.skipped == 0:
        t.failed = 1
    return t


class Suite:
    def __init__(self, name, args, kind="tap", env=None, cwd=None, timeout=900):
        self.name, self.args, self.kind, self.timeout = name, args, kind, timeout
        self.env = dict(os.environ, AISPM_SRC=str(TOP), AISPM_SHARED=str(SHARED), AISPM_DATA_DIR=str(TOP), **(env or {}))
        self.cwd = cwd or TOP

    def run(self):
        log = OUT / (self.name.replace("/", "-") + ".log")
        log.write_bytes(b"")
        began = time.monotonic()
        try:
            rc = sh(self.args, log, cwd=self.cwd, env=self.env, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            rc = -1
            log.open("a").write(f"\nended by its time limit of {self.timeout} s\n")
        text = log.read_text(errors="replace")
        tally = tally_junit(self.args[-1].split("=", 1)[1], rc) if self.kind == "junit" else tally_tap(text, rc)
        return self, tally, text, time.monotonic() - began


def unit_suites(variant):
    env = {"CMOCKA_MESSAGE_OUTPUT": "TAP", "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1",
           "UBSAN_OPTIONS": "print_stacktrace=1"}
    programs = sorted(p for p in (BUILD / variant / "tests" / "unit").glob("test_*")
                      if p.is_file() and os.access(p, os.X_OK) and "." not in p.name)
    return [Suite(f"unit/{p.name}[{variant}]", [str(p)], env=env, timeout=300) for p in programs]


def driver_suites(variant):
    """Scenarios with each compiler; torture only with sanitizers, which see what it does."""
    tests = BUILD / variant / "tests"
    rows = [("scenario", 300)] + ([("torture", 14400 if LONG else 1200)] if variant == "san" else [])
    env = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return [Suite(f"{name}[{variant}]", [str(tests / name / name), str(TOP / "tests" / "scenario")], env=env, timeout=limit)
            for name, limit in rows if (tests / name / name).exists()]


def pytest_suite(python, name, folder, variant="gcc", timeout=900):
    report = OUT / f"{name.replace('/', '-')}.xml"
    return Suite(name, [str(python), "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(TOP / "tests" / folder),
                        f"--junitxml={report}"], kind="junit", timeout=timeout,
                 env={"AISPM_AGENT": str(BUILD / variant / "aispm-agent"), "AISPM_BUILD": str(BUILD / variant)})


def suites(python):
    found = [Suite("lint", [sys.executable, str(TOP / "tests" / "lint" / "lint.py")])]
    for variant in ("gcc", "san", "clang"):
        found += unit_suites(variant)
    for program in sorted((BUILD / "fuzz" / "tests" / "fuzz").glob("fuzz_*")):
        if program.is_file() and os.access(program, os.X_OK) and "." not in program.name:
            found.append(Suite(f"fuzz/{program.name}", [sys.executable, str(TOP / "tests" / "fuzz" / "corpus.py"), str(program)],
                               timeout=3600 if LONG else 300))
    for variant in ("gcc", "san", "clang"):
        found += driver_suites(variant)
    if python is not None:
        found.append(pytest_suite(python, "formats", "formats"))
        found.append(pytest_suite(python, "content", "content", timeout=1200))
        for file in sorted((TOP / "tests" / "system").glob("test_*.py")):
            found.append(pytest_suite(python, f"system/{file.stem[5:]}", f"system/{file.name}", timeout=5400 if LONG else 1200))
        found.append(pytest_suite(python, "packaging", "packaging", timeout=5400 if LONG else 900))
    return found


def report(suite, tally, text, took):
    word = "FAILED" if tally.failed else "ok"
    say(f"{word:6} {suite.name}: {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped ({took:.0f} s)")
    if tally.failed:
        say("\n".join("    " + line for line in text.splitlines()[-60:]))
    else:
        for line in re.findall(r"^(?:(?:not )?ok.*# *skip.*|SKIPPED .*)$", text, re.M | re.I):
            say("       " + line)
    return tally


def main():
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    total = Tally()
    for name in VARIANTS:
        say(f"building {name}")
        why = build(name)
        if why is not None:
            say(f"not ok - build {name}: {why}")
            total.failed += 1
        else:
            total.passed += 1
    python = python_env()
    if python is None:
        say(f"not ok - Python packages, see {OUT / 'pip.log'}")
        total.failed += 1
    with concurrent.futures.ThreadPoolExecutor(max_workers=JOBS) as pool:
        # the longest first, so that nothing waits for it at the end
        rows = sorted(suites(python), key=lambda s: -s.timeout)
        for done in concurrent.futures.as_completed([pool.submit(s.run) for s in rows]):
            total.add(report(*done.result()))
    # alone: it builds in a tree that the others run from
    total.add(report(*Suite("dist", ["sh", str(TOP / "tests" / "lint" / "distcheck.sh"), str(BUILD / "gcc")]).run()))
    say(f"({(time.monotonic() - began) / 60:.1f} minutes; logs in build/check)")
    say(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed else 0


def print_python():
    OUT.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(sys.stderr):
        python = python_env()
    print(python or f"no-python-see-{OUT / 'pip.log'}")
    return 0 if python else 1


if __name__ == "__main__":
    sys.exit(print_python() if sys.argv[1:] == ["python"] else main())
