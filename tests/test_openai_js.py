"""The official JavaScript client, whose cases are in js/client.mjs: run once, one test a case."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.conclave import Edge
from harness.mapping import keyed
from harness.origin import Answer, Origin, chat_completion

pytestmark = pytest.mark.llama
SCRIPT = Path(__file__).parent / "js" / "client.mjs"
CASES = re.findall(r'^  async "?([^"(]+)"?\(\) \{$', SCRIPT.read_text(), re.MULTILINE)


def busy_twice():
    answers = [Answer(503, b"{}", {"retry-after-ms": "300"})] * 2
    return lambda request: answers.pop() if answers else Answer(body=chat_completion())


@pytest.fixture(scope="module")
def results(stack, tmp_path_factory):
    node = shutil.which("node")
    assert node, "no node on PATH: run scripts/test, which brings it"
    assert (SCRIPT.parent / "node_modules" / "openai").exists(), "run scripts/setup --tests"
    folder = tmp_path_factory.mktemp("mappings")
    with Origin(busy_twice()) as origin:
        (folder / "retry.yml").write_text(keyed("retry", "API_KEY-RETRY", origin.url))
        edge = Edge(folder, tmp_path_factory.mktemp("logs"))
        try:
            result = subprocess.run(
                [node, SCRIPT], text=True, capture_output=True, timeout=180,
                env={**os.environ, "BASE_URL": stack.url, "HEAVY_URL": stack.llamas.heavy.url,
                     "RETRY_URL": edge.url, "RETRY_KEY": "API_KEY-RETRY"},
            )
        finally:
            edge.stop()
    assert result.returncode == 0, result.stderr
    return {line["case"]: line["error"] for line in map(json.loads, result.stdout.splitlines())}


@pytest.mark.parametrize("case", CASES)
def test_case(results, case):
    assert results[case] is None, results[case]


def test_there_are_cases():
    assert len(CASES) >= 11
