"""The four encodings. Every column comes back from each of them, whatever a stranger wrote into it; and judges that are not ours
read them: lognormalizer and pycef (CEF), OCSF's own schema, the JSON Schema of the event, the columns of CommonSecurityLog.

AISPM_AGENT names the binary, AISPM_BUILD the build directory with the program that encodes bare columns.
"""
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest

import golden

AGENT = os.environ.get("AISPM_AGENT", "")
SRC = pathlib.Path(os.environ.get("AISPM_SRC", pathlib.Path(__file__).resolve().parents[2]))
ROWS = pathlib.Path(os.environ.get("AISPM_BUILD", "/nowhere")) / "tests" / "formats" / "encode_rows"
EVENT = SRC / "schemas" / "event"
FORMATS = ["json", "cef", "commonsecuritylog", "ocsf"]
needs_agent = pytest.mark.skipif(not AGENT, reason="AISPM_AGENT names no binary")
needs_rows = pytest.mark.skipif(not ROWS.exists(), reason=f"{ROWS} is not built")
needs_lognormalizer = pytest.mark.skipif(shutil.which("lognormalizer") is None, reason="no lognormalizer (Debian liblognorm-utils)")


def read_csv(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


TYPES = {name: kind for name, kind in re.findall(r"^FIELD\((\w+), (\w+),", (SRC / "agent/model/fields.tbl").read_text(), re.M)}
KEYS = read_csv(EVENT / "cef.csv")
SLOTS = {row.pop("EventClass"): row for row in read_csv(EVENT / "cef_slots.csv")}
TABLE = read_csv(EVENT / "commonsecuritylog.csv")
OCSF = read_csv(EVENT / "ocsf.csv")
OCSF_CLASSES = {row["EventClass"]: row for row in read_csv(EVENT / "ocsf_classes.csv")}
OCSF_WORDS = read_csv(EVENT / "ocsf_words.csv")
PUBLIC = {row["column"]: row["type"] for row in read_csv(pathlib.Path(__file__).with_name("CommonSecurityLog.csv"))}
SEVERITY = {"2": "Informational", "4": "Low", "6": "Medium", "8": "High", "10": "Critical"}
SAMPLES = sorted((SRC / "schemas").glob("*/samples/*.in.json"))
OWN = EVENT / "samples"
VERSION = (SRC / "VERSION").read_text().strip()


# ---- making events ------------------------------------------------------------------------------------------------------


def hexed(name, value):
    if TYPES[name] in ("TEXT", "JSON"):
        return (value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")).hex()
    return repr(value) if isinstance(value, float) else str(value)


def encode(form, rows):
    """Events from columns (a number is a number, a time is ms since 1970) in one run."""
    text = "".join("".join(f"{n} {hexed(n, v)}\n" for n, v in row.items()) + "\n" for row in rows)
    done = subprocess.run([ROWS, form], input=text.encode(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    got = done.stdout.split(b"\0")
    assert got.pop() == b"" and len(got) == len(rows)
    lines = [line.decode("utf-8") for line in got]
    assert all(len(line.splitlines()) == 1 for line in lines), "one event is one line, by anyone's idea of a line"
    return lines


def explain(form, path):
    done = subprocess.run([AGENT, "explain", "--relay", "--format", form, str(path)], capture_output=True, timeout=60,
                          env=dict(os.environ, AISPM_DATA_DIR=str(SRC)))
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
    return done.stdout.decode().splitlines()


def own_rows():
    """The events of schemas/event/samples, as columns."""
    rows = []
    for line in (OWN / "events.json.ndjson").read_text().splitlines():
        row = {}
        for name, value in json.loads(line).items():
            if TYPES[name] == "TIME":
                value = ms(value)
            row[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if TYPES[name] == "JSON" else value
        rows.append(row)
    return rows


# ---- reading them back ------------------------------------------------------------------------------------------------------


def ms(text):
    import datetime
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return round((at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds() * 1000)


def typed(name, text):
    kind = TYPES[name]
    if kind == "TIME":
        return int(text) if re.fullmatch(r"-?\d+", text) else ms(text)
    return int(text) if kind in ("INT", "LONG") else float(text) if kind == "REAL" else text


TURNS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def shown(text, header=False):
    """What CEF can say of a text: line ends one way, other control characters as pictures, what turns a text by its name."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    out = []
    for c in text:
        if c in "\n\r":
            out.append(" " if header else c)
        elif c in "\x85\u2028\u2029":
            out.append(" " if header else "\n")
        elif ord(c) < 0x20 or ord(c) == 0x7f:
            out.append(chr(0x2421 if ord(c) == 0x7f else 0x2400 + ord(c)))
        elif c in TURNS:
            out.append(f"<U+{ord(c):04X}>")
        else:
            out.append("\ufffd" if 0x80 <= ord(c) < 0xa0 else c)
    return "".join(out)


def unescape(text, letters):
    return re.sub(r"\\(.)", lambda m: letters.get(m[1], m[1]), text, flags=re.S)


def cef_parts(line):
    """Header fields and extension pairs, by the letter of the standard."""
    *header, extension = re.fullmatch(r"((?:[^\\|]|\\.)*)\|" * 7 + "(.*)", line, re.S).groups()
    assert header[0] == "CEF:0"
    places = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", extension))
    assert not places or places[0].start() == 0
    pairs = {}
    for at, after in zip(places, places[1:] + [None]):
        assert at[1] not in pairs, f"{at[1]} twice"
        value = extension[at.end():after.start() if after else None]
        assert value != "" and not re.search(r"(?<!\\)(?:\\\\)*=", value.replace("\\=", "")), at[1]
        pairs[at[1]] = unescape(value, {"n": "\n", "r": "\r"})
    return [unescape(h, {}) for h in header], pairs


def from_cef(line):
    """The columns of a line; what stands under a column's own name is the whole of it."""
    header, pairs = cef_parts(line)
    row = {"AgentVersion": header[3], "EventClass": header[4], "EventName": header[5], "EventSeverity": SEVERITY.get(header[6])}
    for key in KEYS:
        if key["key"] in pairs:
            row[key["column"]] = pairs.pop(key["key"])
    if pairs.pop("c6a2Label", None):
        row["SrcIpAddr"] = pairs.pop("c6a2")
    for key in [k for k in pairs if k.endswith("Label")]:
        row[pairs.pop(key)] = pairs.pop(key.removesuffix("Label"))
    for key, value in pairs.items():
        assert key.startswith("aispm"), key
        row[key.removeprefix("aispm")] = value
    return {n: typed(n, v) for n, v in row.items() if v is not None}


def from_table(line):
    """The columns of a row of CommonSecurityLog, each value of the public table's type."""
    got = json.loads(line)
    kinds = {"string": str, "datetime": str, "int": int, "long": int, "real": (int, float)}
    for column, value in got.items():
        assert isinstance(value, kinds[PUBLIC[column]]) and not isinstance(value, bool), column
        if PUBLIC[column] == "datetime":
            ms(value)
        assert not isinstance(value, str) or 0 < len(value.encode()) <= 65536, column
    assert got.pop("DeviceVendor") == got.pop("DeviceProduct") == "aispm-agent"
    assert got.pop("ReceiptTime", None) == got.get("TimeGenerated") and got.pop("Computer", None) == got.get("DeviceName")
    places = {r["key"]: r["column"] for r in TABLE if r["column"] not in ("ReceiptTime", "Computer")}
    row = {"EventSeverity": SEVERITY.get(got.pop(places["|severity"]))}
    for pair in re.findall(r"((?:[^\\;]|\\.)+)", got.pop("AdditionalExtensions", ""), re.S):
        name, value = re.fullmatch(r"aispm(\w+)=(.*)", pair, re.S).groups()
        row[name] = unescape(value, {"n": "\n", "r": "\r"})
    for key in KEYS:
        if places.get(key["key"]) in got:
            row[key["column"]] = got.pop(places[key["key"]])
    for slot in SLOTS["alert"]:
        if places[slot] in got:
            row[got.pop(places[slot + "Label"])] = got.pop(places[slot])
    assert got == {}
    return {n: typed(n, v) if isinstance(v, str) else v for n, v in row.items() if v is not None}


def walk(value, path):
    for name in path.split("."):
        value = value.get(name.removesuffix("[]")) if isinstance(value, dict) else None
        value = value[0] if name.endswith("[]") and value else value
    return value


def from_ocsf(line):
    """The columns, each from the one place that ocsf.csv gives it, else from unmapped."""
    got = json.loads(line)
    row = dict(got["unmapped"])
    for rule in OCSF:
        column = rule["source"].split("|")[0]
        if rule["class"] != "*" and str(got["class_uid"]) not in rule["class"].split():
            continue
        value = walk(got, rule["path"])
        if value is None or column.startswith("=") or column in row:
            continue
        if rule["form"] == "attacks":
            tactics = ",".join(a["tactic"]["name"] for a in value if "tactic" in a)
            techniques = ",".join(a["technique"]["uid"] for a in value if "technique" in a)
            row.update({k: v for k, v in (("AttackTactics", tactics), ("AttackTechniques", techniques)) if v})
        elif rule["form"].startswith("caption:"):
            back = {w["caption"]: w["word"] for w in OCSF_WORDS if w["list"] == rule["form"][8:] and w["caption"]}
            row[column] = back.get(value, value)
        elif rule["form"] in ("", "ms"):
            row[column] = value
    out = {}
    for name, value in row.items():
        if TYPES[name] == "TIME" and isinstance(value, str):
            value = ms(value)
        out[name] = value
    return out


def from_json(line):
    return {n: ms(v) if TYPES[n] == "TIME" else v for n, v in json.loads(line).items()}


# Where OCSF wants a value and the column is absent, another one stands for it.
STAND_INS = {r["source"].split("|")[0] for r in OCSF if "|" in r["source"] and r["form"] != "attacks"} | {
    r["source"] for r in OCSF if r["path"] in [o["path"] for o in OCSF if o["source"].startswith("=")]}


def without_stand_ins(form, got, row):
    return {n: v for n, v in got.items() if form != "ocsf" or n in row or n not in STAND_INS}


READ = {"json": from_json, "cef": from_cef, "commonsecuritylog": from_table, "ocsf": from_ocsf}


def no_json_text(row):
    """AdditionalFields as a value, however it was written."""
    value = row.get("AdditionalFields")
    return dict(row, AdditionalFields=json.loads(value)) if isinstance(value, str) else row


def assert_same(form, line, row):
    got, wanted = no_json_text(READ[form](line)), no_json_text(dict(row))
    if form in ("cef", "commonsecuritylog"):
        wanted.setdefault("AgentVersion", VERSION)
    if "EventStartTime" not in row:             # without a time of its own it has its arrival, another at each reading
        for name in ("TimeGenerated", "SlaDueTime"):
            assert (name in got) == (name in wanted)
            got.pop(name, None)
            wanted.pop(name, None)
    assert without_stand_ins(form, got, row) == wanted


# ---- the samples of the families, and one event of each class -----------------------------------------------------------


@needs_agent
@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: f"{p.parent.parent.name}/{p.name.removesuffix('.in.json')}")
def test_a_sample_comes_back_from_every_encoding(path):
    rows = [from_json(line) for line in explain("json", path)]
    for form in FORMATS[1:]:
        lines = explain(form, path)
        assert len(lines) == len(rows)
        for line, row in zip(lines, rows):
            assert_same(form, line, row)


@needs_agent
@pytest.mark.parametrize("form", golden.ENCODED)
@pytest.mark.parametrize("family", golden.families())
def test_a_family_is_encoded_as_in_the_file_beside_its_samples(family, form):
    """golden.py writes them; the fourth encoding, json, is each sample's own NAME.out.ndjson."""
    path = EVENT.parent / family / "samples" / golden.ENCODED[form]
    assert golden.encoded(family, form) == path.read_text().splitlines()


@needs_rows
@pytest.mark.parametrize("form", FORMATS)
def test_an_event_of_each_class_is_encoded_as_in_the_samples(form):
    rows = own_rows()
    assert {r["EventClass"] for r in rows} == set(SLOTS) == set(OCSF_CLASSES) - {"*"}
    lines = encode(form, rows)
    path = OWN / ("events.cef" if form == "cef" else f"events.{form}.ndjson")
    assert lines == path.read_text().splitlines()
    for line, row in zip(lines, rows):
        assert_same(form, line, row)


@needs_rows
def test_cef_has_the_header_of_the_contract_and_keys_within_their_lengths():
    for line, row in zip(encode("cef", own_rows()), own_rows()):
        severity = {v: k for k, v in SEVERITY.items()}[row["EventSeverity"]]
        assert line.startswith(f"CEF:0|aispm-agent|aispm-agent|{row.get('AgentVersion', VERSION)}|{row['EventClass']}|{row['EventName']}|{severity}|")
        header, pairs = cef_parts(line)
        assert pairs["externalId"] == row["EventId"] and pairs["rt"] == str(row["TimeGenerated"])
        for key in KEYS:
            assert len(pairs.get(key["key"], "").encode()) <= int(key["bytes"])


# ---- hostile texts -------------------------------------------------------------------------------------------------------

HOSTILE = [
    b"plain", b"a\nCEF:0|x|y|1|2|forged|10|src=1.2.3.4", b"\r\n\r\n", b"pipe | and \\| and \\", b"a=b suser=admin cs1=x", b"\\", b"\\\\=\\n",
    b"end\\", b"tab\there", b"\x1b[31mred\x1b[0m\x07", b"nul\x00inside\x00", b"\xed\xa0\x80 lone \xed\xbf\xbf", b"bad \xff\xfe\xc0\x80 \xf0\x9f\x98 utf",
    "line\u2028par\u2029nel\x85c1\x9b".encode(), "\u202egnp.exe \ufeff\U0001f600 \u00e4\u6f22".encode(), f"x{TURNS}y\u200d".encode(), b'"quoted" \'x\' `y`', b"; drop=1;aispmEventId=0",
    b'{"a":"b=c;d|e"}', b"]]>\x7f</x>", b"null", b"0", b"  two  blanks  ", b"a" * 1030 + "\u6f22".encode() * 10, b"%s%n$(id)", b"=", b"|", b";",
]


def base(kind="activity", **columns):
    return {"TimeGenerated": 1792473600435, "EventCount": 1, "EventId": "0" * 32, "EventClass": kind, "EventName": "name", "EventSeverity": "High",
            "EventResult": "Success", "EventSchemaVersion": "1", **columns}


def assert_text_back(form, column, text, got):
    """One column of one encoding, as far as the encoding can say it."""
    plain = text.decode("utf-8", "replace")
    if column in ("OldValue", "NewValue"):      # of JSON, and it stays JSON
        plain = re.sub("[\x80-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", lambda m: f"\\u{ord(m[0]):04x}", plain) if form == "cef" or "\\u" in got[column] else plain
        text = plain.encode()
    if form == "json" or (form == "ocsf" and column not in ("AttackTactics", "AttackTechniques")):
        assert got.get(column) == plain
    elif form == "ocsf":
        assert got.get(column) in (None, plain, ",".join(w.strip() for w in plain.split(",")))
    elif form == "commonsecuritylog":
        assert got.get(column) in (plain, shown(text))
    else:
        assert got.get(column) == shown(text) or (column in ("AgentVersion", "EventClass", "EventName") and got.get(column) == shown(text, True))


@needs_rows
@pytest.mark.parametrize("form", FORMATS)
def test_every_text_in_every_column_comes_back_and_moves_no_other(form):
    texts = [n for n, kind in TYPES.items() if kind == "TEXT" and n != "TruncatedFields"]
    kinds = [*SLOTS, "of a later version"]
    cases = [(column, text, kinds[(i + j) % len(kinds)]) for i, column in enumerate(texts) for j, text in enumerate(HOSTILE)]
    rows = [{**base(kind), column: text} for column, text, kind in cases]
    others = [base(kind) for _, _, kind in cases]
    for (column, text, _), line, clean in zip(cases, encode(form, rows), encode(form, others)):
        got, before = READ[form](line), READ[form](clean)
        assert_text_back(form, column, text, got)
        if column == "EventClass":
            continue
        rest, wanted = ({n: v for n, v in without_stand_ins(form, r, base()).items() if n not in (column, "AgentVersion")} for r in (got, before))
        assert rest == wanted, (column, text)


@needs_rows
@pytest.mark.parametrize("form", FORMATS)
def test_all_columns_hostile_at_once(form):
    texts = [n for n, kind in TYPES.items() if kind == "TEXT" and n not in ("TruncatedFields", "EventClass", "EventSeverity", "EventResult")]
    rows = [{**base(kind), **{n: t for n in texts}} for kind in SLOTS for t in HOSTILE]
    for row, line in zip(rows, encode(form, rows)):
        got = READ[form](line)
        for name in texts:
            assert_text_back(form, name, row[name], got)


@needs_rows
def test_json_columns_are_never_torn_and_hostile_ones_stay_inside():
    value = {"a": 'q"uo|te=\\ ;\u2028\x1b', "n": 9007199254740993, "deep": [{"x": [1, None, True]}]}
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False).replace("\x1b", "\\u001b")):
        for kind in ("activity", "config_change"):
            for form in FORMATS:
                row = READ[form](encode(form, [base(kind, AdditionalFields=text, OldValue=text)])[0])
                for column in ("AdditionalFields", "OldValue"):
                    got = row[column]
                    assert (json.loads(got) if isinstance(got, str) else got) == value, (form, column)


@needs_rows
@pytest.mark.parametrize("form", FORMATS)
def test_numbers_beyond_2_to_the_53_are_exact(form):
    numbers = [2**53 + 1, 2**63 - 1, -2**63, 0]
    rows = [base(kind, PromptTokens=n, CompletionTokens=n, RequestCount=n, DurationMs=n) for n in numbers for kind in SLOTS]
    for row, line in zip(rows, encode(form, rows)):
        assert_same(form, line, row)
    reals = [base("volume_spike", DetectorScore=v, DetectorBaseline=v, DetectorObserved=v) for v in (0.1, 1e300, -2.5e-7, 1 / 3)]
    for row, line in zip(reals, encode(form, reals)):
        assert_same(form, line, row)


# ---- the whole way: a record's bytes in, each encoding out ----------------------------------------------------------------

SPAN = b"""{"time":"%s","category":"RequestResponse","operationName":"%s","correlationId":"c","resultSignature":"200",
"resourceId":"/subscriptions/7d1b6f0e-52c3-4c9a-9a41-0d6f6c2b8e15/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a","durationMs":%s,
"properties":{"modelDeploymentName":"d","promptTokens":[%s],"requestLength":%s}}"""


def on_the_way(form, tmp_path, *rows):
    path = tmp_path / "in.json"
    path.write_bytes(b"".join(SPAN.replace(b"\n", b"") % row + b"\n" for row in rows))
    return [READ[form](line) for line in explain(form, path)]


@needs_agent
@pytest.mark.parametrize("form", FORMATS)
def test_a_time_of_any_zone_and_precision_is_one_moment_in_every_encoding(form, tmp_path):
    same = [b"2026-03-29T01:30:00.435Z", b"2026-03-29T03:30:00.435+02:00", b"2026-03-28T18:30:00.4350000-07:00", b"2026-03-29T07:00:00.435999999+05:30",
            b"2026-03-29 01:30:00.435", b"1774747800435", b"1774747800435000000"]
    got = on_the_way(form, tmp_path, *[(t, b"op", b"1", b"1", b"1") for t in same])
    assert {e["TimeGenerated"] for e in got} == {e["EventStartTime"] for e in got} == {1774747800435}
    leap, new_year = on_the_way(form, tmp_path, (b"2028-02-29T23:59:59.999-00:01", b"op", b"1", b"1", b"1"), (b"2026-12-31T23:59:59.999-14:00", b"op", b"1", b"1", b"1"))
    assert (leap["TimeGenerated"], new_year["TimeGenerated"]) == (ms("2028-03-01T00:00:59.999Z"), ms("2027-01-01T13:59:59.999Z"))


@needs_agent
@pytest.mark.parametrize("form", FORMATS)
def test_strange_texts_and_numbers_of_a_record_are_right_in_every_encoding(form, tmp_path):
    texts = {                               # what stands in the JSON, and what it means
        rb"a\ud83d\ude00b": "a\U0001f600b", rb"lone \ud800 high": "lone \ufffd high", rb"lone \udfff low": "lone \ufffd low", rb"turned \ude00\ud83d": "turned \ufffd\ufffd",
        b"bad \xff\xc0\x80 utf": "bad \ufffd\ufffd\ufffd utf", b"raw surrogate \xed\xa0\x80": None, rb"nul \u0000 esc \u001b[31m bell \u0007": "nul \x00 esc \x1b[31m bell \x07",
        rb"a=b|c\\d\ne\tf": "a=b|c\\d\ne\tf", rb"\u2028 \u0085 \u202e": "\u2028 \x85 \u202e", b"x" * 70000: "x" * 65536}
    for raw, meant in texts.items():
        got = on_the_way(form, tmp_path, (b"2026-03-29T01:30:00Z", raw, b"1", b"1", b"1"))[0]
        assert got["RequestCount"] == 1 and got["CloudAccountId"] == "7d1b6f0e-52c3-4c9a-9a41-0d6f6c2b8e15", "its neighbours are whole"
        if meant is None:
            assert got["Operation"].startswith("raw surrogate \ufffd")
        elif len(meant) < 65536:
            assert_text_back(form, "Operation", meant.encode(), got)
        else:
            assert meant.startswith(got["Operation"]) and len(got["Operation"]) > 56000 and "Operation" in got["TruncatedFields"].split(",")
    for raw, meant in {b"9007199254740993": 2**53 + 1, b"9223372036854775807": 2**63 - 1, b"9223372036854775808": None, b"1e400": None, b"1.5": 2, b"-0": 0}.items():
        got = on_the_way(form, tmp_path, (b"2026-03-29T01:30:00Z", b"op", b"1", raw, raw))[0]
        assert got.get("PromptTokens") == meant, raw
    kept = on_the_way(form, tmp_path, (b"2026-03-29T01:30:00Z", b"op", b"1", b"1", b"123456789012345678901234567890"))[0]["AdditionalFields"]
    kept = json.loads(kept) if isinstance(kept, str) else kept
    assert kept["RequestBytes"] == 123456789012345678901234567890, "a number in AdditionalFields stays as it was written"


# ---- long columns -----------------------------------------------------------------------------------------------------------


@needs_rows
def test_a_text_longer_than_its_key_is_cut_there_on_a_character_and_whole_under_its_own_name():
    for size in range(1020, 1026):
        text = "a" * size + "\u6f22\u5b57"
        header, pairs = cef_parts(encode("cef", [base(EventMessage=text)])[0])
        assert pairs["aispmEventMessage"] == text and text.startswith(pairs["msg"]) and 1020 < len(pairs["msg"].encode()) <= 1023
        assert "aispmTruncatedFields" not in pairs
    header, pairs = cef_parts(encode("cef", [base(Operation="x" * 63)])[0])
    assert pairs["act"] == "x" * 63 and "aispmOperation" not in pairs


@needs_rows
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("column", ["EventMessage", "EventVendor", "TargetResourceId", "OldValue", "AdditionalFields"])
def test_64_kb_is_the_longest_column(form, column):
    is_json = column in ("OldValue", "AdditionalFields")
    for unit in ("x", "\u00e4", "\u6f22"):
        inner = unit * (70000 // len(unit.encode()))
        text = json.dumps({"k": inner}, ensure_ascii=False) if is_json else inner
        got = READ[form](encode(form, [base("config_change", TruncatedFields="EventUrl", **{column: text})])[0])
        value = got[column]
        assert got["TruncatedFields"] == f"EventUrl,{column}"
        if is_json:
            value = json.loads(value) if isinstance(value, str) else value
            assert value == {"truncated": True, "length": len(text.encode())}
        else:
            assert text.startswith(value) and 56000 < len(value.encode()) <= 65536


@needs_rows
@pytest.mark.parametrize("form", FORMATS)
def test_everything_too_long_at_once_keeps_the_id_and_says_what_was_cut(form):
    big = "y=;|\\" * 14000
    texts = [n for n, k in TYPES.items() if k == "TEXT" and n not in base() and n not in ("TruncatedFields", "SrcIpAddr", "AttackTactics", "AttackTechniques")]
    row = base("alert", AdditionalFields=json.dumps({"a": big}), **{n: big for n in texts})
    got = READ[form](encode(form, [row])[0])
    assert got["EventId"] == row["EventId"]
    assert set(got["TruncatedFields"].split(",")) == {*texts, "AdditionalFields"}


# ---- judges ---------------------------------------------------------------------------------------------------------------


def cef_lines():
    lines = [line for p in SAMPLES for line in explain("cef", p)] if AGENT else []
    return lines + (encode("cef", own_rows()) if ROWS.exists() else [])


def lognormalizer(tmp_path, lines):
    (tmp_path / "rules").write_text("version=2\nrule=:%f:cef%\n")
    # a blank behind the seventh pipe: without it the tool loses the first letter of the first key
    spaced = "".join(re.sub(r"^((?:(?:[^\\|]|\\.)*\|){7})", r"\1 ", line) + "\n" for line in lines)
    done = subprocess.run(["lognormalizer", "-r", str(tmp_path / "rules"), "-e", "json"], input=spaced.encode(), capture_output=True, timeout=60)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


@needs_agent
@needs_rows
@needs_lognormalizer
def test_lognormalizer_reads_the_same_from_cef(tmp_path):
    lines = cef_lines() + encode("cef", [base(kind, EventMessage=t, ActorUsername=t, EventName=t) for kind in SLOTS for t in HOSTILE])
    got = lognormalizer(tmp_path, lines)
    assert len(got) == len(lines)
    for line, judged in zip(lines, got):
        header, pairs = cef_parts(line)
        assert "f" in judged, line
        seen = judged["f"]
        assert [seen[k] for k in ("DeviceVendor", "DeviceProduct", "DeviceVersion", "SignatureID", "Name", "Severity")] == header[1:]
        assert seen["Extensions"] == pairs


@needs_agent
@needs_rows
def test_pycef_reads_the_same_from_cef():
    pycef = pytest.importorskip("pycef")
    for line in cef_lines():
        header, pairs = cef_parts(line)
        judged = pycef.parse(line)
        for key, value in pairs.items():
            if key.endswith("Label"):
                continue
            name = pairs.get(key + "Label", key)
            assert unescape(judged[name], {"n": "\n", "r": "\r"}) == value, name


def ocsf_judge():
    library = pytest.importorskip("ocsf_json_schema")
    schema = library.OcsfJsonSchemaEmbedded(library.get_ocsf_schema("1.8.0"))
    known = {}

    def judge(event):
        cls, profiles = event["class_uid"], tuple(event["metadata"].get("profiles", []))
        if (cls, profiles) not in known:
            uri = f"https://schema.ocsf.io/schema/1.8.0/classes/{event['class_name'].lower().replace(' ', '_')}?profiles={','.join(profiles)}"
            known[cls, profiles] = jsonschema.Draft202012Validator(schema.get_schema_from_uri(uri))
        return [f"{'/'.join(map(str, e.path))}: {e.message[:200]}" for e in known[cls, profiles].iter_errors(event)]
    return judge


@needs_agent
@needs_rows
def test_ocsfs_own_schema_accepts_every_event():
    judge = ocsf_judge()
    lines = [line for p in SAMPLES for line in explain("ocsf", p)] + encode("ocsf", own_rows())
    lines += encode("ocsf", [{k: v for k, v in base(kind).items() if k != drop} for kind in SLOTS for drop in base()])
    for line in lines:
        event = json.loads(line)
        assert judge(event) == [], line
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    broken = json.loads(lines[0])
    del broken["metadata"]["product"]
    assert judge(broken), "the judge judges nothing"


@needs_rows
def test_the_json_schema_accepts_every_class():
    schema = jsonschema.Draft202012Validator(json.loads((EVENT / "event.schema.json").read_text()))
    for line in encode("json", own_rows()):
        assert list(schema.iter_errors(json.loads(line))) == []


# ---- the tables themselves --------------------------------------------------------------------------------------------------


def test_the_tables_name_columns_that_there_are_and_none_twice():
    for path in EVENT.glob("*.csv"):
        lines = path.read_text().splitlines()
        assert all(line.count(",") == lines[0].count(",") and not set(line) & set('"\\') for line in lines), path.name
    keyed = [k["column"] for k in KEYS]
    assert len(set(keyed)) == len(keyed) and set(keyed) <= set(TYPES)
    for kind, slots in SLOTS.items():
        used = [c for c in slots.values() if c]
        assert len(set(used)) == len(used) and not set(used) & set(keyed) and set(used) <= set(TYPES), kind
        for slot, column in slots.items():
            wanted = {"cs": ("TEXT",), "cn": ("LONG", "INT"), "cf": ("REAL",), "de": ("TIME",)}[slot[:2]]
            assert not column or TYPES[column] in wanted, (kind, slot)
    for rule in OCSF:
        assert {c for c in rule["source"].split("|") if not c.startswith("=")} <= set(TYPES), rule
    for column, kind in ((r["column"], r["type"]) for r in TABLE):
        assert PUBLIC[column] == kind, column


def test_every_key_and_slot_has_its_column_in_commonsecuritylog():
    keys = {r["key"] for r in TABLE}
    wanted = {k["key"] for k in KEYS} | set(SLOTS["alert"]) | {s + "Label" for s in SLOTS["alert"]} | {"*"}
    assert keys == wanted


# Of "ASIM common fields" and each schema's own page (learn.microsoft.com/azure/sentinel/normalization-schema-agent, -alert, -audit): the mandatory ones.
ASIM_COMMON = "EventCount EventStartTime EventEndTime EventProduct EventVendor EventSchema EventSchemaVersion"
ASIM_MANDATORY = {"AgentEvent": ASIM_COMMON, "AlertEvent": ASIM_COMMON + " EventType EventUid",
                  "AuditEvent": ASIM_COMMON + " EventType EventResult Operation Object Dvc"}


@needs_rows
def test_asim_has_its_mandatory_fields_of_every_event():
    rules = read_csv(EVENT / "asim.csv")
    classes = {}
    for rule in rules:
        assert {c for c in rule["source"].split("|") if not c.startswith("=")} <= set(TYPES), rule
        classes.setdefault(rule["schema"], set()).update(rule["EventClass"].split())
    assert sum(map(len, classes.values())) == len(set().union(*classes.values())) and set().union(*classes.values()) <= set(SLOTS)
    for row in own_rows():
        schema = next((s for s, kinds in classes.items() if row["EventClass"] in kinds), None)
        if schema is None:
            assert row["EventClass"] in ("inventory", "agent")
            continue
        filled = {r["asim"] for r in rules if r["schema"] == schema and any(c.startswith("=") or c in row for c in r["source"].split("|"))}
        assert set(ASIM_MANDATORY[schema].split()) <= filled, schema
