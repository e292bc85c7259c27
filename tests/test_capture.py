"""Every token kept: what the edge and the aggregator write to their journals, whatever dies and whatever is full."""

import http.client
import json
import os
import random
import signal
import stat
import subprocess
import threading
import time
from dataclasses import dataclass, field

import pytest

from harness import llama
from harness.conclave import Aggregator, Edge, binary
from harness.disk import fill, small_disk
from harness.journal import all_bytes, dump
from harness.mapping import keyed, mapping
from harness.origin import Answer, Origin
from harness.process import eventually
from harness.store import every_row

KEY = "CANARY-KEY-9d3f"
TOKEN = "admin-token-of-the-tests"
PROMPT = "canary prompt: seven green bottles"
CLIENTS = 8


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    server = llama.Llama(tmp_path_factory.mktemp("llama"), "tiny", llama.TINY)
    yield server
    server.stop()


@dataclass
class Call:
    """One request, and what its client has seen of the answer."""

    request_id: str
    body: bytes
    received: bytearray = field(default_factory=bytearray)
    whole: bool = False


def chat(prompt=PROMPT, stream=True, tokens=48):
    asked = {"model": "tiny", "messages": [{"role": "user", "content": prompt}], "stream": stream, "max_tokens": tokens}
    return json.dumps(asked).encode()


def stream(address, call, key=KEY):
    """Reads as it comes; ends with the answer or with the connection."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "X-Request-Id": call.request_id}
    try:
        connection.request("POST", "/v1/chat/completions?key=CANARY-QUERY", call.body, headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        while piece := response.read1(65536):
            call.received += piece
        call.whole = True
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()


class Load:
    """Clients that ask one stream after another until the edge is gone."""

    def __init__(self, address, name):
        self.address, self.name, self.calls, self.stop = address, name, [], threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def client(self, number):
        count = 0
        while not self.stop.is_set():
            call = Call(f"{self.name}-{number}-{count}", chat(f"{PROMPT} {self.name} {number} {count}"))
            self.calls.append(call)
            stream(self.address, call)
            count += 1
            if not call.whole:
                return

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


@pytest.mark.llama
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.full)])
def test_after_a_kill_the_journal_holds_what_each_client_has(tiny, tmp_path, kills):
    mappings, journal = tmp_path / "mappings", tmp_path / "journal"
    mappings.mkdir()
    (mappings / "alice.yml").write_text(keyed("alice", KEY, tiny.url))
    calls, moment = [], random.Random(kills)
    for kill in range(kills):
        edge = Edge(mappings, tmp_path, "--journal", journal)
        load = Load(edge.address, f"kill{kill}")
        eventually(lambda: any(call.received for call in load.calls), what="a first token", seconds=30)
        time.sleep(moment.random() * 0.3)  # Where it dies is to be left to chance.
        edge.process.child.send_signal(signal.SIGKILL)
        edge.process.child.wait(10)
        load.join()
        edge.stop()
        calls += load.calls
    exchanges, gaps = dump(journal / "edge")
    by_id = {}
    for exchange in exchanges:
        assert exchange["request_id"] not in by_id, "an exchange appears once"
        by_id[exchange["request_id"]] = exchange
    received = [call for call in calls if call.received]
    print(f"{len(calls)} calls, {len(received)} with an answer, {sum(call.whole for call in calls)} whole; gaps {gaps}")
    assert any(not call.whole for call in received), "some died in the middle"
    for call in received:
        kept = by_id[call.request_id]
        assert kept["request"] == call.body
        assert kept["response"].startswith(bytes(call.received)), call.request_id
        if call.whole:
            assert (kept["outcome"], kept["response"]) == ("complete", bytes(call.received))
        else:
            assert kept.get("outcome") in (None, "complete"), "nobody but the kill ended it"
    # A record that the kill tore is told of, and nothing else is missing.
    assert all("Torn" in gap or "torn" in gap.lower() for gap in gaps), gaps
    each_is_stored_once(tmp_path, journal, by_id, received)


def each_is_stored_once(folder, journal, kept, received):
    """Ingest makes one row of each exchange that the journal holds, and says of each how it ended."""
    (folder / "none").mkdir()
    aggregator = Aggregator(
        folder / "none", folder, "--journal", journal, "--db-path", folder / "responses.db",
        environment={"ADMIN_TOKEN": TOKEN},
    )
    try:
        eventually(lambda: len(every_row(aggregator, TOKEN)) >= len(kept), what="all rows", seconds=120)
        rows = {row["request_id"]: row for row in every_row(aggregator, TOKEN)}
        assert len(every_row(aggregator, TOKEN)) == len(rows), "each once"
    finally:
        aggregator.stop()
    assert rows.keys() == kept.keys()
    for request_id, exchange in kept.items():
        row = rows[request_id]
        expected = exchange.get("outcome") or "interrupted"
        assert (row["status"], row["response_bytes"]) == (expected, len(exchange["response"])), request_id
        assert not row["lossy"] or row["status"] == "interrupted", row
    for call in received:
        assert rows[call.request_id]["status"] == "complete" or not call.whole


@pytest.mark.llama
def test_what_is_kept_is_what_the_client_printed_and_no_key(tiny, tmp_path):
    mappings, journal, access_log = tmp_path / "mappings", tmp_path / "journal", tmp_path / "access.log"
    mappings.mkdir()
    (mappings / "alice.yml").write_text(keyed("alice", KEY, tiny.url))
    edge = Edge(mappings, tmp_path, "--journal", journal, "--log-level", "DEBUG", "--access-log", access_log)
    calls = [Call("streamed", chat()), Call("whole", chat(stream=False))]
    for call in calls:
        stream(edge.address, call)
    gone = Call("gone", chat(tokens=2000))
    connection = http.client.HTTPConnection(*edge.address, timeout=30)
    headers = {"x-api-key": KEY, "Cookie": "session=CANARY-COOKIE", "X-Request-Id": "gone"}
    connection.request("POST", "/v1/chat/completions", gone.body, headers)
    gone.received += connection.getresponse().read1(64)
    connection.close()
    eventually(lambda: {"gone"} <= {e["request_id"] for e in dump(journal / "edge")[0] if e.get("outcome")}, what="an end")
    metrics = edge.operator.get("/metrics").text
    edge.stop()
    kept = {exchange["request_id"]: exchange for exchange in dump(journal / "edge")[0]}
    for call in calls:
        exchange = kept[call.request_id]
        assert call.whole and exchange["response"] == bytes(call.received) and exchange["request"] == call.body
        assert (exchange["outcome"], exchange["router"], exchange["mode"]) == ("complete", "alice", "full")
        assert exchange["path"] == "/v1/chat/completions" and exchange["is_whole"]
    assert kept["gone"]["outcome"] == "client_gone" and kept["gone"]["response"].startswith(bytes(gone.received))
    written = all_bytes(journal)
    for secret in (KEY, "CANARY-COOKIE", "CANARY-QUERY"):
        assert secret.encode() not in written, f"{secret} is in the journal"
    assert PROMPT.encode() in written
    elsewhere = metrics + access_log.read_text() + edge.process.output
    assert KEY not in elsewhere and PROMPT not in elsewhere
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (journal / "edge").iterdir()}
    assert modes == {0o600} and stat.S_IMODE((journal / "edge").stat().st_mode) == 0o700


@pytest.mark.parametrize("loss, while_full", [("drop", 200), ("refuse", 503)])
def test_a_full_disk_costs_what_was_agreed_and_no_more(tmp_path, loss, while_full):
    mappings, journal = tmp_path / "mappings", tmp_path / "disk" / "journal"
    mappings.mkdir()
    with small_disk(tmp_path / "disk", mib=1) as disk, Origin(lambda request: Answer(200, body=b"{}")) as origin:
        (mappings / "alice.yml").write_text(keyed("alice", KEY, origin.url))
        edge = Edge(mappings, tmp_path, "--journal", journal, "--capture-loss", loss)

        def ask(name):
            headers = {"Authorization": f"Bearer {KEY}", "X-Request-Id": name}
            # Larger than the page that may be left, else its answer alone would have to wait for room.
            return edge.http.post("/v1/chat/completions", content=chat("x" * 8192), headers=headers).status_code

        assert ask("before") == 200
        fill(disk / "ballast")
        eventually(lambda: ask("filling") == while_full and "errors_total 0" not in capture_metrics(edge), what="a full disk")
        assert [ask("full") for _ in range(5)] == [while_full] * 5
        (disk / "ballast").unlink()
        # The file system is left alone for a moment after it refused.
        eventually(lambda: ask("after") == 200 and kept(journal, "after"), what="room")
        edge.stop()
        names = {exchange.get("request_id") for exchange in dump(journal / "edge")[0]}
    assert {"before", "after"} <= names and "full" not in names


def kept(journal, name):
    return any(exchange.get("request_id") == name for exchange in dump(journal / "edge")[0])


def capture_metrics(edge):
    lines = edge.operator.get("/metrics").text.splitlines()
    return "\n".join(line for line in lines if line.startswith("conclave_edge_capture"))


def test_a_journal_that_cannot_be_had_stops_the_start(start_edge, tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [binary(), "edge", "--listen", "127.0.0.1:0", "--admin", "none", "--aggregator", "none",
         "--mappings", start_edge.mappings, "--journal", tmp_path / "file" / "x"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and "cannot" in done.stderr and "--journal" in done.stderr, done.stderr


def test_two_edges_never_write_one_folder(start_edge, tmp_path):
    for expected in (["edge"], ["edge", "edge-2"]):
        start_edge("--journal", tmp_path / "journal")
        assert sorted(folder.name for folder in (tmp_path / "journal").iterdir()) == expected


@pytest.mark.llama
def test_what_passes_both_planes_is_kept_once_with_its_bodies(tiny, tmp_path):
    mappings, journal = tmp_path / "mappings", tmp_path / "journal"
    mappings.mkdir()
    (mappings / "tiny.yml").write_text(keyed("tiny", "TINY-KEY", tiny.url))
    for name, capture in (("all", "full"), ("none", "off")):
        text = mapping(name, f"Key(`{name}`)", middlewares=[name]).replace("service: " + name, "service: aggregator@internal")
        services = text.index("  services:")
        (mappings / f"{name}.yml").write_text(
            text[:services] + f"  middlewares:\n    {name}: {{ capture: {{ mode: {capture} }} }}\n"
        )
    aggregator = Aggregator(mappings, tmp_path, "--journal", journal)
    edge = Edge(mappings, tmp_path, "--journal", journal, aggregator=aggregator)
    try:
        listed = lambda: "tiny" in aggregator.http.get("/v1/models").text
        eventually(listed, what="the model in the list", seconds=20)
        direct, through, unkept = (Call(name, chat(tokens=8)) for name in ("direct", "through", "unkept"))
        stream(("127.0.0.1", aggregator.port), direct)
        stream(edge.address, through, key="all")
        stream(edge.address, unkept, key="none")
        assert direct.whole and through.whole and unkept.whole
    finally:
        edge.stop()
        aggregator.stop()
    at_edge = {exchange["request_id"]: exchange for exchange in dump(journal / "edge")[0]}
    at_aggregator = {exchange["request_id"]: exchange for exchange in dump(journal / "aggregator")[0]}
    assert set(at_edge) == {"through"} and set(at_aggregator) == {"direct", "through"}
    assert at_aggregator["direct"]["response"] == bytes(direct.received)
    assert at_aggregator["direct"]["request"] == direct.body and at_aggregator["direct"]["parent"] is None
    assert at_edge["through"]["response"] == bytes(through.received)
    part = at_aggregator["through"]
    assert (part["parent"], part["mode"], part["response"]) == (at_edge["through"]["id"], "metadata", b"")
    assert part["outcome"] == "complete" and part["attempts"] == 1 and part["server"]
