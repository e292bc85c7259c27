"""Open WebUI as its users set it up: an OpenAI connection and an Ollama connection to Conclave, both list and chat.

The real program from PyPI, without the packages of local inference that neither connection needs
(requirements-open-webui.txt). It takes half a gigabyte and a minute to start.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from harness.conclave import ROOT, Aggregator
from harness.llama import Llama
from harness.mapping import keyed
from harness.process import Process, free_port, start_on_free_ports
from harness.relay import Relay
from llama.make_gguf import Shape

pytestmark = [pytest.mark.full, pytest.mark.llama]
PYTHON = Path(os.environ.get("OPEN_WEBUI_PYTHON") or ROOT / ".tools" / "peers" / "open-webui" / "bin" / "python")
START_SECONDS_MAX = 300
MODEL = "TinyLlama_Chat"
ASKED = [{"role": "user", "content": "Say something about the sea."}]


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    if not PYTHON.exists():
        pytest.skip("Open WebUI is not installed: scripts/setup --full, or OPEN_WEBUI_PYTHON")
    folder, mappings = tmp_path_factory.mktemp("webui"), tmp_path_factory.mktemp("mappings")
    # A debate is long: with a small context its judge would have no room.
    llama = Llama(folder, MODEL, Shape(end_bias=2, context=16384), "--context", 32768)
    # A mapped backend, as Conclave's own users have them.
    (mappings / "tiny.yml").write_text(keyed("tiny", "API_KEY-1", llama.url))
    # With a file of council-router's, councils are listed.
    (folder / "config.yaml").write_text("council: {listed: true}\n")
    aggregator = Aggregator(mappings, folder, "--config", folder / "config.yaml")
    wire = Relay(aggregator.url)
    process, url = start_on_free_ports(lambda: start(folder))
    http = httpx.Client(base_url=url, timeout=60)
    sign_in(http)
    connect(http, wire.url)
    yield SimpleNamespace(http=http, wire=wire)
    http.close()
    process.stop(seconds=20)
    wire.close()
    aggregator.stop()
    llama.stop()


def start(folder):
    port = free_port()
    (folder / "data").mkdir(exist_ok=True)
    process = Process(
        [PYTHON, "-m", "uvicorn", "open_webui.main:app", "--host", "127.0.0.1", "--port", port],
        folder / "open-webui.log",
        {
            "DATA_DIR": str(folder / "data"), "FROM_INIT_PY": "true", "WEBUI_SECRET_KEY": "of-this-test",
            "WEBUI_AUTH": "False", "OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", "ANONYMIZED_TELEMETRY": "False",
            # Else it wants its own embedding model.
            "RAG_EMBEDDING_ENGINE": "openai",
            # Until it is told otherwise: nobody.
            "OPENAI_API_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "unused",
            "OLLAMA_BASE_URL": "http://127.0.0.1:9",
        },
    )
    url = f"http://127.0.0.1:{port}"

    def healthy():
        try:
            return httpx.get(f"{url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    process.until(healthy, START_SECONDS_MAX)
    return process, url


def sign_in(http):
    """Without accounts anybody is the administrator."""
    answer = http.post("/api/v1/auths/signin", json={"email": "", "password": ""})
    assert answer.status_code == 200, answer.text
    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"


def connect(http, url):
    """What the page of its settings sends. The prefixes tell one connection's models from the other's."""
    openai = {
        "ENABLE_OPENAI_API": True, "OPENAI_API_BASE_URLS": [f"{url}/v1"], "OPENAI_API_KEYS": ["unused"],
        "OPENAI_API_CONFIGS": {"0": {"enable": True, "prefix_id": "by-openai"}},
    }
    ollama = {
        "ENABLE_OLLAMA_API": True, "OLLAMA_BASE_URLS": [url],
        "OLLAMA_API_CONFIGS": {"0": {"enable": True, "prefix_id": "by-ollama"}},
    }
    assert http.post("/openai/config/update", json=openai).status_code == 200
    assert http.post("/ollama/config/update", json=ollama).status_code == 200


def test_both_connections_list_the_model(webui):
    webui.wire.take()
    models = {model["id"] for model in webui.http.get("/api/models", params={"refresh": "true"}).json()["data"]}
    assert {f"by-openai.{MODEL}", f"by-ollama.{MODEL}"} <= models
    sent = webui.wire.take()
    assert b"GET /v1/models" in sent and b"GET /api/tags" in sent


def test_the_ollama_connections_version(webui):
    assert webui.http.get("/ollama/api/version").json()["version"]


@pytest.mark.parametrize("connection, path", [("by-openai", b"/v1/chat/completions"), ("by-ollama", b"/api/chat")])
@pytest.mark.parametrize("stream", [False, True])
def test_chat_through(webui, connection, path, stream):
    webui.http.get("/api/models")
    webui.wire.take()
    body = {"model": f"{connection}.{MODEL}", "messages": ASKED, "stream": stream}
    reply = webui.http.post("/api/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    assert b"POST " + path in webui.wire.take()
    if stream:
        events = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
        assert events[-1] == "[DONE]"
        choices = [choice for event in events[:-1] for choice in json.loads(event).get("choices", [])]
        assert any(choice["delta"].get("content") for choice in choices)
    else:
        assert reply.json()["choices"][0]["message"]["role"] == "assistant"


@pytest.mark.parametrize("connection", ["by-openai", "by-ollama"])
def test_a_council_is_chosen_in_the_list_of_models(webui, connection):
    model = f"{connection}.council/debate"
    assert model in {listed["id"] for listed in webui.http.get("/api/models", params={"refresh": "true"}).json()["data"]}
    reply = webui.http.post("/api/chat/completions", json={"model": model, "messages": ASKED, "stream": True}, timeout=300)
    assert reply.status_code == 200, reply.text
    events = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    deltas = [choice["delta"] for event in events[:-1] for choice in json.loads(event).get("choices", [])]
    assert any(delta.get("content") for delta in deltas), reply.text[-2000:]
    assert "Round 2: opponent" in "".join(delta.get("reasoning_content") or "" for delta in deltas)
