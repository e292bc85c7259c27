"""Traefik's matching semantics, row by row, through the real edge over raw sockets.

Reaches: the request arrives at the router's server. Refused: it does not; the answer is 401 or 404. Invalid: the
mapping file itself is refused, with the place of the mistake. Where Conclave differs on purpose from Traefik, the
row says the status.
"""

import pytest

from harness.mapping import keyed, mapping
from harness.origin import Origin
from harness.wire import request, send

REACHES, REFUSED, INVALID = "reaches", "refused", "invalid"
K = "HeaderRegexp(`Authorization`,`^Bearer API_KEY-1$`)"
MODELS = "Path(`/v1/models`)"


def authorization(*values):
    return request("/", headers=[f"Authorization: {value}" for value in values])


def at(target, **options):
    return request(target, **options)


ROWS = [
    # Credentials
    (K, authorization("Bearer API_KEY-1"), REACHES),
    (K, request("/", headers=["authorization: Bearer API_KEY-1"]), REACHES),
    (K, authorization("bearer API_KEY-1"), REFUSED),
    (K, authorization("Bearer  API_KEY-1"), REFUSED),
    (K, request("/", headers=["Authorization: \t Bearer API_KEY-1 \t "]), REACHES),
    (K, authorization("Bearer API_KEY-10"), REFUSED),
    # Traefik lets any one of several lines match. Two different keys are a mistake or an attack: 400.
    (K, authorization("Bearer API_KEY-1", "Bearer OTHER"), 400),
    (K, authorization("Bearer OTHER", "Bearer API_KEY-1"), 400),
    (K, request("/"), REFUSED),
    (K, request("/", headers=["Proxy-Authorization: Bearer API_KEY-1"]), REFUSED),
    ("HeaderRegexp(`Authorization`, `Bearer API_KEY-1`)", authorization("xxBearer API_KEY-123"), REACHES),
    ("HeaderRegexp(`Authorization`, `(?i)^bearer API_KEY-1$`)", authorization("BEARER api_key-1"), REACHES),
    (K.replace("Authorization", "authorization"), authorization("Bearer API_KEY-1"), REACHES),
    (K.replace("HeaderRegexp", "HEADERREGEXP"), authorization("Bearer API_KEY-1"), REACHES),
    (K.replace("HeaderRegexp", "headerregexp"), authorization("Bearer API_KEY-1"), REACHES),
    (K.replace("HeaderRegexp", "Headerregexp"), authorization("Bearer API_KEY-1"), REACHES),
    (K.replace("HeaderRegexp", "headerRegexp"), authorization("Bearer API_KEY-1"), INVALID),
    # Strings and patterns
    ('HeaderRegexp(`Authorization`, "^Bearer a\\\\.b$")', authorization("Bearer a.b"), REACHES),
    ('HeaderRegexp(`Authorization`, "^Bearer a\\\\.b$")', authorization("Bearer axb"), REFUSED),
    ('HeaderRegexp(`Authorization`, "^Bearer a\\.b$")', authorization("Bearer a.b"), INVALID),
    ("HeaderRegexp(`Authorization`, `^Bearer \\Qa.b\\E$`)", authorization("Bearer a.b"), REACHES),
    ("HeaderRegexp(`Authorization`, `^Bearer \\Qa.b\\E$`)", authorization("Bearer axb"), REFUSED),
    ("HeaderRegexp(`Authorization`, `^Bearer (?=x)x$`)", authorization("Bearer x"), INVALID),
    ("HeaderRegexp('Authorization', '^Bearer x$')", authorization("Bearer x"), INVALID),
    (" \t" + K[:-1] + ",) \n", authorization("Bearer API_KEY-1"), REACHES),
    # Header
    ("Header(`Authorization`, `Bearer a`)", authorization("Bearer a"), REACHES),
    ("Header(`Authorization`, `Bearer a`)", authorization("Bearer A"), REFUSED),
    ("Header(`Host`, `h`)", request("/", host="h"), REFUSED),
    ("Header()", request("/"), INVALID),
    ("Header(`Authorization`)", request("/"), INVALID),
    ("Header(`Authorization`, `a`, `b`)", request("/"), INVALID),
    ("Header(``, `a`)", request("/"), INVALID),
    ("Header(`Authorization`, ``)", request("/"), INVALID),
    # Path
    (MODELS, at("/v1/models"), REACHES),
    (MODELS, at("/v1/models?x=1"), REACHES),
    (MODELS, at("/v1/models", method="HEAD"), REACHES),
    (MODELS, at("http://h/v1/models"), REACHES),
    (MODELS, at("/v1/models/"), REFUSED),
    (MODELS, at("/V1/models"), REFUSED),
    (MODELS, at("//v1/models"), REACHES),
    (MODELS, at("/v1/./models"), REACHES),
    (MODELS, at("/v1/x/../models"), REACHES),
    (MODELS, at("/v1/%6dodels"), REACHES),
    (MODELS, at("/v1/models#frag"), 400),
    ("Path(`/a b`)", at("/a%20b"), REACHES),
    ("Path(`/a%20b`)", at("/a%20b"), REFUSED),
    ("Path(`css`)", at("/css"), INVALID),
    ("Path(`*`)", at("/"), INVALID),
    ("Path(`/a`, `/b`)", at("/a"), INVALID),
    ("PathPrefix(`/v1`)", at("/v1"), REACHES),
    ("PathPrefix(`/v1`)", at("/v1beta/x"), REACHES),
    ("PathPrefix(`/v1/`)", at("/v1"), REFUSED),
    ("PathRegexp(`models`)", at("/v1/models/x"), REACHES),
    # Method, host
    ("Method(`get`)", at("/", method="GET"), REACHES),
    ("Method(`GET`)", at("/", method="get"), REFUSED),
    ("Host(`h`)", at("/", host="H:8080"), REACHES),
    ("Host(`h`)", at("/", host="h."), REACHES),
    ("Host(`h.`)", at("/", host="h"), REACHES),
    ("Host(`h:8080`)", at("/", host="h:8080"), REFUSED),
    ("HostRegexp(`^h$`)", at("/", host="H"), REACHES),
    ("HostRegexp(`^H$`)", at("/", host="H"), REFUSED),
    # Query
    ("Query(`q`, `x`)", at("/?q=x"), REACHES),
    ("Query(`q`, `x`)", at("/?q=y&q=x"), REACHES),
    ("Query(`q`, `x`)", at("/?q=X"), REFUSED),
    ("Query(`q`, `x`)", at("/?Q=x"), REFUSED),
    ("Query(`k`)", at("/?k"), REACHES),
    ("Query(`k`)", at("/?k="), REACHES),
    ("Query(`k`)", at("/?k=1"), REFUSED),
    ("QueryRegexp(`k`)", at("/?k"), REACHES),
    ("QueryRegexp(`k`)", at("/?k="), REACHES),
    ("QueryRegexp(`k`)", at("/?k=1"), REFUSED),
    # Client address
    ("ClientIP(`127.0.0.1`)", request("/", headers=["X-Forwarded-For: 10.9.8.7"]), REACHES),
    ("ClientIP(`10.9.8.7`)", request("/", headers=["X-Forwarded-For: 10.9.8.7"]), REFUSED),
    ("ClientIP(`1`)", request("/"), INVALID),
    ("ClientIP(`127.0.0.1`, `::1`)", request("/"), INVALID),
    # Operators
    (f"!!{MODELS}", at("/v1/models"), REACHES),
    ("!Path(`/x`)", at("/x"), REFUSED),
    (f"{K} && {MODELS}", authorization("Bearer API_KEY-1"), REFUSED),
    (f"{MODELS} || Path(`/x`) && Path(`/y`)", at("/v1/models"), REACHES),
    ("(Path(`/x`) || Path(`/z`)) && Path(`/y`)", at("/x"), REFUSED),
    (f"{K} && ", authorization("Bearer API_KEY-1"), INVALID),
    (f"{K} {K}", authorization("Bearer API_KEY-1"), INVALID),
    (f"({K}", authorization("Bearer API_KEY-1"), INVALID),
    ("Nonsense(`x`)", at("/"), INVALID),
]
CLEANED = {"//v1/models", "/v1/./models", "/v1/x/../models", "/v1/%6dodels", "http://h/v1/models"}


@pytest.fixture(scope="module")
def origin():
    with Origin() as origin:
        yield origin


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    from harness.conclave import Edge

    edge = Edge(tmp_path_factory.mktemp("mappings"), tmp_path_factory.mktemp("logs"))
    yield edge
    edge.stop()


@pytest.fixture(autouse=True)
def an_empty_folder_afterwards(edge):
    yield
    for path in edge.mappings.glob("*.yml"):
        edge.remove(path.name)


IDS = [f"{number}-{row[0].strip()[:40]}" for number, row in enumerate(ROWS)]


@pytest.mark.parametrize("number, row", list(enumerate(ROWS)), ids=IDS)
def test_row(edge, origin, number, row):
    rule, data, expected = row
    name = f"row-{number}.yml"
    edge.put(name, mapping(f"row-{number}", rule, origin.url))
    method, target = data.split(" ", 2)[:2]
    origin.requests.clear()
    reply = send(edge.address, data, method=method)

    if expected == REACHES:
        assert reply.status == 200, reply.body
        (arrived,) = origin.requests
        assert arrived.target == ("/v1/models" if target in CLEANED else target)
        return
    assert origin.requests == []
    if expected == INVALID:
        problem = edge.bad_files()[name]["problems"][0]
        assert problem["line"] > 0 and problem["column"] > 0 and problem["rule"] and problem["fix"]
        # A key that could still be read from the file is held back; any other is unknown.
        assert reply.status in (401, 404, 503)
    else:
        assert edge.bad_files() == {}
        assert reply.status in ((401, 404) if expected == REFUSED else (expected,)), reply.body


def test_the_key_wins_over_a_shorter_keyless_rule(edge, origin):
    with Origin() as aggregator:
        edge.put("key.yml", keyed("key", "API_KEY-1", origin.url))
        edge.put("models.yml", mapping("models", MODELS, aggregator.url))
        origin.requests.clear()
        send(edge.address, request("/v1/models", headers=["Authorization: Bearer API_KEY-1"]))
        assert (len(origin.requests), len(aggregator.requests)) == (1, 0)
        send(edge.address, request("/v1/models"))
        assert (len(origin.requests), len(aggregator.requests)) == (1, 1)


def test_an_unknown_key_never_falls_to_a_keyless_route(edge, origin):
    edge.put("everything.yml", mapping("everything", "PathPrefix(`/`)", origin.url, priority=100_000))
    origin.requests.clear()
    reply = send(edge.address, request("/v1/models", headers=["Authorization: Bearer UNKNOWN"]))
    assert (reply.status, origin.requests) == (401, [])


def test_a_router_without_its_service_is_refused_and_not_handed_on(edge, origin):
    broken = keyed("broken", "API_KEY-1", origin.url).replace("service: broken", "service: missing")
    edge.put("broken.yml", broken)
    edge.put("wide.yml", mapping("wide", "HeaderRegexp(`Authorization`, `.`)", origin.url))
    origin.requests.clear()
    reply = send(edge.address, request("/", headers=["Authorization: Bearer API_KEY-1"]))
    assert (reply.status, origin.requests) == (503, [])
