"""The response store as operators meet it: the admin API and `conclave responses`, over the real binary."""

import json
import os
import stat
import subprocess
from types import SimpleNamespace

import httpx
import pytest

from harness.conclave import Aggregator, binary

TOKEN = "admin-token-of-the-tests"
MIDNIGHT_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
COUNT = 130


def exchange(number):
    """The exchange of a number, a minute after the one before it."""
    return {
        "id": str_id(number),
        "started_at_us": MIDNIGHT_US + number * 60_000_000,
        "key": ["alice", "bob"][number % 2],
        "model": ["tiny", "org/large model"][number % 2],
        "backend": f"gpu-{number % 3}",
        "status": ["complete", "complete", "client_gone", "upstream_failed", "interrupted"][number % 5],
        "input_tokens": number,
        "output_tokens": 10,
        "duration_us": number * 1000,
        "prompt": f"question {number}",
        "text": f"answer {number}",
        "request": json.dumps({"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]}),
        "response": f"data: answer {number}\n\ndata: [DONE]\n\n",
    }


def str_id(number):
    return f"01900000-0000-7000-8000-{number:012x}"


def numbers(items):
    return [int(item["id"][-12:], 16) for item in items]


def seed(path, exchanges):
    """Fills a store through its own writer."""
    path.parent.mkdir(exist_ok=True)
    subprocess.run(
        [binary().parent / "examples" / "store_seed", path], input="\n".join(map(json.dumps, exchanges)), text=True,
        check=True, timeout=60, capture_output=True,
    )


@pytest.fixture
def start(tmp_path):
    """Starts aggregators on a store of so many exchanges."""
    started = []

    def start(*flags, exchanges=(), environment=None):
        database, mappings = tmp_path / "store" / "responses.db", tmp_path / "mappings"
        mappings.mkdir(exist_ok=True)
        if exchanges:
            seed(database, exchanges)
        environment = {"ADMIN_TOKEN": TOKEN} if environment is None else environment
        started.append(Aggregator(mappings, tmp_path, "--db-path", database, *flags, environment=environment))
        return service(started[-1], database)

    yield start
    for aggregator in started:
        aggregator.stop()


def service(aggregator, database):
    client = httpx.Client(base_url=aggregator.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)

    def cli(*arguments, token=TOKEN, code=0, url=aggregator.url):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONCLAVE_")}
        result = subprocess.run(
            [binary(), "responses", "--url", url, *arguments], env={**environment, "ADMIN_TOKEN": token},
            text=True, capture_output=True, timeout=60,
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result

    return SimpleNamespace(http=client, cli=cli, aggregator=aggregator, database=database)


@pytest.fixture
def store(start):
    return start(exchanges=[exchange(number) for number in range(COUNT)])


def pages(store, **filters):
    found, cursor = [], None
    while True:
        reply = store.http.get("/admin/responses", params={**filters, **({"cursor": cursor} if cursor else {})})
        assert reply.status_code == 200, reply.text
        page = reply.json()
        assert page["object"] == "list"
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return numbers(found)


FILTERS = [
    ({}, lambda n: True),
    ({"key": "alice"}, lambda n: n % 2 == 0),
    ({"model": "org/large model"}, lambda n: n % 2 == 1),
    ({"backend": "gpu-2", "status": "complete"}, lambda n: n % 3 == 2 and n % 5 < 2),
    ({"status": "interrupted"}, lambda n: n % 5 == 4),
    ({"from": "2026-11-22T01:00:00Z", "to": "2026-11-22T03:00:00+01:00"}, lambda n: 60 <= n < 120),
    ({"to": "2026-11-22"}, lambda n: True),
    ({"to": "2026-11-21"}, lambda n: False),
    ({"min_tokens": 20, "max_tokens": 30}, lambda n: 10 <= n <= 20),
    ({"min_duration_ms": 100, "max_duration_ms": 110.5}, lambda n: 100 <= n <= 110),
    ({"text": "answer 17"}, lambda n: n == 17),
    ({"text": '"question 4"', "key": "alice"}, lambda n: n == 4),
    ({"key": "' OR 1=1 --"}, lambda n: False),
    ({"text": "answer\" OR *"}, lambda n: False),
]


def test_lists_filter_and_page(store):
    for filters, lets_through in FILTERS:
        expected = [number for number in reversed(range(COUNT)) if lets_through(number)]
        for limit in (7, 1000):
            assert pages(store, limit=limit, **filters) == expected, filters
    assert len(store.http.get("/admin/responses").json()["data"]) == 50, "the default"


def test_one_exchange_is_shown_whole(store):
    shown = store.http.get(f"/admin/responses/{str_id(6)}").json()
    sent = exchange(6)
    assert shown["request"] == json.loads(sent["request"])
    assert shown["response"] == sent["response"]
    assert (shown["text"], shown["thinking"], shown["tool_calls"]) == (sent["text"], None, None)
    assert (shown["started_at"], shown["duration_ms"]) == ("2026-11-22T00:06:00.000000Z", 6.0)
    assert (shown["key"], shown["total_tokens"], shown["cached_tokens"]) == ("alice", 16, None)
    for missing in (str_id(COUNT), "no-id", "..%2f..%2fetc%2fpasswd"):
        reply = store.http.get(f"/admin/responses/{missing}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "response_not_found")


def test_sums(store):
    stats = store.http.get("/admin/responses/stats").json()
    assert stats["responses"] == COUNT
    assert sum(stats["by_status"].values()) == COUNT
    assert stats["oldest_at"] == "2026-11-22T00:00:00.000000Z"
    assert stats["database"]["bytes"] > 0 and stats["full_text_search"] is True
    by_key = store.http.get("/admin/usage", params={"by": "key"}).json()
    assert [entry["key"] for entry in by_key["data"]] == ["alice", "bob"]
    assert by_key["data"][1]["input_tokens"] == sum(range(1, COUNT, 2))
    (day,) = store.http.get("/admin/usage", params={"by": "day", "from": "2026-11-22", "to": "2026-11-22"}).json()["data"]
    assert (day["day"], day["requests"]) == ("2026-11-22", COUNT)
    assert store.http.get("/admin/usage", params={"by": "day", "from": "2026-11-23"}).json()["data"] == []
    models = store.http.get("/admin/usage", params={"by": "model", "limit": 1}).json()
    assert models["next_cursor"] == models["data"][0]["model"] == "org/large model"
    rest = store.http.get("/admin/usage", params={"by": "model", "cursor": models["next_cursor"]}).json()
    assert [entry["model"] for entry in rest["data"]] == ["tiny"] and rest["next_cursor"] is None


def test_what_is_not_understood_is_refused_and_deletes_nothing(store):
    for method, path, code in [
        ("GET", "/admin/responses?keys=alice", "invalid_query"),
        ("GET", "/admin/responses?status=done", "invalid_query"),
        ("GET", "/admin/responses?key=a&key=b", "invalid_query"),
        ("GET", "/admin/responses?cursor=zz", "invalid_query"),
        ("GET", "/admin/responses?from=yesterday", "invalid_query"),
        ("GET", "/admin/responses/export?format=xml", "invalid_query"),
        ("GET", "/admin/usage?by=client", "invalid_query"),
        ("DELETE", "/admin/responses", "filter_required"),
        ("DELETE", "/admin/responses?kee=alice", "invalid_query"),
        ("DELETE", "/admin/responses?key=alice&before=2026-11-22", "invalid_query"),
        ("DELETE", "/admin/responses?key=", "invalid_query"),
        ("DELETE", "/admin/responses?key=alice&limit=1", "invalid_query"),
    ]:
        reply = store.http.request(method, path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, code), path
    assert len(pages(store, limit=1000)) == COUNT


def test_deleting(store):
    assert store.http.delete(f"/admin/responses/{str_id(0)}").json()["deleted"] is True
    assert store.http.delete(f"/admin/responses/{str_id(0)}").status_code == 404
    assert store.http.delete("/admin/responses", params={"key": "bob"}).json()["deleted"] == COUNT // 2
    assert pages(store, limit=1000) == [n for n in reversed(range(COUNT)) if n % 2 == 0 and n]
    assert pages(store, text='"answer 7"') == []
    usage = store.http.get("/admin/usage").json()["data"]
    assert [entry["requests"] for entry in usage] == [COUNT // 2, COUNT // 2], "what was used stays counted"
    assert store.http.get("/admin/responses/stats").json()["responses"] == COUNT // 2 - 1


def test_exports(store):
    with store.http.stream("GET", "/admin/responses/export", params={"key": "bob"}) as reply:
        assert reply.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in reply.iter_lines()]
    assert numbers(lines) == [n for n in reversed(range(COUNT)) if n % 2]
    assert all(line["text"] == f"answer {number}" for line, number in zip(lines, numbers(lines)))
    chat = store.http.get("/admin/responses/export", params={"format": "chat", "to": "2026-11-22T00:03:00Z"})
    # Number 2 was cut by its client: what is complete is exported.
    assert [json.loads(line) for line in chat.text.splitlines()] == [
        {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]}
        for n in (1, 0)
    ]


def test_chat_exports_speak_openais_words(start):
    exchanges = [
        {**exchange(1), "endpoint": "/v1/messages", "request": json.dumps({
            "model": "m", "max_tokens": 9, "system": "Be brief.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        })},
        {**exchange(2), "status": "complete", "endpoint": "/api/chat", "thinking": "hm", "request": json.dumps({
            "model": "m", "messages": [{"role": "user", "content": "hi"}],
        })},
        {**exchange(3), "status": "complete", "endpoint": "/v1/embeddings", "text": None},
        {**exchange(4), "status": "complete", "request": "{\"cut"},
        {**exchange(5), "text": None, "tool_calls": json.dumps([
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ])},
    ]
    store = start(exchanges=exchanges)
    chat = store.http.get("/admin/responses/export", params={"format": "chat"})
    called, ollama, anthropic = [json.loads(line)["messages"] for line in chat.text.splitlines()]
    assert [message["role"] for message in anthropic] == ["system", "user", "assistant"]
    assert anthropic[0]["content"] == "Be brief."
    assert ollama[-1] == {"role": "assistant", "content": "answer 2", "reasoning_content": "hm"}
    assert called[-1]["tool_calls"][0]["function"]["name"] == "f" and called[-1]["content"] is None


def test_only_the_token_opens_it(start):
    store = start(exchanges=[exchange(0)])
    for method, path in [
        ("GET", "/admin/responses"), ("GET", "/admin/responses/stats"), ("GET", f"/admin/responses/{str_id(0)}"),
        ("GET", "/admin/responses/export"), ("GET", "/admin/usage"), ("DELETE", "/admin/responses?key=alice"),
        ("DELETE", f"/admin/responses/{str_id(0)}"),
    ]:
        for token in ("", "Bearer wrong", f"Basic {TOKEN}"):
            reply = httpx.request(method, store.aggregator.url + path, headers={"Authorization": token})
            assert reply.status_code == 401, (path, token)
    store.aggregator.stop()
    closed = start(environment={})
    assert closed.http.get("/admin/responses").status_code == 403


def test_without_a_store_it_says_so(tmp_path):
    aggregator = Aggregator(tmp_path, tmp_path, environment={"ADMIN_TOKEN": TOKEN})
    try:
        store = service(aggregator, None)
        for path in ("/admin/responses", "/admin/responses/stats", "/admin/usage"):
            reply = store.http.get(path)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "storage_disabled")
        assert "not kept here" in store.cli("list", code=1).stderr
        assert not (tmp_path / "data").exists()
    finally:
        aggregator.stop()


def test_a_configuration_says_where_and_how(start, tmp_path):
    key = tmp_path / "key"
    key.write_text("0123456789abcdef" * 4)
    config = tmp_path / "config.yaml"
    config.write_text(f"response_storage:\n  encryption_key_file: {key}\n  retention: {{days: 30, max_mib: 100}}\n")
    aggregator = Aggregator(tmp_path, tmp_path, "--config", config, environment={"ADMIN_TOKEN": TOKEN})
    try:
        stats = service(aggregator, None).http.get("/admin/responses/stats").json()
        assert (stats["encrypted"], stats["full_text_search"]) == (True, False)
        assert stats["retention"] == {"days": 30, "max_mib": 100}
        reply = service(aggregator, None).http.get("/admin/responses?text=x")
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "full_text_search_disabled")
    finally:
        aggregator.stop()
    folder = tmp_path / "data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*")} == {(False, 0o600), (True, 0o700)}
    # Without its key it does not start, and says why.
    refused = subprocess.run(
        [binary(), "aggregator", "--mappings", tmp_path, "--port", "0", "--db-path", folder / "responses.db"],
        text=True, capture_output=True, timeout=30, cwd=tmp_path,
    )
    assert refused.returncode == 1 and "no key is given" in refused.stderr and "fix:" in refused.stderr


def test_the_command_line_does_the_same(store, tmp_path):
    listed = store.cli("list", "--key", "alice", "--limit", "3").stdout
    assert [line.split()[-1] for line in listed.splitlines()[1:4]] == [str_id(n) for n in (128, 126, 124)]
    assert listed.splitlines()[0].split()[:3] == ["STARTED", "KEY", "MODEL"] and "more" in listed
    as_json = json.loads(store.cli("list", "--json", "--limit", "120", "--status", "complete").stdout)
    assert numbers(as_json["data"]) == [n for n in reversed(range(COUNT)) if n % 5 < 2]
    shown = store.cli("show", str_id(6)).stdout
    assert "question 6" in shown and "answer 6" in shown
    assert json.loads(store.cli("show", str_id(6), "--json").stdout)["text"] == "answer 6"
    assert f"{COUNT}" in store.cli("stats").stdout
    assert "alice" in store.cli("usage", "--by", "key").stdout
    usage = json.loads(store.cli("usage", "--by", "day", "--json").stdout)
    assert usage["data"][0]["requests"] == COUNT

    output = tmp_path / "export.jsonl"
    os.umask(0o022)
    store.cli("export", "--key", "bob", "--output", output)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert len(output.read_text().splitlines()) == COUNT // 2
    assert store.cli("export", "--format", "chat", "--text", '"answer 6"').stdout.count("\n") == 1

    assert "--yes" in store.cli("delete", "--key", "bob", code=1).stderr
    assert "say what" in store.cli("delete", "--yes", code=1).stderr
    store.cli("delete", str_id(0), "--key", "bob", "--yes", code=2)
    assert store.cli("delete", "--key", "bob", "--yes").stdout == f"{COUNT // 2} deleted\n"
    assert store.cli("delete", str_id(0), str_id(2)).stdout == "2 deleted\n"
    assert pages(store, limit=1000) == [n for n in reversed(range(COUNT)) if n % 2 == 0 and n > 2]


def test_the_command_line_says_what_is_wrong_and_leaves_nothing(store, tmp_path):
    assert "admin token" in store.cli("list", token="wrong", code=1).stderr
    assert "wrong" not in store.cli("list", token="wrong-canary", code=1).stderr
    assert "`status` takes" in store.cli("list", "--status", "done", code=1).stderr
    assert "--url" in store.cli("list", url="http://127.0.0.1:1", code=1).stderr
    folder = tmp_path / "exports"
    folder.mkdir()
    store.cli("export", "--status", "done", "--output", folder / "x.jsonl", code=1)
    assert list(folder.iterdir()) == []
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    assert "STARTED" in store.cli("list", "--token-file", token, token="").stdout
    assert TOKEN not in store.aggregator.process.output
    assert "question" not in store.aggregator.process.output
