"""Floods of HTTP/2 as they come on the internet. Each ends: by the edge's own bound, or because all of it is answered.
Meanwhile the edge's memory is bounded, and another client is served.
"""

import threading
import time
from types import SimpleNamespace

import pytest
import yaml

from harness.conclave import Edge
from harness.frames import (
    CANCEL, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FRAME_BYTES, HEADERS, INITIAL_WINDOW_SIZE, NO_ERROR, PING,
    Wire, continuation, data, frame, headers, indexed, literal, priority, request, reset, settings,
    window_update,
)
from harness.process import eventually
from harness.steady import Steady

# What a flood may cost the edge: far below what it sends, or would have kept.
MEMORY_BYTES_MAX = 32 << 20
PATIENCE_SECONDS = 2
BATCH = 500


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, logs = tmp_path_factory.mktemp("mappings"), tmp_path_factory.mktemp("logs")
    server = Steady()
    (folder / "open.yml").write_text(yaml.safe_dump({"http": {
        "routers": {"all": {"rule": "PathPrefix(`/`)", "service": "all"}},
        "services": {"all": {"loadBalancer": {"servers": [{"url": server.url}]}}},
    }}))
    edge = Edge(folder, logs, "--client-timeout", PATIENCE_SECONDS, "--head-timeout", PATIENCE_SECONDS)
    # The first use of anything takes memory too.
    with Wire(edge.address) as wire:
        assert [wire.ask(2 * at + 1) for at in range(100)] == [200] * 100
    yield SimpleNamespace(edge=edge)
    edge.stop()
    server.stop()


@pytest.fixture
def bounded(world):
    """Whatever the test does: memory is bounded, somebody else is served all the time, and nothing of it stays."""
    before, ended, served = resident_bytes(world.edge), threading.Event(), []

    def other():
        while not ended.is_set():
            served.append(world.edge.http.get("/v1/x").status_code)

    beside = threading.Thread(target=other)
    beside.start()
    try:
        eventually(lambda: served, 30, "the other client's first answer")
        yield
        grown, count = resident_bytes(world.edge) - before, len(served)
        eventually(lambda: len(served) > count + 1, 30, "the other client's next answer")
    finally:
        ended.set()
        beside.join(60)
    assert set(served) == {200}
    print(f"{grown >> 10} KiB more, {len(served)} answers to the other client")
    assert grown < MEMORY_BYTES_MAX, f"{grown >> 20} MiB more"
    eventually(lambda: connections(world.edge) <= 1, 30, "the end of every connection", interval=0.05)


def resident_bytes(edge):
    with open(f"/proc/{edge.process.child.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def connections(edge):
    lines = edge.operator.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("conclave_edge_connections "))


GET, HELD = request(), request("/held", "POST")


def rapid_resets(at):
    """CVE-2023-44487."""
    return headers(2 * at + 1, GET) + reset(2 * at + 1)


def made_resets(at):
    """CVE-2025-8671: the edge is brought to reset what it has already begun."""
    return headers(2 * at + 1, HELD, END_HEADERS) + window_update(2 * at + 1, (1 << 31) - 1)


def refused(at):
    """Streams beyond the bound, each of which costs an answer."""
    return headers(2 * at + 1, request("/held"))


def unending_head(at):
    """CVE-2024-27316."""
    piece = literal("x", "y" * 1000)
    return frame(HEADERS, END_STREAM, 1, GET) if at == 0 else continuation(1, piece, 0)


def empty_continuations(at):
    return frame(HEADERS, END_STREAM, 1, GET) if at == 0 else continuation(1, b"", 0)


def bomb(at):
    """A field of 4 KB enters the table once, and is named by each byte of what follows."""
    first = GET + literal("x", "y" * 4000, 0x40)
    return frame(HEADERS, END_STREAM, 1, first) if at == 0 else continuation(1, indexed(62) * FRAME_BYTES, 0)


def empty_data(at):
    return (headers(1, HELD, END_HEADERS) if at == 0 else b"") + data(1, b"", 0)


def padded_data(at):
    """Nothing but padding."""
    return (headers(1, HELD, END_HEADERS) if at == 0 else b"") + data(1, b"\x01\0", 8)


def small_data(at):
    """A byte each, for a server that takes none: what keeps them is larger than they are."""
    stuck = request("/stuck", "POST", content_length=str(1 << 30))
    return (headers(1, stuck, END_HEADERS) + data(1, bytes(FRAME_BYTES), 0) * 3 if at == 0 else b"") + data(1, b"x", 0)


ENDED = [
    (rapid_resets, ENHANCE_YOUR_CALM), (made_resets, ENHANCE_YOUR_CALM), (refused, ENHANCE_YOUR_CALM),
    (unending_head, ENHANCE_YOUR_CALM), (empty_continuations, ENHANCE_YOUR_CALM), (bomb, ENHANCE_YOUR_CALM),
    (empty_data, ENHANCE_YOUR_CALM), (padded_data, ENHANCE_YOUR_CALM),
]


@pytest.mark.parametrize("piece, code", ENDED, ids=lambda it: getattr(it, "__name__", None))
def test_what_ends_the_connection(world, bounded, piece, code):
    with Wire(world.edge.address).greet() as wire:
        sent = flood(wire, piece, 50_000)
        assert wire.closed or wire.goaway is not None, f"{sent} of them, and it goes on"
        # What was sent behind the end may have cut what the edge said last.
        assert wire.goaway in ((code, None) if wire.cut else (code,))


ANSWERED = {
    "PING": frame(PING, 0, 0, bytes(8)), "SETTINGS": settings((INITIAL_WINDOW_SIZE, 1), (INITIAL_WINDOW_SIZE, 65_535)),
    "WINDOW_UPDATE": window_update(0, 1), "PRIORITY": priority(99), "unknown": frame(0xEE, 0, 0, bytes(100)),
    "RST_STREAM": reset(1),
}


@pytest.mark.parametrize("kind", ANSWERED)
def test_what_is_answered_piece_by_piece(world, bounded, kind):
    """Nothing of these is kept: who sends them waits for what has to be said to each."""
    with Wire(world.edge.address).greet() as wire:
        assert wire.ask(1) == 200
        sent = flood(wire, lambda _: ANSWERED[kind], 20_000)
        if wire.goaway is None:
            assert sent == 20_000 and wire.ping() and wire.ask(3) == 200
            assert len(wire.pongs) == 2 + 20_000 * (kind == "PING")
            assert wire.acknowledged == 1 + 20_000 * (kind == "SETTINGS")


def flood(wire, piece, count):
    """Sends so many, or until the edge ends it; what it says is read meanwhile, as by a client who means harm."""
    sent = 0
    while sent < count and wire.send(*(piece(at) for at in range(sent, sent + BATCH))):
        sent += BATCH
        while wire.has_more():
            wire.receive()
        if wire.goaway is not None or wire.closed:
            break
    if wire.goaway is None and not wire.closed:
        wire.ping()
    return sent


def test_resets_of_answers_under_way(world, bounded):
    """The slower form of CVE-2023-44487: no bound is broken, so each request that is taken back must be gone with it."""
    with Wire(world.edge.address).greet() as wire:
        wire.send(window_update(0, 1 << 30))
        for first in range(1, 500, 50):
            streams = range(first, first + 50, 2)
            wire.send(*(headers(stream, request("/large")) for stream in streams))
            assert wire.until(lambda: wire.statuses.keys() >= set(streams))
            wire.send(*(reset(stream) for stream in streams))
        assert wire.ask(501) == 200 and wire.goaway is None


def test_small_pieces_of_a_body_that_no_server_takes(world, bounded):
    """What keeps a piece is larger than a byte: the windows alone would not bound it."""
    with Wire(world.edge.address).greet() as wire:
        flood(wire, small_data, 50_000)
        assert wire.goaway in (None, ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("path, window", [("/v1/x", 0), ("/v1/x", 1), ("/large", 0)])
def test_who_opens_no_window(world, bounded, path, window):
    """Pings are answered, and nothing is taken: each stream ends once its client's patience is over, and only they."""
    with Wire(world.edge.address, first=[(INITIAL_WINDOW_SIZE, window)]).greet() as wire:
        begun, streams = time.monotonic(), range(1, 200, 2)
        wire.send(*(headers(stream, request(path)) for stream in streams))
        assert wire.until(lambda: wire.resets.keys() >= set(streams))
        assert time.monotonic() - begun >= PATIENCE_SECONDS
        assert set(wire.resets.values()) == {CANCEL} and set(wire.statuses.values()) == {200} and not wire.ended
        assert wire.ask(201) == 200


@pytest.mark.full
@pytest.mark.parametrize("kind", ["PING", "SETTINGS"])
def test_who_reads_no_acknowledgements(world, bounded, kind):
    """They fill the connection, and then nothing more of it is read; without a stream, it ends as one that is idle."""
    with Wire(world.edge.address, seconds=120).greet() as wire:
        wire.socket.settimeout(120)
        carried = 0
        for carried in range(100_000):
            if not wire.send(ANSWERED[kind] * 10_000):
                break
        assert 0 < carried < 100_000


@pytest.mark.full
def test_who_pings_and_asks_for_nothing(world, bounded):
    with Wire(world.edge.address, seconds=120).greet() as wire:
        begun = time.monotonic()
        while not wire.closed and time.monotonic() - begun < 110:
            wire.ping()
            threading.Event().wait(1)
        assert wire.closed and wire.goaway == NO_ERROR


@pytest.mark.full
def test_who_is_no_longer_there(world, bounded):
    """A stream waits for its server; nobody answers the ping."""
    with Wire(world.edge.address).greet() as wire:
        wire.send(headers(1, request("/held")))
        eventually(lambda: connections(world.edge) >= 2, 30, "the connection", interval=0.05)
        eventually(lambda: connections(world.edge) <= 1, 120, "its end", interval=0.5)
        wire.seconds = 30
        wire.until_closed()


@pytest.mark.full
def test_a_head_that_does_not_go_on(world, bounded):
    with Wire(world.edge.address, seconds=120).greet() as wire:
        begun = time.monotonic()
        wire.send(frame(HEADERS, END_STREAM, 1, GET))
        wire.until_closed()
        assert time.monotonic() - begun < 100
