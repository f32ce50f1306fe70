"""Decode behind its wall, with the real binary: what the worker is, what it may not, and that its end costs nothing."""
import ctypes
import json
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

from conftest import AGENT, SRC, record, wait_for


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def keeper(agent):
    return next(iter(children(agent)), None)


def worker(agent):
    """The one that decodes: the only child of the agent's only child."""
    k = keeper(agent)
    return next(iter(children(k)), None) if k else None


def facts(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def uids(site):
    return [e["EventOriginalUid"] for e in site.events() if e["EventClass"] == "activity"]


def test_the_worker_is_behind_a_filter_and_holds_neither_files_nor_the_environment(site, running):
    site.configure(site.file_sink())
    site.append([record(0)])
    p = running()
    wait_for(lambda: len(site.events()) == 1)
    w = worker(p.pid)
    assert facts(w)["Seccomp"].strip() == "2" and facts(w)["NoNewPrivs"].strip() == "1"
    if os.geteuid() == 0:               # else the kernel does not even let us look
        assert sorted(os.listdir(f"/proc/{w}/fd")) == ["0", "1", "2"]
        assert os.readlink(f"/proc/{w}/fd/0").startswith("pipe:") and os.readlink(f"/proc/{w}/fd/1").startswith("pipe:")
        assert b"very-secret-word" not in pathlib.Path(f"/proc/{w}/environ").read_bytes()


def test_inline_means_no_other_process(site, running):
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", "agent: {decode: inline, "))
    site.append([record(0)])
    p = running()
    wait_for(lambda: len(site.events()) == 1)
    assert children(p.pid) == [] and "own process" not in site.log()


def test_workers_killed_under_load_lose_nothing_and_the_order_stays(site, running):
    site.configure(site.file_sink())
    p = running()
    wait_for(lambda: worker(p.pid))
    n, rng = 0, random.Random(7)
    for turn in range(30):
        seen = len(uids(site))
        site.append([record(n + i) for i in range(400)])
        n += 400
        victim = keeper(p.pid) if turn % 10 == 9 else worker(p.pid)
        time.sleep(rng.random() * 0.02)
        if victim:
            os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len(uids(site)) > seen)
    wait_for(lambda: len(uids(site)) >= n)
    assert uids(site) == [record(i)["correlationId"] for i in range(n)]
    assert "decode process ended" in site.log()
    assert site.run("spool", "dead", str(site.path / "state" / "dead")).stdout == ""


def test_the_worker_does_not_outlive_a_killed_agent(site, running):
    site.configure(site.file_sink())
    p = running()
    pids = wait_for(lambda: worker(p.pid)) and [keeper(p.pid), worker(p.pid)]
    p.kill()
    p.wait()
    wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() and facts(pid)["State"][0] != "Z" for pid in pids))


def test_a_term_to_the_whole_group_still_drains(site, running):
    """As a service manager and a terminal do it."""
    site.configure(site.file_sink())
    p = running()
    wait_for(lambda: worker(p.pid))
    site.append([record(i) for i in range(500)])
    for pid in (worker(p.pid), keeper(p.pid), p.pid):
        os.kill(pid, signal.SIGTERM)
    assert p.wait(30) == 0
    assert site.once().returncode == 0
    assert uids(site) == [record(i)["correlationId"] for i in range(500)]
    assert "decode process ended" not in site.log()


def test_a_reload_brings_a_new_worker_and_ends_the_old_one(site, running):
    site.configure(site.file_sink())
    p = running()
    old = wait_for(lambda: worker(p.pid))
    site.append([record(i) for i in range(300)])
    p.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in site.log())
    site.append([record(i) for i in range(300, 400)])
    expected = [record(i)["correlationId"] for i in range(400)]
    wait_for(lambda: set(uids(site)) == set(expected))
    assert list(dict.fromkeys(uids(site))) == expected      # a sink may say again what was on its way
    assert worker(p.pid) != old and len(children(p.pid)) == 1


def test_hostile_records_harm_no_neighbour(site):
    """Depth, sizes, numbers, equal keys, bytes that are no UTF-8: each comes out, or lies in the dead letter with its reason."""
    hostile = [
        b"[" * 100000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"{" + b",".join(b'"k%d":1' % i for i in range(50000)) + b"}",
        b"{" + b",".join([b'"category":"x"'] * 20000) + b"}", b'{"n":1e999999}', b'{"n":' + b"9" * 5000 + b"}",
        b'{"n":-0.0,"m":1E-400}', b'{"a":"\xff\xfe\xc3\x28"}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b"\x00\x01\x02",
        b'\x1f\x8b\x08\x00garbage', b'{"time":"' + b"9" * 100 + b'"}', b'"lone"', b"12", b"null", b'{"":{"":{"":""}}}',
        b'{"properties":"' + b'{\\"properties\\":\\"' * 50 + b'"}',
    ]
    site.configure(site.file_sink())
    lines = []
    for i, h in enumerate(hostile):
        lines += [json.dumps(record(i)).encode(), h]
    (site.path / "in" / "a.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    done = site.once()
    assert done.returncode == 65
    ours = {record(i)["correlationId"] for i in range(len(hostile))}
    assert [u for u in (e.get("EventOriginalUid") for e in site.events()) if u in ours] == sorted(ours)
    letters = site.run("spool", "dead", str(site.path / "state" / "dead")).stdout.splitlines()
    assert letters and all(json.loads(x)["reason"] for x in letters)
    others = [e for e in site.events() if e.get("EventOriginalUid") not in ours]
    assert len(others) + len(letters) == len(hostile)
    assert "decode process ended" not in done.stderr


def test_nothing_a_stranger_writes_reaches_a_terminal_as_a_command(site, running):
    """Escape sequences, C1 controls and line ends of a record, in what each command prints."""
    evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u0085\u2028\u202e\x7f\r\nfake: line"
    r = record(1)
    r["operationName"] = r["properties"]["modelName"] = r["correlationId"] = r["properties"]["objectId"] = evil
    r[evil] = r["properties"][evil] = evil
    site.configure(site.file_sink())
    site.append([r, {"strange": evil, evil: evil}, '{"\x1b[31m\u009b": ', '{"category":"' + evil.replace("\r\n", "") + '"'])
    p = running()
    wait_for(lambda: len(site.events()) >= 2)
    state = site.path / "state"
    source = site.path / "in" / "a.ndjson"
    told = [site.run("status", "-c", str(site.conf)), site.run("spool", "dead", str(state / "dead"))]
    p.send_signal(signal.SIGTERM)
    p.wait(30)
    told += [site.run("explain", "--format", f, *why, str(source)) for f in ("json", "cef", "ocsf", "commonsecuritylog") for why in ([], ["--why"])]
    told += [site.run("backtest", "--detector", d, str(source)) for d in ("access", "config")]
    told += [site.run("spool", "dump", str(state / "spool"))]
    for done in told:
        for text in (done.stdout, done.stderr):
            bad = re.search("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f]", text)
            assert not bad, (done.args, text[max(0, bad.start() - 60):bad.start() + 20])
            assert "\nfake" not in text, done.args
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f]|\nfake", site.log())


# ---- the unit's own filter -----------------------------------------------------------------------

HEADER = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


def numbers_of(sets):
    """The numbers of systemd's sets of system calls."""
    names, todo = set(), list(sets)
    while todo:
        for line in subprocess.run(["systemd-analyze", "syscall-filter", todo.pop()], capture_output=True, text=True, check=True).stdout.splitlines():
            word = line.strip()
            if line.startswith("    ") and not word.startswith("#"):
                (todo if word.startswith("@") else names.add(word) or []).append(word)
    table = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", HEADER.read_text()))
    return {int(table[n]) for n in names if n in table}


@pytest.mark.skipif(platform.machine() != "x86_64" or not HEADER.exists() or not shutil.which("systemd-analyze"),
                    reason="needs systemd-analyze and the kernel's table of x86-64")
def test_it_stands_within_the_units_own_system_call_filter(site):
    unit = (SRC / "packaging" / "systemd" / "aispm-agent.service.in").read_text()
    sets = re.findall(r"^SystemCallFilter=(~?)(.*)$", unit, re.M)
    assert sets and "SystemCallErrorNumber=EPERM" in unit
    allowed = set()
    for no, names in sets:
        allowed = allowed - numbers_of(names.split()) if no else allowed | numbers_of(names.split())
    program = [struct.pack("HBBI", 0x20, 0, 0, 0)]                              # the number
    for nr in sorted(allowed):
        program += [struct.pack("HBBI", 0x15, 0, 1, nr), struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)]
    program += [struct.pack("HBBI", 0x06, 0, 0, 0x00050001)]                    # EPERM
    code = ctypes.create_string_buffer(b"".join(program))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def confine():
        assert libc.prctl(38, 1, 0, 0, 0) == 0                                  # PR_SET_NO_NEW_PRIVS
        assert libc.prctl(22, 2, ctypes.byref(fprog), 0, 0) == 0                # PR_SET_SECCOMP, filter

    site.configure(site.file_sink())
    site.append([record(i) for i in range(100)])
    done = subprocess.run([AGENT, "run", "-c", str(site.conf), "--once"], env=dict(site.env, ASAN_OPTIONS="detect_leaks=0"), capture_output=True, text=True, timeout=60,
                          preexec_fn=confine)
    assert done.returncode == 0, done.stderr
    assert "own process" not in done.stderr and uids(site) == [record(i)["correlationId"] for i in range(100)]


def test_without_seccomp_records_are_decoded_in_the_agent_and_that_is_said(site):
    """A machine that knows no filters: prctl(PR_SET_SECCOMP) fails there."""
    if platform.machine() != "x86_64":
        pytest.skip("the filter that stands in for such a machine is written for x86-64")
    program = [(0x20, 0, 0, 0), (0x15, 0, 3, 157), (0x20, 0, 0, 16), (0x15, 0, 1, 22), (0x06, 0, 0, 0x00050016), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in program))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None)

    def confine():
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(fprog), 0, 0) == 0

    site.configure(site.file_sink())
    site.append([record(i) for i in range(10)])
    done = subprocess.run([AGENT, "run", "-c", str(site.conf), "--once"], env=dict(site.env, ASAN_OPTIONS="detect_leaks=0"), capture_output=True, text=True, timeout=60,
                          preexec_fn=confine)
    assert done.returncode == 0 and len(site.events()) == 10
    assert "decoded in the agent's own process" in done.stderr and "seccomp" in done.stderr
