#!/usr/bin/env python3
"""Chooses the constants of agent/detect/score_knobs.h on one part of the data, and reports on the other.

    tune.py nab --data DIR [--train even|odd|all] [--what weights|slow] [--from equal|shipped] [--rounds N] [--seed N]
    tune.py surges [--trace FILE] [--train 1,4] [--test 2,33] [--rounds N] [--seed N]

A random walk that keeps what is better. It prints the knobs that it found; putting them into the header is left to a person. On NAB `even`
trains on every second file by name and reports on the others. Detection at R >= 1, the detector's own alerts, is what is measured.
"""
import argparse
import calendar
import ctypes
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path[:0] = [str(HERE / "nab"), str(HERE / "surges")]
import generate  # noqa: E402
import judge  # noqa: E402
import nab_score as ns  # noqa: E402

WEIGHTS = "w_residual w_level w_range w_shape w_move mix warm_rows part_hold slow_hold calm_boost calm_rows".split()
EQUAL = dict(w_residual=.3, w_level=.3, w_range=.3, w_shape=.3, w_move=.3, mix=.5, warm_rows=700, part_hold=.01, slow_hold=.005, calm_boost=.2,
             calm_rows=2000)
SLOW = WEIGHTS + "long_rate ewma_rate slow_level_rate share slow_most slow_xi_least range_least range_slope shape_rate move_rate".split()
SHARES = ("mix", "shape_least")


class Scorer:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        lib = pathlib.Path(self.folder.name) / "scorer.so"
        sources = [str(TOP / "agent/detect" / f"{name}.c") for name in ("score", "score_fast", "score_slow", "tail")]
        subprocess.run(["cc", "-O3", "-march=native", "-fno-math-errno", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-DSCORE_KNOBS", f"-I{TOP}/agent",
                        "-o", str(lib), str(HERE / "tune_driver.c"), *sources, "-lm"], check=True)
        self.lib = ctypes.CDLL(str(lib))
        self.lib.tune_names.restype = ctypes.c_char_p
        self.lib.tune_knobs.restype = ctypes.POINTER(ctypes.c_float)
        self.lib.tune_run.argtypes = [ctypes.c_int] + [ctypes.c_void_p] * 3
        self.names = self.lib.tune_names().decode().split()
        self.shipped = {n: self.lib.tune_knobs()[i] for i, n in enumerate(self.names)}

    def run(self, knobs, series):
        for i, name in enumerate(self.names):
            self.lib.tune_knobs()[i] = knobs[name]
        out = []
        for t, x in series:
            r = np.zeros(len(x), np.float32)
            self.lib.tune_run(len(x), t.ctypes.data, x.ctypes.data, r.ctypes.data)
            out.append(r)
        return out


def turned(rng, knobs, names):
    k = dict(knobs)
    for name in rng.sample(names, rng.choice([1, 1, 2, 3])):
        if name in SHARES:
            k[name] = min(0.95, max(0.05, k[name] + rng.gauss(0, 0.12)))
        else:
            k[name] *= math.exp(rng.gauss(0, 0.3))
    return k


def walk(start, names, rounds, seed, worth):
    rng = random.Random(seed)
    knobs, best = start, worth(start)
    begin = time.time()
    for i in range(rounds):
        k = turned(rng, knobs, names)
        w = worth(k)
        if w > best:
            knobs, best = k, w
            print(f"  round {i}: {best:.2f}, {time.time() - begin:.0f} s", file=sys.stderr)
    return knobs


# ---- NAB ---------------------------------------------------------------------------

def own_scores(files, scores):
    return [ns.at(files, scores, profile, 1.0) for profile in ns.PROFILES]


def nab(a, scorer):
    files = ns.load(a.data)
    series = []
    for f in files:
        t = np.array([float(calendar.timegm(time.strptime(s.split(".")[0], "%Y-%m-%d %H:%M:%S"))) for s in f.times])
        series.append((t, np.ascontiguousarray(f.values, float)))
    every = list(range(len(files)))
    train, test = {"all": (every, every), "even": (every[0::2], every[1::2]), "odd": (every[1::2], every[0::2])}[a.train]

    def worth(knobs):
        # All three profiles, and a little beside the threshold too, so that no single row decides.
        of = [files[i] for i in train]
        r = scorer.run(knobs, [series[i] for i in train])
        standard, low_fp, low_fn = (np.mean(ns.at(of, r, profile, 0.93, 1.0, 1.07)) for profile in ns.PROFILES)
        return 0.5 * standard + 0.25 * low_fp + 0.25 * low_fn

    start = dict(scorer.shipped)
    if a.from_ == "equal":
        start.update(EQUAL)
        of = [files[i] for i in train]
        _, threshold = ns.best(of, scorer.run(start, [series[i] for i in train]), "standard")
        for name in WEIGHTS[:5]:
            start[name] /= threshold
    knobs = walk(start, WEIGHTS if a.what == "weights" else SLOW, a.rounds, a.seed, worth)
    for what, idx in (("trained on", train), ("held out", test)):
        of, r = [files[i] for i in idx], scorer.run(knobs, [series[i] for i in idx])
        print(f"{what:11} own alerts " + " ".join(f"{p:.1f}" for p in own_scores(of, r)) + "   threshold optimised " +
              " ".join(f"{ns.best(of, r, p)[0]:.1f}" for p in ns.PROFILES))
    return knobs


# ---- surges --------------------------------------------------------------------------

FAST_UNTIL = "fast_hold"


def surges(a, scorer):
    shape = generate.read_shape(a.trace) if a.trace else generate.made_up_shape()

    def corpus(seeds):
        out = [s for seed in seeds.split(",") for s in generate.corpus(int(seed), shape)]
        return out, [(np.ascontiguousarray(s.times, float), np.ascontiguousarray(s.values, float)) for s in out]

    def judged(knobs, series, arrays):
        return judge.judge(series, [r >= 1 for r in scorer.run(knobs, arrays)])

    series, arrays = corpus(a.train)

    def worth(knobs):
        recall, false = judged(knobs, series, arrays)
        p = judge.percent(recall)
        lost = 0.5 * (100 - p["2x"]) + (100 - p["3x"]) + 1.5 * (100 - p["5x"]) + 0.8 * (100 - p["ramp"]) + 0.5 * (100 - p["night"])
        return -(lost + 22 * max(0, false.mean() - 0.1) + max(0, false.max() - 1.7))

    names = scorer.names[:scorer.names.index(FAST_UNTIL) + 1]
    knobs = walk(dict(scorer.shipped), [n for n in names if n != "coarse_scale"], a.rounds, a.seed, worth)
    for seeds in (a.train, *a.test.split(",")):
        recall, false = judged(knobs, *corpus(seeds))
        print(f"seed {seeds:8}" + " ".join(f"{k} {v:.1f}" for k, v in judge.percent(recall).items()) +
              f"; {false.mean():.2f} false alarms a series and week, worst {false.max():.1f}")
    return knobs


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="on", required=True)
    n = sub.add_parser("nab")
    n.add_argument("--data", required=True)
    n.add_argument("--train", choices=["even", "odd", "all"], default="even")
    n.add_argument("--what", choices=["weights", "slow"], default="weights")
    n.add_argument("--from", dest="from_", choices=["equal", "shipped"], default="equal")
    s = sub.add_parser("surges")
    s.add_argument("--trace")
    s.add_argument("--train", default="1,4")
    s.add_argument("--test", default="2,33")
    for x in (n, s):
        x.add_argument("--rounds", type=int, default=150)
        x.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    scorer = Scorer()
    knobs = (nab if a.on == "nab" else surges)(a, scorer)
    for name, value in knobs.items():
        if abs(value - scorer.shipped[name]) > 1e-6 * abs(scorer.shipped[name]):
            print(f"{name} {value:.4g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
