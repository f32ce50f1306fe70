#!/usr/bin/env python3
"""What `aispm-agent backtest --detector volume` scores on the Numenta Anomaly Benchmark.

    nab.py --data DIR [--agent PATH] [--files] [--verify] [--json FILE]

DIR is a checkout of github.com/numenta/NAB (data/ and labels/; for --verify also results/ and config/): it is not part of this project.
The detector's threshold is either its own alert column, or the best one for all files (as NAB itself does for every detector), or the best
one of one half of the files (every second name) used on the other half.
"""
import argparse
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

import nab_score as ns


def run_agent(agent, path):
    out = subprocess.run([agent, "backtest", "--detector", "volume", str(path)], check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(io.StringIO(out)))
    return np.array([float(r["score"]) for r in rows]), np.array([float(r["alert"]) for r in rows])


def table(files, scores, alerts):
    result = {}
    halves = [list(range(0, len(files), 2)), list(range(1, len(files), 2))]
    print(f"{'profile':22} {'optimised':>10} {'own alerts':>11} {'held-out threshold':>19}")
    for profile in ns.PROFILES:
        points, threshold = ns.best(files, scores, profile)
        own = ns.at(files, alerts, profile, 0.5)
        held = []
        for here, there in (halves, halves[::-1]):
            _, t = ns.best([files[i] for i in here], [scores[i] for i in here], profile)
            held.append(ns.at([files[i] for i in there], [scores[i] for i in there], profile, t))
        print(f"{profile:22} {points:10.1f} {own:11.1f} {np.mean(held):19.1f}   ({held[0]:.1f}, {held[1]:.1f}; best threshold {threshold:.3f})")
        result[profile] = {"optimised": points, "own": own, "held_out_threshold": float(np.mean(held))}
    return result


def by_file(files, alerts):
    for f, a in zip(files, alerts):
        hit = (a > 0) & f.counts
        found = sum(bool(hit[b:e + 1].any()) for b, e in f.windows)
        print(f"{f.name:65} {found}/{len(f.windows)} windows, {int((hit & (f.window < 0)).sum()):3} false rows")


def verify(folder, files):
    """Scores the published score files of other detectors at the published thresholds: the sums must be the published ones."""
    folder = pathlib.Path(folder)
    final = json.loads((folder / "results" / "final_results.json").read_text())
    thresholds = json.loads((folder / "config" / "thresholds.json").read_text())
    same = wrong = 0
    for detector in final:
        scores = []
        for f in files:
            where, name = f.name.split("/")
            with open(folder / "results" / detector / where / f"{detector}_{name}", newline="") as h:
                scores.append(np.array([float(r["anomaly_score"]) for r in csv.DictReader(h)]))
        for profile in ns.PROFILES:
            ours = ns.at(files, scores, profile, float(thresholds[detector][profile]["threshold"]))
            if abs(ours - final[detector][profile]) < 1e-6:
                same += 1
            else:
                wrong += 1
                print(f"{detector} {profile}: {ours:.4f}, published {final[detector][profile]:.4f}")
    print(f"published scores: {same} the same, {wrong} not")
    return wrong


def main():
    here = pathlib.Path(__file__).resolve()
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--agent", default=os.environ.get("AISPM_AGENT", str(here.parents[3] / "build/dev/aispm-agent")))
    p.add_argument("--files", action="store_true", help="also each file")
    p.add_argument("--verify", action="store_true", help="instead: our scorer against the published scores")
    p.add_argument("--json", help="the figures, for a machine")
    a = p.parse_args()
    files = ns.load(a.data)
    if a.verify:
        return 1 if verify(a.data, files) else 0
    begin = time.time()
    both = [run_agent(a.agent, pathlib.Path(a.data) / "data" / f.name) for f in files]
    rows = sum(len(f.times) for f in files)
    for f, (s, _) in zip(files, both):
        if len(s) != len(f.times):
            sys.exit(f"{f.name}: {len(f.times)} rows in, {len(s)} out")
    print(f"{len(files)} files, {rows} rows, {sum(len(f.windows) for f in files)} windows, {time.time() - begin:.1f} s")
    result = table(files, [s for s, _ in both], [x for _, x in both])
    if a.files:
        by_file(files, [x for _, x in both])
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
