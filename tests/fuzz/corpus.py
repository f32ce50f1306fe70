#!/usr/bin/env python3
"""corpus.py PROGRAM: runs a fuzz target over its corpus (TAP), then for a while at random: seconds, or with LONG=1 half an hour."""
import os
import pathlib
import subprocess
import sys
import tempfile

program = pathlib.Path(sys.argv[1])
top = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))
corpus = top / "tests" / "fuzz" / "corpus" / program.name
env = dict(os.environ, AISPM_SCHEMAS=str(top / "schemas"), ASAN_OPTIONS="abort_on_error=1:detect_leaks=1")
seconds = 1800 if os.environ.get("LONG") == "1" else 15
failed = 0


def step(n, name, args):
    global failed
    done = subprocess.run([program, *args], env=env, capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        print(f"ok {n} - {name}")
    else:
        failed = 1
        print(f"not ok {n} - {name}")
        print("\n".join("# " + line for line in done.stderr.splitlines()[-40:]))


files = sorted(str(p) for p in corpus.iterdir()) if corpus.is_dir() else []
if files:
    step(1, f"{program.name}: the {len(files)} files of its corpus", files)
else:
    failed = 1
    print(f"not ok 1 - {program.name} has no corpus in {corpus}")
with tempfile.TemporaryDirectory() as scratch:
    step(2, f"{program.name}: {seconds} s at random", [f"-max_total_time={seconds}", "-max_len=65536", "-timeout=20", "-rss_limit_mb=2048",
                                                      f"-artifact_prefix={scratch}/", scratch, str(corpus)])
print("1..2")
sys.exit(failed)
