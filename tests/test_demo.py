"""`conclave demo` prints curl lines, and each does what the line above it says."""

import json
import re
import shlex

import httpx
import pytest

from harness.conclave import answers, binary
from harness.process import Process, free_port, start_on_free_ports


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    logs = tmp_path_factory.mktemp("demo")

    def start():
        url = f"127.0.0.1:{free_port()}"
        process = Process([binary(), "demo", "--listen", url], logs / "demo.log")
        with httpx.Client(base_url=f"http://{url}") as client:
            process.until(lambda: answers(client, "/v1/models") and "Ctrl-C" in process.output)
        return process

    process = start_on_free_ports(start)
    yield process
    process.stop()


def run(line):
    """Sends what a curl line would send: this machine may have no curl."""
    words = iter(shlex.split(line.replace("\\\n", " "))[1:])
    url, headers, body = None, {}, None
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        elif word.startswith("http"):
            url = word
        else:
            assert word == "-N", f"{word} is new to this test"
    return httpx.request("POST" if body else "GET", url, headers=headers, content=body, timeout=30)


def test_every_line_works(demo):
    lines = re.findall(r"^curl (?:.*\\\n)*.*$", demo.output, re.MULTILINE)
    chats = [line for line in lines if "chat/completions" in line]
    for key, model in (("API_KEY-1", "TinyLlama_Chat"), ("API_KEY-2", "mistral-tiny")):
        (line,) = [line for line in chats if key in line]
        reply = run(line)
        assert reply.status_code == 200
        events = [event[6:] for event in reply.text.split("\n\n") if event.startswith("data: ")]
        assert events[-1] == "[DONE]"
        assert {json.loads(event)["model"] for event in events[:-1]} == {model}

    models = [run(line).json()["data"] for line in lines if "/v1/models" in line]
    everyone, one = ["TinyLlama_Chat", "mistral-tiny"], ["TinyLlama_Chat"]
    assert [[model["id"] for model in data] for data in models] == [everyone, one]
    (stats,) = [run(line).json() for line in lines if "/stats" in line]
    assert stats["memory"]["total"] > 0
    assert len(lines) == 5
