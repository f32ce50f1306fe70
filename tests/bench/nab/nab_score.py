"""The scoring of the Numenta Anomaly Benchmark, after Lavin and Ahmad 2015 (arXiv:1510.03336, section II and III).

A labelled window earns what its earliest detection is worth (a sigmoid that falls from its left edge to its right), a missed window costs
fnWeight, each detection outside of windows costs fpWeight (less just behind a window), the first 15 % of a file (at most 750 rows) do not
count. The sum is put on a scale where a detector that says nothing has 0 and one that says all at once has 100.
"""
import csv
import json
import math
import pathlib

import numpy as np

PROFILES = {  # fpWeight, fnWeight; tpWeight is 1
    "standard": (0.11, 1.0),
    "reward_low_FP_rate": (0.22, 1.0),
    "reward_low_FN_rate": (0.11, 2.0),
}
PROBATION_SHARE, PROBATION_ROWS = 0.15, 5000


def sigmoid(x):
    return 2.0 / (1.0 + np.exp(5.0 * np.minimum(np.maximum(x, -100), 100))) - 1.0


class File:
    """One series: times as text, windows as row numbers, and what a detection at each row is worth."""

    def __init__(self, name, times, values, windows):
        self.name, self.times, self.values = name, times, values
        n = len(times)
        first = {}
        for i, t in enumerate(times):
            first.setdefault(t, i)
        self.windows = [(first[a], first[b]) for a, b in windows]
        self.probation = int(min(math.floor(PROBATION_SHARE * n), PROBATION_SHARE * PROBATION_ROWS))
        self.window = np.full(n, -1)
        self.worth = np.full(n, -1.0)       # times fpWeight outside, of a hit inside
        rows = np.arange(n)
        for k, (a, b) in enumerate(self.windows):
            width = b - a + 1
            self.window[a:b + 1] = k
            self.worth[a:b + 1] = sigmoid(-(b - rows[a:b + 1] + 1) / width) / sigmoid(-1.0)
            end = self.windows[k + 1][0] if k + 1 < len(self.windows) else n
            past = (rows[b + 1:end] - b) / max(width - 1, 1)
            self.worth[b + 1:end] = np.where(past > 3, -1.0, sigmoid(past))
        self.counts = rows >= self.probation

    def scored_windows(self):
        """Windows with a row behind the probation: only those can be missed."""
        return [k for k, (a, b) in enumerate(self.windows) if b >= self.probation]


def load(folder):
    """The corpus below `folder` (data/, labels/combined_windows.json), in the order of names."""
    folder = pathlib.Path(folder)
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    files = []
    for name in sorted(labels):
        with open(folder / "data" / name, newline="") as f:
            rows = list(csv.DictReader(f))
        files.append(File(name, [r["timestamp"] for r in rows], np.array([float(r["value"]) for r in rows]),
                          [[t.split(".")[0] for t in w] for w in labels[name]]))
    return files


def sweep(files, scores, profile):
    """(thresholds falling, normalised score at each): a row is detected where its score is at least the threshold."""
    fp, fn = PROFILES[profile]
    all_scores, gains = [], []
    nwindows = 0
    for f, s in zip(files, scores):
        s = np.asarray(s, float)
        gain = np.where(f.window < 0, fp * f.worth, 0.0)
        for k in f.scored_windows():
            nwindows += 1
            a, b = f.windows[k]
            a = max(a, f.probation)
            order = a + np.argsort(-s[a:b + 1], kind="stable")
            best = np.maximum.accumulate(f.worth[order])
            best = np.concatenate(([-fn], np.maximum(best, -fn)))
            gain[order] = np.diff(best)
        all_scores.append(s[f.counts])
        gains.append(gain[f.counts])
    if nwindows == 0:
        raise ValueError("no labelled windows")
    s, g = np.concatenate(all_scores), np.concatenate(gains)
    order = np.argsort(-s, kind="stable")
    s, total = s[order], np.cumsum(g[order])
    last = np.concatenate((np.nonzero(np.diff(s))[0], [len(s) - 1]))      # ties come together
    null, perfect = -fn * nwindows, float(nwindows)
    raw = np.concatenate(([null], null + total[last]))
    return np.concatenate(([math.inf], s[last])), 100 * (raw - null) / (perfect - null)


def best(files, scores, profile):
    thresholds, points = sweep(files, scores, profile)
    i = int(np.argmax(points))
    return float(points[i]), float(thresholds[i])


def at(files, scores, profile, *wanted):
    """The score at a threshold; of several, a list."""
    thresholds, points = sweep(files, scores, profile)
    found = [float(points[np.searchsorted(-thresholds, -t, side="right") - 1]) for t in wanted]
    return found if len(found) > 1 else found[0]
