"""From a client's screen to the store: what official clients printed is what the aggregator has, byte for byte."""

import base64
import json
import re
import signal
import struct
from types import SimpleNamespace

import httpx
import openai
import pytest

from harness import llama
from harness.conclave import Aggregator, Edge
from harness.mapping import keyed
from harness.origin import Answer, Origin
from harness.process import eventually

TOKEN = "admin-token-of-the-tests"
KEY = "CANARY-KEY-71aa"
HELLO = [{"role": "user", "content": "Say something about the sea. 🦙"}]
# What random weights would not find by themselves.
THINKS = 'root ::= "<think>" [a-z ]{8,24} "</think>" [a-z ]{8,24}'
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder, started = tmp_path_factory.mktemp("llamas"), []
    try:
        for alias, shape, *flags in [
            ("tiny", llama.TINY), ("caller", llama.CALLS_TOOLS), ("heavy", llama.HEAVY, "--embeddings"),
        ]:
            started.append(llama.Llama(folder, alias, shape, *flags))
        yield started
    finally:
        for server in started:
            server.stop()


class Kept:
    """An edge and an aggregator that share a journal, and the store behind them."""

    def __init__(self, folder, urls, *flags):
        self.folder, self.flags = folder, flags
        self.mappings, self.journal = folder / "mappings", folder / "journal"
        self.mappings.mkdir()
        for name, url in urls.items():
            (self.mappings / f"{name}.yml").write_text(keyed(name, f"{KEY}-{name}", url))
        self.edge = Edge(self.mappings, folder, "--journal", self.journal)
        self.aggregator = None
        self.start_aggregator()

    def start_aggregator(self):
        self.aggregator = Aggregator(
            self.mappings, self.folder, "--journal", self.journal, "--db-path", self.folder / "store" / "responses.db",
            "--log-level", "INFO", *self.flags, environment={"ADMIN_TOKEN": TOKEN},
        )

    def client(self, name):
        return openai.OpenAI(base_url=f"{self.edge.url}/v1", api_key=f"{KEY}-{name}", max_retries=0, timeout=60)

    def admin(self, path, **parameters):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        reply = httpx.get(f"{self.aggregator.url}{path}", params=parameters, headers=headers, timeout=30)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def stored(self, count, **filters):
        """Waits for so many, the oldest first; each with its bodies."""
        def look():
            found = self.admin("/admin/responses", limit=1000, **filters)["data"]
            return found if len(found) >= count else None

        found = eventually(look, what=f"{count} stored exchanges", seconds=60)
        assert len(found) == count, found
        return [self.admin(f"/admin/responses/{entry['id']}") for entry in reversed(found)]

    def one(self, **filters):
        (entry,) = self.stored(1, **filters)
        return SimpleNamespace(**entry)

    def metric(self, name):
        page = httpx.get(f"{self.aggregator.url}/metrics", timeout=10).text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page, re.M))

    def stop(self):
        self.edge.stop()
        self.aggregator.stop()


@pytest.fixture
def kept(tmp_path, models):
    kept = Kept(tmp_path, {server.alias: server.url for server in models})
    yield kept
    kept.stop()


def printed(stream):
    """What a client would print, and the last it was told."""
    text, thinking, name, arguments, finish, usage = "", "", "", "", None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            text += choice.delta.content or ""
            thinking += getattr(choice.delta, "reasoning_content", None) or ""
            for call in choice.delta.tool_calls or []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    return SimpleNamespace(text=text, thinking=thinking, name=name, arguments=arguments, finish=finish, usage=usage)


@pytest.mark.llama
def test_a_stream(kept):
    asked = {"model": "tiny", "messages": HELLO, "max_tokens": 40}
    seen = printed(kept.client("tiny").chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    ))
    entry = kept.one()
    assert entry.text == seen.text and len(seen.text) > 20
    assert (entry.status, entry.finish_reason, entry.streamed, entry.lossy) == ("complete", seen.finish, True, False)
    assert (entry.input_tokens, entry.output_tokens) == (seen.usage.prompt_tokens, seen.usage.completion_tokens)
    assert (entry.key, entry.model, entry.model_asked, entry.dialect) == ("tiny", "tiny", "tiny", "openai")
    assert entry.request["messages"] == HELLO
    assert 0 < entry.first_token_ms <= entry.duration_ms and entry.tokens_per_second > 0
    assert entry.response.endswith("data: [DONE]\n\n")
    assert kept.one(text="sea").id == entry.id, "the prompt's words are found"


@pytest.mark.llama
def test_a_stream_that_thinks(kept):
    """Whether the server parts the thinking or leaves its tags in the text: it is stored apart."""
    seen = printed(kept.client("tiny").chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=200, stream=True, extra_body={"grammar": THINKS}
    ))
    if not seen.thinking:
        seen.thinking, seen.text = re.fullmatch(r"<think>(.*)</think>(.*)", seen.text, re.S).groups()
        seen.thinking, seen.text = seen.thinking.strip(), seen.text.lstrip()
    entry = kept.one()
    assert entry.thinking.strip() == seen.thinking.strip() and seen.thinking.strip()
    assert entry.text == seen.text


@pytest.mark.llama
def test_a_tool_call(kept):
    asked = {
        "model": "caller", "messages": HELLO, "tools": [WEATHER], "tool_choice": "required", "max_tokens": 500,
        "parallel_tool_calls": False,
    }
    seen = printed(kept.client("caller").chat.completions.create(**asked, stream=True))
    answer = kept.client("caller").chat.completions.create(**asked).choices[0]
    streamed, whole = (SimpleNamespace(**entry) for entry in kept.stored(2))
    (call,) = streamed.tool_calls
    assert (call["function"]["name"], call["function"]["arguments"]) == (seen.name, seen.arguments)
    assert streamed.finish_reason == seen.finish == "tool_calls"
    (call,) = whole.tool_calls
    expected = answer.message.tool_calls[0]
    assert (call["id"], call["function"]["arguments"]) == (expected.id, expected.function.arguments)
    assert (whole.streamed, whole.first_token_ms) == (False, None)


@pytest.mark.llama
def test_an_aborted_stream(kept):
    text = ""
    with kept.client("heavy").chat.completions.create(
        model="heavy", messages=HELLO, max_tokens=4000, stream=True
    ) as stream:
        for chunk in stream:
            text += (chunk.choices and chunk.choices[0].delta.content) or ""
            if len(text) > 40:
                break
    entry = kept.one()
    assert entry.status == "client_gone" and entry.finish_reason is None
    assert entry.text.startswith(text), "what reached the client, and what was on its way"


@pytest.mark.llama
def test_an_embedding(kept):
    answer = kept.client("heavy").embeddings.create(model="heavy", input=["one fish", "two fish"])
    entry = kept.one()
    assert entry.text is None and entry.input_tokens == answer.usage.prompt_tokens
    vectors = [item["embedding"] for item in sorted(entry.response["data"], key=lambda item: item["index"])]
    as_floats = [
        list(struct.unpack(f"<{len(raw) // 4}f", raw)) if (raw := decoded(vector)) else vector for vector in vectors
    ]
    assert as_floats == [item.embedding for item in answer.data]
    assert kept.one(text="fish").id == entry.id


def decoded(vector):
    return base64.b64decode(vector) if isinstance(vector, str) else None


THINKING = [
    {"reasoning_content": "Hm, the "}, {"reasoning_content": "sea…\n"}, {"content": "It is "}, {"content": "wide 🌊"},
]


def thinking_origin(request):
    frames = [{"model": "thinker", "choices": [{"index": 0, "delta": delta}]} for delta in THINKING]
    frames.append({"model": "thinker", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames) + "data: [DONE]\n\n"
    return Answer(body=body.encode(), headers={"Content-Type": "text/event-stream"})


@pytest.fixture
def thinker(tmp_path):
    with Origin(thinking_origin) as origin:
        kept = Kept(tmp_path, {"thinker": origin.url})
        yield kept
        kept.stop()


def test_a_reasoning_stream(thinker):
    seen = printed(thinker.client("thinker").chat.completions.create(model="thinker", messages=HELLO, stream=True))
    entry = thinker.one()
    assert (entry.thinking, entry.text) == (seen.thinking, seen.text) == ("Hm, the sea…\n", "It is wide 🌊")
    assert entry.input_tokens is None, "nobody told it"


def test_what_was_written_while_the_aggregator_was_down_is_caught_up_with(thinker):
    thinker.aggregator.stop()
    for _ in range(30):
        printed(thinker.client("thinker").chat.completions.create(model="thinker", messages=HELLO, stream=True))
    thinker.start_aggregator()
    assert {entry["text"] for entry in thinker.stored(30)} == {"It is wide 🌊"}
    eventually(lambda: thinker.metric("conclave_ingest_behind_bytes") == 0, what="nothing behind", seconds=10)
    assert thinker.metric("conclave_ingest_stored_total") == 30
    assert thinker.metric("conclave_ingest_gaps_total") == 0


def test_whatever_is_killed_each_exchange_is_there_once(thinker):
    """The aggregator while it ingests; then the edge, in the middle of a stream."""
    count = 0
    for kill in range(6):
        for _ in range(10):
            printed(thinker.client("thinker").chat.completions.create(model="thinker", messages=HELLO, stream=True))
            count += 1
        thinker.aggregator.process.child.send_signal(signal.SIGKILL)
        thinker.aggregator.process.child.wait(10)
        thinker.aggregator.stop()
        thinker.start_aggregator()
    entries = thinker.stored(count)
    assert len({entry["id"] for entry in entries}) == count
    assert {(entry["text"], entry["status"], entry["lossy"]) for entry in entries} == {("It is wide 🌊", "complete", False)}


@pytest.mark.llama
def test_an_edge_that_is_killed_leaves_its_streams_interrupted(kept):
    text = ""
    stream = kept.client("heavy").chat.completions.create(model="heavy", messages=HELLO, max_tokens=4000, stream=True)
    for chunk in stream:
        text += (chunk.choices and chunk.choices[0].delta.content) or ""
        if len(text) > 40:
            break
    kept.edge.process.child.send_signal(signal.SIGKILL)
    kept.edge.process.child.wait(10)
    entry = kept.one()
    assert entry.status == "interrupted" and entry.text.startswith(text)


def test_keys_are_nowhere(thinker):
    printed(thinker.client("thinker").chat.completions.create(model="thinker", messages=HELLO, stream=True))
    thinker.one()
    page = httpx.get(f"{thinker.aggregator.url}/metrics", timeout=10).text
    thinker.stop()
    for path in thinker.folder.rglob("*"):
        if path.is_file() and path.parent != thinker.mappings:
            assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in page and "the sea" not in page
    assert "the sea" not in thinker.aggregator.process.output
    thinker.edge.start()
    thinker.start_aggregator()
