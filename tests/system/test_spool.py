"""`aispm-agent spool` with the real binary: what it shows, what it repairs, and the way back from the dead letter."""
import json
import os
import pathlib
import subprocess

from conftest import AGENT, record, wait_for

SECRET = "my secret prompt"


def spool(site, *args):
    return site.run("spool", *args)


def segments(site):
    return sorted((site.path / "state" / "spool").glob("*.seg"))


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x20
    path.write_bytes(raw)


def tree(path):
    return {p: p.read_bytes() for p in sorted(pathlib.Path(path).rglob("*")) if p.is_file()}


def filled(site, n=20):
    """A spool that holds n events that no sink has read yet."""
    site.configure()
    for i in range(0, n, 5):            # several groups
        site.append([record(k) for k in range(i, i + 5)])
        assert site.once().returncode == 0
    return str(site.path / "state" / "spool")


def test_looking_changes_nothing_and_finds_its_directory_by_the_configuration(site):
    filled(site)
    before = tree(site.path / "state")
    for args in (["stat", "-c", str(site.conf)], ["stat", "--json", f"--config={site.conf}"], ["verify", "-c", str(site.conf)],
                 ["dump", "-c", str(site.conf)], ["dead", "-c", str(site.conf)], ["stat", str(site.path / "state")],
                 ["stat", str(site.path / "state" / "spool")]):
        done = spool(site, *args)
        assert done.returncode == 0, (args, done.stderr)
    assert tree(site.path / "state") == before
    dump = [json.loads(line) for line in spool(site, "dump", "--from", "18", "-c", str(site.conf)).stdout.splitlines()]
    assert [d["seq"] for d in dump] == [18, 19, 20] and dump[0]["event"]["EventClass"] == "activity"


def test_verify_names_the_range_and_repair_keeps_what_it_cuts(site):
    where = filled(site)
    seg = segments(site)[0]
    size = seg.stat().st_size
    flip(seg, size // 2)
    before = tree(where)
    done = spool(site, "verify", where)
    assert done.returncode == 65 and f"{seg.name}: bytes " in done.stdout
    damage = json.loads(spool(site, "verify", "--json", where).stdout)["damage"][0]
    assert damage["file"] == seg.name and damage["from"] <= size // 2 < damage["to"]
    assert tree(where) == before
    left = len(spool(site, "dump", where).stdout.splitlines())
    assert left == 15
    done = spool(site, "repair", where)
    assert done.returncode == 0 and "repaired" in done.stdout
    kept = next(pathlib.Path(where).glob("*.bad*"))
    assert kept.name in done.stdout and kept.read_bytes() == before[seg][damage["from"]:damage["to"]]
    assert spool(site, "verify", where).returncode == 0
    assert len(spool(site, "dump", where).stdout.splitlines()) == left
    assert "nothing to repair" in spool(site, "repair", where).stdout
    site.configure(site.file_sink())
    assert site.once().returncode == 0
    assert len(site.events()) == left


def test_an_agent_goes_on_over_damage_and_counts_it(site, running):
    where = filled(site)
    flip(segments(site)[0], segments(site)[0].stat().st_size // 2)
    site.configure(site.file_sink())
    running()
    wait_for(lambda: len(site.events()) == 15)
    site.append([record(100)])
    wait_for(lambda: len(site.events()) == 16)

    def lost():
        status = json.loads(site.run("status", "-c", str(site.conf), "--json").stdout)
        return status["spool"][0].get("spool_lost_entries") == 5 if isinstance(status["spool"], list) \
            else status["spool"].get("spool_lost_entries") == 5
    wait_for(lost)
    assert "spool damaged" in site.log()
    assert where


def test_repair_and_replay_refuse_while_an_agent_works_and_say_who(site, running):
    site.configure(site.file_sink())
    site.append(['{"half": '])
    p = running()
    wait_for(lambda: (site.path / "state" / "status.sock").exists())
    before = len(tree(site.path / "state" / "dead"))
    for args in (["repair", "-c", str(site.conf)], ["dead", "--replay", "-c", str(site.conf)]):
        done = spool(site, *args)
        assert done.returncode == 69 and str(p.pid) in done.stderr and done.stdout == ""
    assert len(tree(site.path / "state" / "dead")) == before


def test_an_unknown_format_is_named_and_nothing_is_touched(site):
    import struct
    import zlib
    where = filled(site)
    seg = segments(site)[0]
    raw = bytearray(seg.read_bytes())
    raw[7:8] = b"9"
    raw[60:64] = struct.pack("<I", zlib.crc32(bytes(raw[:60])))
    seg.write_bytes(raw)
    done = site.once()
    assert done.returncode == 78 and seg.name in done.stderr and "format" in done.stderr
    assert spool(site, "verify", where).returncode == 78
    assert seg.read_bytes() == raw




def test_dead_lists_without_prompts_and_replay_brings_back_what_can_be_read_now(site):
    """A line longer than the cap cannot be read; the same record, allowed, becomes its event."""
    site.configure(site.file_sink())
    site.append([record(1), '{"prompt": "' + SECRET + '", ', record(2)])
    assert site.once().returncode == 65
    listed = spool(site, "dead", "-c", str(site.conf))
    letter = json.loads(listed.stdout)
    assert set(letter) == {"when", "kind", "from", "reason", "id", "length"} and letter["kind"] == "record"
    assert len(letter["id"]) == 32 and SECRET not in listed.stdout + listed.stderr
    assert spool(site, "dead", "--match", "no such", "-c", str(site.conf)).stdout == ""
    assert json.loads(spool(site, "dead", "--match", letter["id"], "-c", str(site.conf)).stdout) == letter
    done = spool(site, "dead", "--replay", "-c", str(site.conf))
    assert done.returncode == 65 and "1 cannot be read" in done.stdout and SECRET not in done.stdout + done.stderr
    assert json.loads(spool(site, "dead", "-c", str(site.conf)).stdout) == letter


def test_an_event_that_a_sink_refused_comes_again_after_replay(site, far):
    guilty = record(7)["correlationId"]
    far.decide = lambda rows: 400 if any(r.get("EventOriginalUid") == guilty for r in rows) else 204
    site.configure(site.sentinel_sink(far))
    site.append([record(n) for n in range(20)])
    assert site.once().returncode == 65
    refused = json.loads(spool(site, "dead", "-c", str(site.conf)).stdout)
    assert refused["kind"] == "event" and refused["from"] == "sentinel"
    far.decide = None
    done = spool(site, "dead", "--replay", "--match", "sentinel", "--json", "-c", str(site.conf))
    assert done.returncode == 0 and json.loads(done.stdout) == {"letters": 1, "events": 1, "findings": 0, "refused": 0}
    assert spool(site, "dead", "-c", str(site.conf)).stdout == ""
    assert site.once().returncode == 0
    rows = [r for r in far.rows() if r.get("EventOriginalUid") == guilty]
    assert len(rows) == 1 and rows[0]["EventId"] == refused["id"]


def test_a_record_of_more_events_than_a_group_holds_comes_back_whole_through_kills_in_the_middle(site):
    site.configure(site.file_sink(), max_record="64MiB")
    site.conf.write_text(site.conf.read_text().replace("agent: {", "agent: {spool: {max_bytes: 64MiB}, "))
    inner = [record(n) for n in range(40000)]
    site.append([record(50000), json.dumps({"records": inner})])
    assert site.once().returncode == 65
    assert len(site.events()) == 1
    for wait in (0.05, 0.1, 0.2, 0.3):
        p = subprocess.Popen([AGENT, "spool", "dead", "--replay", "-c", str(site.conf)], env=site.env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        try:
            p.wait(wait)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    assert spool(site, "dead", "--replay", "-c", str(site.conf)).returncode == 0
    assert spool(site, "dead", "-c", str(site.conf)).stdout == ""
    assert site.once().returncode == 0
    got = [e for e in site.events() if e["EventClass"] == "activity"]
    assert {e["EventOriginalUid"] for e in got} == {r["correlationId"] for r in inner} | {record(50000)["correlationId"]}
    assert len({e["EventId"] for e in got}) == 40001


def test_usage_is_told(site):
    assert spool(site).returncode == 64
    assert spool(site, "dump", "--from", "x").returncode == 64
    assert spool(site, "nonsense").returncode == 64
    assert spool(site, "stat", "-c", "/nowhere.yaml").returncode == 78


def test_what_all_have_read_takes_no_room_on_disk(site, running):
    """A file that is removed and still open takes its room: no reader, and not the detectors' memory either, holds one."""
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", "agent: {spool: {max_bytes: 64MiB}, "))
    wide = record(7777777)
    wide["operationName"] = "x" * 3000
    wide = json.dumps(wide)

    def feed(first, n):
        site.append([wide.replace("7777777", f"{i:07d}") for i in range(first, first + n)])
        wait_for(lambda: site.out.exists() and site.out.read_bytes().count(b"\n") >= first + n)
    p = running()
    feed(0, 1000)
    p.kill()                                    # what the detectors have not saved is read again at the next start
    p.wait()
    p = running()
    feed(1000, 9000)
    first = site.path / "state" / "spool" / "00000000000000000001.seg"
    wait_for(lambda: not first.exists())

    def held():
        links = []
        for fd in (f"/proc/{p.pid}/fd/{n}" for n in os.listdir(f"/proc/{p.pid}/fd")):
            try:
                links.append(os.readlink(fd))
            except OSError:
                pass
        return [link for link in links if ".seg (deleted)" in link]
    wait_for(lambda: not held(), seconds=20)
