"""What passes through the aggregator untouched, and what must never pass, as an origin sees it that writes all down."""

import json

import pytest
import yaml

from harness.conclave import Aggregator
from harness.origin import Answer, Origin, chat_completion
from harness.process import eventually

SECRET = "sk-provider-secret-0123456789abcdef"
KINDS = {
    "openai": ("/v1/chat/completions", "authorization", f"Bearer {SECRET}"),
    "anthropic": ("/v1/messages", "x-api-key", SECRET),
    "ollama": ("/api/chat", "authorization", f"Bearer {SECRET}"),
    "gemini": (None, "x-goog-api-key", SECRET),
}
NATIVE = [kind for kind, (path, _, _) in KINDS.items() if path]
# Nothing that a JSON library would write just so: blanks, order, escapes, numbers, fields that nobody knows.
ODD = (
    b'{ "zebra" : {"b":1.50e+1 , "a":[ ] } ,\n  "model":"only-%s", "max_tokens":  7, "stream":false,'
    b'"messages" : [ {"content":"caf\\u00e9 \\/ \xf0\x9f\x8c\x8a" ,"role":"user","x":null} ],'
    b' "big": 12345678901234567890 }'
)
ODD_ANSWER = {
    "openai": b'{ "odd":1.0e2, "id":"x","object":"chat.completion","created":1,"model":"m" ,"choices":[{"index":0,'
              b'"finish_reason":"stop","message":{"role":"assistant","content":"\\u00e9"}}], '
              b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2} }\n',
    "anthropic": b'{ "odd":1.0e2, "id":"msg_1","type":"message","role":"assistant","model":"m",'
                 b'"content":[{"type":"text","text":"\\u00e9"}],"stop_reason":"end_turn","stop_sequence":null,'
                 b'"usage":{"input_tokens":1,"output_tokens":1} }\n',
    "ollama": b'{ "odd":1.0e2, "model":"m","created_at":"2026-11-22T09:00:00Z","message":{"role":"assistant",'
              b'"content":"\\u00e9"},"done":true,"done_reason":"stop","eval_count":1 }\n',
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder, mappings = tmp_path_factory.mktemp("passthrough"), tmp_path_factory.mktemp("no-mappings")
    origins = {kind: Origin(lambda request: Answer(404)) for kind in KINDS}
    (folder / "config.yaml").write_text(yaml.safe_dump({
        "backends": [
            {"name": kind, "type": kind, "url": origin.url, "models": [f"only-{kind}"], "api_key": "${PROVIDER_KEY}"}
            for kind, origin in origins.items()
        ],
        "council": {"listed": False},
        "routing": {"heartbeat_interval": 3600},
    }))
    aggregator = Aggregator(
        mappings, folder, "--config", folder / "config.yaml", "--log-level", "debug",
        environment={"PROVIDER_KEY": SECRET},
    )
    eventually(lambda: len(aggregator.http.get("/v1/models").json()["data"]) == len(KINDS), what="all models")
    aggregator.origins = origins
    yield aggregator
    aggregator.stop()
    for origin in origins.values():
        origin.stop()
    assert SECRET not in aggregator.process.output, "a provider's key is in the log"


def serve(gateway, kind, answer):
    origin = gateway.origins[kind]
    origin.answer = answer if callable(answer) else lambda request: answer
    origin.requests.clear()
    return origin


def posted(origin):
    return [request for request in origin.requests if request.method == "POST"]


@pytest.mark.parametrize("kind", NATIVE)
def test_bytes_pass_untouched_both_ways(gateway, kind):
    origin = serve(gateway, kind, Answer(200, ODD_ANSWER[kind]))
    body = ODD % kind.encode()
    reply = gateway.http.post(KINDS[kind][0], content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200 and reply.content == ODD_ANSWER[kind]
    (request,) = posted(origin)
    assert request.body == body and request.target == KINDS[kind][0]


@pytest.mark.parametrize("kind", NATIVE)
def test_only_the_model_is_changed_where_it_must_be(gateway, kind):
    origin = serve(gateway, kind, Answer(200, ODD_ANSWER[kind]))
    body = ODD % kind.encode()
    named = body.replace(b'"only-', f'"{kind}/only-'.encode())
    assert gateway.http.post(KINDS[kind][0], content=named).status_code == 200
    assert posted(origin)[0].body == body


@pytest.mark.parametrize("kind", KINDS)
def test_a_backend_gets_its_own_key_and_never_the_clients(gateway, kind):
    origin = serve(gateway, kind, Answer(400, b'{"error":{"message":"no"}}'))
    headers = {
        "Authorization": "Bearer users-own", "x-api-key": "users-own", "api-key": "users-own",
        "x-goog-api-key": "users-own", "Cookie": "users-own", "X-Conversation-Id": "users-own",
    }
    gateway.http.post("/v1/chat/completions?key=users-own", headers=headers, json=hello(f"only-{kind}"))
    (request,) = posted(origin)
    _, header, value = KINDS[kind]
    assert request.values(header) == [value]
    assert "users-own" not in str(request.headers) + request.target and SECRET not in request.target


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("path", [path for path, _, _ in KINDS.values() if path])
@pytest.mark.parametrize("kind", KINDS)
def test_no_error_shows_a_providers_key(gateway, kind, path, status):
    text = json.dumps({"error": {"message": f"key {SECRET} and {SECRET[:12]}…", "type": "x", "code": 1}}).encode()
    origin = serve(gateway, kind, Answer(status, text, {"X-Echo": SECRET, "WWW-Authenticate": f"Bearer {SECRET}"}))
    reply = gateway.http.post(path, json=hello(f"only-{kind}", limit=path != "/api/chat"))
    assert reply.status_code >= 400 and posted(origin)
    assert SECRET not in reply.text + str(reply.headers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_redirect_is_not_followed(gateway, kind):
    with Origin() as elsewhere:
        serve(gateway, kind, Answer(307, b"", {"Location": f"{elsewhere.url}/v1/chat/completions"}))
        reply = gateway.http.post("/v1/chat/completions", json=hello(f"only-{kind}"))
        assert reply.status_code == 502 and not elsewhere.requests and "location" not in reply.headers


@pytest.mark.parametrize("kind", ["ollama", "gemini"])
@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/",
                                     "http://0.0.0.0:{port}/", "http://2130706433:{port}/", "file:///etc/passwd"])
def test_an_image_inside_the_network_is_not_fetched(gateway, kind, address):
    origin = serve(gateway, kind, Answer(200, chat_completion()))
    with Origin() as inside:
        image = {"type": "image_url", "image_url": {"url": address.format(port=inside.port)}}
        reply = gateway.http.post("/v1/chat/completions", json=hello(f"only-{kind}", [image]))
        assert reply.status_code == 400 and "image" in reply.text
        assert not inside.requests and not posted(origin)


@pytest.mark.parametrize("kind", NATIVE)
def test_a_stream_passes_untouched(gateway, kind):
    stream = {
        "openai": b'data: {"id":"a", "choices":[{"index":0,"delta":{"content":"h\\u00e9"}}]}\r\n\r\n: comment\n\n'
                  b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"odd":1.0}\n\ndata: [DONE]\n\n',
        "anthropic": b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message",'
                     b'"role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":0}}'
                     b',"o":1.0}\n\nevent: ping\ndata: {"type": "ping"}\n\nevent: message_delta\n'
                     b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}'
                     b'\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
        "ollama": b'{"model":"m","created_at":"2026-11-22T09:00:00Z","message":{"role":"assistant",'
                  b'"content":"h\\u00e9"},"done":false, "odd":1.0}\n{"model":"m",'
                  b'"created_at":"2026-11-22T09:00:00Z","message":{"role":"assistant","content":""},'
                  b'"done":true,"done_reason":"stop","eval_count":1}\n',
    }[kind]
    media = "application/x-ndjson" if kind == "ollama" else "text/event-stream"
    serve(gateway, kind, Answer(200, stream, {"Content-Type": media}))
    reply = gateway.http.post(KINDS[kind][0], json={**hello(f"only-{kind}"), "stream": True,
                                                   "stream_options": {"include_usage": True}})
    assert reply.status_code == 200 and reply.content == stream
    assert reply.headers["content-type"].startswith(media)


@pytest.mark.parametrize("kind, path", [
    (kind, path) for kind, (own, _, _) in KINDS.items() for path, _, _ in KINDS.values() if path and path != own
])
@pytest.mark.parametrize("garbage", [b"", b"{}", b"[]", b"null", b"<html>busy</html>", b'{"choices":[]}', b"\xff\xfe"])
def test_a_backends_nonsense_is_a_502_in_the_clients_shape(gateway, kind, path, garbage):
    serve(gateway, kind, Answer(200, garbage))
    reply = gateway.http.post(path, json=hello(f"only-{kind}", limit=path != "/api/chat"))
    assert reply.status_code == 502, reply.text
    error = reply.json()["error"]
    assert error if isinstance(error, str) else error["message"]


def hello(model, more=(), limit=True):
    content = [{"type": "text", "text": "Hi"}, *more] if more else "Hi"
    body = {"model": model, "stream": False, "messages": [{"role": "user", "content": content}]}
    return {**body, "max_tokens": 7} if limit else body
