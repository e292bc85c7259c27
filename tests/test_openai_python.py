"""The official Python client through the edge to real llama-servers."""

import json
import threading
import time

import openai
import pytest

from harness.mapping import keyed
from harness.origin import Answer, Origin, chat_completion
from harness.process import free_port

pytestmark = pytest.mark.llama
HELLO = [{"role": "user", "content": "Say something about the sea."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
        },
    },
}
# One call and then the end: what random weights would not find by themselves.
CALL_IT = {
    "model": "caller", "messages": HELLO, "tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False,
}


def client(url, key, **options):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, **{"max_retries": 0, "timeout": 60, **options})


@pytest.mark.parametrize("model", ["TinyLlama_Chat", "mistral-tiny"])
def test_a_key_reaches_its_own_model(stack, model):
    answer = client(stack.url, stack.keys[model]).chat.completions.create(model=model, messages=HELLO, max_tokens=20)
    assert answer.model == model
    assert answer.choices[0].message.content.strip()
    assert answer.usage.completion_tokens == 20


def test_stream(stack):
    chunks = list(client(stack.url, "API_KEY-1").chat.completions.create(
        model="TinyLlama_Chat", messages=HELLO, max_tokens=30, stream=True, stream_options={"include_usage": True},
    ))
    assert all(chunk.model == "TinyLlama_Chat" for chunk in chunks)
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) >= 20
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == 30


def test_a_stream_arrives_as_it_is_made(stack):
    """The slow model takes some 3 ms or more a token: what came all at the end would come in no time."""
    times = []
    for chunk in client(stack.url, "API_KEY-4").chat.completions.create(
        model="heavy", messages=HELLO, max_tokens=100, stream=True
    ):
        times.append(time.monotonic())
    assert len(times) > 50
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert max(gaps) < (times[-1] - times[0]) / 2, "no silence takes half of the answer"


def test_embeddings(stack):
    answer = client(stack.url, "API_KEY-4").embeddings.create(model="heavy", input=["one fish", "two fish"])
    assert [len(item.embedding) for item in answer.data] == [640, 640]
    assert answer.data[0].embedding != answer.data[1].embedding


def test_a_tool_call(stack):
    answer = client(stack.url, "API_KEY-3").chat.completions.create(
        **CALL_IT, max_tokens=500
    )
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_streamed_tool_call(stack):
    name, arguments = "", ""
    for chunk in client(stack.url, "API_KEY-3").chat.completions.create(
        **CALL_IT, max_tokens=500, stream=True
    ):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert name == "get_weather" and "city" in json.loads(arguments)


def test_models_with_a_key_are_that_keys_alone(stack):
    assert [model.id for model in client(stack.url, "API_KEY-2").models.list()] == ["mistral-tiny"]


def test_models_without_a_key_are_everyones(stack):
    body = stack.edge.http.get("/v1/models").json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == sorted(stack.keys)
    assert [model["model"] for model in body["models"]] == sorted(stack.keys)


def test_stats_without_a_key(stack):
    body = stack.edge.http.get("/stats").json()
    assert set(body) >= {"timestamp", "system", "cpu", "memory", "swap", "disk", "network", "processes"}


@pytest.mark.parametrize("key", ["API_KEY-5", "API_KEY-10", "api_key-1", "API_KEY-"])
def test_a_wrong_key(stack, key):
    with pytest.raises(openai.AuthenticationError) as caught:
        client(stack.url, key).models.list()
    assert caught.value.code == "invalid_api_key"
    assert key not in str(caught.value)


def test_an_unknown_path(stack):
    with pytest.raises(openai.NotFoundError):
        client(stack.url, "API_KEY-1").get("/nonsense", cast_to=object)


@pytest.mark.parametrize("path", ["/slots", "/props", "/lora-adapters"])
def test_a_key_does_not_open_what_belongs_to_the_server(stack, path):
    reply = stack.edge.http.get(path, headers={"Authorization": "Bearer API_KEY-1"})
    assert reply.status_code == 403 and reply.json()["error"]["code"] == "path_not_allowed"


def test_the_servers_own_errors_pass_through(stack):
    with pytest.raises(openai.BadRequestError) as caught:
        client(stack.url, "API_KEY-1").chat.completions.create(
            model="TinyLlama_Chat", messages=[{"role": "user", "content": "river " * 20_000}]
        )
    assert caught.value.type == "exceed_context_size_error"


@pytest.mark.parametrize("header", ["Authorization: Bearer", "x-api-key:", "api-key:", "x-goog-api-key:"])
def test_every_credential_header(stack, header):
    name, _, scheme = header.partition(":")
    reply = stack.edge.http.get("/v1/models", headers={name: f"{scheme.strip()} API_KEY-1".strip()})
    assert [model["id"] for model in reply.json()["data"]] == ["TinyLlama_Chat"]


@pytest.mark.parametrize("status", [503, 429])
def test_the_client_may_obey_a_servers_retry_after(edge, status):
    """What a server says about when to come back reaches the client unchanged."""
    arrivals = []

    def answer(request):
        arrivals.append(time.monotonic())
        if len(arrivals) < 3:
            return Answer(status, b'{"error": {"message": "busy"}}', {"retry-after-ms": "300"})
        return Answer(body=chat_completion())

    with Origin(answer) as origin:
        edge.put("key.yml", keyed("key", "K", origin.url))
        reply = client(edge.url, "K", max_retries=3).chat.completions.create(model="origin", messages=HELLO)
    assert reply.choices[0].message.content == "hello"
    assert len(arrivals) == 3 and all(b - a >= 0.3 for a, b in zip(arrivals, arrivals[1:]))


def test_the_client_outlasts_a_server_that_starts_late(edge):
    port = free_port()
    edge.put("key.yml", keyed("key", "K", f"http://127.0.0.1:{port}"))
    with pytest.raises(openai.InternalServerError) as caught:
        client(edge.url, "K").chat.completions.create(model="origin", messages=HELLO)
    assert caught.value.status_code == 502 and caught.value.code == "upstream_failed"
    attempts = client(edge.url, "K", max_retries=5)
    late = threading.Timer(0.3, lambda: origins.append(Origin(lambda request: Answer(body=chat_completion()), port)))
    origins = []
    late.start()
    try:
        assert attempts.chat.completions.create(model="origin", messages=HELLO).choices[0].message.content == "hello"
    finally:
        late.join()
        origins[0].__exit__()
