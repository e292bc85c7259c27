"""Limits of keys, as clients meet them: the official SDKs wait as told, tokens are llama-server's own, budgets survive."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from harness.conclave import Edge
from harness.mapping import keyed
from harness.origin import Answer, Origin, chat_completion
from harness.process import eventually

HELLO = [{"role": "user", "content": "Say something about the sea."}]
JS = Path(__file__).parent / "js"


def limited(name, key, url, **middlewares):
    """A file with one key and its limits, a middleware each."""
    return yaml.safe_dump({
        "http": {
            "routers": {name: {
                "rule": f"Key(`{key}`)", "service": name, "middlewares": [f"{name}-{kind}" for kind in middlewares],
            }},
            "middlewares": {f"{name}-{kind}": {kind: settings} for kind, settings in middlewares.items()},
            "services": {name: {"loadBalancer": {"servers": [{"url": url}]}}},
        }
    })


def client(url, key, **options):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, **{"max_retries": 0, "timeout": 60, **options})


def ask(url, key="sk-limited", **body):
    return httpx.post(
        f"{url}/v1/chat/completions", headers={"Authorization": f"Bearer {key}"}, timeout=60,
        json={"model": "TinyLlama_Chat", "messages": HELLO, "max_tokens": 20, **body},
    )


def remaining(answer, what):
    return int(answer.headers[f"x-ratelimit-remaining-{what}"])


@pytest.fixture
def origin():
    with Origin(lambda request: Answer(body=chat_completion())) as origin:
        yield origin


def test_the_python_client_waits_as_told_and_succeeds(edge, origin):
    edge.put("a.yml", limited("a", "sk-limited", origin.url, rateLimit={"average": 1, "period": "2s", "burst": 1}))
    patient = client(edge.url, "sk-limited", max_retries=2)
    started = time.monotonic()
    for _ in range(3):
        assert patient.chat.completions.create(model="m", messages=HELLO).choices
    # Two waits of what is left of two seconds: not sooner than told, and not by the client's own, shorter guess.
    assert 3.5 < time.monotonic() - started < 15
    with pytest.raises(openai.RateLimitError) as refused:
        client(edge.url, "sk-limited").chat.completions.create(model="m", messages=HELLO)
    assert refused.value.code == "rate_limit_exceeded"
    assert 0 < int(refused.value.response.headers["retry-after-ms"]) <= 2000


def test_the_javascript_client_waits_as_told_and_succeeds(edge, origin):
    node = shutil.which("node")
    assert node, "no node on PATH: run scripts/test, which brings it"
    edge.put("a.yml", limited("a", "sk-limited", origin.url, rateLimit={"average": 1, "period": "2s", "burst": 1}))
    script = """
        import OpenAI from "openai";
        const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "sk-limited", maxRetries: 2 });
        const started = Date.now();
        for (let i = 0; i < 3; i++) await client.chat.completions.create({ model: "m", messages: [] });
        console.log(JSON.stringify({ ms: Date.now() - started }));
    """
    result = subprocess.run(
        [node, "--input-type=module", "-e", script], cwd=JS, text=True, capture_output=True, timeout=60,
        env={**os.environ, "BASE_URL": f"{edge.url}/v1"},
    )
    assert result.returncode == 0, result.stderr
    assert 3500 < json.loads(result.stdout)["ms"] < 15000


def test_a_used_up_budget_is_not_retried(edge, origin):
    edge.put("a.yml", limited("a", "sk-limited", origin.url, tokenLimit={"amount": 1, "period": "8760h"}))
    patient = client(edge.url, "sk-limited", max_retries=5)
    assert patient.chat.completions.create(model="m", messages=HELLO).choices
    started = time.monotonic()
    with pytest.raises(openai.RateLimitError) as refused:
        patient.chat.completions.create(model="m", messages=HELLO)
    assert refused.value.code == "insufficient_quota"
    assert int(refused.value.response.headers["retry-after"]) <= 60
    assert time.monotonic() - started < 5, "half a year is not worth waiting for"
    assert len(origin.requests) == 1


@pytest.mark.llama
@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_llama_server_s_own(start_edge, llamas, stream):
    edge = start_edge()
    edge.put("a.yml", limited("a", "sk-limited", llamas.tiny.url, tokenLimit={"amount": 100000, "period": "8760h"}))
    told = 0
    for tokens in (5, 20, 33):
        answer = ask(edge.url, max_tokens=tokens, stream=stream)
        assert remaining(answer, "tokens") == 100000 - told
        if stream:
            chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
            assert all(chunk["choices"] for chunk in chunks), "usage was not asked for"
            # What llama-server's own counter says of the same prompt without a stream.
            usage = ask(llamas.tiny.url, max_tokens=tokens).json()["usage"]
        else:
            usage = answer.json()["usage"]
        assert usage["completion_tokens"] == tokens
        told += usage["prompt_tokens"] + tokens
    assert remaining(ask(edge.url), "tokens") == 100000 - told
    metrics = edge.operator.get("/metrics").text
    assert 'conclave_edge_tokens_total{direction="output",router="a"}' in metrics


@pytest.mark.llama
def test_a_killed_edge_remembers(start_edge, llamas, tmp_path):
    state = tmp_path / "state"
    edge = start_edge("--state", str(state))
    edge.put("a.yml", limited("a", "sk-limited", llamas.tiny.url, tokenLimit={"amount": 100000, "period": "8760h"}))
    usage = [ask(edge.url).json()["usage"]["total_tokens"] for _ in range(3)]
    # Less than a second of traffic may be lost: what is older is not.
    time.sleep(1)
    os.kill(edge.process.child.pid, signal.SIGKILL)
    edge.process.child.wait()
    again = start_edge("--state", str(state))
    assert remaining(ask(again.url), "tokens") == 100000 - sum(usage)
    assert (state.stat().st_mode & 0o777, (state / "limits.log").stat().st_mode & 0o777) == (0o700, 0o600)


def test_two_edges_do_not_share_a_state_folder(start_edge, tmp_path):
    from harness.conclave import binary

    state = str(tmp_path / "state")
    start_edge("--state", state)
    second = subprocess.run(
        [binary(), "edge", "--listen", "127.0.0.1:0", "--admin", "none", "--aggregator", "none",
         "--mappings", start_edge.mappings, "--state", state],
        text=True, capture_output=True, timeout=30,
    )
    assert second.returncode != 0
    assert "held by another edge" in second.stderr and "--state" in second.stderr


def test_the_metrics_tell_how_requests_went(edge, origin):
    edge.put("a.yml", limited("a", "sk-limited", origin.url, rateLimit={"average": 1, "period": "1h", "burst": 2}))
    assert [ask(edge.url).status_code for _ in range(3)] == [200, 200, 429]
    wanted = [
        'conclave_edge_request_duration_seconds_count{router="a"} 2',
        'conclave_edge_time_to_first_byte_seconds_count{router="a"} 2',
        'conclave_edge_requests_in_flight{router="a"} 0',
        'conclave_edge_refusals_total{reason="rate_limit_exceeded"} 1',
        'conclave_edge_added_latency_seconds_bucket{le="0.00005"}',
    ]
    deadline = time.monotonic() + 5
    while missing := [line for line in wanted if line not in edge.operator.get("/metrics").text]:
        assert time.monotonic() < deadline, missing
        time.sleep(0.02)


@pytest.mark.llama
def test_tokens_are_counted_for_the_metrics_where_that_is_asked_for(start_edge, llamas):
    plain, counting = start_edge(), start_edge("--count-tokens")
    name = "a.yml"
    plain.put(name, keyed("a", "sk-limited", llamas.tiny.url))
    eventually(lambda: counting.health()["mappings"]["keys"] == 1, what="the same folder's key")
    told = {"input": 0, "output": 0}
    for stream in (False, True):
        assert ask(plain.url, stream=stream).status_code == 200
        answer = ask(counting.url, stream=stream)
        assert not any(header.startswith("x-ratelimit") for header in answer.headers)
        usage = ask(llamas.tiny.url).json()["usage"]
        told["input"] += usage["prompt_tokens"]
        told["output"] += usage["completion_tokens"]
    lines = [f'conclave_edge_tokens_total{{direction="{way}",router="a"}} {count}' for way, count in told.items()]
    eventually(lambda: all(line in counting.operator.get("/metrics").text for line in lines), what=f"{lines}")
    assert "conclave_edge_tokens_total" not in plain.operator.get("/metrics").text
