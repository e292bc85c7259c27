"""/openapi.json is what the aggregator answers: held against it request by request, and by schemathesis."""

import json
import os
import subprocess
from pathlib import Path

import httpx
import jsonschema
import pytest

from harness.conclave import Aggregator, binary
from harness.process import Process

ROOT = Path(__file__).resolve().parents[1]
SCHEMATHESIS = ROOT / ".tools" / "peers" / "schemathesis" / "bin" / "schemathesis"
TOKEN = "an-admin-token-of-tests"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """An aggregator with a store, in front of a simulated llama-server."""
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "mappings").mkdir()
    sim = Process([binary("conclave-sim", "CONCLAVE_SIM_BIN"), "--listen", "127.0.0.1:0", "--alias", "tiny"], folder / "sim.log")
    url = sim.until(lambda: next((word for word in sim.output.split() if word.startswith("http://")), None))
    (folder / "config.yaml").write_text(f"""
backends:
  - {{ name: sim, type: openai, url: "{url}" }}
routing: {{ heartbeat_interval: 1 }}
""")
    aggregator = Aggregator(folder / "mappings", folder, "--config", folder / "config.yaml", "--db-path",
                            folder / "responses.db", environment={"ADMIN_TOKEN": TOKEN})
    yield aggregator
    aggregator.stop()
    sim.stop()


@pytest.fixture(scope="module")
def document(service):
    return httpx.get(f"{service.url}/openapi.json").raise_for_status().json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(document, value):
    while "$ref" in value:
        found = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def test_it_is_openapi_of_this_version(document):
    assert document["openapi"].startswith("3.1.")
    version = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    assert document["info"]["version"] in version
    assert len(list(operations(document))) > 35


def test_every_operation_answers_as_described(service, document):
    """A bare request to each: whatever it is answered, the status, its type and its shape are in the document."""
    for path, method, operation in operations(document):
        target = path.replace("{id}", "council%2Fdebate").replace("{digest}", "sha256:0")
        body = {} if "requestBody" in operation else None
        answer = httpx.request(method, service.url + target, json=body, headers=ADMIN, timeout=30)
        where = f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        assert str(answer.status_code) in operation["responses"], where
        assert answer.status_code < 500, where
        if method == "head" or not answer.content:
            continue
        content = resolved(document, operation["responses"][str(answer.status_code)]).get("content", {})
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in content, where
        if kind == "application/json":
            schema = {**content[kind]["schema"], "components": document["components"]}
            jsonschema.validate(answer.json(), schema, cls=jsonschema.Draft202012Validator)


def test_admin_operations_say_that_they_ask_for_a_token(service, document):
    asked = 0
    for path, method, operation in operations(document):
        if operation.get("security") == [{"admin": []}] and path.startswith("/admin/"):
            answer = httpx.request(method, service.url + path.replace("{id}", "x"), timeout=30)
            assert answer.status_code == 401, f"{method} {path}"
            asked += 1
        else:
            assert not path.startswith("/admin/"), f"{method} {path} does not say so"
    assert asked > 6


@pytest.mark.full
@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed: scripts/setup --full")
@pytest.mark.parametrize("models", [None, ["tiny", "sim/tiny", "council/debate", "nobodys"]], ids=["any model", "models that are there"])
def test_schemathesis_finds_no_fault(service, document, tmp_path, models):
    """Nothing that the document allows or forbids is answered by a 5xx of ours, or in a way it does not describe. What is not
    checked, and why, is in schemathesis.toml."""
    # Which models there are is in no schema: said here, so that requests get as far as a backend and the council.
    schemas = document["components"]["schemas"] | ({"ModelName": {"enum": models}} if models else {})
    # It finds out that a backend can be drained, and what it is called.
    httpx.post(f"{service.url}/admin/backends/sim/undrain", headers=ADMIN).raise_for_status()
    told = tmp_path / "openapi.json"
    told.write_text(json.dumps({**document, "components": {**document["components"], "schemas": schemas}}))
    command = [
        SCHEMATHESIS, "--config-file", ROOT / "tests" / "schemathesis.toml", "run", told, "--url", service.url, "--header",
        f"Authorization: Bearer {TOKEN}", "--max-examples", "20", "--seed", "1", "--request-timeout", "60",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=1500, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"})
    assert ran.returncode == 0, ran.stdout[-8000:]
