"""The edge's HTTP/2, frame by frame, against RFC 9113 and RFC 7541: `http2/cases.py` has what is sent and what must come.

After a stream's error the same connection serves the next request; after a connection's error there is a GOAWAY, the
connection closes, and a fresh one is served. How strict what leaves for servers is, `edge/tests/tls/frames.txt` says.
"""

import socket
from types import SimpleNamespace

import pytest
import yaml

from harness.conclave import Edge
from harness.frames import (
    INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE, PREFACE, PROTOCOL_ERROR, SETTINGS, Wire,
    frame, headers, request, settings,
)
from harness.http2 import trusting
from harness.process import free_port
from harness.steady import Steady
from http2.cases import CASES
from test_tls import Authority

# Behind every number that a case takes.
NEXT = 100_001

# Over TLS the frames are the same: one of each kind, and what could differ because more than a read brings it.
OVER_TLS = {
    "4.2 DATA as long as a frame may be", "4.2 DATA longer than a frame may be", "5.1 idle: DATA",
    "5.1.2 one stream more than there may be", "6.5.2 INITIAL_WINDOW_SIZE above its bound",
    "6.8 GOAWAY: what is under way is finished",
    "6.9.2 a window may become negative", "8.2.2 connection: keep-alive", "8.1 trailers", "7541 6.1 index 0",
    "7541 4.1 a refused stream's fields are in the table",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, logs = tmp_path_factory.mktemp("mappings"), tmp_path_factory.mktemp("logs")
    server, authority = Steady(), Authority(tmp_path_factory.mktemp("authority"), "authority")
    (folder / "open.yml").write_text(yaml.safe_dump({"http": {
        "routers": {"all": {"rule": "PathPrefix(`/`)", "service": "all"}},
        "services": {"all": {"loadBalancer": {"servers": [{"url": server.url}]}}},
    }}))
    certificate, key = authority.issue("edge", ["localhost"])
    tls = ("127.0.0.1", free_port())
    edge = Edge(folder, logs, "--tls-listen", "%s:%d" % tls, "--tls-cert", certificate, "--tls-key", key)
    yield SimpleNamespace(edge=edge, doors={"h2c": (edge.address, None), "tls": (tls, trusting(authority.file))})
    edge.stop()
    server.stop()


EVERYWHERE = [pytest.param(door, case, id=f"{door}: {case.name}")
              for door in ("h2c", "tls") for case in CASES if door == "h2c" or case.name in OVER_TLS]


def test_the_table_is_whole():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 140 and OVER_TLS <= set(names)
    assert all(bool(case.instead) == bool(case.because) for case in CASES)


@pytest.mark.parametrize("door, case", EVERYWHERE)
def test_what_comes_of_it(world, door, case):
    with Wire(*world.doors[door]).greet() as wire:
        for step in case.steps:
            if isinstance(step, bytes):
                wire.send(step)
            else:
                assert step(wire) is not False, "the connection ended before its time"
        came = outcome(wire, case)
        assert came in case.expected + case.instead, f"{came}; expected {case.expected}, or {case.instead}"
        if came[0] == "connection":
            wire.until_closed()
        else:
            assert wire.ask(NEXT) == 200 and wire.goaway is None, "the connection carries the next"
    with Wire(*world.doors[door]) as fresh:
        assert fresh.ask(1) == 200


def outcome(wire, case):
    if ("ignored", None) in case.expected:
        # What comes of it has come before these are answered.
        wire.ping()
        wire.ask(NEXT - 2)
    elif case.stream not in wire.ended or is_about(case, "answer"):
        wire.until(lambda: wire.goaway is not None or wire.is_over(case.stream))
    else:
        wire.until(lambda: wire.goaway is not None or case.stream in wire.resets)
    if wire.goaway is not None:
        return "connection", wire.goaway
    if wire.closed:
        return "closed", None
    if case.stream in wire.resets:
        return "stream", wire.resets[case.stream]
    return ("answer", wire.statuses[case.stream]) if case.stream in wire.ended else ("ignored", None)


def is_about(case, what):
    return any(kind == what for kind, _ in case.expected)


def test_the_preface_of_the_edge(world):
    """Its settings come first, and bound what a client may do (3.4, 6.5.2, 5.1.2)."""
    for door in world.doors.values():
        with Wire(*door).greet() as wire:
            first = wire.settings[0]
            assert first[MAX_CONCURRENT_STREAMS] == 100
            assert first[MAX_HEADER_LIST_SIZE] == 64 << 10
            assert first[INITIAL_WINDOW_SIZE] == 128 << 10
            assert len(wire.settings) == wire.acknowledged == 1


@pytest.mark.parametrize("preface", [
    PREFACE[:-2] + b"\r\r" + settings(), PREFACE.replace(b"SM", b"XX") + settings(), b"\0" * 24, settings() * 3,
], ids=["a byte", "a word", "zeros", "none"])
@pytest.mark.parametrize("door", ["h2c", "tls"])
def test_another_preface(world, door, preface):
    """3.4: it is no HTTP/2, and nothing is served. A GOAWAY may be omitted."""
    with Wire(*world.doors[door], preface=None) as wire:
        wire.send(preface)
        if door == "h2c":
            # HTTP/1.1 waits for the rest of what might be a line.
            wire.socket.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := wire.socket.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
        assert received == b"" or door == "h2c" and received.startswith(b"HTTP/1.1 400"), received
    with Wire(*world.doors[door]) as fresh:
        assert fresh.ask(1) == 200


@pytest.mark.parametrize("first, accepted", [
    (settings(), "served"),
    # 3.4 asks for a PROTOCOL_ERROR. h2 has everything that a client's settings could say by its defaults, and goes on.
    (frame(0x6, 0, 0, b"8 bytes."), "served"),
    (headers(1, request()), "served"),
    (frame(SETTINGS, 0, 0, b"1"), PROTOCOL_ERROR),
])
def test_what_follows_the_preface(world, first, accepted):
    with Wire(*world.doors["h2c"], preface=None) as wire:
        wire.send(PREFACE, first)
        if accepted == "served":
            assert wire.ask(NEXT) == 200
        else:
            assert not wire.until_closed() and wire.goaway == accepted


def test_the_preface_may_come_in_pieces(world):
    for at in (1, 3, 14, 18, 23):
        with Wire(*world.doors["h2c"], preface=None) as wire:
            wire.send(PREFACE[:at])
            wire.send(PREFACE[at:] + settings() + headers(1, request())[:5])
            wire.send(headers(1, request())[5:])
            assert wire.until(lambda: wire.is_over(1)) and wire.statuses == {1: 200}
