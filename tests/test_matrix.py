"""Clients × features × backends: each cell is answered, refused as documented, or skipped for a printed reason.

One test is one client against one backend. The same jobs also run against the backends themselves where the client
speaks their API ("direct"): what passes there and not through the aggregator is the aggregator's fault, and what fails
there is the test's or the stand-in's.
"""

import re

import httpx
import pytest
import yaml

from harness.conclave import Aggregator
from matrix.clients import CLIENTS, OLD_ANTHROPIC
from matrix.judge import Cell, Unexpected
from matrix.questions import FEATURES, job
from matrix.servers import Servers, columns, litellm_binary, llmposter_binary
from matrix.table import TABLE

pytestmark = pytest.mark.llama
NAMES = ["llama-server", "llama-server-messages", "aimock-openai", "aimock-anthropic", "aimock-gemini", "aimock-ollama"]
FULL = {"llmposter-anthropic": "llmposter", "llmposter-gemini": "llmposter", "litellm": "LiteLLM"}


def pairs():
    for client in CLIENTS:
        for name in [*NAMES, *FULL]:
            marks = [pytest.mark.full] if name in FULL else []
            yield pytest.param(client, name, marks=marks, id=f"{client.name} - {name}")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("matrix"))
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def backends(servers, request):
    wanted = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    return columns(servers, {name for name in wanted if name and not missing(name)})


@pytest.fixture(scope="module")
def aggregator(servers, backends, tmp_path_factory):
    config = servers.folder / "config.yaml"
    entries = [backend for column in backends.values() for backend in column.backends()]
    config.write_text(yaml.safe_dump({"backends": entries, "routing": {"heartbeat_interval": 2}}))
    mappings = tmp_path_factory.mktemp("no-mappings")
    aggregator = Aggregator(mappings, servers.folder, "--config", config)
    yield aggregator
    aggregator.stop()


def missing(name):
    if FULL.get(name) == "llmposter" and not llmposter_binary():
        return "llmposter is not installed: cargo install llmposter, or LLMPOSTER_BIN"
    if FULL.get(name) == "LiteLLM" and not litellm_binary():
        return "LiteLLM is not installed: scripts/setup --full, or LITELLM_BIN"
    return None


@pytest.mark.parametrize("client, name", list(pairs()))
def test_client_against_backend(client, name, backends, aggregator, servers):
    if reason := missing(name) or no_inbound(client, aggregator):
        put_all("aggregator", client, name, "skipped", reason)
        pytest.skip(reason)
    column = backends[name]
    cells = [(feature, column.model(feature)) for feature in FEATURES]
    check("aggregator", client, column, [(aggregator.url, cells)], servers)


def directs():
    for client in CLIENTS:
        for name, kind in [
            ("llama-server", "openai"), ("llama-server-messages", "anthropic"),
            *((name, name.split("-")[1]) for name in NAMES[2:] + list(FULL)[:2]),
        ]:
            if client.dialect == kind:
                yield pytest.param(client, name, id=f"{client.name} - {name}")


@pytest.mark.full
@pytest.mark.parametrize("client, name", list(directs()))
def test_client_against_the_backend_itself(client, name, backends, servers):
    if reason := missing(name):
        put_all("direct", client, name, "skipped", reason)
        pytest.skip(reason)
    column = backends[name]
    jobs = [(column.relay(feature).url, [(feature, column.model(feature))]) for feature in FEATURES]
    check("direct", client, column, merged(jobs), servers)


def merged(jobs):
    """Cells that go to one address are one job."""
    by_url = {}
    for url, cells in jobs:
        by_url.setdefault(url, []).extend(cells)
    return by_url.items()


def check(route, client, column, jobs, servers):
    assert client.before is None or OLD_ANTHROPIC.exists(), "run scripts/setup --tests"
    failures, done = [], set()
    log = servers.folder / re.sub(r"\W+", "-", f"{route}-{client.name}-{column.name}.log")
    for url, cells in jobs:
        column.take()
        for line in client.run(job(url, cells), len(cells), log):
            feature = line.pop("feature")
            cell = Cell(feature, client.dialect, column, route == "direct", sent=column.take(), **line)
            try:
                verdict = cell.judge()
                TABLE.put(route, client.name, column.name, feature, verdict.outcome, verdict.reason)
            # Whatever is wrong with one cell, the others are looked at.
            except Exception as error:
                told = str(error) if isinstance(error, Unexpected) else repr(error)
                TABLE.put(route, client.name, column.name, feature, "failed", told[:300])
                failures.append(f"{feature}: {told}")
            done.add(feature)
    assert not failures, "\n" + "\n".join(failures)
    assert done == set(FEATURES), f"no word of {set(FEATURES) - done}"


def no_inbound(client, aggregator):
    if client.dialect != "gemini":
        return None
    reply = httpx.post(f"{aggregator.url}/v1beta/models/any:generateContent", json={}, timeout=10)
    return "the aggregator speaks no Gemini to clients" if reply.status_code in (404, 405) else None


def put_all(route, client, name, outcome, reason):
    for feature in FEATURES:
        TABLE.put(route, client.name, name, feature, outcome, reason)
