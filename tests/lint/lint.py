#!/usr/bin/env python3
"""The house's rules as a program: who may include whom, how long things may be, what may not be called. TAP."""
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))

# room: whose headers it may include besides its own
MAY = {
    "base": {"base"},
    "model": {"base", "model"},
    "net": {"base", "net"},
    "source": {"base", "model", "net", "source"},
    "decode": {"base", "model", "decode"},
    "detect": {"base", "model", "detect"},
    "posture": {"base", "model", "posture"},
    "spool": {"base", "model", "spool"},
    "encode": {"base", "model", "encode", "schemas"},       # the tables of schemas/event, as the build turns them into rows
    "sink": {"base", "net", "sinks"},
    "send": {"base", "model", "net", "spool", "encode", "sinks"},
    "run": {"base", "model", "net", "source", "decode", "detect", "posture", "spool", "encode", "sinks", "run"},
}
# a foreign library's headers and the one place they may be included from
HOMES = {
    r"curl/": r"agent/net/",
    r"openssl/": r"agent/(net/|base/hash\.c)",
    r"simdjson\.h|json-c/": r"agent/base/json_",
    r"librdkafka/": r"agent/(net/kafka_client|source/kafka)|sinks/kafka/",
    r"yaml\.h>": r"agent/base/yaml\.c",
    r"zlib\.h|libdeflate\.h": r"agent/base/(gzip|hash)\.c",
    r"systemd/": r"agent/run/",
    r"microhttpd": r"agent/(run/web|source/http)",
    r"gnutls/": r"agent/source/http_tls\.c",
}
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|alloca|system|popen|mktemp|tmpnam|rand|srand)\s*\(")
MAX_FILE, MAX_FUNCTION = 600, 80

count = 0
failed = 0


def report(name, problems):
    global count, failed
    count += 1
    if problems:
        failed += 1
        print(f"not ok {count} - {name}")
        for p in problems:
            print(f"#   {p}")
    else:
        print(f"ok {count} - {name}")


def room_of(path):
    if path.startswith("agent/"):
        return path.split("/")[1]
    if path.startswith("sinks/encode/"):
        return "encode"
    if path.startswith("sinks/send"):
        return "send"
    return "sink" if path.startswith("sinks/") else None


def header_room(name):
    if name.startswith("sinks/encode/"):
        return "encode"
    return name.split("/")[0]


def sources():
    for pattern in ("agent/**/*", "sinks/**/*"):
        for p in sorted(TOP.glob(pattern)):
            if p.suffix in (".c", ".h", ".cc") and p.is_file():
                yield p.relative_to(TOP).as_posix(), p.read_text()


def includes():
    bad = []
    for path, text in sources():
        room = room_of(path)
        for name in re.findall(r'^#include "([^"]+)"', text, re.M):
            if name == "config.h":
                continue
            other = header_room(name)
            if other not in MAY[room]:
                bad.append(f"{path} includes {name}: {room} may not use {other}")
    return bad


def libraries():
    bad = []
    for path, text in sources():
        for name in re.findall(r"^#include <([^>]+>)", text, re.M):
            for pattern, home in HOMES.items():
                if re.match(pattern, name) and not re.match(home, path):
                    bad.append(f"{path} includes <{name}: that library lives in {home}")
    return bad


def logging():
    return [path for path, text in sources()
            if room_of(path) not in ("run", "send", "base") and re.search(r"\bnote\(", text)]


def banned():
    bad = []
    for path, text in sources():
        code = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"", "", text, flags=re.S)
        bad += [f"{path}: {m}" for m in BANNED.findall(code)]
    return bad


def lengths():
    bad = []
    for path, text in sources():
        n = text.count("\n")
        if n > MAX_FILE:
            bad.append(f"{path}: {n} lines, at most {MAX_FILE}")
    return bad


def functions():
    bad = []
    for path, text in sources():
        if not path.endswith((".c", ".cc")):
            continue
        lines = text.split("\n")
        start = None
        for i, line in enumerate(lines):
            if line == "{":
                start = i
            elif line == "}" and start is not None:
                body = "\n".join(lines[start:i])
                if i - start > MAX_FUNCTION and body.count("case ") < (i - start) / 5:
                    bad.append(f"{path}:{start}: {lines[start - 1]}: {i - start} lines, at most {MAX_FUNCTION}")
                start = None
    return bad


def cards():
    bad = []
    for path, text in sources():
        if path.endswith((".c", ".cc", ".h")) and not text.startswith("/*"):
            bad.append(f"{path}: does not open with what it is for")
    return bad


def left_over():
    bad = []
    for path, text in sources():
        for i, line in enumerate(text.split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b|not implemented", line):
                bad.append(f"{path}:{i}: {line.strip()}")
    return bad


def room_readmes():
    wanted = ["agent", "sinks", "schemas", "packaging", "tests"]
    return [f"{w}/README.md is missing" for w in wanted if not (TOP / w / "README.md").is_file()]


def shell():
    bad = []
    for p in ["autogen.sh", ".ci/run", *map(str, TOP.glob("packaging/**/*.sh"))]:
        path = TOP / p
        if path.exists() and subprocess.run(["sh", "-n", str(path)], capture_output=True).returncode != 0:
            bad.append(p)
    return bad


def named_tests():
    """Each `folder/file::name` of tests/README.md, and `::name` of the file before it, is there; and so is each scenario."""
    bad, path = [], None
    for token in re.findall(r"`([^`\n]+)`", (TOP / "tests/README.md").read_text()):
        if "::" not in token and not re.fullmatch(r"scenario/[\w-]+\.scn", token):
            continue
        where, _, name = token.partition("::")
        path = where or path
        file = TOP / "tests" / path
        if not file.is_file():
            bad.append(f"tests/{path} is not there")
        elif name and not re.search(rf"^(def )?{re.escape(name)}\(", file.read_text(), re.M):
            bad.append(f"tests/{path} has no {name}")
    return bad


def limits():
    """The manual's limits are those of the sources, and of the table of settings."""
    bad = []
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    rows = re.findall(r'^LIMIT\("([^"]*)", "([^"]*)", "([^"]*)", "([^"]*)"\)$', (TOP / "agent/run/limits.tbl").read_text(), re.M)
    for what, amount, where, _ in rows:
        number, _, unit = amount.partition(" ")
        wanted = int(number) * units.get(unit, 1)
        if ":" in where:
            path, _, macro = where.partition(":")
            got = re.search(rf"^#define {macro}\s+([^/\n]+)", (TOP / path).read_text(), re.M) if (TOP / path).is_file() else None
            if got is None:
                bad.append(f"{what}: no {where}")
            else:
                value = re.sub(r"\(\w+_t\)|(?<=\d)[uUlL]+", "", got[1]).strip()
                if not re.fullmatch(r"[\d()<*+\s]+", value) or eval(value) != wanted:
                    bad.append(f"{what}: {amount}, but {where} is {got[1].strip()}")
        elif not where.endswith(".options"):
            key = where.rpartition(".")[2]
            texts = [t for _, t in sources() if f'.name = "{key}"' in t]
            fallback = amount.replace(" ", "")
            if not any(re.search(rf'\.name = "{key}",[^{{}}]*?\.fallback = "{fallback}"', t, re.S) for t in texts):
                bad.append(f"{what}: no setting {where} with the default {fallback}")
    return bad if len(rows) > 40 else [f"{len(rows)} rows could be read"]


if __name__ == "__main__":
    report("each room includes only what it may", includes())
    report("each library has one home", libraries())
    report("only run/ and send.c speak to the log", logging())
    report("no unbounded or unsafe call", banned())
    report(f"no file is longer than {MAX_FILE} lines", lengths())
    report(f"no function is longer than {MAX_FUNCTION} lines, but for flat switches", functions())
    report("each file says what it is for", cards())
    report("nothing is left for later", left_over())
    report("the limits that the manual names are those of the sources", limits())
    report("each top folder has a README", room_readmes())
    report("shell scripts parse", shell())
    report("each test that tests/README.md names is there", named_tests())
    print(f"1..{count}")
    sys.exit(1 if failed else 0)
