"""Recall of the events that an oracle tells, and false alarms a series and week."""
import numpy as np

AFTER_MIN, APART_MIN = 60, 15       # behind an event alarms are nobody's fault; alerts closer than this are one episode
WEEK_S, WARM_S = 7 * 86400, 7 * 86400
KINDS = ["2x", "3x", "5x", "ramp", "night"]


def judge(series, alerts):
    """{event kind: [found, told]}, and false alarms a week of each series, in order."""
    recall = {k: [0, 0] for k in KINDS}
    false = []
    for s, alert in zip(series, alerts):
        hit = np.asarray(alert) > 0
        times = s.times
        mine = np.zeros(len(hit), bool)
        for e in s.events:
            last = e.end if e.kind == "ramp" else e.begin + 2
            if e.told:
                recall[e.kind][1] += 1
                recall[e.kind][0] += bool(hit[e.begin:last].any())
            mine[e.begin:np.searchsorted(times, times[min(e.end, len(times) - 1)] + 60 * AFTER_MIN)] = True
        rows = np.nonzero(hit & ~mine & (times >= times[0] + WARM_S))[0]
        episodes = 0 if len(rows) == 0 else 1 + int((np.diff(times[rows]) > 60 * APART_MIN).sum())
        false.append(episodes / ((times[-1] - times[0] - WARM_S) / WEEK_S))
    return recall, np.array(false)


def percent(recall):
    return {k: 100.0 * f / max(n, 1) for k, (f, n) in recall.items()}
