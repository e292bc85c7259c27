"""From a client's screen to the store: what official clients printed is what the aggregator has, byte for byte."""

import base64
import http.client
import json
import random
import re
import signal
import struct
import threading
import time
from types import SimpleNamespace

import httpx
import openai
import pytest

from harness import llama
from harness.conclave import Aggregator, Edge
from harness.disk import fill, small_disk
from harness.mapping import keyed
from harness.origin import Answer, Origin
from harness.process import eventually
from harness.store import every_row

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

    def held(self):
        return self.admin("/admin/responses/stats")["responses"]

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
    assert (entry.embeddings, entry.embedding_dimensions) == (2, len(as_floats[0]))
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


class Asking:
    """Clients that ask, one exchange after the other, until they are told to stop."""

    def __init__(self, address, clients=3):
        self.address, self.asked, self.stopped = address, [], threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def ask(self, number):
        body = json.dumps({"model": "thinker", "messages": HELLO, "stream": True})
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        # Some dozens a second: more is there to be stored whenever the aggregator is killed.
        while not self.stopped.wait(0.03):
            name = f"{number}-{len(self.asked)}"
            headers = {"Authorization": f"Bearer {KEY}-thinker", "Content-Type": "application/json", "X-Request-Id": name}
            connection.request("POST", "/v1/chat/completions", body, headers)
            assert connection.getresponse().read().endswith(b"[DONE]\n\n")
            self.asked.append(name)
        connection.close()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.full)])
def test_an_aggregator_that_is_killed_while_it_ingests_stores_the_same_rows_once(tmp_path, kills):
    """Journals are kept, so that a second aggregator can say what one that nobody killed would have stored."""
    moment = random.Random(kills)
    with Origin(thinking_origin) as origin:
        kept = Kept(tmp_path, {"thinker": origin.url}, "--keep-journal")
        asking = Asking(kept.edge.address)
        try:
            for _ in range(kills):
                eventually(lambda: kept.metric("conclave_ingest_stored_total") > 0, what="a row", seconds=30)
                time.sleep(moment.random() * 0.2)  # Where it dies is to be left to chance.
                kept.aggregator.process.child.send_signal(signal.SIGKILL)
                kept.aggregator.process.child.wait(10)
                kept.aggregator.stop()
                kept.start_aggregator()
        finally:
            asking.stop()
        count = len(asking.asked)
        rows = lambda: every_row(kept.aggregator, TOKEN)
        eventually(lambda: kept.held() >= count, what=f"{count} rows", seconds=300)
        stored = rows()
        kept.stop()
        (tmp_path / "store").rename(tmp_path / "killed")
        kept.start_aggregator()
        eventually(lambda: kept.held() >= count, what="the rows of one that nobody killed", seconds=300)
        undisturbed = rows()
        kept.aggregator.stop()
    print(f"{kills} kills, {count} exchanges")
    assert sorted(row["request_id"] for row in stored) == sorted(asking.asked), "each once"
    assert stored == undisturbed
    assert {(row["status"], row["lossy"], row["finish_reason"]) for row in stored} == {("complete", False, "stop")}


@pytest.mark.full
def test_a_store_whose_disk_is_full_catches_up_once_there_is_room(tmp_path):
    with small_disk(tmp_path / "store", mib=64) as disk, Origin(thinking_origin) as origin:
        kept = Kept(tmp_path, {"thinker": origin.url})
        asking = Asking(kept.edge.address)
        try:
            eventually(lambda: kept.metric("conclave_ingest_stored_total") > 10, what="rows", seconds=30)
            fill(disk / "ballast")
            eventually(lambda: kept.metric("conclave_ingest_failures_total") > 0, what="a full disk", seconds=60)
            failures, asked = kept.metric("conclave_ingest_failures_total"), len(asking.asked)
            # Requests pass, and what was stored can be read.
            eventually(lambda: kept.metric("conclave_ingest_failures_total") > failures, what="another try", seconds=30)
            eventually(lambda: len(asking.asked) > asked + 50, what="requests", seconds=30)
            assert every_row(kept.aggregator, TOKEN)
        finally:
            asking.stop()
        (disk / "ballast").unlink()
        rows = lambda: every_row(kept.aggregator, TOKEN)
        eventually(lambda: kept.held() >= len(asking.asked), what="all rows", seconds=60)
        kept.stop()
        assert "rows cannot be stored" in kept.aggregator.process.output
        kept.start_aggregator()
        stored = rows()
        kept.aggregator.stop()
    assert sorted(row["request_id"] for row in stored) == sorted(asking.asked), "each once"
    assert {(row["status"], row["lossy"]) for row in stored} == {("complete", False)}


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
