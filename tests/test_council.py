"""Councils on real llama-servers: the official clients, one cache for all members, and clients that leave."""

import json
import re
import socket
import time
from types import SimpleNamespace

import httpx
import ollama
import openai
import pytest
import yaml

from harness.conclave import ROOT, Aggregator
from harness.llama import HEAVY, Llama
from harness.process import eventually
from llama.make_gguf import Shape

pytestmark = pytest.mark.llama
MODEL = "llama3.1:8b"
TEMPLATES = ["code-review", "debate", "diverse-analysis", "peer-review", "self-consistency"]
QUESTION = [{"role": "user", "content": "Should we take the short way over the bridge?"}]
SLOT_FREE_SECONDS = 0.1
PIECES = 30
# Members that say little, so that many councils can sit.
BRIEF = """\
members:
  - {name: one, persona: You speak for the sea., max_tokens: 60}
  - {name: two, persona: You speak for the land., max_tokens: 60}
synthesizer: {max_tokens: 60}
"""


def start(folder, llamas, *lines):
    (folder / "council_templates").mkdir(exist_ok=True)
    backends = "".join(f"- {{name: b{n}, type: openai, url: '{llama.url}'}}\n" for n, llama in enumerate(llamas))
    config = folder / "config.yaml"
    text = f"backends:\n{backends}council: {{templates_dir: '{folder}/council_templates'}}\n" + "".join(lines)
    config.write_text(text)
    mappings = folder / "mappings"
    mappings.mkdir(exist_ok=True)
    aggregator = Aggregator(mappings, folder, "--config", config, environment={"ADMIN_TOKEN": "of-this-test"})
    eventually(lambda: any(not model["id"].startswith("council/") for model in models(aggregator)), what="the model")
    return aggregator


def models(aggregator):
    return aggregator.http.get("/v1/models").json()["data"]


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """One model on two servers, whose answers end at their bound."""
    folder = tmp_path_factory.mktemp("council")
    (folder / "council_templates").mkdir()
    (folder / "council_templates" / "brief.yaml").write_text(BRIEF)
    llamas = [Llama(tmp_path_factory.mktemp(f"llama{n}"), MODEL, Shape(context=16384), "--context", 32768)
              for n in range(2)]
    aggregator = start(folder, llamas)
    yield SimpleNamespace(url=aggregator.url, http=aggregator.http, llamas=llamas, aggregator=aggregator)
    aggregator.stop()
    for llama in llamas:
        llama.stop()


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """One slow server, whose answers end at their bound."""
    folder = tmp_path_factory.mktemp("slow")
    # A slot for each member: one that waits for a slot would begin just as its client leaves.
    llama = Llama(folder, "heavy", HEAVY, "--parallel", 4, "--context", 16384)
    aggregator = start(folder, [llama])
    yield SimpleNamespace(url=aggregator.url, port=aggregator.port, llama=llama)
    aggregator.stop()
    llama.stop()


def test_every_template_is_a_model(hall):
    names = {f"council/{name}" for name in [*TEMPLATES, "brief"]}
    eventually(lambda: {model["id"] for model in models(hall.aggregator)} == names | {MODEL}, what="the councils")
    assert {model["name"] for model in hall.http.get("/api/tags").json()["models"]} == names | {MODEL}
    assert hall.http.get("/v1/models/council/debate").json()["id"] == "council/debate"
    assert hall.http.post("/api/show", json={"model": "council/debate"}).json()["capabilities"] == ["completion"]
    admin = hall.http.get("/admin/council/templates", headers={"Authorization": "Bearer of-this-test"}).json()
    assert [template["name"] for template in admin["data"]] == sorted([*TEMPLATES, "brief"])


@pytest.mark.parametrize("template", TEMPLATES)
def test_openais_client(hall, template):
    client = openai.OpenAI(base_url=f"{hall.url}/v1", api_key="unused", max_retries=0, timeout=300)
    model = f"council/{template}:{MODEL}"
    whole = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=60)
    assert whole.choices[0].message.content.strip() and whole.usage.total_tokens > 0
    council = whole.model_extra["council"]
    assert council["template"] == template and council["synthesis"]["status"] == "synthesized", council["missing"]
    text, thinking, last = "", "", None
    stream = client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=60, stream=True, stream_options={"include_usage": True},
    )
    for last in stream:
        for choice in last.choices:
            text += choice.delta.content or ""
            thinking += (choice.delta.model_extra or {}).get("reasoning_content") or ""
    assert text.strip() and last.usage.total_tokens > 0
    for member in council["members"]:
        assert f"{member['name']} ({MODEL})" in thinking


@pytest.mark.parametrize("template", TEMPLATES)
def test_ollamas_client(hall, template):
    client = ollama.Client(host=hall.url, timeout=300)
    model, options = f"council/{template}:{MODEL}", {"num_predict": 60}
    whole = client.chat(model=model, messages=QUESTION, options=options)
    assert whole.done and whole.message.content.strip() and whole.eval_count > 0
    lines = list(client.chat(model=model, messages=QUESTION, options=options, stream=True))
    assert lines[-1].done and "".join(line.message.content or "" for line in lines).strip()
    assert "Council " + template in "".join(line.message.thinking or "" for line in lines)


def test_structure_in_a_stream(hall):
    body = {"model": "council/brief", "messages": QUESTION, "stream": True, "stream_options": {"include_council": True}}
    stages = []
    with httpx.stream("POST", f"{hall.url}/v1/chat/completions", json=body, timeout=120) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                stages.append(json.loads(line[6:]).get("council", {}).get("stage"))
    stages = [stage for stage in stages if stage]
    assert stages == ["opened", "round", "member", "member", "synthesis", "synthesis", "closed"]


def read_and_cached(answer):
    usage = answer["usage"]
    return usage["prompt_tokens"], usage.get("cached_tokens", 0)


def evaluated(llamas):
    """Prompt tokens that the servers have worked through, by their own count."""
    return sum(int(float(re.search(r"^llamacpp:prompt_tokens_total (\S+)", llama.http.get("/metrics").text, re.M)[1]))
               for llama in llamas)


def test_five_members_read_the_prompt_once(hall):
    """Against five times where the personas stand in front."""
    words = "the sea and the land the bridge and the river the moon over the long road home".split()
    question = " ".join(words[(n * n + n // 7) % len(words)] for n in range(5000))

    before = evaluated(hall.llamas)
    alone = hall.http.post("/v1/chat/completions", json={
        "model": MODEL, "messages": [{"role": "user", "content": question}], "max_tokens": 8}, timeout=120)
    single = evaluated(hall.llamas) - before
    assert alone.status_code == 200 and single > 4000

    # Another question, of the same length: nobody has read it.
    question = " ".join(reversed(question.split()))
    names = ["sea", "land", "moon", "river", "road"]
    members = [{"name": name, "persona": f"You speak for the {name}.", "max_tokens": 8} for name in names]
    before = evaluated(hall.llamas)
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "max_tokens": 8, "members": members}
    council = hall.http.post("/v1/council/chat", json=body, timeout=300).json()["council"]
    total = evaluated(hall.llamas) - before
    answers = council["rounds"][0]["answers"]
    assert council["synthesis"]["status"] == "synthesized", council["missing"]
    assert len(answers) == 5 and len({answer["backend"] for answer in answers}) == 1
    by_members = sum(read - cached for read, cached in map(read_and_cached, answers))
    print(f"alone {single}, five members {by_members}, with the synthesizer {total}")
    assert by_members <= 1.3 * single and total <= 1.3 * single

    before = evaluated(hall.llamas)
    for name in names:
        messages = [{"role": "system", "content": f"You speak for the {name}."}, {"role": "user", "content": question}]
        hall.http.post("/v1/chat/completions", json={"model": MODEL, "messages": messages, "max_tokens": 8}, timeout=120)
    assert evaluated(hall.llamas) - before > 3 * single


@pytest.mark.parametrize("phase, template, reached", [
    ("the round", "diverse-analysis", "### critical-thinker|### creative-explorer|### practical-engineer"),
    ("the second round", "debate", "### Round 2"),
    ("the review", "peer-review", "### Review"),
    ("the synthesis", "debate", None),
])
def test_leaving_frees_every_slot(slow, phase, template, reached):
    busy = slow.llama.busy_slots
    eventually(lambda: busy() == 0, 30, "an idle server")
    tokens = 3000 if phase == "the round" else 100
    names = [member["name"] for member in built_in(template)["members"]]
    members = [{"name": name, "persona": "You speak for the sea.", "max_tokens": tokens} for name in names]
    body = {"template": template, "members": members, "messages": QUESTION, "stream": True, "max_tokens": 3000}
    thinking, times = "", []
    with httpx.stream("POST", f"{slow.url}/v1/council/chat", json=body, timeout=300) as reply:
        for line in reply.iter_lines():
            if not line.startswith("data: {"):
                continue
            delta = next(iter(json.loads(line[6:])["choices"]), {}).get("delta", {})
            thinking += delta.get("reasoning_content") or ""
            if re.search(reached, thinking) if reached else delta.get("content"):
                times.append(time.monotonic())
            # By then no slot is in its prompt, of which the server finishes a batch before it looks up.
            if len(times) == PIECES:
                break
        assert busy() > 0, f"nobody works in {phase}"
    left = time.monotonic()
    eventually(lambda: busy() == 0, 10, "free slots")
    # A server looks up between two tokens.
    token_seconds = (times[-1] - times[-5]) / 4
    assert time.monotonic() - left < SLOT_FREE_SECONDS + 2 * token_seconds


def built_in(name):
    return yaml.safe_load((ROOT / "aggregator" / "src" / "council" / "templates" / f"{name}.yaml").read_text())


def test_leaving_a_request_that_is_no_stream(slow):
    busy = slow.llama.busy_slots
    eventually(lambda: busy() == 0, 30, "an idle server")
    body = json.dumps({"model": "council/diverse-analysis", "messages": QUESTION}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", slow.port)) as connection:
        connection.sendall(head.encode() + body)
        eventually(lambda: sum(tokens >= PIECES for tokens in written(slow.llama)) == 3, 60, "three members that speak")
        began, before = time.monotonic(), written(slow.llama)
        eventually(lambda: max(written(slow.llama)) > max(before), 10, "a token")
        token_seconds = time.monotonic() - began
    left = time.monotonic()
    eventually(lambda: busy() == 0, 10, "free slots")
    assert time.monotonic() - left < SLOT_FREE_SECONDS + 2 * token_seconds


def written(llama):
    """Tokens that each busy slot has written so far."""
    return [int(count) for count in re.findall(r'"n_decoded": ?(\d+)', llama.http.get("/slots").text)]
