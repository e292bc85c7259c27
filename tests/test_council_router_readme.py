"""What council-router's README shows its users, word for word but for the port, against real llama-servers.

The model's name can stay too: a llama-server serves under whatever alias it is given.
"""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import httpx
import pytest

from harness.conclave import Aggregator
from harness.llama import Llama
from harness.process import eventually
from llama.make_gguf import Shape

pytestmark = pytest.mark.llama
SHOWN = "localhost:11430"
TOKEN = "readme-admin-token"
# The README's file, with the settings of its table written out; types and addresses are those of llama-servers.
CONFIG = """\
backends:
- name: "local-ollama"
  type: openai
  url: "{local}"
  priority: 1
- name: "gpu-server"
  type: openai
  url: "{gpu}"
  priority: 2
routing:
  strategy: smart
  prefer_loaded_model: true
  heartbeat_interval: 10
  fallbacks:
    "llama3.1:70b": ["llama3.1:8b"]
response_storage:
  enabled: true
  compress: true
  db_path: {folder}/responses.db
metrics:
  enabled: true
admin:
  auth:
    type: bearer
    token: ${{ADMIN_TOKEN}}
"""

LIST_MODELS = "curl http://localhost:11430/v1/models"
CHAT = """\
curl -X POST http://localhost:11430/v1/chat/completions \\
-H "Content-Type: application/json" \\
-d '{
"model": "llama3.1:8b",
"messages": [{"role": "user", "content": "Hello!"}]
}'"""
STREAM = """\
curl -N -X POST http://localhost:11430/v1/chat/completions \\
-H "Content-Type: application/json" \\
-d '{
"model": "llama3.1:8b",
"messages": [{"role": "user", "content": "Write a poem"}],
"stream": true
}'"""
PYTHON = """\
from openai import OpenAI
# Point at council-router instead of Ollama directly
client = OpenAI(base_url="http://localhost:11430/v1", api_key="unused")
response = client.chat.completions.create(
model="llama3.1:8b",
messages=[{"role": "user", "content": "Hello!"}],
)
print(response.choices[0].message.content)
"""
TAGS = "curl http://localhost:11430/api/tags"
OLLAMA_CHAT = """\
curl -X POST http://localhost:11430/api/chat \\
-d '{"model": "llama3.1:8b", "messages": [{"role": "user", "content": "Hi"}]}'"""
COUNCIL = """\
curl -X POST http://localhost:11430/v1/council/chat \\
-H "Content-Type: application/json" \\
-d '{
"model": "llama3.1:8b",
"messages": [{"role": "user", "content": "Should we adopt microservices?"}]
}'"""
# The README's comments beside two of the fields are left out: JSON has none.
REQUEST = (
    '{ "model": "llama3.1:8b", "messages": [ {"role": "system", "content": "You are a helpful assistant."}, '
    '{"role": "user", "content": "Hello!"} ], "stream": false, "temperature": 0.7 }'
)


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    folder, mappings = tmp_path_factory.mktemp("readme"), tmp_path_factory.mktemp("no-mappings")
    # Its answers end by themselves: no example says how long one may be.
    talkative = Shape(end_bias=2)
    llamas = [Llama(folder, "llama3.1:8b", talkative), Llama(folder, "mistral:7b", talkative)]
    (folder / "config.yaml").write_text(CONFIG.format(local=llamas[0].url, gpu=llamas[1].url, folder=folder))
    aggregator = Aggregator(mappings, folder, "--config", folder / "config.yaml", environment={"ADMIN_TOKEN": TOKEN})
    eventually(lambda: len(without_councils(model["id"] for model in aggregator.http.get("/v1/models").json()["data"])) == 2, what="both models")
    yield SimpleNamespace(url=aggregator.url, http=aggregator.http, port=aggregator.port)
    aggregator.stop()
    for llama in llamas:
        llama.stop()


def here(example, router):
    assert SHOWN in example
    return example.replace(SHOWN, f"127.0.0.1:{router.port}")


def run(command, router):
    assert shutil.which("curl"), "these examples need curl"
    # -q and the options behind it: the user's own curlrc and a progress bar have no place here.
    command = here(command, router).replace("curl ", "curl -q --no-progress-meter --fail-with-body ", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def without_councils(names):
    return {name for name in names if not name.startswith("council/")}


def test_list_all_models(router):
    body = json.loads(run(LIST_MODELS, router))
    assert body["object"] == "list"
    assert without_councils(model["id"] for model in body["data"]) == {"llama3.1:8b", "mistral:7b"}


def test_chat_completion(router):
    body = json.loads(run(CHAT, router))
    assert body["object"] == "chat.completion" and body["model"] == "llama3.1:8b"
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert body["choices"][0]["finish_reason"] in ("stop", "length") and body["usage"]["completion_tokens"] > 0


def test_every_answer_is_stored(router):
    """With the README's file and no flag beside it."""
    said = json.loads(run(CHAT, router))["choices"][0]["message"]["content"]
    admin = {"Authorization": f"Bearer {TOKEN}"}

    def stored():
        newest = router.http.get("/admin/responses", params={"limit": 20}, headers=admin).json()["data"]
        whole = (router.http.get(f"/admin/responses/{item['id']}", headers=admin).json() for item in newest)
        return next((item for item in whole if item["text"] == said), None)

    item = eventually(stored, what="the answer in the store")
    assert item["status"] == "complete" and item["model"] == "llama3.1:8b" and item["output_tokens"] > 0


def test_streaming(router):
    events = [line for line in run(STREAM, router).split("\n") if line]
    assert all(event.startswith("data: ") for event in events) and events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1] in ("stop", "length")


def test_the_python_client(router):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, "-c", here(PYTHON, router)], capture_output=True, text=True, timeout=60, check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr


def test_ollamas_tags(router):
    models = json.loads(run(TAGS, router))["models"]
    assert without_councils(model["name"] for model in models) == {"llama3.1:8b", "mistral:7b"}
    assert all(model["model"] == model["name"] and "details" in model for model in models)


def test_ollamas_chat(router):
    """Ollama streams unless told otherwise; curl says that the body is a form."""
    lines = [json.loads(line) for line in run(OLLAMA_CHAT, router).splitlines()]
    assert all(line["model"] == "llama3.1:8b" and line["message"]["role"] == "assistant" for line in lines)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["done_reason"] in ("stop", "length") and lines[-1]["eval_count"] > 0


def test_the_request_in_full(router):
    reply = router.http.post("/v1/chat/completions", content=REQUEST, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200 and reply.json()["model"] == "llama3.1:8b"


def test_the_council(router):
    body = json.loads(run(COUNCIL, router))
    assert body["choices"][0]["message"]["content"].strip()


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/v1/models/llama3.1:8b", "/api/tags"])
def test_its_table_of_endpoints(router, path):
    reply = router.http.get(path)
    assert reply.status_code == 200 and isinstance(reply.json(), dict)


def test_metrics(router):
    reply = router.http.get("/metrics")
    assert reply.status_code == 200 and 'conclave_backend_up{backend="gpu-server"} 1' in reply.text


def test_a_models_details_name_its_backends(router):
    assert "local-ollama" in json.dumps(router.http.get("/v1/models/llama3.1:8b").json())


def test_health_tells_of_each_backend(router):
    assert {"local-ollama", "gpu-server"} <= set(router.http.get("/health").json()["backends"]["each"])


def test_ollamas_generate(router):
    body = router.http.post(
        "/api/generate", json={"model": "llama3.1:8b", "prompt": "Hi", "stream": False, "options": {"num_predict": 5}}
    ).json()
    assert body["done"] and isinstance(body["response"], str)


def test_the_admin_endpoints_ask_for_the_token(router):
    assert router.http.get("/admin/backends").status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert router.http.get("/admin/backends", headers=wrong).status_code == 401
    reply = router.http.get("/admin/backends", headers={"Authorization": f"Bearer {TOKEN}"})
    assert {backend["name"] for backend in reply.json()["data"]} >= {"local-ollama", "gpu-server"}


@pytest.mark.parametrize("stream", [False, True])
def test_the_header_tells_which_model_served(router, stream):
    """The chain of the file: a model that nobody serves, then one that is."""
    body = {"model": "llama3.1:70b", "messages": [{"role": "user", "content": "Hello!"}], "stream": stream}
    with httpx.stream("POST", f"{router.url}/v1/chat/completions", json=body, timeout=60) as reply:
        assert reply.status_code == 200 and reply.headers["x-fallback-model"] == "llama3.1:8b"
        reply.read()
    direct = router.http.post("/v1/chat/completions", json={**body, "model": "llama3.1:8b", "stream": False})
    assert "x-fallback-model" not in direct.headers
