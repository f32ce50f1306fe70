"""A workspace on this machine: events of the real agent in a table, and rules run over it as Sentinel runs them.

A rule runs each queryFrequency, sees what arrived until then with a TimeGenerated within its queryPeriod, and fires an alert a row. DuckDB has no
ingestion_time(): it is a column here. The clock is a parameter of the translated query, so it is translated once and run for many moments.
"""
import datetime
import json
import os
import pathlib
import re
import subprocess
import tempfile

import duckdb_kql
import duckdb_kql.engine
import yaml

SRC = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))
SENTINEL = SRC / "packaging" / "sentinel"
TABLE = json.loads((SRC / "schemas" / "event" / "AISPMEvents_CL.json").read_text())["properties"]["schema"]
COLUMNS = [(c["name"], c["type"]) for c in TABLE["columns"]]
TYPES = {"string": "VARCHAR", "datetime": "TIMESTAMP", "int": "INTEGER", "long": "BIGINT", "real": "DOUBLE", "dynamic": "JSON"}
EPOCH = datetime.datetime(1970, 1, 1)
ARRIVAL = datetime.timedelta(minutes=3)
REPEAT = datetime.timedelta(minutes=40)


def agent():
    return os.environ.get("AISPM_AGENT", "")


def load(folder):
    return {p.stem: yaml.safe_load(p.read_text()) for p in sorted((SENTINEL / folder).glob("*.yaml"))}


def span(text):
    return datetime.timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[text[-1]]: int(text[:-1])})


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)


def emit(where, lines, events="findings", regulated="none", relay=False):
    """What the real agent makes of these records, delivered by its file sink. `relay`: they are events of another agent."""
    where.mkdir(parents=True)
    (where / "in.ndjson").write_text("\n".join(lines) + "\n")
    (where / "agent.yaml").write_text(
        f"agent: {{state_dir: {where}/state, log_level: error}}\n"
        f"sources: [{{name: story, type: file, paths: [\"{where}/in.ndjson\"], relay: {str(relay).lower()}}}]\n"
        f"zones: {{default: 1, rules: [{{match: \"/subscriptions/{regulated}/*\", zone: 3}}]}}\n"
        f"sinks: [{{name: disk, type: file, path: {where}/out.ndjson, events: {events}}}]\n")
    r = subprocess.run([agent(), "run", "-c", str(where / "agent.yaml"), "--once"], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stderr[-2000:]
    return [json.loads(line) for line in (where / "out.ndjson").read_text().splitlines()]


class Workspace:
    def __init__(self, events, end=None, arrived=None):
        """Each event comes twice. `arrived`: when the states of posture came, [seconds] by (name, resource, state). What bears a time after `end`, the arrival
        of a record without a time, is taken to have come twelve hours before it. As the service does, a time older than two days gives way to the arrival."""
        self.con = duckdb_kql.connect()
        self.con.sql("SET threads TO 2")
        columns = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in COLUMNS)
        self.con.sql(f"CREATE TABLE Raw ({columns}, IngestionTime TIMESTAMP)")
        self.con.sql("CREATE TABLE Clock (Now TIMESTAMP, Since TIMESTAMP)")
        self.con.sql("CREATE VIEW AISPMEvents_CL AS SELECT Raw.* FROM Raw, Clock WHERE TimeGenerated > Since AND TimeGenerated <= Now AND IngestionTime <= Now")
        self.arrivals = []
        rows = []
        for e in events:
            at = time_of(e["TimeGenerated"])
            if end is not None and at > end:
                at = end - datetime.timedelta(hours=12)
            came = at
            key = (e.get("EventName"), e.get("TargetResourceName"), e.get("RecommendationState"))
            if arrived and arrived.get(key):
                came = EPOCH + datetime.timedelta(seconds=arrived[key].pop(0))
                at = came if came - at > datetime.timedelta(days=2) else at
            for delay in (ARRIVAL, REPEAT):
                rows.append(self.row(dict(e, TimeGenerated=at.isoformat())) + [came + delay])
                self.arrivals.append((came + delay, e["EventClass"]))
        if rows:
            names = [name for name, _ in COLUMNS] + ["IngestionTime"]
            with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as f:
                for row in rows:
                    f.write(json.dumps(dict(zip(names, row)), default=str) + "\n")
                f.flush()
                kinds = ", ".join(f"'{n}': '{t}'" for n, t in [(n, TYPES[k]) for n, k in COLUMNS] + [("IngestionTime", "TIMESTAMP")])
                self.con.execute(f"INSERT INTO Raw SELECT * FROM read_json('{f.name}', format='newline_delimited', columns={{{kinds}}})")
        self.schema = None

    @staticmethod
    def row(e):
        """As Log Analytics keeps it: an absent text is an empty one."""
        def value(name, kind):
            v = e.get(name)
            if kind == "dynamic":
                return v
            if kind == "datetime":
                return None if v is None else time_of(v)
            return "" if v is None and kind == "string" else v
        return [value(name, kind) for name, kind in COLUMNS]

    def translate(self, query):
        query = re.sub(r"\bingestion_time\(\)", "IngestionTime", query)
        result = duckdb_kql.to_sql(query, schema=self.known_schema(), query_now=datetime.datetime(2001, 1, 1))
        return result.sql if hasattr(result, "sql") else str(result)

    def known_schema(self):
        if self.schema is None:
            self.schema = duckdb_kql.engine.schema(self.con)
        return self.schema

    def run(self, sql, now, period):
        self.con.execute("DELETE FROM Clock")
        self.con.execute("INSERT INTO Clock VALUES (?, ?)", [now, now - period])
        r = self.con.execute(sql, {"kqlnow": now} if "$kqlnow" in sql else None)
        names = [d[0] for d in r.description]
        return [dict(zip(names, row)) for row in r.fetchall()]

    def ticks(self, rule, begin, end):
        """The runs that may find something new: those with an arrival of a class that the query names, or all, if it looks at the clock alone."""
        every = span(rule["queryFrequency"])
        if "ingestion_time()" not in rule["query"] or " now()" in rule["query"]:
            n = int((end - begin) / every) + 1
            return [begin + k * every for k in range(n)]
        classes = {c for c in ("alert", "recommendation", "attack_path", "activity", "access_anomaly", "volume_spike", "config_change", "control", "agent")
                   if f'"{c}"' in rule["query"]}
        found = set()
        for at, kind in self.arrivals:
            if kind in classes and begin <= at <= end:
                found.add(begin + -(-(at - begin) // every) * every)
        return sorted(found)

    def alerts(self, rule, begin, end):
        """Every alert of a rule that runs from begin to end."""
        sql, found = self.translate(rule["query"]), []
        for now in self.ticks(rule, begin, end):
            found += [dict(row, RunAt=now) for row in self.run(sql, now, span(rule["queryPeriod"]))]
        return found
