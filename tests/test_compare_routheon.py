"""Our aggregator beside the original, `routheon-server` from PyPI, on one folder: same fields, types and models."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from harness.conclave import ROOT, Aggregator, answers
from harness.process import Process, free_port, start_on_free_ports

pytestmark = pytest.mark.llama
COMPARE = Path(__file__).with_name("compare_routheon.py")


def start_original(folder, logs, *flags):
    def start():
        url = f"http://127.0.0.1:{(port := free_port())}"
        process = Process(
            [sys.executable, "-m", "routheon_server", "--mappings", folder, "--port", port, *flags],
            logs / f"routheon-{port}.log",
        )
        with httpx.Client(base_url=url) as client:
            process.until(lambda: answers(client, "/v1/models"))
        return process, url

    return start_on_free_ports(start)


def compare(ours, theirs):
    result = subprocess.run([sys.executable, COMPARE, ours, theirs], text=True, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_side_by_side(stack, tmp_path):
    original, url = start_original(stack.mappings, tmp_path)
    try:
        assert "TinyLlama_Chat, caller, heavy, mistral-tiny" in compare(stack.aggregator.url, url)
    finally:
        original.stop()


def test_side_by_side_with_a_stats_configuration(stack, tmp_path):
    flags = ["--stats-config-file", ROOT / "stats-config.yml"]
    original, url = start_original(stack.mappings, tmp_path, *flags)
    ours = Aggregator(stack.mappings, tmp_path, *flags)
    try:
        mine, theirs = httpx.get(f"{ours.url}/stats").json(), httpx.get(f"{url}/stats").json()
        assert {section: fields(value) for section, value in mine.items()} == \
            {section: fields(value) for section, value in theirs.items()}
    finally:
        ours.stop()
        original.stop()


def fields(section):
    """The field names of a section, or of each of its entries."""
    if isinstance(section, list):
        return [fields(entry) for entry in section]
    return sorted(section) if isinstance(section, dict) else type(section).__name__
