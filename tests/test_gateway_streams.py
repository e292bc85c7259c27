"""Streams through the aggregator before a real llama-server: they come as they are made, stop when the client goes, and
never seem whole when the server died."""

import contextlib
import json
import time
from types import SimpleNamespace

import httpx
import pytest
import yaml

from harness.conclave import Aggregator
from harness.llama import HEAVY, Llama
from harness.process import eventually

pytestmark = pytest.mark.llama
MODEL = "heavy"
SLOT_FREE_SECONDS = 0.3
# llama-server looks for the client of a whole answer once a second, and not at all while another slot streams: the
# aggregator has to ask it for a stream.
TEXT = [{"role": "user", "content": "Say something about the sea."}]
DIALECTS = {
    "openai": ("/v1/chat/completions", {"max_tokens": 3000, "cache_prompt": False}),
    "anthropic": ("/v1/messages", {"max_tokens": 3000}),
    "ollama": ("/api/chat", {"options": {"num_predict": 3000}}),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder, mappings = tmp_path_factory.mktemp("streams"), tmp_path_factory.mktemp("no-mappings")
    llama = Llama(folder, MODEL, HEAVY)
    (folder / "config.yaml").write_text(yaml.safe_dump({
        "backends": [{"name": "heavy", "type": "openai", "url": llama.url}], "routing": {"heartbeat_interval": 60},
    }))
    aggregator = Aggregator(mappings, folder, "--config", folder / "config.yaml")
    eventually(lambda: aggregator.http.get("/v1/models").json()["data"], what="the model")
    yield SimpleNamespace(url=aggregator.url, llama=llama, folder=folder, mappings=mappings)
    aggregator.stop()
    llama.stop()


def request(dialect, stream, **more):
    path, options = DIALECTS[dialect]
    return path, {"model": MODEL, "messages": TEXT, "stream": stream, **options, **more}


@contextlib.contextmanager
def streaming(url, dialect, **more):
    path, body = request(dialect, True, **more)
    with httpx.stream("POST", url + path, json=body, timeout=60) as reply:
        assert reply.status_code == 200
        yield (line for line in reply.iter_lines() if line)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_arrives_as_it_is_made(gateway, dialect):
    times = []
    with streaming(gateway.url, dialect) as lines:
        for _ in range(100):
            next(lines)
            times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert max(gaps) < (times[-1] - times[0]) / 2, "no silence takes half of the answer"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_leaving_in_mid_stream(gateway, dialect):
    eventually(lambda: gateway.llama.busy_slots() == 0, 30, "an idle server")
    with streaming(gateway.url, dialect) as lines:
        for _ in range(10):
            next(lines)
        assert gateway.llama.busy_slots() == 1
    left = time.monotonic()
    eventually(lambda: gateway.llama.busy_slots() == 0, 10, "a free slot")
    assert time.monotonic() - left < SLOT_FREE_SECONDS


@pytest.mark.parametrize("dialect", ["anthropic", "ollama"])
def test_leaving_a_whole_answer_while_another_streams(gateway, dialect):
    eventually(lambda: gateway.llama.running() == 0, 30, "an idle server")
    path, body = request(dialect, False)
    with streaming(gateway.url, "openai") as lines:
        next(lines)
        with httpx.Client(base_url=gateway.url, timeout=1) as impatient, pytest.raises(httpx.ReadTimeout):
            impatient.post(path, json=body)
        left = time.monotonic()
        eventually(lambda: gateway.llama.running() == 1, 10, "the other stream alone")
        assert time.monotonic() - left < 1
        next(lines)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_server_that_dies_in_mid_stream(gateway, tmp_path, dialect):
    llama = Llama(tmp_path, MODEL, HEAVY)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({
        "backends": [{"name": "mortal", "type": "openai", "url": llama.url}],
    }))
    aggregator = Aggregator(gateway.mappings, tmp_path, "--config", tmp_path / "config.yaml")
    seen = []
    try:
        eventually(lambda: aggregator.http.get("/v1/models").json()["data"], what="the model")
        with contextlib.suppress(httpx.RemoteProtocolError), streaming(aggregator.url, dialect) as lines:
            for line in lines:
                seen.append(line)
                if len(seen) == 20:
                    llama.process.child.kill()
    finally:
        aggregator.stop()
        llama.stop()
    assert len(seen) > 20
    ends_in_an_error(dialect, seen)


def ends_in_an_error(dialect, lines):
    """The dialect's own error, last of all, and nothing that says that the answer is whole."""
    text = "\n".join(lines)
    if dialect == "openai":
        assert json.loads(lines[-1].removeprefix("data: "))["error"]["message"]
        assert "[DONE]" not in text and '"finish_reason":"' not in text
    elif dialect == "anthropic":
        assert lines[-2] == "event: error"
        event = json.loads(lines[-1].removeprefix("data: "))
        assert event["type"] == "error" and event["error"]["message"] and "message_stop" not in text
    else:
        assert json.loads(lines[-1])["error"] and '"done":true' not in text
