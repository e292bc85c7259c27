"""A client that leaves frees the real llama-server's slot: a GPU must not work for nobody."""

import json
import socket
import time

import httpx
import pytest

from harness.llama import BATCH
from harness.process import eventually

pytestmark = pytest.mark.llama
SLOT_FREE_SECONDS = 0.1
SERVER_LOOKS_SECONDS = 1
HEADERS = {"Authorization": "Bearer API_KEY-4"}


def chat(tokens, words, **more):
    text = " ".join(f"{word} river" for word in words)
    return {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "cache_prompt": False, **more}


@pytest.fixture
def heavy(stack):
    server = stack.llamas.heavy
    eventually(lambda: server.running() == 0, 30, "an idle server")
    return server


@pytest.mark.parametrize("attempt", range(3))
def test_leaving_in_mid_stream(stack, heavy, attempt):
    with httpx.stream("POST", f"{stack.url}/v1/chat/completions", headers=HEADERS, timeout=60,
                      json=chat(3000, ["stone"], stream=True)) as reply:
        lines = (line for line in reply.iter_lines() if line.startswith("data: "))
        for _ in range(10):
            next(lines)
        assert heavy.busy_slots() == 1
    left = time.monotonic()
    eventually(lambda: heavy.busy_slots() == 0, 10, "a free slot")
    assert time.monotonic() - left < SLOT_FREE_SECONDS


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_leaving_during_the_prompt(stack, heavy, stream):
    """The server looks for its client every second, and stops between two batches of the prompt.

    It starts its second anew at whatever else it answers, so nothing may ask it while the clock runs.
    """
    words = ["stone", "apple", "window", "green"] * 200
    measured = heavy.http.post("/v1/chat/completions", json=chat(1, words)).json()["timings"]
    batches = measured["prompt_n"] / BATCH
    assert batches > 8, "long enough to be left in the middle"
    batch_seconds = measured["prompt_ms"] / 1000 / batches

    eventually(lambda: heavy.running() == 0, 10, "an idle server")
    with raw_request(stack.edge.address, chat(1, words, stream=stream)):
        eventually(lambda: heavy.running() == 1, 10, "a busy slot")
    left = time.monotonic()
    eventually(lambda: heavy.running() == 0, 60, "a free slot")
    # Twice: a later batch sees a longer context than the mean one, and one has just begun.
    assert time.monotonic() - left < SERVER_LOOKS_SECONDS + 2 * batch_seconds + SLOT_FREE_SECONDS


def raw_request(address, body):
    """A connection with the request sent and nothing of the answer read."""
    data = json.dumps(body).encode()
    connection = socket.create_connection(address)
    connection.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: {HEADERS['Authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
    )
    return connection


def test_leaving_one_stream_leaves_the_others_alone(stack, heavy):
    with httpx.stream("POST", f"{stack.url}/v1/chat/completions", headers=HEADERS, timeout=60,
                      json=chat(200, ["apple"], stream=True)) as stays:
        with httpx.stream("POST", f"{stack.url}/v1/chat/completions", headers=HEADERS, timeout=60,
                          json=chat(3000, ["stone"], stream=True)) as leaves:
            next(leaves.iter_lines())
        events = [line[6:] for line in stays.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["choices"][0]["finish_reason"] == "length"


def test_a_conversation_id_does_not_keep_a_left_stream_alive(stack, heavy):
    """llama-server goes on generating for whoever names the id, so the edge takes it out."""
    headers = {**HEADERS, "X-Conversation-Id": "somebody"}
    with httpx.stream("POST", f"{stack.url}/v1/chat/completions", headers=headers, timeout=60,
                      json=chat(3000, ["stone"], stream=True)) as reply:
        next(reply.iter_lines())
    left = time.monotonic()
    eventually(lambda: heavy.busy_slots() == 0, 10, "a free slot")
    assert time.monotonic() - left < SLOT_FREE_SECONDS
