"""Series as an agent sees them, a minute a row, with injected surges, and what an oracle could tell of those.

The shapes of day and week of the tenants are those of two LLM services in Azure (a CSV `slot,coding,conversation` of half hours of a week,
Monday first, CC-BY 4.0; Stojkovic et al., DynamoLLM, HPCA 2025), as is their noise (7.5 and 13 % a minute) and that of the bursty kind
(variance over mean of the 2023 trace: 21 to 160). All other noise is assumed: a fresh seed is new scales, noise and events, not new kinds.
"""
import math

import numpy as np

DAY, WEEK, WEEKS = 1440, 10080, 4
BEGIN_S = 1767571200            # Monday 2026-01-05T00:00:00Z
EVENT_EVERY_MIN = 20 * 60
KINDS = ["tenant_code", "tenant_chat", "team", "team_small", "office", "small", "rare", "bursty", "hourly_job", "weekly_job",
         "growing", "tokens", "tokens_small", "gaps", "holidays"]
Z_ORACLE = 4.265                # one in 1e5
ORACLE_WINDOWS = 2


class Series:
    def __init__(self, kind, times, values, events):
        self.kind, self.times, self.values, self.events = kind, times, values, events


class Event:
    """kind 2x 3x 5x ramp night; rows [begin, end) of the series; told: an oracle tells it in time."""

    def __init__(self, kind, begin, end, told):
        self.kind, self.begin, self.end, self.told = kind, begin, end, told


def read_shape(path):
    """Requests a minute of each minute of the week, coding and conversation; None without the file: made-up days."""
    rows = [line.split(",") for line in open(path) if line[:1].isdigit()]
    half_hours = np.array([[float(r[1]), float(r[2])] for r in rows])
    at = np.arange(WEEK) / 30.0 - 0.5
    n = len(half_hours)
    low = np.floor(at).astype(int)
    part = (at - low)[:, None]
    return np.exp((1 - part) * np.log(half_hours[low % n]) + part * np.log(half_hours[(low + 1) % n]))


def made_up_shape():
    m = np.arange(WEEK)
    day = 1 + 0.6 * np.sin(2 * np.pi * (m % DAY - 540) / DAY)
    weekend = np.where(m >= 5 * DAY, 0.6, 1.0)
    return np.stack((2000 * day * weekend, 2800 * (0.7 + 0.3 * day)), axis=1)


def office_hours(r, minutes, begin, end):
    m, day = minutes % DAY, (minutes // DAY) % 7
    soft = 30 + 60 * r.random()
    up = 1 / (1 + np.exp(-(m - begin) / soft * 6))
    down = 1 / (1 + np.exp((m - end) / soft * 6))
    lunch = 1 - 0.35 * np.exp(-(((m - 750) / 40.0) ** 2))
    x = up * down * lunch * (day < 5)
    return np.where(x < 0.02, 0, x)


def slow_noise(r, n, sigma, minutes):
    """Log-noise that lasts about `minutes`, standard deviation sigma."""
    a = math.exp(-1.0 / minutes)
    e = r.normal(size=n) * sigma * math.sqrt(1 - a * a)
    e[0] = r.normal() * sigma
    # an AR(1) by blocks, so that numpy does the loop
    out, last, block = np.empty(n), 0.0, 512
    powers = a ** np.arange(1, block + 1)
    kernel = a ** np.arange(block)
    for i in range(0, n, block):
        piece = e[i:i + block]
        out[i:i + block] = np.convolve(piece, kernel)[:len(piece)] + last * powers[:len(piece)]
        last = out[min(i + block, n) - 1]
    return out


class Model:
    """What a series is made of: a mean a minute, and its noise. The same noise multiplies what a surge adds."""

    def __init__(self, r, kind, shape):
        n = WEEKS * WEEK
        m = np.arange(n)
        self.kind, self.n, self.size_cv = kind, n, 0.0
        u = r.random
        self.sigma, self.fano, lasting = 0.1, 1.0, 15.0
        shift = int(r.integers(-180, 180))
        code, chat = (shape[(m + shift) % WEEK, i] / shape[:, i].mean() for i in (0, 1))
        if kind == "tenant_code":
            self.rate, self.sigma = code * math.exp(r.uniform(math.log(100), math.log(3000))), 0.13
        elif kind == "tenant_chat":
            self.rate, self.sigma = chat * math.exp(r.uniform(math.log(100), math.log(5000))), 0.075
        elif kind == "team":
            self.rate, self.sigma = code ** (1 + 0.5 * u()) * r.uniform(20, 100), 0.12 + 0.15 * u()
        elif kind == "team_small":
            self.rate, self.sigma = code * r.uniform(5, 20), 0.2 + 0.2 * u()
        elif kind in ("office", "holidays"):
            begin = 420 + 120 * u()
            self.rate = office_hours(r, m, begin, begin + 540 + 90 * u()) * r.uniform(15, 120)
            self.sigma = 0.15 + 0.15 * u()
            if kind == "holidays":
                for week in range(WEEKS):
                    if week > 0:
                        day = week * 7 + int(r.integers(0, 5))
                        self.rate[day * DAY:(day + 1) * DAY] *= 0.05 * u()
        elif kind == "small":
            self.rate, self.sigma = code * r.uniform(1, 5), 0.3
        elif kind == "rare":
            self.rate, self.sigma = code * r.uniform(0.05, 0.4), 0.3
        elif kind == "bursty":
            self.rate, self.sigma, self.fano = code * r.uniform(80, 300), 0.2, r.uniform(15, 120)
        elif kind == "hourly_job":
            self.rate, self.sigma = code * r.uniform(10, 60), 0.2
            at, long = int(r.integers(0, 60)), int(r.integers(1, 6))
            self.rate = self.rate + self.rate.mean() * r.uniform(2, 8) * ((m % 60 - at) % 60 < long)
        elif kind == "weekly_job":
            self.rate, self.sigma = code * r.uniform(10, 80), 0.2
            at, long = int(r.integers(0, WEEK)), int(r.integers(60, 240))
            self.rate = self.rate + self.rate.mean() * r.uniform(3, 8) * ((m % WEEK - at) % WEEK < long)
        elif kind == "growing":
            self.rate, self.sigma = code * r.uniform(10, 40) * 1.04 ** (m / DAY), 0.15
        elif kind == "tokens":
            self.rate, self.sigma, self.size_cv = code * r.uniform(50, 400), 0.13, 0.96
        elif kind == "tokens_small":
            self.rate, self.sigma, self.size_cv = code * r.uniform(2, 12), 0.25, 1.2
        elif kind == "gaps":
            self.rate, self.sigma = chat * r.uniform(20, 200), 0.15
        self.size = 1000 + 1500 * u() if self.size_cv > 0 else 1.0
        half = self.sigma * math.sqrt(0.5)
        self.noise = np.exp(slow_noise(r, n, half, lasting) + r.normal(size=n) * half - self.sigma ** 2 / 2)

    def draw(self, r, rate):
        """What is counted at this true rate (requests; tokens where the kind has sizes)."""
        lam = rate * self.noise
        if self.fano > 1:                       # gamma-Poisson with the wanted variance over mean
            shape = np.maximum(lam, 1e-9) / (self.fano - 1)
            lam = r.gamma(shape) * (self.fano - 1)
        n = r.poisson(lam)
        if self.size_cv == 0:
            return n.astype(float)
        s2 = math.log(1 + self.size_cv ** 2)
        x = np.zeros(len(n))
        few = n < 200
        for i in np.nonzero(few & (n > 0))[0]:
            x[i] = r.lognormal(math.log(self.size) - s2 / 2, math.sqrt(s2), n[i]).sum()
        many = ~few
        x[many] = self.size * (n[many] + r.normal(size=many.sum()) * self.size_cv * np.sqrt(n[many]))
        return np.rint(np.maximum(x, 0))

    def z(self, x, rate):
        """How far x is out for who knows rate and noise: a gamma of the same mean and variance (Wilson and Hilferty 1931)."""
        rate = np.maximum(rate, 0.5)
        mean = rate * self.size
        var = self.size ** 2 * (rate * (self.fano + self.size_cv ** 2) + (rate * self.sigma) ** 2 + 0.3)
        v = var / mean ** 2
        return ((np.maximum(x, 0) / mean) ** (1 / 3) - (1 - v / 9)) / np.sqrt(v / 9)


def plan_events(r, model):
    """Rows and factors of the injected events of one series: none in the first week, none that touch."""
    out, at = [], WEEK + int(r.integers(60, EVENT_EVERY_MIN))
    n = model.n
    quiet = model.rate < 0.25 * model.rate.mean()
    while at < n - 300:
        kind = str(r.choice(["2x", "3x", "5x", "ramp", "night"], p=[0.25, 0.25, 0.25, 0.15, 0.10]))
        if kind == "night":
            ahead = np.nonzero(quiet[at:at + 900])[0]
            if len(ahead) == 0:
                kind = "3x"
            else:
                at += int(r.choice(ahead))
        length = int(r.integers(5, 31))
        if kind == "ramp":
            length = int(r.integers(120, 241))
        elif kind == "night":
            length = int(r.integers(20, 61))
        if at + length + 120 >= n:
            break
        out.append((kind, at, at + length))
        at += length + 120 + int(r.exponential(EVENT_EVERY_MIN - 120))
    return out


def attacked(r, model, events):
    rate = model.rate.copy()
    for kind, a, b in events:
        if kind == "ramp":
            rate[a:b] *= 1 + 3 * np.linspace(0, 1, b - a)
        elif kind == "night":
            rate[a:b] += model.rate.mean() * r.uniform(0.5, 1.5)
        else:
            rate[a:b] *= float(kind[0])
    return rate


def make(seed, kind, shape):
    r = np.random.default_rng([seed, KINDS.index(kind)])
    return make_one(r, kind, shape)


def make_one(r, kind, shape):
    model = Model(r, kind, shape)
    plan = plan_events(r, model)
    x = model.draw(r, attacked(r, model, plan))
    z = model.z(x, model.rate)
    keep = np.ones(model.n, bool)
    if kind == "gaps":
        for _ in range(10):
            a = int(r.integers(0, model.n))
            keep[a:a + int(r.exponential(240))] = False
        for _, a, b in plan:
            keep[a - 30:b + 30] = True
    rows = np.cumsum(keep) - 1
    events = []
    for k, a, b in plan:
        until = b if k == "ramp" else a + ORACLE_WINDOWS
        told = bool((z[a:until] > Z_ORACLE).any())
        events.append(Event(k, int(rows[a]), int(rows[b]), told))
    times = BEGIN_S + 60 * np.nonzero(keep)[0]
    return Series(kind, times, x[keep], events)


def corpus(seed, shape, each=3):
    out = []
    for k, kind in enumerate(KINDS):
        for i in range(each):
            out.append(make_one(np.random.default_rng([seed, k, i]), kind, shape))
    return out
