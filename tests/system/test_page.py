"""The status page as people meet it: in a browser, in both colour schemes, on a telephone and on a wall, by keyboard and by ear.

AISPM_PICTURES=DIR keeps the pictures."""
import itertools
import json
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import browser
import npm
from conftest import FarSide, Site, free_port, record, wait_for
from test_web import ask

SCHEMES, WIDTHS = ("light", "dark"), (360, 768, 1440)
VIEWS = list(itertools.product(SCHEMES, WIDTHS))
AXE = "axe-core@4.14.1"

# Each piece of text with its colour, what lies behind it, and its size; colours as [r, g, b, a].
TEXTS = r"""
(() => {
  const rgba = c => { const m = c.match(/[\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; if (c[3] > 0) return null; }
                        return null; };
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement, s = getComputedStyle(e);
    if (!n.data.trim() || s.visibility !== 'visible' || !e.getClientRects().length || e.closest('title')) continue;
    const svg = e.closest('svg');
    found.push({text: n.data.trim().slice(0, 40), colour: rgba(svg ? s.fill : s.color), behind: behind(svg ? svg.parentElement : e),
                px: parseFloat(s.fontSize), heavy: Number(s.fontWeight) >= 700});
  }
  for (const e of document.querySelectorAll('td[data-l]')) {
    const s = getComputedStyle(e, '::before');
    if (s.content !== 'none') found.push({text: e.dataset.l, colour: rgba(s.color), behind: behind(e), px: parseFloat(s.fontSize), heavy: false});
  }
  return found;
})()
"""
# What reaches beyond its window, and words that are cut.
OVERFLOW = r"""
(() => {
  const wide = document.documentElement.clientWidth, out = [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('.skip, thead') || e.closest('svg') !== null && e.tagName !== 'svg') continue;
    const r = e.getBoundingClientRect();
    if (r.width > 0 && (r.right > wide + 0.5 || r.left < -0.5)) out.push(e.tagName + ' ' + (e.textContent || '').trim().slice(0, 40) + ' ' + r.left + '..' + r.right);
  }
  return {page: document.documentElement.scrollWidth, wide, out};
})()
"""
FOCUS = r"""
(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
  return {what: e.tagName + ' ' + (e.getAttribute('href') || ''), outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,
          seen: r.width > 0 && r.left >= 0 && r.top >= 0 && r.bottom <= innerHeight}; })()
"""


def luminance(colour):
    r, g, b = (c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    """WCAG 2.2, relative luminance and contrast ratio."""
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = browser.find()
    if program is None:
        pytest.skip("no Chromium is here: " + ", ".join(browser.NAMES))
    b = browser.Browser(program, tmp_path_factory.mktemp("browser"))
    yield b
    b.close()


def a_day_with_a_spike():
    """Four records a minute; in five minutes of the last hour, a hundred."""
    n = 0
    for minute in range(1440):
        for _ in range(100 if 1390 <= minute < 1395 else 4):
            r = record(n)
            r["time"] = f"2026-10-05T{minute // 60:02d}:{minute % 60:02d}:{n % 60:02d}.0000000Z"
            yield r
            n += 1


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of an agent with something of everything, good and bad; its address and the site."""
    site, far, port = Site(tmp_path_factory.mktemp("page")), FarSide(), free_port()
    far.decide = lambda rows: 403
    site.configure(site.file_sink(), site.sentinel_sink(far), "{name: siem, type: syslog, target: \"tcp://127.0.0.1:9\", format: cef}",
                   "{name: a-sink-whose-name-is-as-long-as-names-may-be-and-has-no-end, type: file, path: %s/f.ndjson, events: findings}" % site.path,
                   extra="zones:\n  default: 1\n  rules: [{match: \"/subscriptions/1111*\", zone: 3}]\n")
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", ").replace(
        "sinks:\n", "  - {name: defender, type: azure, subscriptions: [11111111-2222-3333-4444-555555555555], endpoint: \"%s\", "
        "auth: {type: client_secret, tenant: t, client_id: c, secret: {env: AISPM_TEST_SECRET}, authority: \"%s\"}}\nsinks:\n" % (far.url, far.url), 1))
    site.append(list(a_day_with_a_spike()) + ["no JSON <script>alert(1)</script>", '{"an": "unknown record"}'])
    agent = site.start()
    try:
        wait_for(lambda: 'aispm_sink_state{sink="sentinel",type="sentinel"} 2' in (m := ask(port, "/metrics")[2]) and
                 'aispm_sink_state{sink="siem",type="syslog"} 1' in m and 'aispm_source_troubles_total{source="defender",type="azure"} 0' not in m and
                 'aispm_events_total{class="volume_spike"' in m and ask(port, "/")[2].count("<figure>") >= 2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        agent.kill()
        agent.wait()
        far.close()


@pytest.fixture
def seen(page, chromium, request):
    scheme, width = request.param
    chromium.window(width, 900, scheme)
    chromium.open(page)
    if "AISPM_PICTURES" in os.environ:
        chromium.picture(pathlib.Path(os.environ["AISPM_PICTURES"]) / f"page-{scheme}-{width}.png")
    return chromium


in_each_view = pytest.mark.parametrize("seen", VIEWS, indirect=True, ids=[f"{s}-{w}" for s, w in VIEWS])
once = pytest.mark.parametrize("seen", [("light", 1440)], indirect=True, ids=[""])


@in_each_view
def test_nothing_reaches_beyond_the_window(seen):
    got = seen.run(OVERFLOW)
    assert got["page"] <= got["wide"] and got["out"] == []


@in_each_view
def test_every_text_has_enough_contrast(seen):
    texts = seen.run(TEXTS)
    assert len(texts) > 150 and all(t["behind"] for t in texts)
    poor = [(t["text"], round(contrast(t["colour"], t["behind"]), 2)) for t in texts if t["colour"][3] != 1 or contrast(t["colour"], t["behind"]) < 4.5]
    assert poor == [] and min(t["px"] for t in texts) >= 9


def test_the_schemes_differ_and_the_dark_one_is_dark(page, chromium):
    paper = {}
    for scheme in SCHEMES:
        chromium.window(1440, 900, scheme)
        chromium.open(page)
        paper[scheme] = chromium.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert luminance(paper["dark"]) < 0.05 and luminance(paper["light"]) > 0.8


@once
def test_lines_and_marks_of_the_charts_stand_out_in_both_schemes(seen):
    for scheme in SCHEMES:
        seen.window(1440, 900, scheme)
        drawn = seen.run("""(() => { const c = (s, p) => { const e = document.querySelector(s); return e && getComputedStyle(e)[p].match(/[\\d.]+/g).map(Number); };
            return {line: c('.chart .seen', 'stroke'), band: c('.chart .band', 'fill'), dot: c('.chart .dot', 'fill'), card: c('section', 'backgroundColor')}; })()""")
        assert contrast(drawn["line"], drawn["card"]) >= 3 and contrast(drawn["dot"], drawn["card"]) >= 3 and contrast(drawn["band"], drawn["card"]) >= 3


@once
def test_the_document_is_in_order(seen):
    got = seen.run("""({lang: document.documentElement.lang, title: document.title, headings: [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1]),
        mains: document.querySelectorAll('main').length, scripts: document.scripts.length,
        ids: [...document.querySelectorAll('[id]')].map(e => e.id),
        refs: [...document.querySelectorAll('[aria-labelledby],[aria-describedby]')].flatMap(e => [e.getAttribute('aria-labelledby'), e.getAttribute('aria-describedby')])
              .concat([...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))).filter(Boolean),
        heads: [...document.querySelectorAll('th')].filter(t => !t.scope).length, captions: [...document.querySelectorAll('table')].filter(t => !t.caption).length,
        cells: [...document.querySelectorAll('tbody tr')].filter(r => r.cells.length !== r.closest('table').tHead.rows[0].cells.length).length,
        labels: [...document.querySelectorAll('tbody td')].filter(d => d.dataset.l !== d.closest('table').tHead.rows[0].cells[d.cellIndex].textContent.trim()).length,
        svgs: [...document.querySelectorAll('svg')].filter(s => s.getAttribute('role') !== 'img' || !s.querySelector('title')?.textContent).length,
        drawings: document.querySelectorAll('svg').length})""")
    assert got["lang"] == "en" and got["title"].startswith("aispm-agent on ") and got["mains"] == 1 and got["scripts"] == 0
    assert got["headings"][0] == 1 and got["headings"].count(1) == 1
    assert all(b <= a + 1 for a, b in zip(got["headings"], got["headings"][1:]))
    assert len(set(got["ids"])) == len(got["ids"]) and set(got["refs"]) <= set(got["ids"])
    assert (got["heads"], got["captions"], got["cells"], got["labels"], got["svgs"]) == (0, 0, 0, 0, 0) and got["drawings"] >= 6
    assert [e for e in seen.events if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown") and "favicon" not in str(e)] == []


@in_each_view
def test_a_screen_reader_is_told_tables_charts_and_states(seen):
    told = seen.tree()
    roles = [r for r, _ in told]
    assert roles.count("table") >= 6 and roles.count("columnheader") >= 30 and roles.count("rowheader") >= 20 and roles.count("cell") >= 130
    names = [n for r, n in told if r in ("image", "img", "SvgRoot", "graphics-document")]
    assert any(n.startswith("Requests over time: ") for n in names) and "Spool in use: " in "".join(names)
    text = "\n".join(n for _, n in told)
    for words in ("Needs attention", "held", "waiting", "delivering", "in trouble", "volume_spike", "Last word", "Zone 3", "surprising window"):
        assert words in text, words


@in_each_view
def test_the_keyboard_reaches_every_link_and_shows_where_it_is(seen):
    links = seen.run("document.querySelectorAll('a').length")
    steps = []
    for _ in range(links):
        seen.press("Tab", 9)
        steps.append(seen.run(FOCUS))
    assert steps[0]["what"] == "A #main" and [s for s in steps if not s["outline"] or not s["seen"]] == []
    assert len([s for s in steps if s["what"].startswith("A ")]) == links


@once
def test_every_state_is_there_for_those_who_look(seen):
    text = seen.run("document.body.innerText")
    for words in ("sink sentinel is held", "sink siem waits", "source defender cannot read", "Busiest series", "of 4.0 GiB on disk", "Set aside", "Control 1.24",
                  "Last acknowledged", "403: either the role"):
        assert words in text, words
    charts = seen.run("""[...document.querySelectorAll('.chart')].map(c => ({dots: c.querySelectorAll('.dot').length, band: c.querySelector('.band').getBBox().height,
        line: c.querySelector('.seen').getBBox().width, words: document.getElementById(c.getAttribute('aria-describedby')).textContent}))""")
    assert len(charts) >= 2 and all(c["band"] > 5 and c["line"] > 100 for c in charts)
    assert any(c["dots"] >= 2 and f"; {c['dots']} surprising windows" in c["words"] for c in charts)
    assert "top-secret" not in text and "user-" not in text and "<script>" not in text


def test_a_page_without_trouble_says_so_and_reads_as_well(chromium, site, running):
    port = free_port()
    site.configure(site.file_sink())
    site.conf.write_text(site.conf.read_text().replace("agent: {", f"agent: {{http: \"127.0.0.1:{port}\", heartbeat: 1s, "))
    site.append([record(n) for n in range(5)])
    running()
    wait_for(lambda: 'aispm_events_total{class="agent",severity="Informational"}' in ask(port, "/metrics")[2] and "All is well" in ask(port, "/")[2])
    for scheme, width in VIEWS:
        chromium.window(width, 900, scheme)
        chromium.open(f"http://127.0.0.1:{port}/")
        texts, got = chromium.run(TEXTS), chromium.run(OVERFLOW)
        assert "Every source is read and every sink takes events." in chromium.run("document.body.innerText")
        assert [t["text"] for t in texts if not t["behind"] or contrast(t["colour"], t["behind"]) < 4.5] == [] and got["page"] <= got["wide"] and got["out"] == []
        if "AISPM_PICTURES" in os.environ:
            chromium.picture(pathlib.Path(os.environ["AISPM_PICTURES"]) / f"well-{scheme}-{width}.png")


@in_each_view
def test_axe_finds_nothing(seen):
    seen.run(axe())
    got = seen.run("""axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => JSON.stringify(
        {bad: r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 100))]), good: r.passes.length}))""")
    got = json.loads(got)
    assert got["bad"] == [] and got["good"] > 20


def axe():
    """axe-core, the judge inside many accessibility checkers."""
    return (npm.package(AXE, "axe", "axe.min.js") / "axe.min.js").read_text()
