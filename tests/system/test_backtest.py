"""`aispm-agent backtest`: windows in, scores and alerts out; records in, findings out; and the pictures of both."""
import collections
import csv
import datetime
import io
import json
import os
import pty
import random
import subprocess
import xml.etree.ElementTree

import pytest

AGENT = os.environ["AISPM_AGENT"]
MONDAY = datetime.datetime(2026, 9, 28, tzinfo=datetime.timezone.utc)


def backtest(text, *more, status=0):
    done = subprocess.run([AGENT, "backtest", "--detector", "volume", *more], input=text.encode() if isinstance(text, str) else text,
                          capture_output=True, timeout=60)
    assert done.returncode == status, done.stderr
    return done.stdout.decode(), done.stderr.decode()


def rows(out):
    return list(csv.DictReader(io.StringIO(out)))


def ten_days(surge_at=None, minutes=10 * 1440):
    r = random.Random(7)
    lines = ["timestamp,value"]
    for i in range(minutes):
        x = max(0, round(r.gauss(40, 6)))
        if surge_at is not None and surge_at <= i < surge_at + 5:
            x *= 4
        lines.append(f"{(MONDAY + datetime.timedelta(minutes=i)).strftime('%Y-%m-%dT%H:%M:%SZ')},{x}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def surged():
    text = ten_days(surge_at=9 * 1440 + 600)
    return text, backtest(text)[0]


def test_one_row_out_for_each_in_with_the_first_two_columns_as_they_were(surged):
    text, out = surged
    assert out.splitlines()[0] == "timestamp,value,score,alert"
    assert [",".join(line.split(",")[:2]) for line in out.splitlines()[1:]] == text.splitlines()[1:]
    for row in rows(out):
        assert 0 <= float(row["score"]) <= 1
        assert row["alert"] == ("1" if float(row["score"]) >= 0.5 else "0")


def test_a_fourfold_surge_is_found_within_two_rows_and_little_else(surged):
    alerts = [i for i, row in enumerate(rows(surged[1])) if row["alert"] == "1"]
    assert set(alerts) & {9 * 1440 + 600, 9 * 1440 + 601}
    assert len([i for i in alerts if i > 1440 and not 9 * 1440 + 600 <= i < 9 * 1440 + 660]) <= 3


def test_no_row_knows_what_comes_after_it(surged):
    text, out = surged
    half = "\n".join(text.splitlines()[:7000]) + "\n"
    assert backtest(half)[0].splitlines() == out.splitlines()[:7000]


def test_the_same_rows_give_the_same_scores_from_a_file(surged, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(surged[0])
    assert backtest("", str(path))[0] == surged[1]


def test_blank_lines_carriage_returns_quotes_and_more_columns_are_read_as_a_person_would():
    out, _ = backtest(b'\xef\xbb\xbf Timestamp ,"value",label\r\n"2026-01-05 00:00:00",5,x\r\n\r\n2026-01-05T01:01:00+01:00, 6.5\r\n'
                      b"2026-01-05 00:00:30.250,-3e2")
    assert len(out.splitlines()) == 4
    assert out.splitlines()[1].startswith('"2026-01-05 00:00:00",5,')
    assert out.splitlines()[2].startswith("2026-01-05T01:01:00+01:00, 6.5,")
    assert out.splitlines()[3].startswith("2026-01-05 00:00:30.250,-3e2,")


def test_repeats_gaps_and_steps_back_are_rows_like_others():
    r = random.Random(3)
    lines, t = ["timestamp,value"], 1790553600
    for _ in range(3000):
        t += r.choice([60, 60, 60, 0, 7200, -3600])
        when = datetime.datetime.fromtimestamp(t, datetime.timezone.utc)
        lines.append(f"{when.strftime('%Y-%m-%d %H:%M:%S')},{r.randint(0, 50)}")
    assert len(backtest("\n".join(lines))[0].splitlines()) == 3001


@pytest.mark.parametrize("text, said", [
    ("timestamp,value\n2026-01-05 00:00:00,1\n2026-13-05 00:00:00,5\n", "line 3: the timestamp"),
    ("timestamp,value\n2026-01-05 00:00:00,\n", "line 2: the value"),
    ("timestamp,value\n2026-01-05 00:00:00,nan\n", "line 2: the value"),
    ("timestamp,value\n2026-01-05 00:00:00,0x10\n", "line 2: the value"),
    ("timestamp,value\n2026-01-05 00:00:00\n", "line 2: a row of fewer"),
    ("2026-01-05 00:00:00,5\n", "line 1: not the header"),
    ("", "empty"),
    ("timestamp,value\n" + "9" * 70000 + ",1\n", "line 2: a line of more than 64 KiB"),
])
def test_a_bad_row_is_named_with_its_line(text, said):
    out, err = backtest(text, status=65)
    assert said in err and len(err.splitlines()) == 1
    assert len(out.splitlines()) <= 2


def test_wrong_use_is_64_missing_input_65_and_no_room_74(tmp_path):
    assert "--detector" in subprocess.run([AGENT, "backtest"], capture_output=True, text=True).stderr
    assert subprocess.run([AGENT, "backtest"], capture_output=True).returncode == 64
    assert subprocess.run([AGENT, "backtest", "--detector", "vloume"], capture_output=True).returncode == 64
    backtest("", str(tmp_path / "none.csv"), status=65)
    with open("/dev/full", "w") as full:
        done = subprocess.run([AGENT, "backtest", "--detector", "volume"], input=ten_days(minutes=50), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 74 and len(done.stderr.splitlines()) == 1


def told(tree):
    """Title and description: what a screen reader says."""
    root = tree.getroot()
    assert root.get("role") == "img" and root.get("aria-labelledby") == "title desc"
    return [e.text for e in root if e.get("id") in ("title", "desc")]


def test_the_picture_holds_series_band_and_alerts_and_stays_small(surged, tmp_path):
    plot = tmp_path / "a.svg"
    out, _ = backtest(surged[0], "--plot", str(plot))
    assert out == surged[1]
    tree = xml.etree.ElementTree.parse(plot)
    svg = "{http://www.w3.org/2000/svg}"
    texts = [e.text for e in tree.iter(svg + "text")]
    alerts = sum(row["alert"] == "1" for row in rows(out))
    assert f"alert ({alerts})" in texts and "seen" in texts and "expected" in texts
    assert "14,400 windows, 2026-09-28 00:00 to 2026-10-07 23:59 UTC" in texts
    assert any(e.get("class") == "rows" and len(e.get("d")) > 5000 for e in tree.iter(svg + "path"))
    assert any(e.get("id") == "band" and len(e.get("d", "")) > 5000 for e in tree.iter(svg + "path"))
    assert told(tree)[1] == f"14,400 windows, 2026-09-28 00:00 to 2026-10-07 23:59 UTC; {alerts} of them alerts; the highest value is {max(float(row['value']) for row in rows(out)):g}."
    assert len(list(tree.iter(svg + "circle"))) >= 2
    assert plot.stat().st_size < 200_000


def test_a_picture_of_nothing_and_of_one_row_is_a_picture(tmp_path):
    for text in ("timestamp,value\n", "timestamp,value\n2026-01-05 00:00:00,0\n"):
        plot = tmp_path / "a.svg"
        backtest(text, "--plot", str(plot))
        xml.etree.ElementTree.parse(plot)


def test_a_name_in_the_title_is_text(tmp_path):
    path = tmp_path / 'a<b>&"c.csv'
    path.write_text(ten_days(minutes=100))
    backtest("", "--plot", str(tmp_path / "a.svg"), str(path))
    assert 'a<b>&"c.csv' in [e.text for e in xml.etree.ElementTree.parse(tmp_path / "a.svg").iter("{http://www.w3.org/2000/svg}text")]


def test_progress_is_for_terminals_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(ten_days())
    assert backtest("", str(path))[1] == ""
    main, side = pty.openpty()
    read, write = os.pipe()
    done = subprocess.Popen([AGENT, "backtest", "--detector", "volume"], stdin=read, stdout=subprocess.DEVNULL, stderr=side)
    os.close(read)
    os.close(side)
    os.write(write, b"timestamp,value\n")
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=60)
    seen = b""
    while b"rows" not in seen and datetime.datetime.now() < deadline:
        os.write(write, b"2026-10-09T00:00:00Z,40\n")
        os.set_blocking(main, False)
        try:
            seen += os.read(main, 4096)
        except BlockingIOError:
            pass
    os.close(write)
    assert done.wait(timeout=60) == 0
    os.close(main)
    assert b"rows" in seen


def test_less_sensitivity_is_quieter(surged, tmp_path):
    conf = tmp_path / "agent.yaml"
    counts = []
    lines = surged[0].splitlines()
    for i in range(3 * 1440, 9 * 1440, 700):        # beside the surge, two minutes that are half as high again
        for at in (i, i + 1):
            t, x = lines[1 + at].split(",")
            lines[1 + at] = f"{t},{round(int(x) * 1.6)}"
    text = "\n".join(lines) + "\n"
    for sensitivity in (10, 0.01):
        conf.write_text(f"detectors: {{volume: {{sensitivity: {sensitivity}}}}}\n")
        counts.append(sum(row["alert"] == "1" for row in rows(backtest(text, "-c", str(conf))[0])))
    assert counts[0] > counts[1] > 0, counts


# ---- access and config: records in, findings out ----------------------------------

ACCOUNT = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/"


def change(n, minute, account="contoso", opened=True, actor="ana@contoso.example"):
    """One write of an account's network settings, as the Activity Log tells it."""
    when = MONDAY + datetime.timedelta(minutes=minute)
    body = {"properties": {"publicNetworkAccess": "Enabled" if opened else "Disabled", "networkAcls": {"defaultAction": "Allow" if opened else "Deny"}}}
    return json.dumps({"time": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "resourceId": ACCOUNT + account, "category": "Administrative",
                       "operationName": "Microsoft.CognitiveServices/accounts/write", "resultType": "Success", "callerIpAddress": "198.51.100.17",
                       "correlationId": f"{n:032x}", "level": "Information", "location": "global",
                       "identity": {"claims": {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": actor}},
                       "properties": {"statusCode": "OK", "requestbody": body}})


def findings(text, *more, detector="config", status=0):
    done = subprocess.run([AGENT, "backtest", "--detector", detector, *more], input=text.encode(), capture_output=True, timeout=120)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def drawn(path):
    tree = xml.etree.ElementTree.parse(path)
    return tree, [e.text or "" for e in tree.iter(SVG + "text")] + [e.tail or "" for e in tree.iter(SVG + "title")], \
        [g for g in tree.iter(SVG + "g") if len(g) > 1 and g[0].tag == SVG + "title"]


SVG = "{http://www.w3.org/2000/svg}"


def test_findings_are_drawn_on_lanes_by_severity_and_told_in_words(tmp_path):
    plot = tmp_path / "a.svg"
    records = "\n".join(change(n, 60 * n, opened=n % 6 == 5) for n in range(48))
    say, err = findings(records, "--plot", str(plot))
    assert err == "" and say == findings(records)[0]
    tree, texts, marks = drawn(plot)
    by = collections.Counter(e["EventSeverity"] for e in say)
    assert {"Low", "Informational"} < set(by)
    words = ", ".join(f"{by[s]} {s}" for s in ("Critical", "High", "Medium", "Low", "Informational") if by[s])
    assert told(tree) == ["AI configuration changes in standard input",
                          f"48 events, 2026-09-28 00:00 to 2026-09-29 23:00 UTC; {len(say)} findings: {words}."]
    assert len(marks) == len(say)                       # an hour apart: none hides another
    for e in say:
        assert any(e["EventMessage"] in m[0].text and e["EventSeverity"] in m[0].text for m in marks)
        assert e["EventName"] in texts
    worst = next(e for e in say if e["EventSeverity"] == "High")
    assert any(worst["EventMessage"].startswith(t) and len(t) > 40 for t in texts)
    assert "Events in 15 minutes" in texts or "Events an hour" in texts


def test_many_findings_make_a_small_picture_and_each_is_counted(tmp_path):
    plot = tmp_path / "a.svg"
    records = "\n".join(change(n, 17 * n, account=f"a{n % 50}", opened=n // 50 % 2 == 0) for n in range(6000))
    say, _ = findings(records, "--plot", str(plot))
    tree, texts, marks = drawn(plot)
    assert len(say) == 6000 and plot.stat().st_size < 300_000 and len(marks) < 1500
    lanes = collections.Counter(e["EventName"] for e in say)
    for name, n in lanes.items():
        assert name in texts and f"{n:,}" in texts
    assert any("findings, the gravest: High" in m[0].text for m in marks)


def test_names_of_strangers_are_text_in_the_picture(tmp_path):
    records = tmp_path / "a<b>&\"c.ndjson"
    records.write_text("\n".join(change(n, 60 * n, account="x<script>&\u2028\u202ey\ufffe", actor='"><svg onload=1>@evil') for n in range(5)))
    plot = tmp_path / "a.svg"
    findings("", "--plot", str(plot), str(records))
    tree, texts, marks = drawn(plot)
    assert told(tree)[0] == 'AI configuration changes in a<b>&"c.ndjson'
    assert not [e for e in tree.iter() if e.tag in (SVG + "script", "script") or any(k.startswith("on") for k in e.attrib)]
    assert not set("\u202e\u2028\ufffe") & set(plot.read_text()) and any("<script>" in m[0].text for m in marks)


def test_no_events_and_no_findings_make_a_picture_too(tmp_path):
    plot = tmp_path / "a.svg"
    for detector in ("access", "config"):
        findings("", "--plot", str(plot), detector=detector)
        assert "no findings" in drawn(plot)[1] and told(drawn(plot)[0])[1] == "0 events; 0 findings."
    for records in (change(1, 5), change(1, 5) + "\n" + change(2, -28_000_000)):       # one moment; fifty years
        say, _ = findings(records, "--plot", str(plot))
        assert len(drawn(plot)[2]) == len(say) > 0


def test_a_picture_that_cannot_be_made_is_said_before_the_work(tmp_path):
    done = subprocess.run([AGENT, "backtest", "--detector", "access", "--plot", str(tmp_path / "no" / "a.svg")], input="{", capture_output=True, text=True)
    assert done.returncode == 74 and len(done.stderr.splitlines()) == 1 and "--plot" in done.stderr


def test_records_that_cannot_be_read_are_named_and_the_picture_is_made(tmp_path):
    plot = tmp_path / "a.svg"
    say, err = findings(change(1, 0, opened=False) + "\nnonsense\n" + change(2, 60), "--plot", str(plot), status=65)
    assert "standard input: record 2: " in err and len(say) == 2 and len(drawn(plot)[2]) == 2


def test_progress_over_records_is_for_terminals_alone_and_goes_when_it_is_done(tmp_path):
    main, side = pty.openpty()
    run = subprocess.Popen([AGENT, "backtest", "--detector", "config"], stdin=subprocess.PIPE, stdout=open(tmp_path / "out", "w"), stderr=side)
    os.close(side)
    os.set_blocking(main, False)
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=60)
    seen, n = b"", 0
    while b" bytes read" not in seen and datetime.datetime.now() < deadline:
        run.stdin.write((change(n, n, opened=n % 2 == 0) + "\n").encode())
        run.stdin.flush()
        n += 1
        try:
            seen += os.read(main, 4096)
        except BlockingIOError:
            pass
    run.stdin.close()
    assert run.wait(timeout=60) == 0 and b" bytes read" in seen
    assert len((tmp_path / "out").read_text().splitlines()) == n
    try:
        os.set_blocking(main, True)
        while part := os.read(main, 65536):
            seen += part
    except OSError:                 # the other end is closed
        pass
    os.close(main)
    assert seen.endswith(b"\r\x1b[K")


def test_run_once_shows_how_far_it_is_on_a_terminal_and_its_log_stays_whole(site):
    site.configure("{name: far, type: syslog, target: \"tcp://127.0.0.1:9\", format: cef}")
    site.append([change(n, n) for n in range(30)])
    main, side = pty.openpty()
    run = subprocess.Popen([AGENT, "run", "-c", str(site.conf), "--once", "--timeout", "4s"], env=site.env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=side)
    os.close(side)
    seen = b""
    try:
        while part := os.read(main, 65536):
            seen += part
    except OSError:                 # the other end is closed
        pass
    os.close(main)
    assert run.wait(timeout=60) == 69 and b" events still to deliver\x1b[K" in seen
    lines = [line.rsplit(b"\x1b[K", 1)[-1] for line in seen.split(b"\r\n")]     # what a person sees in the end
    assert [line for line in lines if line and not line.startswith(b"aispm-agent: ")] == []
