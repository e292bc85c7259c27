"""Fixtures of the end-to-end tests: real llama-servers, the real binary on its own folder of mappings."""

import os
from types import SimpleNamespace

import pytest

from harness.conclave import Aggregator, Edge
from harness.crowd import Loop, Server
from harness.mapping import keyed

# By the server's alias.
KEYS = {"TinyLlama_Chat": "API_KEY-1", "mistral-tiny": "API_KEY-2", "caller": "API_KEY-3", "heavy": "API_KEY-4"}


@pytest.fixture(scope="session")
def llamas(tmp_path_factory):
    """Four llama-servers: the demo's two, one that answers with tool calls, one that is slow and embeds."""
    from harness import llama

    folder = tmp_path_factory.mktemp("llamas")
    started = []

    def start(alias, *arguments):
        started.append(llama.Llama(folder, alias, *arguments))
        return started[-1]

    try:
        yield SimpleNamespace(
            tiny=start("TinyLlama_Chat", llama.TINY),
            mistral=start("mistral-tiny", llama.TINY),
            caller=start("caller", llama.CALLS_TOOLS),
            heavy=start("heavy", llama.HEAVY, "--embeddings"),
        )
    finally:
        for server in started:
            server.stop()


@pytest.fixture(scope="session")
def stack(llamas, tmp_path_factory):
    """Edge and aggregator before those llama-servers. Tests that change files take `edge`, not this."""
    folder, logs = tmp_path_factory.mktemp("mappings"), tmp_path_factory.mktemp("logs")
    for server in vars(llamas).values():
        (folder / f"{server.alias}.yml").write_text(keyed(server.alias, KEYS[server.alias], server.url))
    aggregator = Aggregator(folder, logs)
    edge = Edge(folder, logs, aggregator=aggregator)
    yield SimpleNamespace(edge=edge, aggregator=aggregator, mappings=folder, keys=KEYS, url=edge.url, llamas=llamas)
    edge.stop()
    aggregator.stop()


@pytest.fixture
def start_edge(tmp_path):
    """Starts edges, each call one, on the test's own folder."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    started = []

    def start(*flags, **options):
        started.append(Edge(folder, tmp_path, *flags, **options))
        return started[-1]

    start.mappings = folder
    yield start
    for edge in started:
        edge.stop()


@pytest.fixture
def edge(start_edge):
    """An edge without an aggregator on an empty folder."""
    return start_edge()


@pytest.fixture
def loop():
    with Loop() as loop:
        yield loop


@pytest.fixture
def server(loop):
    """Streams a word every tenth of a second, until it is told to finish."""
    return Server(loop, pace=0.1)


@pytest.fixture
def crowded(request, tmp_path, server):
    """Starts edges that lead the KEYS of the test's module to `server`. What they still have at the end is cut."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    for name, key in request.module.KEYS.items():
        (folder / f"{name}.yml").write_text(keyed(name, key, server.url))
    started = []

    def start(*flags):
        started.append(Edge(folder, tmp_path, *flags))
        return started[-1]

    yield start
    for edge in started:
        edge.process.child.kill()
        edge.stop()


def pytest_report_header():
    return f"binary: {os.environ.get('CONCLAVE_BIN', 'target/debug/conclave')}"


def pytest_terminal_summary(terminalreporter):
    from matrix.table import TABLE

    if TABLE.cells:
        terminalreporter.section("the matrix")
        for line in TABLE.lines():
            terminalreporter.line(line)
