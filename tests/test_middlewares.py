"""Middlewares of a mapping before a real llama-server and a plain origin: the server's own key, prefixes, CORS, paths."""

import httpx
import pytest
import yaml

from harness import llama
from harness.mapping import keyed
from harness.origin import Origin
from test_check import check

HEADERS = {"Authorization": "Bearer K"}


def with_middlewares(url, **middlewares):
    """The mapping of key K with these, in their order."""
    file = yaml.safe_load(keyed("key", "K", url, middlewares=list(middlewares)))
    file["http"]["middlewares"] = middlewares
    return yaml.safe_dump(file, sort_keys=False)


@pytest.fixture
def guarded(tmp_path):
    """A llama-server that asks for a key."""
    server = llama.Llama(tmp_path, "guarded", llama.TINY, "--api-key", "sk-server")
    yield server
    server.stop()


def test_a_llama_server_with_a_key_of_its_own(edge, guarded, tmp_path):
    """The client knows K, the server wants another, and neither sees the other's."""
    key = tmp_path / "key"
    key.write_text("sk-server\n")
    edge.put("key.yml", with_middlewares(guarded.url, theirs={"upstreamKey": {"file": str(key)}}))
    ask = {"model": guarded.alias, "prompt": "a", "max_tokens": 4}
    assert httpx.post(f"{guarded.url}/v1/completions", json=ask, headers=HEADERS).status_code == 401
    reply = edge.http.post("/v1/completions", json=ask, headers=HEADERS)
    assert reply.status_code == 200, reply.text
    assert edge.http.post("/v1/completions", json=ask, headers={"Authorization": "Bearer sk-server"}).status_code == 401


def test_prefixes_paths_and_headers(edge):
    with Origin() as origin:
        edge.put("key.yml", with_middlewares(
            origin.url,
            strip={"stripPrefix": {"prefixes": ["/team"]}},
            some={"paths": {"allow": ["/v1/*", "/slots"]}},
            heads={"headers": {"customRequestHeaders": {"X-Team": "blue"}, "customResponseHeaders": {"X-Edge": "here"}}},
        ))
        reply = edge.http.get("/team/v1/models?a=1", headers=HEADERS)
        assert (reply.status_code, reply.headers["x-edge"]) == (200, "here")
        (request,) = origin.requests
        assert (request.target, request.values("X-Team")) == ("/v1/models?a=1", ["blue"])
        assert edge.http.get("/team/slots", headers=HEADERS).status_code == 200
        for target in ["/team/props", "/api/chat", "/team/api/pull"]:
            reply = edge.http.get(target, headers=HEADERS)
            assert (reply.status_code, reply.json()["error"]["code"]) == (403, "path_not_allowed"), target


@pytest.mark.parametrize("origin_of_page, allowed", [("https://chat.example", True), ("https://evil.example", False)])
def test_a_browsers_preflight(edge, origin_of_page, allowed):
    with Origin() as origin:
        cors = {"accessControlAllowOriginList": ["https://chat.example"], "accessControlAllowHeaders": ["authorization"]}
        edge.put("key.yml", with_middlewares(origin.url, cors={"headers": cors}))
        asks = {"Origin": origin_of_page, "Access-Control-Request-Method": "POST"}
        reply = edge.http.options("/v1/chat/completions", headers=asks)
        assert reply.status_code == (200 if allowed else 401)
        assert reply.headers.get("access-control-allow-origin") == (origin_of_page if allowed else None)
        assert origin.requests == []


def test_check_names_the_place_and_shows_no_key(tmp_path):
    text = with_middlewares("http://127.0.0.1:1", theirs={"upstreamKey": {"env": "sk-SECRET"}}, slow={"retry": {}})
    (tmp_path / "a.yml").write_text(text)
    result = check(tmp_path)
    report = result.stdout + result.stderr
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines, 1) if "sk-SECRET" in line)
    assert result.returncode == 1 and f"a.yml:{place}:" in report and "SECRET" not in report, report
    assert "needs `attempts`" in report
