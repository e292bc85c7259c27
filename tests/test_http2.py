"""HTTP/2 on either side: what HTTP/1.1's tests say of streams, cancelling, refusals and limits, with streams in place of
connections; over TLS and without it, to servers of either protocol."""

import asyncio
import json
import socket
import threading
import time

import httpx
import pytest
import yaml

from harness.http2 import Client, Server, trusting
from harness.mapping import keyed
from harness.origin import Answer, Origin
from harness.process import eventually, free_port
from test_tls import Authority

KEY = {"authorization": "Bearer sk-alice"}


class Script:
    """An ASGI application that says what it saw, streams as it is told, and notices who leaves."""

    def __init__(self):
        self.seen, self.left, self.here = [], threading.Semaphore(0), 0
        self.go_on, self.lock = threading.Semaphore(0), threading.Lock()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append((scope["http_version"], scope["method"], scope["path"], headers))
        await getattr(self, scope["path"].rsplit("/", 1)[-1])(receive, send)

    async def echo(self, receive, send):
        size, more = 0, True
        while more:
            event = await receive()
            size, more = size + len(event.get("body", b"")), event.get("more_body", False)
        await self.whole(send, json.dumps({"bytes": size}).encode())

    async def error(self, receive, send):
        await self.whole(send, b'{"error":{"message":"no"}}', 418)

    async def whole(self, send, body, status=200):
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def pieces(self, receive, send):
        await self.begin(send)
        for piece in (b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.get_running_loop().run_in_executor(None, self.go_on.acquire)
        await send({"type": "http.response.body", "body": b""})

    async def endless(self, receive, send):
        await self.begin(send)
        await send({"type": "http.response.body", "body": b"data: one\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.release()

    async def silent(self, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.release()

    async def grpc(self, receive, send):
        head = [(b"content-type", b"application/grpc")]
        await send({"type": "http.response.start", "status": 200, "headers": head, "trailers": True})
        await send({"type": "http.response.body", "body": b"\0\0\0\0\0"})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": False})

    async def begin(self, send):
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Authority(folder, "authority")


def to(url, **transport):
    document = yaml.safe_load(keyed("alice", "sk-alice", url))
    if transport:
        document["http"]["services"]["alice"]["loadBalancer"]["serversTransport"] = "t"
        document["http"]["serversTransports"] = {"t": transport}
    return yaml.safe_dump(document)


@pytest.fixture(params=["h2c", "https"])
def server(request, authority):
    """A server that speaks HTTP/2, and the mapping that leads to it."""
    script = Script()
    if request.param == "h2c":
        with Server(script) as running:
            script.mapping = to(f"h2c://127.0.0.1:{running.port}")
            yield script
    else:
        certificate, key = authority.issue("server", ["localhost"])
        with Server(script, certificate, key) as running:
            script.mapping = to(f"https://localhost:{running.port}", rootCAs=[str(authority.file)], disableHTTP2=False)
            yield script


# To a server of HTTP/2, whatever the client speaks.


def test_requests_reach_a_server_of_http_2(start_edge, server):
    (start_edge.mappings / "alice.yml").write_text(server.mapping)
    edge = start_edge()
    for size in (0, 5, 200_000, 3_000_000):
        one = edge.http.post("/v1/echo?a=1", headers=KEY, content=b"x" * size)
        assert (one.status_code, one.json()) == (200, {"bytes": size})
        chunked = edge.http.post("/v1/echo", headers=KEY, content=iter([b"x" * size]))
        assert chunked.json() == {"bytes": size}
        with Client(edge.address) as client:
            status, body = client.ask("POST", "/v1/echo", b"x" * size, **KEY)
            assert (status, json.loads(body)) == (200, {"bytes": size})
    assert edge.http.get("/v1/error", headers=KEY).status_code == 418
    assert {version for version, *_ in server.seen} == {"2"}
    for _, _, _, headers in server.seen:
        assert headers["authorization"] == KEY["authorization"] and headers["x-forwarded-proto"] == "http"
        assert not {"connection", "transfer-encoding", "keep-alive"} & headers.keys()


@pytest.mark.parametrize("client", ["http/1.1", "http/2"])
@pytest.mark.parametrize("path", ["/v1/endless", "/v1/silent"])
def test_who_leaves_ends_the_stream_at_the_server(start_edge, server, client, path):
    (start_edge.mappings / "alice.yml").write_text(server.mapping)
    edge = start_edge()
    if client == "http/2":
        with Client(edge.address) as connection:
            stream = connection.send("POST", path, b"{}", **KEY)
            await_arrival(server, path, lambda: connection.until(lambda: connection.bodies[stream]))
            connection.reset(stream)
            assert server.left.acquire(timeout=20), "the server was told"
            assert connection.ask("GET", "/v1/error", **KEY)[0] == 418, "the connection lives on"
    else:
        with socket.create_connection(edge.address, timeout=20) as connection:
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {KEY['authorization']}\r\n"
                "Content-Length: 2\r\n\r\n{}".encode()
            )
            await_arrival(server, path, lambda: read_past(connection, b"data: one"))
        assert server.left.acquire(timeout=20), "the server was told"


def await_arrival(server, path, begun):
    if path == "/v1/endless":
        begun()
    else:
        eventually(lambda: any(seen[2] == path for seen in server.seen), seconds=20, what="the request's arrival")


def read_past(connection, text):
    seen = b""
    while text not in seen:
        piece = connection.recv(4096)
        assert piece, seen
        seen += piece


def test_each_token_passes_at_once_and_the_end_is_an_end(start_edge, server):
    (start_edge.mappings / "alice.yml").write_text(server.mapping)
    edge = start_edge()
    with edge.http.stream("GET", "/v1/pieces", headers=KEY) as reply:
        pieces = reply.iter_bytes()
        for expected in (b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n"):
            assert next(pieces) == expected
            server.go_on.release()
        assert list(pieces) == []
    with Client(edge.address) as client:
        stream = client.send("GET", "/v1/pieces", **KEY)
        for expected in (b"one\n\n", b"two\n\n", b"[DONE]\n\n"):
            client.until(lambda: client.bodies[stream].endswith(expected))
            server.go_on.release()
        assert client.over(stream)[0] == 200


def test_trailers_pass(start_edge, server):
    (start_edge.mappings / "alice.yml").write_text(server.mapping)
    edge = start_edge()
    with Client(edge.address) as client:
        stream = client.send("POST", "/a.Service/grpc", b"\0\0\0\0\0", content_type="application/grpc", te="trailers", **KEY)
        assert client.over(stream) == (200, b"\0\0\0\0\0")
        assert client.trailers[stream]["grpc-status"] == "0"


def test_a_server_that_went_away_is_reached_again(start_edge):
    script = Script()
    edge = None
    for _ in range(2):
        with Server(script) as server:
            edge = edge or start_edge()
            edge.put("alice.yml", to(f"h2c://127.0.0.1:{server.port}"))
            assert edge.http.get("/v1/error", headers=KEY).status_code == 418
    refused = edge.http.get("/v1/error", headers=KEY)
    assert refused.status_code == 502 and refused.json()["error"]["code"] == "upstream_failed"


def test_a_server_with_tls_may_prefer_http_1_1(start_edge, authority):
    script = Script()
    certificate, key = authority.issue("server", ["localhost"])
    for protocols, offered, expected in [(["http/1.1"], True, "1.1"), (["h2", "http/1.1"], False, "1.1")]:
        with Server(script, certificate, key, protocols) as running:
            transport = dict(rootCAs=[str(authority.file)], **({"disableHTTP2": False} if offered else {}))
            (start_edge.mappings / "alice.yml").write_text(to(f"https://localhost:{running.port}", **transport))
            edge = start_edge()
            assert edge.http.get("/v1/error", headers=KEY).status_code == 418
            with Client(edge.address) as client:
                assert client.ask("GET", "/v1/error", **KEY)[0] == 418
            assert script.seen[-1][0] == script.seen[-2][0] == expected


# From a client of HTTP/2, to servers of HTTP/1.1.


@pytest.fixture(params=["h2c", "tls"])
def door(request, start_edge, authority):
    """Starts an edge; what it returns connects to it in HTTP/2."""

    def start(*flags, text):
        (start_edge.mappings / "alice.yml").write_text(text)
        if request.param == "h2c":
            edge = start_edge(*flags)
            return edge, lambda: Client(edge.address)
        port = free_port()
        certificate, key = authority.issue("edge", ["localhost"])
        edge = start_edge("--tls-listen", f"127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key, *flags)
        context = trusting(authority.file)
        return edge, lambda: Client(("127.0.0.1", port), context)

    return start


def code(answer):
    status, body = answer
    return status, json.loads(body)["error"]["code"]


def test_refusals_are_http_1_1_s(door):
    with Origin() as origin:
        document = yaml.safe_load(keyed("alice", "sk-alice", origin.url, middlewares=["rate"]))
        document["http"]["middlewares"] = {"rate": {"rateLimit": {"average": 1, "period": "1h", "burst": 4}}}
        document["http"]["routers"]["dead"] = {"rule": "Key(`sk-dead`)", "service": "dead"}
        document["http"]["services"]["dead"] = {
            "loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{free_port()}"}]}
        }
        edge, connect = door("--body-max-mib", "1", "--head-max-kib", "16", text=yaml.safe_dump(document))
        cases = [
            ("GET", "/v1/x", None, {}, (401, "invalid_api_key")),
            ("GET", "/v1/x", None, {"authorization": "Bearer sk-unknown"}, (401, "invalid_api_key")),
            ("GET", "/v1/x", None, {**KEY, "x-api-key": "sk-dead"}, (400, None)),
            ("GET", "/slots", None, KEY, (403, None)),
            ("GET", "/v1/%2e%2e/slots", None, KEY, (None, None)),
            ("GET", "/v1/x", None, {"authorization": "Bearer sk-dead"}, (502, "upstream_failed")),
        ]
        for method, path, body, headers, (status, expected) in cases:
            with connect() as client:
                over_2 = code(client.ask(method, path, body, **{k.replace("-", "_"): v for k, v in headers.items()}))
            over_1 = edge.http.request(method, path, headers=headers)
            assert over_2 == (over_1.status_code, over_1.json()["error"]["code"]), path
            assert status in (None, over_2[0]) and expected in (None, over_2[1])
        with connect() as client:
            assert client.ask("POST", "/v1/x", b"x" * (1 << 20), **KEY)[0] == 200
            assert code(client.ask("POST", "/v1/x", b"x" * ((1 << 20) + 1), **KEY)) == (413, "request_too_large")
            assert client.ask("GET", "/v1/x", **KEY)[0] == 200, "the connection lives on"
            for _ in range(4):
                last = client.send("GET", "/v1/x", **KEY)
                answer = client.over(last)
            assert code(answer) == (429, "rate_limit_exceeded")
            assert int(client.heads[last]["retry-after"]) > 0 and client.heads[last]["x-ratelimit-limit-requests"]


def test_what_a_server_breaks_off_is_no_end(door):
    def serve(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(65_536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"b\r\ndata: one\n\n\r\n"
            )
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        _, connect = door(text=to(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with connect() as client:
            stream = client.send("POST", "/v1/chat/completions", b"{}", **KEY)
            client.until(lambda: stream in client.resets or stream in client.ended)
            assert stream in client.resets, client.bodies[stream]
            assert client.bodies[stream].startswith(b"data: one\n\n") and b'"error"' in client.bodies[stream]
        listener.shutdown(socket.SHUT_RDWR)


class Holding:
    """A server that answers each request with one piece and holds it until it is told to end or its client leaves."""

    def __init__(self):
        self.open, self.peak, self.lefts = 0, 0, 0
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(20)

    def finish(self):
        self.loop.call_soon_threadsafe(self.ending.set)

    async def run(self):
        self.loop, self.over, self.ending = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096)
        self.url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.over.wait()
        server.close()

    async def serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        self.open += 1
        self.peak = max(self.peak, self.open)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"b\r\ndata: one\n\n\r\n"
        )
        ending, leaving = asyncio.ensure_future(self.ending.wait()), asyncio.ensure_future(reader.read(1))
        done, _ = await asyncio.wait([ending, leaving], return_when=asyncio.FIRST_COMPLETED)
        if leaving in done:
            self.lefts += 1
            ending.cancel()
        else:
            leaving.cancel()
            writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        self.open -= 1
        writer.close()


@pytest.mark.parametrize("connections", [2, pytest.param(10, marks=pytest.mark.full)])
def test_a_hundred_streams_a_connection(door, connections):
    with Holding() as origin:
        edge, connect = door(text=to(origin.url))
        clients = [connect() for _ in range(connections)]
        streams = [(client, [client.send("GET", "/v1/x", **KEY) for _ in range(100)]) for client in clients]
        for client, mine in streams:
            client.until(lambda: all(client.bodies[stream] for stream in mine))
        assert origin.open == 100 * connections
        # A fifth of them leaves; their connections at the server end, and no others do.
        for client, mine in streams:
            for stream in mine[::5]:
                client.reset(stream)
        eventually(lambda: origin.lefts == 20 * connections, seconds=30, what="the leaving of a fifth")
        assert origin.open == 80 * connections
        # One whole connection goes, with all that is left on it.
        streams[0][0].socket.close()
        eventually(lambda: origin.lefts == 20 * connections + 80, seconds=30, what="a connection's leaving")
        origin.finish()
        for client, mine in streams[1:]:
            for stream in set(mine) - set(mine[::5]):
                status, body = client.over(stream)
                assert (status, body) == (200, b"data: one\n\ndata: [DONE]\n\n")
            client.socket.close()


# HTTP/2 without TLS is begun with its first byte, in time, or not at all.


def test_the_first_bytes_decide(start_edge):
    with Origin(lambda _: Answer(body=b'{"ok":true}')) as origin:
        (start_edge.mappings / "alice.yml").write_text(to(origin.url))
        edge = start_edge("--head-timeout", "1")
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for first, expected in [
            (preface[:14], b""),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"HTTP/1.1 400"),
            (b"PRI * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"HTTP/1.1 400"),
            (b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 400"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + preface, b"HTTP/1.1 401"),
        ]:
            with socket.create_connection(edge.address, timeout=20) as connection:
                connection.sendall(first)
                answer = received(connection)
                assert answer.startswith(expected) and (expected or not answer), (first, answer)
        # Byte by byte, it is the same protocol.
        with socket.create_connection(edge.address, timeout=20) as connection:
            for at in range(len(preface)):
                connection.sendall(preface[at : at + 1])
                time.sleep(0.001)
            connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            assert connection.recv(9)[3] == 4, "its settings"


def received(connection):
    answer = b""
    try:
        while piece := connection.recv(65_536):
            answer += piece
    except ConnectionError:
        pass
    return answer


def test_http_leads_to_https(start_edge, authority):
    certificate, key = authority.issue("edge", ["localhost"])
    port, plain = free_port(), free_port()
    with Origin(lambda _: Answer(body=b'{"ok":true}')) as origin:
        (start_edge.mappings / "alice.yml").write_text(to(origin.url))
        start_edge(
            "--tls-listen", f"127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key,
            "--redirect-listen", f"127.0.0.1:{plain}",
        )
        with httpx.Client(verify=trusting(authority.file), headers=KEY) as client:
            for method, status in [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)]:
                moved = client.request(method, f"http://localhost:{plain}/v1/x?a=1")
                assert (moved.status_code, moved.headers["location"]) == (status, f"https://localhost:{port}/v1/x?a=1")
            assert not origin.requests, "nothing is served on the way"
            body = b"x" * 100_000
            arrived = client.post(f"http://localhost:{plain}/v1/x", content=body, follow_redirects=True)
            # The client leaves its key behind when the port changes; what matters is that it came.
            assert arrived.url == f"https://localhost:{port}/v1/x" and arrived.status_code in (200, 401)
        with socket.create_connection(("127.0.0.1", plain), timeout=20) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert received(connection).startswith(b"HTTP/1.1 400"), "no way around the redirection"
