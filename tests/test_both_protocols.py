"""What a client of HTTP/1.1 and one of HTTP/2 see, and what the edge does and writes down for each, is the same.

A scenario is a service, its servers as scripts of raw bytes, and what a client does; its outcome is what that client and
the servers saw. Every scenario is played once over each protocol, and the two are compared as wholes: whatever one of them
has and the other lacks fails the comparison, also what nobody thought to ask for. So is, at the end, what the edge wrote
down of all of them: access log, counters, journal.
"""

import contextlib
import http.client
import json
import re
import socket
import threading
from dataclasses import dataclass, field

import pytest
import yaml

from harness import http2
from harness.journal import dump
from harness.origin import read_request
from harness.process import eventually, free_port

CHAT = "/v1/chat/completions"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LOADING = b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
USAGE = b'"usage":{"prompt_tokens":30,"completion_tokens":40,"total_tokens":70}'

# What differs from one run to the next, not from one protocol to the other.
VOLATILE = {"date", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "retry-after-ms"}
# How HTTP/1.1 says where a body ends, and that a connection does.
FRAMING = {"connection", "transfer-encoding"}


# Servers. Each is a function of one request and its connection; what it is sent is written down for all.


def answer(status, body=b'{"ok":true}', *lines):
    head = [f"HTTP/1.1 {status} Answer", "Content-Type: application/json", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def says(*args):
    return lambda request, connection: connection.sendall(answer(*args))


def in_turn(*scripts):
    """The first for the first request, the last for all that come after it."""

    def serve(request, connection):
        scripts[min(len(request.server.requests), len(scripts)) - 1](request, connection)

    return serve


def vanishes(request, connection):
    connection.shutdown(socket.SHUT_RDWR)


def says_nothing(request, connection):
    connection.recv(1)


def breaks_in_json(request, connection):
    connection.sendall(answer(200)[:-3])
    connection.shutdown(socket.SHUT_RDWR)


def stream(*events, end=b"0\r\n\r\n"):
    def serve(request, connection):
        connection.sendall(SSE)
        for event in events:
            connection.sendall(chunk(event))
        if end is None:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(end)

    return serve


def silent_first(request, connection):
    connection.sendall(SSE)
    request.server.go_on.acquire(timeout=30)
    connection.sendall(chunk(token(b"one")) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def token(text):
    return b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text


class Server:
    """A listening socket and a script. It knows what reached it, and who left before an answer's end."""

    def __init__(self, script):
        self.script, self.requests, self.left = script, [], threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError, ValueError):
            while request := read_request(reader):
                self.requests.append(request)
                request.server = self
                self.script(request, connection)
                if self.script in (says_nothing, begins):
                    self.left.release()
                    return

    def seen(self):
        own = {"host", "x-request-id", "x-forwarded-for", *FRAMING}
        return [
            (one.method, one.target, sorted(header for header in one.headers if header[0] not in own), one.body)
            for one in self.requests
        ]


def begins(request, connection):
    connection.sendall(SSE + chunk(token(b"one")))
    connection.recv(1)


# Clients.


@dataclass
class Told:
    status: int
    headers: list
    body: bytes
    whole: bool = True

    def outcome(self):
        kept = [(name, value) for name, value in self.headers if name not in VOLATILE | FRAMING]
        return self.status, sorted(kept), re.sub(rb"(: keep-alive\n\n)+", rb": keep-alive\n\n", self.body), self.whole


class Over1:
    """A connection of HTTP/1.1 for each request."""

    def __init__(self, edge):
        self.address = edge.address

    def begin(self, method="POST", path=CHAT, body=b"{}", announced=True, **headers):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": "localhost", **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            framing = ("content-length", str(len(body))) if announced else ("transfer-encoding", "chunked")
            connection.putheader(*framing)
        connection.endheaders()
        with contextlib.suppress(OSError):
            if body and announced:
                connection.send(body)
            elif body is not None and not announced:
                connection.send(chunk(body) + b"0\r\n\r\n")
        return connection

    def over(self, connection):
        with contextlib.closing(connection):
            response = getattr(connection, "response", None) or connection.getresponse()
            pieces, whole = [getattr(connection, "first", b"")], True
            try:
                while piece := response.read1(65_536):
                    pieces.append(piece)
            except (http.client.IncompleteRead, ConnectionError, ValueError) as cut:
                pieces.append(getattr(cut, "partial", b""))
                whole = False
            whole = whole and response.length in (None, 0)
            headers = [(name.lower(), value) for name, value in response.getheaders()]
            return Told(response.status, headers, b"".join(pieces), whole)

    def until_begun(self, connection):
        connection.response = connection.getresponse()
        connection.first = connection.response.read1(1)
        assert connection.first

    def leave(self, connection):
        if response := getattr(connection, "response", None):
            response.close()
        connection.sock and connection.sock.close()
        connection.close()

    def close(self):
        pass


class Over2:
    """One connection of HTTP/2, a stream for each request."""

    def __init__(self, edge):
        self.client = http2.Client(edge.address)

    def begin(self, method="POST", path=CHAT, body=b"{}", announced=True, **headers):
        if body is not None and announced:
            headers["content_length"] = str(len(body))
        return self.client.send(method, path, body, **headers)

    def over(self, stream):
        client = self.client
        client.until(lambda: stream in client.ended or stream in client.resets)
        headers = [(name, value) for name, value in client.fields[stream] if not name.startswith(":")]
        return Told(int(client.heads[stream][":status"]), headers, client.bodies[stream], stream in client.ended)

    def until_begun(self, stream):
        self.client.until(lambda: self.client.bodies[stream])

    def leave(self, stream):
        self.client.reset(stream)

    def close(self):
        self.client.socket.close()


# Scenarios.


@dataclass
class Scenario:
    name: str
    play: object
    servers: list
    middlewares: dict = field(default_factory=dict)
    balancer: dict = field(default_factory=dict)
    strategy: str = None
    # What the outcome must have in it, whichever the protocol: two that fail alike are not the same.
    shows: str = "200, ["

    @property
    def key(self):
        return f"sk-{self.name}"


def asks(*requests):
    """One after the other; the outcome is what each was told."""

    def play(stage):
        return [stage.ask(**request).outcome() for request in requests]

    return play


def at_once(count, then):
    """So many streams are begun, then one more is asked for, then all leave and `then` more are asked."""

    def play(stage):
        held = [stage.begin() for _ in range(count)]
        for one in held:
            stage.client.until_begun(one)
        refused = stage.ask().outcome()
        for one in held:
            stage.client.leave(one)
        for _ in held:
            assert stage.servers[0].left.acquire(timeout=30), "the server was told"
        stage.servers[0].script = says(200)
        eventually(lambda: stage.in_flight() == 0, seconds=30, what="the end of those who left")
        return refused, [stage.ask().outcome() for _ in range(then)]

    return play


def leaves(begun):
    def play(stage):
        one = stage.begin()
        server = stage.servers[0]
        if begun:
            stage.client.until_begun(one)
        else:
            eventually(lambda: server.requests, seconds=30, what="the request's arrival")
        stage.client.leave(one)
        return server.left.acquire(timeout=30)

    return play


def waits_in_turn(stage):
    """The slot is taken; one waits and leaves, another waits and is served."""
    holder = stage.begin()
    stage.client.until_begun(holder)
    leaver, stayer = stage.begin(), stage.begin(path=f"{CHAT}?stays")
    eventually(lambda: stage.waiting() == 2, seconds=30, what="two who wait")
    stage.client.leave(leaver)
    eventually(lambda: stage.waiting() == 1, seconds=30, what="one who left")
    stage.servers[0].script = says(200)
    stage.client.leave(holder)
    return stage.client.over(stayer).outcome()


def is_comforted(stage):
    one = stage.begin(body=STREAMED)
    stage.client.until_begun(one)
    stage.servers[0].go_on.release()
    return stage.client.over(one).outcome()


BIG = b'{"messages":[{"role":"user","content":"' + b"long " * 60_000 + b'"}]}'
STREAMED = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
MODELS = {"models": {"allow": ["m"], "alias": {"gpt-4o": "m"}}}
UI = "https://ui.example"
CHANGES = {
    "customResponseHeaders": {"X-Added": "yes", "Server": ""}, "customRequestHeaders": {"X-Sent": "1"},
    "accessControlAllowOriginList": [UI], "accessControlAllowMethods": ["POST"],
}
PATHS = [CHAT, "/v1/messages", "/v1/responses", "/v1beta/models/m:streamGenerateContent"]
QUICK = {"forwardingTimeouts": {"responseHeaderTimeout": "300ms"}}

SCENARIOS = [
    Scenario("plain", asks({}, {"method": "GET", "path": "/v1/models?a=1", "body": None}, {"x_request_id": "mine-1"},
                           {"method": "HEAD", "body": None}, {"announced": False, "body": BIG}), [says(200)]),
    Scenario("statuses", asks(*[{}] * 4), [in_turn(says(404), says(418), says(500), says(501))], shows="418"),
    Scenario("refusals", asks({"path": "/slots", "method": "GET", "body": None}, {"authorization": "Bearer unknown"},
                              {"x_api_key": "another"}, {"path": "/v1/..%2fx"}, {"body": b'{"model":"a","model":"b"}'},
                              {"body": b"{}" * (1 << 20)}, {"body": b"{}" * (1 << 20), "announced": False},
                              {"headroom": "x" * 9000}), [says(200)], MODELS, shows="request_too_large"),
    Scenario("models", asks({"body": b'{"model":"gpt-4o"}'}, {"body": b'{"model":"other"}'}, {"body": b'{"model":"m"}',
             "announced": False}, {"body": b'{"model":"m","x":"' + b"y" * 200_000 + b'"}', "announced": False}),
             [says(200)], MODELS, shows="model_not_allowed"),
    Scenario("rate", asks(*[{}] * 4), [says(200, b"{}", "x-ratelimit-limit-requests: 9")],
             {"rateLimit": {"average": 2, "period": "1h", "burst": 2}}, shows="rate_limit_exceeded"),
    Scenario("slots", at_once(2, then=1), [begins], {"inFlightReq": {"amount": 2}}, shows="rate_limit_exceeded"),
    Scenario("tokens", asks(*[{"body": STREAMED}] * 3),
             [stream(token(b"a"), b'data: {"choices":[],%s}\n\n' % USAGE, b"data: [DONE]\n\n")],
             {"tokenLimit": {"amount": 100, "period": "24h", "count": "total"}}, shows="insufficient_quota"),
    Scenario("turns", waits_in_turn, [begins], balancer={"maxInFlight": 1}),
    Scenario("loading", asks({}, {"method": "GET", "body": None}),
             [in_turn(says(503, LOADING), says(503, LOADING), says(200))], shows="attempts=3"),
    Scenario("still-loading", asks({"method": "GET", "body": None}), [says(503, LOADING)], shows="Loading model"),
    Scenario("large-after-loading", asks({"body": BIG}), [in_turn(says(503, LOADING), says(200))], shows="attempts=2"),
    Scenario("another", asks({"body": BIG}, {"body": BIG, "announced": False}), [vanishes, says(200)],
             strategy="failover", shows="another-1; attempts=2"),
    Scenario("unavailable", asks({"body": BIG, "announced": False}), [says(502), says(200)],
             strategy="failover", shows="unavailable-1; attempts=2"),
    Scenario("none-left", asks({}), [vanishes], shows="upstream_failed"),
    Scenario("hangs", asks({}), [says_nothing], balancer={"serversTransport": "quick"}, shows="upstream_timeout"),
    Scenario("hangs-beside", asks({"body": BIG}), [says_nothing, says(200)], balancer={"serversTransport": "quick"},
             strategy="failover", shows="attempts=2"),
    Scenario("early", asks({"body": BIG}), [says(413, b'{"error":"too long"}', "Connection: close")], shows="too long"),
    *(Scenario(f"breaks-{n}", asks({"path": path, "body": STREAMED}), [stream(token(b"a"), end=None)],
               shows="incomplete")
      for n, path in enumerate(PATHS)),
    Scenario("breaks-in-an-event", asks({"body": STREAMED}), [stream(token(b"a")[:9], end=None)], shows="False"),
    Scenario("breaks-in-json", asks({}), [breaks_in_json], shows="False"),
    Scenario("comforted", is_comforted, [silent_first], shows=": keep-alive"),
    Scenario("leaves-early", leaves(begun=False), [says_nothing], shows="True"),
    Scenario("leaves-late", leaves(begun=True), [begins], shows="True"),
    Scenario("large", asks({}), [says(200, b"z" * 3_000_000)]),
    Scenario("changed", asks({"origin": UI}, {"method": "OPTIONS", "body": None, "origin": UI,
                                              "access_control_request_method": "POST"}),
             [says(200)], {"headers": CHANGES}, shows="x-added"),
    Scenario("sticky", asks({}), [says(200)], balancer={"sticky": {"cookie": {"name": "where"}}}, shows="set-cookie"),
    Scenario("nowhere", asks({}, {"body": BIG, "announced": False}), [None], shows="502"),
]


def document(scenarios, urls):
    http_ = {"routers": {}, "services": {}, "middlewares": {}, "serversTransports": {"quick": QUICK}}
    for one in scenarios:
        named = {f"{one.name}-{kind}".lower(): {kind: said} for kind, said in one.middlewares.items()}
        http_["middlewares"].update(named)
        http_["routers"][one.name] = {"rule": f"Key(`{one.key}`)", "service": one.name, "middlewares": list(named)}
        if one.strategy == "failover":
            for n, url in enumerate(urls[one.name]):
                http_["services"][f"{one.name}-{n}"] = {"loadBalancer": {"servers": [{"url": url}], **one.balancer}}
            http_["services"][one.name] = {"failover": {"service": f"{one.name}-0", "fallback": f"{one.name}-1"}}
        else:
            http_["services"][one.name] = {
                "loadBalancer": {"servers": [{"url": url} for url in urls[one.name]], **one.balancer}
            }
    return yaml.safe_dump({"http": {kind: things for kind, things in http_.items() if things}})


class Stage:
    """One protocol's edge, with every scenario's servers behind it."""

    def __init__(self, start_edge, folder, protocol, scenarios):
        self.folder = folder
        self.of = {one.name: [script and Server(script) for script in one.servers] for one in scenarios}
        dead = f"http://127.0.0.1:{free_port()}"
        urls = {name: [server.url if server else dead for server in servers] for name, servers in self.of.items()}
        (start_edge.mappings / "all.yml").write_text(document(scenarios, urls))
        self.log, self.journal = folder / "access.log", folder / "journal"
        self.edge = start_edge("--access-log", self.log, "--journal", self.journal, "--body-max-mib", "1",
                               "--server-header", "--sse-keepalive", "0.05")
        self.client = Over2(self.edge) if protocol == "http/2" else Over1(self.edge)
        self.ports = {url.rsplit(":", 1)[1]: f"{name}-{n}" for name, all_ in urls.items() for n, url in enumerate(all_)}

    def play(self, scenario):
        self.scenario, self.servers = scenario, self.of[scenario.name]
        told = scenario.play(self)
        return self.named(told), self.named([server and server.seen() for server in self.servers])

    def named(self, told):
        """Servers by what they are, not by their ports."""
        text = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: self.ports.get(found[1], found[0]), repr(told))
        # Ids of the edge's own making, and of cookies that name a server's address.
        return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|where=[0-9a-f]+|[0-9a-f]{32}", "ID", text)

    def begin(self, **request):
        return self.client.begin(**{"authorization": f"Bearer {self.scenario.key}", **request})

    def ask(self, **request):
        return self.client.over(self.begin(**request))

    def metrics(self):
        return self.edge.operator.get("/metrics").text

    def gauge(self, name):
        found = re.findall(rf'^{name}{{[^}}]*"{self.scenario.name}"[^}}]*}} (\S+)$', self.metrics(), re.M)
        return sum(map(float, found))

    def in_flight(self):
        return self.gauge("conclave_edge_requests_in_flight")

    def waiting(self):
        """Of one slot's service: who is let through, but for the one that holds it."""
        return self.in_flight() - 1

    def account(self):
        """What is written down of all of it: counted, logged and kept, without times and ids."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        volatile = ("time", "request_id", "client", "duration_ms")
        logged = sorted(self.named({k: v for k, v in line.items() if k not in volatile}) for line in lines)
        counters = r"conclave_edge_(requests|refusals|tokens|upstream_failures|server_picks)_total"
        counted = {line for line in self.metrics().splitlines() if re.match(counters, line)}
        return logged, sorted(self.named(line) for line in counted)

    def kept(self):
        """What is in the journal, but for what every run has of its own."""
        own = {"id", "request_id", "parent", "headers", "client"}
        kept = [{name: value for name, value in one.items() if name not in own and not re.search("_at|_ms|duration|time", name)}
                for one in dump(self.journal / "edge")[0]]
        return sorted(self.named(one) for one in kept)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    from harness.conclave import Edge

    started = {}
    for protocol in ("http/1.1", "http/2"):
        folder = tmp_path_factory.mktemp("both")
        (folder / "mappings").mkdir()

        def start(*flags, folder=folder):
            return Edge(folder / "mappings", folder, *flags)

        start.mappings = folder / "mappings"
        started[protocol] = Stage(start, folder, protocol, SCENARIOS)
    yield started
    for stage in started.values():
        stage.client.close()
        stage.edge.stop()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_is_the_same(stages, scenario):
    over_1, over_2 = (stages[protocol].play(scenario) for protocol in ("http/1.1", "http/2"))
    assert over_1 == over_2
    assert scenario.shows in over_1[0], over_1[0]


def test_the_account_is_the_same(stages):
    def counts(stage):
        return len(stage.log.read_text().splitlines())

    one, two = stages.values()
    eventually(lambda: counts(one) == counts(two), seconds=30, what="as many lines of the log")
    over_1, over_2 = (stage.account() for stage in stages.values())
    assert over_1 == over_2
    assert len(over_1[0]) > len(SCENARIOS)
    # A request is written with its answer or a moment later.
    eventually(lambda: len(one.kept()) == len(two.kept()), seconds=30, what="as many exchanges", interval=0.5)
    assert one.kept() == two.kept()
