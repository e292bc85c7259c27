"""What the official clients call besides chat: lists, details, counts, completions, responses, Ollama's own affairs."""

from types import SimpleNamespace

import anthropic
import httpx
import ollama
import openai
import pytest
import yaml

from harness.conclave import Aggregator
from harness.llama import Llama
from harness.process import eventually
from llama.make_gguf import Shape

pytestmark = pytest.mark.llama
MODEL, EMBEDDER = "TinyLlama_Chat", "embedder"
HELLO = [{"role": "user", "content": "Say something about the sea."}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder, mappings = tmp_path_factory.mktemp("calls"), tmp_path_factory.mktemp("no-mappings")
    llamas = [Llama(folder, MODEL, Shape()), Llama(folder, EMBEDDER, Shape(), "--embeddings")]
    (folder / "config.yaml").write_text(yaml.safe_dump({
        "backends": [
            {"name": "words", "type": "openai", "url": llamas[0].url},
            {"name": "vectors", "type": "openai", "url": llamas[1].url},
        ],
        "council": {"listed": False},
    }))
    aggregator = Aggregator(mappings, folder, "--config", folder / "config.yaml")
    eventually(lambda: len(aggregator.http.get("/v1/models").json()["data"]) == 2, what="both models")
    options = {"api_key": "unused", "max_retries": 0, "timeout": 60}
    yield SimpleNamespace(
        url=aggregator.url, http=aggregator.http,
        openai=openai.OpenAI(base_url=f"{aggregator.url}/v1", **options),
        anthropic=anthropic.Anthropic(base_url=aggregator.url, **options),
        ollama=ollama.Client(host=aggregator.url, timeout=60),
    )
    aggregator.stop()
    for llama in llamas:
        llama.stop()


def test_openai_lists_and_retrieves(gateway):
    assert {model.id for model in gateway.openai.models.list()} == {MODEL, EMBEDDER}
    assert gateway.openai.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        gateway.openai.models.retrieve("nobody")


def test_a_backends_own_name_before_the_models(gateway):
    answer = gateway.openai.chat.completions.create(model=f"words/{MODEL}", messages=HELLO, max_tokens=4)
    assert answer.usage.completion_tokens == 4
    with pytest.raises(openai.NotFoundError):
        gateway.openai.chat.completions.create(model=f"vectors/{MODEL}", messages=HELLO, max_tokens=4)


@pytest.mark.parametrize("stream", [False, True])
def test_openais_completions(gateway, stream):
    answer = gateway.openai.completions.create(model=MODEL, prompt="The sea", max_tokens=6, stream=stream)
    text = "".join(chunk.choices[0].text for chunk in answer if chunk.choices) if stream else answer.choices[0].text
    assert len(text.split()) >= 3


def test_openais_responses(gateway):
    answer = gateway.openai.responses.create(model=MODEL, input="Say something.", max_output_tokens=8)
    assert answer.output_text.strip() and answer.usage.output_tokens == 8
    events = list(gateway.openai.responses.create(model=MODEL, input="Say it.", max_output_tokens=8, stream=True))
    kinds = [event.type for event in events]
    assert "response.output_text.delta" in kinds and kinds[-1] in ("response.completed", "response.incomplete")


def test_usage_in_a_stream_only_for_who_asked(gateway):
    def chunks(**more):
        return list(gateway.openai.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=4, stream=True, **more
        ))

    assert all(chunk.choices for chunk in chunks()), "an extra chunk that nobody asked for"
    assert chunks(stream_options={"include_usage": True})[-1].usage.completion_tokens == 4


def test_logprobs(gateway):
    answer = gateway.openai.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=3, logprobs=True, top_logprobs=2
    )
    assert [len(token.top_logprobs) for token in answer.choices[0].logprobs.content] == [2, 2, 2]


def test_a_stop_word(gateway):
    answer = gateway.openai.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=400, stop=["a"], seed=1)
    assert answer.choices[0].finish_reason == "stop" and "a" not in answer.choices[0].message.content


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings_either_way(gateway, form):
    answer = gateway.openai.embeddings.create(model=EMBEDDER, input="one fish", encoding_format=form)
    assert len(answer.data) == 1 and answer.data[0].embedding


def test_anthropic_lists_and_counts(gateway):
    assert {model.id for model in gateway.anthropic.models.list()} == {MODEL, EMBEDDER}
    short = gateway.anthropic.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    long = gateway.anthropic.messages.count_tokens(model=MODEL, messages=HELLO, system="river " * 50).input_tokens
    assert 0 < short < long - 40


def test_anthropics_stop_sequence(gateway):
    answer = gateway.anthropic.messages.create(model=MODEL, messages=HELLO, max_tokens=400, stop_sequences=["a"])
    # llama.cpp does not say which word it was that stopped it.
    assert answer.stop_reason in ("stop_sequence", "end_turn")


def test_ollama_lists(gateway):
    assert {model.model for model in gateway.ollama.list().models} == {MODEL, EMBEDDER}
    assert {model.model for model in gateway.ollama.ps().models} == {MODEL, EMBEDDER}
    assert gateway.http.get("/api/version").json()["version"][0].isdigit()
    assert gateway.http.head("/").status_code == 200 and gateway.http.head("/api/tags").status_code == 200


def test_ollama_shows(gateway):
    shown = gateway.ollama.show(MODEL)
    assert "completion" in shown.capabilities
    assert any(name.endswith("context_length") for name in shown.modelinfo)
    with pytest.raises(ollama.ResponseError) as caught:
        gateway.ollama.show("nobody")
    assert caught.value.status_code == 404


@pytest.mark.parametrize("stream", [False, True])
def test_ollama_generates(gateway, stream):
    answer = gateway.ollama.generate(model=MODEL, prompt="The sea", options={"num_predict": 6}, stream=stream)
    parts = list(answer) if stream else [answer]
    assert "".join(part.response for part in parts).strip()
    assert parts[-1].done and parts[-1].done_reason == "length" and parts[-1].eval_count == 6


def test_ollamas_old_embeddings(gateway):
    assert gateway.ollama.embeddings(model=EMBEDDER, prompt="one fish").embedding


def test_ollama_tags_with_latest(gateway):
    assert gateway.ollama.chat(model=f"{MODEL}:latest", messages=HELLO, options={"num_predict": 3}).eval_count == 3


@pytest.mark.parametrize("change", [
    lambda client: client.pull("m"), lambda client: client.delete(MODEL), lambda client: client.copy(MODEL, "m"),
    lambda client: client.create("m", from_=MODEL), lambda client: client.push("m"),
])
def test_ollamas_changes_need_the_operator(gateway, change):
    with pytest.raises(ollama.ResponseError) as caught:
        change(gateway.ollama)
    assert caught.value.status_code == 403 and "token" in caught.value.error


def test_a_body_that_is_no_json(gateway):
    for path, shape in [
        ("/v1/chat/completions", lambda body: body["error"]["message"]),
        ("/v1/messages", lambda body: body["type"] == "error" and body["error"]["message"]),
        ("/api/chat", lambda body: isinstance(body["error"], str) and body["error"]),
    ]:
        reply = gateway.http.post(path, content=b'{"model": ')
        assert reply.status_code == 400 and shape(reply.json()), path


def test_an_unknown_path_says_so(gateway):
    reply = gateway.http.post("/v1/nonsense", json={})
    assert reply.status_code == 404 and reply.json()["error"]["message"]


def test_many_clients_at_once(gateway):
    """Answers do not get mixed up: each has asked for a length of its own."""
    import concurrent.futures

    def ask(count):
        answer = httpx.post(f"{gateway.url}/api/chat", timeout=60, json={
            "model": MODEL, "messages": HELLO, "options": {"num_predict": count}, "stream": False,
        })
        return count == answer.json()["eval_count"]

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert all(pool.map(ask, range(1, 37)))
