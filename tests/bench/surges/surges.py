#!/usr/bin/env python3
"""How many injected surges `aispm-agent backtest --detector volume` finds in time, and how often it cries wolf.

    surges.py [--seed N] [--each N] [--trace FILE] [--agent PATH] [--baselines] [--kinds] [--json FILE]

Fifteen kinds of series, four weeks of minutes each, the first week only to learn; an event about every 20 hours. `oracle` events are those
that somebody who knew the true rate and noise could tell (one in 1e5) within the first two windows; of a ramp, before its end.
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

import generate
import judge


def agent_alerts(agent, s):
    text = "timestamp,value\n" + "".join(
        f"{np.datetime64(int(t), 's')}Z,{int(x)}\n" for t, x in zip(s.times, s.values))
    out = subprocess.run([agent, "backtest", "--detector", "volume"], input=text, check=True, capture_output=True, text=True).stdout
    return np.array([r[3] == "1" for r in list(csv.reader(io.StringIO(out)))[1:]])


def ewma_alerts(s, limit, rate=0.05):
    out, mean, var = np.zeros(len(s.values), bool), s.values[0], 1.0
    for i, x in enumerate(s.values):
        d = x - mean
        out[i] = i > 60 and d > limit * max(var, 1.0) ** 0.5
        mean += rate * d
        var += rate * (d * d - var)
    return out


def static_alerts(s):
    week = s.values[s.times < s.times[0] + judge.WARM_S]
    return s.values > week.mean() + 3 * week.std()


def seasonal_alerts(s, limit=6):
    """Median and median deviation of the same hour of the week, of the weeks before."""
    slot = (s.times // 3600) % 168
    week = (s.times - s.times[0]) // judge.WEEK_S
    out = np.zeros(len(s.values), bool)
    for w in range(1, int(week.max()) + 1):
        for h in range(168):
            now = (week == w) & (slot == h)
            past = s.values[(week < w) & (slot == h)]
            if now.any() and len(past):
                median = np.median(past)
                out[now] = s.values[now] > median + limit * 1.4826 * max(np.median(abs(past - median)), 0.5)
    return out


def report(name, series, alerts):
    recall, false = judge.judge(series, alerts)
    percent = judge.percent(recall)
    print(f"{name:24}" + "".join(f"{percent[k]:8.1f}" for k in judge.KINDS) + f"{false.mean():10.2f} ({false.max():.1f})", flush=True)
    return {"recall": percent, "told": {k: n for k, (_, n) in recall.items()}, "false_mean": float(false.mean()), "false_worst": float(false.max())}


def by_kind(series, alerts):
    for kind in generate.KINDS:
        pairs = [(s, a) for s, a in zip(series, alerts) if s.kind == kind]
        report("  " + kind, [s for s, _ in pairs], [a for _, a in pairs])


def main():
    here = pathlib.Path(__file__).resolve()
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=2)
    p.add_argument("--each", type=int, default=3, help="series of each kind")
    p.add_argument("--trace", help="half hours of a week, slot,coding,conversation; without it the days are made up")
    p.add_argument("--agent", default=os.environ.get("AISPM_AGENT", str(here.parents[3] / "build/dev/aispm-agent")))
    p.add_argument("--baselines", action="store_true")
    p.add_argument("--kinds", action="store_true", help="also each kind of series")
    p.add_argument("--json", help="the figures, for a machine")
    a = p.parse_args()
    series = generate.corpus(a.seed, generate.read_shape(a.trace) if a.trace else generate.made_up_shape(), a.each)
    events = [e for s in series for e in s.events]
    print(f"seed {a.seed}: {len(series)} series, {sum(len(s.values) for s in series)} rows, {len(events)} events, "
          f"{sum(e.told for e in events)} told by the oracle")
    print(f"{'percent found':24}" + "".join(f"{k:>8}" for k in judge.KINDS) + "   false alarms a series and week (worst)")
    begin = time.time()
    alerts = [agent_alerts(a.agent, s) for s in series]
    took = time.time() - begin
    result = report("aispm-agent", series, alerts)
    if a.kinds:
        by_kind(series, alerts)
    if a.baselines:
        report("static mean + 3 sigma", series, [static_alerts(s) for s in series])
        report("EWMA z > 3", series, [ewma_alerts(s, 3) for s in series])
        report("EWMA z > 6", series, [ewma_alerts(s, 6) for s in series])
        report("seasonal median > 6 MAD", series, [seasonal_alerts(s) for s in series])
    print(f"{took:.1f} s with reading and writing")
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
