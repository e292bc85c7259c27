"""`conclave edge --upgrade`: another process takes the sockets over, and no client notices."""

import signal
import socket
import subprocess

import httpx
import pytest

from harness.conclave import Aggregator, binary
from harness.crowd import Requests, Server, Streams
from harness.lineage import Lineage
from harness.process import eventually

KEY = "key-of-upgrades"
SHORT = {"model": "m"}


@pytest.fixture
def lineage(tmp_path):
    started = []

    def start(server, *flags, middlewares=""):
        (tmp_path / "mappings").mkdir()
        (tmp_path / "mappings" / "a.yml").write_text(f"""
http:
  routers: {{ alice: {{ rule: "Key(`{KEY}`)", service: s, middlewares: [{", ".join(limit.split(":")[0] for limit in middlewares.splitlines())}] }} }}
  {"middlewares:" if middlewares else ""}
{"".join(f"    {line}{chr(10)}" for line in middlewares.splitlines())}
  services: {{ s: {{ loadBalancer: {{ servers: [ {{ url: "{server.url}" }} ] }} }} }}
""")
        started.append(Lineage(tmp_path, *flags))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def ask(lineage, **headers):
    """On a connection of its own: whoever serves now is asked."""
    return httpx.post(f"{lineage.edge.url}/v1/chat/completions", json=SHORT, timeout=30,
                      headers={"Authorization": f"Bearer {KEY}", "Connection": "close", **headers})


def upgrades_under_load(loop, lineage, streams, upgrades, clients):
    """Streams that live through all of it, requests all the while, and a SIGTERM at the end."""
    server = Server(loop, pace=max(0.5, streams / 500))
    line = lineage(server)
    long = Streams(loop, line.edge.address, KEY).open(streams)
    long.await_words(1)
    short = Requests(loop, line.edge.address, KEY, clients)
    for _ in range(upgrades):
        short.await_answers(20)
        line.upgrade()
        short.await_answers(20)
    long.await_words(2)
    # They tell it twice a second.
    held = lambda: sum(one["connections"] for one in line.edge.health()["predecessors"])
    eventually(lambda: held() >= streams, what="all streams in the predecessors' hands")
    short.server_stops()
    line.terminate()
    short.await_end()
    long.await_words(2)
    assert server.streams == streams, "a stream was cut on the server's side"
    assert all(process.child.poll() is None for process in (line.processes[0], line.youngest))
    server.finish()
    long.await_end()
    line.await_ends()
    return short.answers, sum(long.words)


def test_upgrades_under_load_cut_nothing_and_refuse_nothing(loop, lineage):
    upgrades_under_load(loop, lineage, streams=100, upgrades=3, clients=6)


@pytest.mark.full
def test_ten_upgrades_with_a_thousand_streams(loop, lineage):
    answers, words = upgrades_under_load(loop, lineage, streams=1000, upgrades=10, clients=8)
    print(f"{answers} short answers and {words} words of 1000 streams, none lost")


def test_a_successor_that_cannot_start_leaves_the_edge_as_it_is(loop, lineage):
    line = lineage(Server(loop))
    for flags, complaint in [
        (["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem", "--tls-listen", "127.0.0.1:0"], "nowhere.pem"),
        (["--trusted-proxies", "somebody"], "--trusted-proxies"),
        (["--listen-everywhere"], "--listen-everywhere"),
    ]:
        done = subprocess.run([str(part) for part in line.command(*flags)], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and complaint in done.stderr, done.stderr
        assert ask(line).status_code == 200
    assert line.edge.health()["predecessors"] == []
    line.upgrade()
    assert ask(line).status_code == 200


def test_who_knocks_without_being_an_edge_changes_nothing(loop, lineage):
    line = lineage(Server(loop))
    path = line.state / "takeover.sock"
    assert line.state.stat().st_mode & 0o777 == 0o700 and path.stat().st_mode & 0o777 == 0o600
    for bytes_said in [b"", b"GET / HTTP/1.1\r\n\r\n", b'\x1b\x00\x00\x00{"say":"hello","version":99}', b"\xff" * 64]:
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(str(path))
            visitor.sendall(bytes_said)
    assert ask(line).status_code == 200
    line.upgrade()
    assert ask(line).status_code == 200


def test_without_an_edge_to_take_over_from_it_says_what_to_do(tmp_path):
    (tmp_path / "mappings").mkdir()
    for state, complaint in [(tmp_path / "state", "no edge answers"), ("none", "--state none")]:
        done = subprocess.run(
            [binary(), "edge", "--upgrade", "--listen", "127.0.0.1:0", "--admin", "none", "--aggregator", "none",
             "--mappings", tmp_path / "mappings", "--state", state], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and complaint in done.stderr, done.stderr


def test_limits_go_over_whole_and_the_last_streams_are_counted(loop, lineage):
    server = Server(loop, pace=0.05)
    line = lineage(server, middlewares="slots: { inFlightReq: { amount: 2 } }\n"
                                       "budget: { tokenLimit: { amount: 1000, period: 8760h, count: total } }")
    held = Streams(loop, line.edge.address, KEY).open(2)
    held.await_words(1)
    assert ask(line).status_code == 429, "both slots are taken"
    first = line.upgrade()
    assert ask(line).status_code == 429, "the predecessor's streams hold their slots here too"
    second = line.upgrade()
    eventually(lambda: ask(line).status_code == 429, what="the first one's slots, told to its successor's successor")
    server.finish()
    held.await_end()
    line.processes[0].child.wait(60), first.child.wait(60)

    def freed():
        answer = ask(line)
        return answer.status_code == 200 and int(answer.headers["x-ratelimit-remaining-tokens"]) == 1000 - 2 * 7

    eventually(freed, 20, "free slots, and a budget with both streams' tokens, each once")
    second.child.send_signal(signal.SIGTERM)
    assert second.child.wait(60) == 0


def test_sigusr2_starts_the_binary_anew(loop, lineage):
    server = Server(loop)
    line = lineage(server)
    held = Streams(loop, line.edge.address, KEY).open(3)
    held.await_words(1)
    first = line.youngest
    first.child.send_signal(signal.SIGUSR2)
    # The successor is its child, and writes to the same log.
    eventually(lambda: "took over" in first.output and "another process serves" in first.output, 60, "a successor")
    assert ask(line).status_code == 200
    pid = int(first.output.split("another process serves")[1].split("successor=")[1].split()[0])
    held.await_words(2)
    server.finish()
    held.await_end()
    assert first.child.wait(60) == 0
    assert ask(line).status_code == 200
    subprocess.run(["kill", "-TERM", str(pid)], check=True)
    eventually(lambda: not alive(pid), 30, "the successor's end")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("upgrades", [2, pytest.param(10, marks=pytest.mark.full)])
def test_every_exchange_is_stored_once_whoever_carried_it(loop, lineage, tmp_path, upgrades):
    server = Server(loop, pace=0.05)
    journal = tmp_path / "journal"
    line = lineage(server, "--journal", journal)
    aggregator = Aggregator(line.edge.mappings, tmp_path, "--journal", journal, "--db-path", tmp_path / "store" / "r.db",
                            environment={"ADMIN_TOKEN": "token"})
    long = Streams(loop, line.edge.address, KEY).open(10)
    long.await_words(1)
    short = Requests(loop, line.edge.address, KEY, clients=4, pause=0.05)
    for _ in range(upgrades):
        short.await_answers(5)
        line.upgrade()
        # Each has a stream to finish, so that all of them write at once.
        long.open(2).await_words(1)
    short.await_answers(5)
    short.server_stops()
    line.terminate()
    short.await_end()
    server.finish()
    long.await_end()
    line.await_ends()
    folders = sorted(path.name for path in journal.iterdir() if path.name.startswith("edge"))
    assert len(folders) == upgrades + 1, folders
    wanted = len(long.words) + server.answered

    def stored():
        found, cursor = [], None
        while True:
            reply = httpx.get(f"{aggregator.url}/admin/responses", timeout=30, headers={"Authorization": "Bearer token"},
                              params={"limit": 1000, **({"cursor": cursor} if cursor else {})}).json()
            found += reply["data"]
            if not (cursor := reply["next_cursor"]):
                return found if len(found) >= wanted else None

    found = eventually(stored, 60, f"{wanted} stored exchanges", interval=0.2)
    aggregator.stop()
    assert len(found) == wanted == len({one["id"] for one in found})
    assert {one["status"] for one in found} == {"complete"}
