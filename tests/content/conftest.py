"""What the content tests share: judges that may be missing, and the events of the stories."""
import datetime
import json
import pathlib
import subprocess
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1])]
import npm

KUSTO = "@kusto/language-service-next@12.4.1"


@pytest.fixture(scope="session")
def parse():
    """Microsoft's parser over many queries at once: parse(queries, tables, functions) -> {name: {"errors", "columns"}}."""
    binary, _ = npm.node()
    package = npm.package(KUSTO, "kusto", "Kusto.Language.Bridge.min.js")

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
