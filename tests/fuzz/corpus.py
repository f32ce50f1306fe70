#!/usr/bin/env python3
"""corpus.py PROGRAM: runs a fuzz target over its corpus (TAP), then from a fixed seed for a fixed number of inputs, so that a check
fails by what was changed and never by luck. LONG=1: half an hour at random instead."""
import os
import pathlib
import subprocess
import sys
import tempfile

program = pathlib.Path(sys.argv[1])
top = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))
corpus = top / "tests" / "fuzz" / "corpus" / program.name
env = dict(os.environ, AISPM_SCHEMAS=str(top / "schemas"), ASAN_OPTIONS="abort_on_error=1:detect_leaks=1")
RUNS = {"fuzz_json": 100000, "fuzz_decode": 20000, "fuzz_spool": 5000, "fuzz_state": 1000, "fuzz_http": 2000}     # some ten seconds each; of others:
RUNS_ELSE = 5000
LONG_SECONDS = 1800
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
    words = top / "tests" / "fuzz" / f"{program.name}.dict"
    args = [*([f"-dict={words}"] if words.exists() else []), "-max_len=65536", "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={scratch}/", scratch, str(corpus)]
    if os.environ.get("LONG") == "1":
        step(2, f"{program.name}: {LONG_SECONDS} s at random", [f"-max_total_time={LONG_SECONDS}", *args])
    else:
        runs = RUNS.get(program.name, RUNS_ELSE)
        # -use_cmp and -reload differ from run to run (addresses, time); -max_total_time is for very slow machines
        step(2, f"{program.name}: {runs} inputs from a fixed seed", ["-seed=1", f"-runs={runs}", "-use_cmp=0", "-reload=0", "-max_total_time=60", *args])
print("1..2")
sys.exit(failed)
