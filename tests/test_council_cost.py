"""What a council costs: what its backends say, and what the operator says that tokens cost."""

import json

import pytest
import yaml

from harness.conclave import Aggregator
from harness.origin import Answer, Origin
from harness.process import eventually

USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}


def answering(usage):
    def answer(request):
        if request.target.endswith("/models"):
            return Answer(body=json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode())
        return Answer(body=json.dumps({
            "id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
        }).encode())

    return answer


@pytest.mark.parametrize(
    ("told", "prices", "each"),
    [
        ({"cost": 0.00125}, {"input_price_per_million": 99}, 0.00125),
        ({}, {"input_price_per_million": 2, "output_price_per_million": 4}, 0.004),
        ({}, {"input_price_per_million": 99, "prices": {"m": {"output_price_per_million": 1}}}, 0.0005),
        ({}, {}, None),
    ],
)
def test_a_council_s_cost_is_summed(tmp_path, told, prices, each):
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    with Origin(answering({**USAGE, **told})) as origin:
        config = tmp_path / "config.yaml"
        backend = {"name": "b", "type": "openai", "url": origin.url, "models": ["m"], **prices}
        config.write_text(yaml.safe_dump({"backends": [backend]}))
        aggregator = Aggregator(mappings, tmp_path, "--config", config)
        try:
            eventually(lambda: "m" in [it["id"] for it in aggregator.http.get("/v1/models").json()["data"]])
            question = {"model": "council/diverse-analysis:m", "messages": [{"role": "user", "content": "Yes?"}]}
            answer = aggregator.http.post("/v1/chat/completions", json=question).json()
        finally:
            aggregator.stop()
    calls = 4
    assert answer["usage"]["completion_tokens"] == 500 * calls, answer
    assert answer["usage"].get("cost") == (pytest.approx(each * calls) if each else None)
    spoken = answer["council"]["rounds"][0]["answers"]
    assert [it["usage"].get("cost") for it in spoken] == [each and pytest.approx(each)] * 3
