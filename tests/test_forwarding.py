"""What goes through the edge goes through untouched: methods, bodies of any form, upgrades."""

import hashlib
import os
import socket
import threading

import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from harness.mapping import keyed
from harness.origin import Answer, Origin

HEADERS = {"Authorization": "Bearer K"}


@pytest.fixture
def origin(edge):
    def digest(request):
        return Answer(body=hashlib.sha256(request.body).hexdigest().encode(), headers={"Content-Type": "text/plain"})

    with Origin(digest) as origin:
        edge.put("key.yml", keyed("key", "K", origin.url))
        yield origin


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method(edge, origin, method):
    assert edge.http.request(method, "/v1/anything?a=1&b=%20", headers=HEADERS).status_code == 200
    assert [(request.method, request.target) for request in origin.requests] == [(method, "/v1/anything?a=1&b=%20")]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 70_000, 30_000_000])
def test_any_body(edge, origin, size, chunked):
    body = os.urandom(size)
    content = iter([body[: size // 2], body[size // 2 :]]) if chunked else body
    reply = edge.http.post("/upload", headers=HEADERS, content=content)
    assert reply.text == hashlib.sha256(body).hexdigest()


def test_a_body_over_the_bound(start_edge):
    edge = start_edge("--body-max-mib", "1")
    with Origin() as origin:
        edge.put("key.yml", keyed("key", "K", origin.url))
        assert edge.http.post("/", headers=HEADERS, content=b"x" * (1 << 20)).status_code == 200
        reply = edge.http.post("/", headers=HEADERS, content=b"x" * ((1 << 20) + 1))
        assert reply.status_code == 413 and reply.json()["error"]["code"] == "request_too_large"


def test_the_body_may_wait_for_100_continue(edge, origin):
    with socket.create_connection(edge.address, timeout=5) as connection, connection.makefile("rb") as stream:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer K\r\n"
            b"Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        )
        # This origin gives no 100, so that nothing but the edge's own would let the body come.
        first = stream.readline() if waits_for_answer(connection) else b""
        connection.sendall(b"hello")
        rest = stream.read()
    assert hashlib.sha256(b"hello").hexdigest().encode() in rest
    assert first in (b"", b"HTTP/1.1 100 Continue\r\n")


def waits_for_answer(connection):
    """Whether a first byte comes within a second: RFC 9110 lets a client go ahead after a while without it."""
    connection.settimeout(1)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(5)


def test_a_websocket(edge):
    def echo(session):
        for message in session:
            session.send(message)

    with serve(echo, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        edge.put("key.yml", keyed("key", "K", f"http://127.0.0.1:{port}"))
        with connect(edge.url.replace("http", "ws") + "/socket", additional_headers=HEADERS) as session:
            for message in ("hello", b"\x00" * 100_000):
                session.send(message)
                assert session.recv(timeout=5) == message
        server.shutdown()
