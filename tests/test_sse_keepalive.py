"""A long prefill is silent: comments keep its stream alive, and the official clients never see them."""

import json

import httpx
import openai
import pytest

from harness.mapping import keyed

pytestmark = pytest.mark.llama
COMMENT = ": keep-alive"


def long_question(salt):
    return [{"role": "user", "content": f"{salt} " + "green window " * 150}]


@pytest.fixture
def patient(start_edge, llamas):
    """An edge before a server that reads a long prompt for some seconds."""
    (start_edge.mappings / "heavy.yml").write_text(keyed("heavy", "API_KEY-4", llamas.heavy.url))
    return start_edge("--sse-keepalive", "0.1")


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_long_prefill_s_stream_gets_comments_between_events_only(patient, protocol):
    body = {"messages": long_question(protocol), "max_tokens": 8, "stream": True}
    headers = {"Authorization": "Bearer API_KEY-4"}
    # With HTTP/2 from the first byte, as a client that knows its server begins it without TLS.
    client = httpx.Client(http1=protocol == "http1", http2=protocol == "http2", timeout=120)
    asked = client.stream("POST", f"{patient.url}/v1/chat/completions", headers=headers, json=body)
    with client, asked as reply:
        assert reply.http_version == {"http1": "HTTP/1.1", "http2": "HTTP/2"}[protocol]
        text = "".join(reply.iter_text())
    events = text.split("\n\n")
    assert events.pop() == "" and events.pop() == "data: [DONE]"
    assert COMMENT in events
    assert all(event == COMMENT or json.loads(event.removeprefix("data: ")) for event in events), text
    said = [n for n, event in enumerate(events) if event != COMMENT and json.loads(event[6:])["choices"][0]["delta"].get("content")]
    assert COMMENT not in events[said[0]:], "after its first token a stream is left alone"


def test_the_official_client_passes_them_over(patient):
    client = openai.OpenAI(base_url=f"{patient.url}/v1", api_key="API_KEY-4", max_retries=0, timeout=120)
    stream = client.chat.completions.create(
        model="heavy", messages=long_question("client"), max_tokens=8, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].usage.completion_tokens == 8
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    whole = client.chat.completions.create(model="heavy", messages=long_question("whole"), max_tokens=8)
    assert whole.usage.completion_tokens == 8
