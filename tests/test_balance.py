"""Several real llama-servers behind one key: some fail, and conversations go back to where their caches are."""

import json
import os
import random
import re
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import yaml

from harness.llama import SERVER, TINY, Llama
from harness.process import Process, eventually, free_port
from llama.make_gguf import Shape, make_gguf

pytestmark = pytest.mark.llama
HEADERS = {"Authorization": "Bearer API_KEY-1"}
CHECK = {"path": "/health", "interval": "500ms", "timeout": "500ms"}
# Enough to read for a moment, little enough to answer quickly.
LOADS_SLOWLY = Shape(layers=6, dim=384, ff=1024, heads=6, q8=True)
FLAGS = ["--parallel", 4, "--context", 16384]


def mapping(urls, **balancer):
    return yaml.safe_dump({
        "http": {
            "routers": {"farm": {"rule": "Key(`API_KEY-1`)", "service": "farm"}},
            "services": {"farm": {"loadBalancer": {"servers": [{"url": url} for url in urls], **balancer}}},
        }
    })


def chat(text, **more):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 16, **more}


class Farm:
    """Two servers that run and one that is started later, and therefore still loads."""

    def __init__(self, folder):
        self.folder = folder
        self.killed, self.hung = (Llama(folder, alias, TINY, *FLAGS) for alias in ("killed", "hung"))
        self.port = free_port()
        self.loading = None

    @property
    def urls(self):
        return [self.killed.url, self.hung.url, f"http://127.0.0.1:{self.port}"]

    def start_loading(self):
        model = self.folder / "loading.gguf"
        make_gguf(model, LOADS_SLOWLY)
        command = [sys.executable, SERVER, model, "--alias", "loading", "--port", self.port, *FLAGS]
        self.loading = Process(command, self.folder / "loading.log")
        self.loading.until(self.loading_answers)

    def loading_answers(self):
        try:
            return httpx.get(f"{self.urls[2]}/health").status_code
        except httpx.TransportError:
            return None

    def fail(self):
        os.kill(self.killed.process.child.pid, signal.SIGKILL)
        os.kill(self.hung.process.child.pid, signal.SIGSTOP)

    def stop(self):
        os.kill(self.hung.process.child.pid, signal.SIGCONT)
        for server in (self.killed, self.hung):
            server.stop()
        if self.loading:
            self.loading.stop()


@pytest.fixture
def farm(tmp_path):
    farm = Farm(tmp_path)
    yield farm
    farm.stop()


def ask(url, number, tokens):
    """One request's fate: `ok`, `cut` (it had begun, and ended with an error event and a cut), or what went wrong."""
    stream = number % 3 != 0
    body = chat(f"number {number}", stream=stream, max_tokens=tokens if stream else 16)
    text, begun = "", False
    try:
        with httpx.stream("POST", f"{url}/v1/chat/completions", headers=HEADERS, json=body, timeout=90) as reply:
            if reply.status_code != 200:
                return f"{reply.status_code}: {reply.read()[:200]!r}"
            begun = True
            for piece in reply.iter_text():
                text += piece
    except httpx.RemoteProtocolError:
        last = text.rstrip().rsplit("\n\n", 1)[-1]
        is_told = last.startswith("data: ") and "upstream_failed" in json.loads(last[6:])["error"]["code"]
        return "cut" if begun and stream and is_told else f"cut without a word after {text[-200:]!r}"
    except httpx.HTTPError as error:
        return f"{type(error).__name__} ({begun=})"
    if stream:
        return "ok" if text.rstrip().endswith("data: [DONE]") else f"a made-up end: {text[-200:]!r}"
    return "ok" if json.loads(text)["choices"] else f"no answer: {text[:200]!r}"


def survive(farm, edge, requests):
    done, lock = Counter(), threading.Lock()

    def one(number):
        # Long where it is to be hit in the middle.
        fate = ask(edge.url, number, 600 if 0 <= number - requests // 5 < 12 else 24)
        with lock:
            done[fate] += 1
            if sum(done.values()) == requests // 5:
                farm.start_loading()
                farm.fail()

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(one, range(requests)))
    assert set(done) <= {"ok", "cut"}, done
    assert done.total() == requests and done["ok"] >= requests - 16, done
    return done


@pytest.mark.parametrize("requests", [100, pytest.param(500, marks=pytest.mark.full)])
def test_one_killed_one_hung_one_loading(farm, start_edge, requests):
    (start_edge.mappings / "farm.yml").write_text(mapping(farm.urls, healthCheck=CHECK))
    edge = start_edge()
    done = survive(farm, edge, requests)
    assert done["cut"], "some had begun on the servers that failed"
    assert httpx.get(f"{edge.url}/v1/models", headers=HEADERS).json()["data"][0]["id"] == "loading"


def test_a_server_that_is_continued_is_taken_back(farm, start_edge):
    (start_edge.mappings / "farm.yml").write_text(mapping(farm.urls[1:2], healthCheck=CHECK))
    edge = start_edge("--server-header")
    first = httpx.get(f"{edge.url}/v1/models", headers=HEADERS)
    assert first.headers["x-conclave-server"] == f"{farm.urls[1].removeprefix('http://')}; attempts=1"
    os.kill(farm.hung.process.child.pid, signal.SIGSTOP)

    def status():
        try:
            return httpx.get(f"{edge.url}/v1/models", headers=HEADERS, timeout=20).status_code
        except httpx.TransportError as error:
            return type(error).__name__

    eventually(lambda: status() == 503, 20, "a refusal")
    os.kill(farm.hung.process.child.pid, signal.SIGCONT)
    eventually(lambda: status() == 200, 20, "the server's return")


def test_servers_are_checked_before_anybody_asks(tmp_path, start_edge):
    server = Llama(tmp_path, "one", TINY, *FLAGS)
    try:
        dead = f"http://127.0.0.1:{free_port()}"
        (start_edge.mappings / "farm.yml").write_text(mapping([server.url, dead], healthCheck=CHECK))
        edge = start_edge()

        def states():
            lines = edge.operator.get("/metrics").text.splitlines()
            found = (re.match(r'conclave_edge_server_state{server="(.*)",service="farm",state="(.*)"} 1', line)
                     for line in lines)
            return dict(line.groups() for line in found if line)

        eventually(lambda: states() == {server.url: "up", dead: "down"}, 20, "both states")
        assert edge.http.get("/v1/models", headers=HEADERS).status_code == 200
        picks = f'conclave_edge_server_picks_total{{server="{server.url}",service="farm"}} 1'
        eventually(lambda: picks in edge.operator.get("/metrics").text, what=picks)
        edge.remove("farm.yml")
        eventually(lambda: not states(), 20, "the end of the checks")
    finally:
        server.stop()


def prompt_tokens(edge, salt):
    """Prompt tokens that the servers evaluate for some conversations, their turns shuffled."""
    shuffled = random.Random(7)
    conversations = [[{"role": "system", "content": f"{salt} {number} " + "stone river " * 60}] for number in range(6)]
    turns = [number for number in range(6) for _ in range(10)]
    shuffled.shuffle(turns)
    evaluated = 0
    for turn, number in enumerate(turns):
        messages = conversations[number]
        messages.append({"role": "user", "content": f"{turn} " + "green window " * 20})
        body = {"messages": messages, "max_tokens": 16, "temperature": 0}
        answer = edge.http.post("/v1/chat/completions", headers=HEADERS, json=body).json()
        evaluated += answer["timings"]["prompt_n"]
        messages.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
    return evaluated


def test_conversations_return_to_their_caches(tmp_path, start_edge):
    servers = [Llama(tmp_path, alias, TINY, *FLAGS) for alias in ("one", "two")]
    try:
        urls = [server.url for server in servers]
        evaluated = {}
        edge = start_edge()
        for strategy in ("wrr", "prefix"):
            edge.put("farm.yml", mapping(urls, strategy=strategy))
            evaluated[strategy] = prompt_tokens(edge, strategy)
        print(evaluated)
        assert evaluated["prefix"] * 1.4 <= evaluated["wrr"], evaluated
    finally:
        for server in servers:
            server.stop()
