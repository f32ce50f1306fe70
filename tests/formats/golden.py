#!/usr/bin/env python3
"""What lies beside the samples, written anew: AISPM_AGENT=build/aispm-agent python3 tests/formats/golden.py [FAMILY...], then `git diff`.

The table of families in schemas/README.md comes from them, too. schemas/FAMILY/samples/NAME.in.json gives NAME.out.ndjson, all its events as JSON. The other three encodings of a family are in one file each,
encoded.cef and encoded.{commonsecuritylog,ocsf}.ndjson: the first event of each sample, in the order of their names. What is another at each reading
stands there as a word: VERSION for the agent's version in CEF's header, ARRIVAL for the times of an event whose record has none.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

SRC = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))
SCHEMAS = SRC / "schemas"
ENCODED = {"cef": "encoded.cef", "commonsecuritylog": "encoded.commonsecuritylog.ndjson", "ocsf": "encoded.ocsf.ndjson"}


def explain(form, *paths):
    done = subprocess.run([os.environ["AISPM_AGENT"], "explain", "--relay", "--format", form, *map(str, paths)], capture_output=True, timeout=60,
                          env=dict(os.environ, AISPM_DATA_DIR=str(SRC)))
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"{paths}: {done.stderr.decode()}")
    return done.stdout.decode().splitlines()


def samples(family):
    return sorted((SCHEMAS / family / "samples").glob("*.in.json"))


def families():
    return sorted(p.parent.name for p in SCHEMAS.glob("*/mapping.yaml"))


def out_of(path):
    return path.with_name(path.name.replace(".in.json", ".out.ndjson"))


def encoded(family, form):
    """The lines of a family's golden file."""
    lines, at, wanted = explain(form, *samples(family)), 0, []
    for path in samples(family):
        events = [json.loads(line) for line in out_of(path).read_text().splitlines()]
        line = re.sub(r"^(CEF:0(?:\|aispm-agent){2})\|[^|]+", r"\1|VERSION", lines[at])
        if "EventStartTime" not in events[0]:
            line = re.sub(r'(\b(?:rt|deviceCustomDate1)=|"time":)\d+|("(?:TimeGenerated|ReceiptTime|DeviceCustomDate1|SlaDueTime)":")[^"]+', lambda m: f"{m[1] or m[2]}ARRIVAL", line)
        wanted.append(line)
        at += len(events)
    if at != len(lines):
        raise RuntimeError(f"{family}: {len(lines)} lines of {form}, {at} events")
    return wanted


def keep_arrivals(path, lines):
    """A record without a time keeps the arrival that is written already, so that only what changed is in the diff."""
    old = out_of(path).read_text().splitlines() if out_of(path).exists() else []
    for i, line in enumerate(lines):
        event = json.loads(line)
        for column in ("TimeGenerated", "SlaDueTime"):
            if "EventStartTime" not in event and i < len(old) and column in event:
                lines[i] = lines[i].replace(event[column], json.loads(old[i]).get(column, event[column]), 1)
    return lines


# ---- the table of schemas/README.md ------------------------------------------------------------------------------------


def outputs(family):
    return [json.loads(line) for path in samples(family) for line in out_of(path).read_text().splitlines()]


def readme():
    """The page as it should stand: of the table's rows the first two cells and the last are hand-written, what is between comes from the events."""
    text = (SCHEMAS / "README.md").read_text()
    columns = re.findall(r"^FIELD\((\w+),", (SRC / "agent" / "model" / "fields.tbl").read_text(), re.M)
    filled = {family: {c for e in outputs(family) for c in e} for family in families()}
    common = set.intersection(*(filled[f] for f in filled if f not in ("unknown", "azure_poll", "aispm_event")))

    def row(found):
        system, family, extra = (found[i].strip() for i in (1, 2, 6))
        if family not in filled:
            return found[0]
        classes = ", ".join(sorted({e["EventClass"] for e in outputs(family)}))
        beyond = ", ".join(c for c in columns if c in filled[family] - common)
        return f"| {system} | {family} | {classes} | [{len(samples(family))}]({family}/samples) | {beyond} | {extra} |"
    text = re.sub(r"^Every one of the vendors' fills .*?(?=\.$)", "Every one of the vendors' fills " + ", ".join(c for c in columns if c in common), text, flags=re.M)
    return re.sub(r"^\|([^|]+)\| (\w+) \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", row, text, flags=re.M)


def main(wanted):
    for family in wanted or families():
        for path in samples(family):
            out_of(path).write_text("".join(f"{line}\n" for line in keep_arrivals(path, explain("json", path))))
        for form, name in ENCODED.items():
            (SCHEMAS / family / "samples" / name).write_text("".join(f"{line}\n" for line in encoded(family, form)))
    (SCHEMAS / "README.md").write_text(readme())


if __name__ == "__main__":
    main(sys.argv[1:])
