"""No log, metric, answer, page or process title shows a key or a prompt, whatever is sent and whatever goes wrong.

Each case brings canaries of its own, so that a hit names its case. Exempt is what is whose it is anyway: a backend's own
answer to its own client, and a process's environment, which is where its operator put the key.
"""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import threading
from pathlib import Path

import httpx
import pytest
import yaml

from harness.conclave import Aggregator, binary
from harness.mapping import keyed, mapping
from harness.origin import Answer, Origin
from harness.process import Process, eventually
from harness.wire import request, send

CANARY = "CANARY"
CHAT = "/v1/chat/completions"


def key(case):
    return f"sk-{CANARY}-key-{case}"


def prompt(case):
    return f"{CANARY}-prompt-{case}"


def chat(case, model="m", more=""):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt(case)}]}) + more


def post(target, *headers, body="", length=None):
    lines = ["Content-Type: application/json", f"Content-Length: {len(body) if length is None else length}", *headers]
    return request(target, "POST", headers=lines) + body


def bearer(case):
    return f"Authorization: Bearer {key(case)}"


def routers(dead_port):
    """Keys whose requests are refused, each for a reason of its own; by the case's name."""
    def guarded(**middleware):
        return {"service": "origin", "guard": middleware}

    return {
        "broken_router": {"service": "nobody"},
        "no_route": {"service": "origin", "and": "Path(`/elsewhere`)"},
        "refused": {"service": "dead"},
        "noop": {"service": "noop@internal"},
        **{case: {"service": "origin"} for case in (
            "valid", "slots", "cut", "garbage", "half", "fails", "silent", "two_keys", "chunks", "bare_lf", "lengths", "h2c",
            "gone", "bad_path", "connect",
        )},
        "expired": guarded(validity={"notAfter": "2020-01-01"}),
        "model": guarded(models={"allow": ["other"]}),
        "model_twice": guarded(models={"allow": ["m"]}),
        "rate": guarded(rateLimit={"average": 1, "period": "1h", "burst": 1}),
        "budget": guarded(tokenLimit={"amount": 1, "period": "24h", "count": "total"}),
        "body_size": guarded(buffering={"maxRequestBodyBytes": 8}),
        "upstream_key": guarded(upstreamKey={"file": "/nowhere/at/all"}),
        "address": guarded(ipAllowList={"sourceRange": ["203.0.113.0/24"]}),
        "paths": guarded(paths={"allow": ["/v1/models"]}),
        "dead_port": {"service": "dead"},
    }


def routing(origin, dead_port):
    http = {"routers": {}, "middlewares": {}, "services": {
        "origin": {"loadBalancer": {"servers": [{"url": origin}]}},
        "dead": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{dead_port}"}]}},
    }}
    for case, said in routers(dead_port).items():
        rule = f"Key(`{key(case)}`)" + (f" && {said['and']}" if "and" in said else "")
        http["routers"][case] = {"rule": rule, "service": said["service"]}
        if "guard" in said:
            http["routers"][case]["middlewares"] = [f"of-{case}"]
            http["middlewares"][f"of-{case}"] = said["guard"]
    return yaml.safe_dump({"http": http})


def answering(request):
    """An origin that does to each case what its name says."""
    case = (request.values("authorization") or request.values("x-api-key") or [""])[0].rpartition("key-")[2]
    if case == "cut":
        raise OSError
    if case == "garbage":
        return Raw(f"HTTP/9.9 what? {prompt(case)}\r\n\r\n")
    if case == "half":
        return Raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100\r\n\r\ndata: {}\n\n", then_cut=True)
    if case == "silent":
        return Raw("", wait=True)
    return Answer(500 if case == "fails" else 200)


class Raw:
    def __init__(self, text, then_cut=False, wait=False):
        self.text, self.then_cut, self.wait = text, then_cut, wait

    def encode(self):
        if self.wait:
            # Longer than the edge waits.
            threading.Event().wait(8)
        return self.text.encode()


# case: (bytes, expected statuses). A case's key and prompt are in what it sends, wherever else they may be.
def requests():
    yield "none", post(CHAT, body=chat("none")), {401}
    yield "unknown", post(CHAT, bearer("unknown"), body=chat("unknown")), {401}
    for header in ("x-api-key", "api-key", "x-goog-api-key"):
        yield header, post(CHAT, f"{header}: {key(header)}", body=chat(header)), {401}
    yield "query", post(f"{CHAT}?key={key('query')}&api_key={key('query')}", body=chat("query")), {401}
    yield "basic", post(CHAT, f"Authorization: Basic {key('basic')}", body=chat("basic")), {401}
    yield "cookie", post(CHAT, f"Cookie: session={key('cookie')}", body=chat("cookie")), {401}
    yield "two_keys", post(CHAT, bearer("two_keys"), f"x-api-key: {key('other')}", body=chat("two_keys")), {400}
    yield "twice", post(CHAT, bearer("twice"), bearer("again"), body=chat("twice")), {400}
    yield "odd_bytes", post(CHAT, f"Authorization: Bearer {key('odd')}\xff\xfe\"", body=chat("odd")), {400, 401}
    for case, status in [
        ("valid", 200), ("no_route", 404), ("broken_router", 503), ("refused", 502), ("noop", 418), ("expired", 401),
        ("model", 403), ("body_size", 413), ("upstream_key", 503), ("address", 403), ("paths", 403), ("cut", 502),
        ("garbage", 502), ("fails", 500), ("silent", 504),
    ]:
        yield case, post(CHAT, bearer(case), body=chat(case)), {status}
    for case, status in (("rate", 429), ("budget", 429)):
        for _ in range(2):
            yield case, post(CHAT, bearer(case), body=chat(case)), {200, status}
    yield "slots", request("/slots?prompt=" + prompt("slots"), headers=[bearer("slots")]), {403}
    yield "bad_path", request(f"/v1%2F..%2Fslots?{key('bad_path')}", headers=[bearer("bad_path")]), {400}
    body = '{"model": "m", "model": "' + key("model_twice") + '"}'
    yield "model_twice", post(CHAT, bearer("model_twice"), body=body), {400, 403}
    yield "broken_file", post(CHAT, bearer("broken_file"), body=chat("broken_file")), {503}
    yield "bare_lf", f"POST {CHAT} HTTP/1.1\nHost: h\n{bearer('bare_lf')}\n\n", {400}
    yield "lengths", post(CHAT, bearer("lengths"), "Content-Length: 1", body=chat("lengths")), {400}
    yield "chunks", request(CHAT, "POST", headers=[bearer("chunks"), "Transfer-Encoding: chunked"]) + f"zz{prompt('chunks')}\r\n", {400}
    yield "large", post(CHAT, f"Authorization: Bearer {key('large')}{'x' * 70_000}"), {431}
    yield "many", post(CHAT, bearer("many"), *[f"x-{n}: {key('many')}" for n in range(200)]), {431}
    yield "connect", f"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n{bearer('connect')}\r\n\r\n", {405}
    yield "method", f"{key('method')} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {400, 401}
    yield "version", f"GET / HTTP/{key('version')}\r\n\r\n", {400}
    yield "host", request("/", host=f"user:{key('host')}@h"), {400, 401}
    yield "keyless", post(f"/stats?{key('keyless')}", body=prompt("keyless")), {401, 404, 405, 503}
    yield "h2c", post(CHAT, bearer("h2c"), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                      f"HTTP2-Settings: {key('h2c')}", body=chat("h2c")), {200}


def bad_files(folder, outside):
    """Mapping files that are refused, with a key in each."""
    def put(name, text):
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    valid = "http://127.0.0.1:1"
    put("broken_file.yml", keyed("f", key("broken_file"), valid).replace("HeaderRegexp", "headerRegexp"))
    put("pattern.yml", mapping("p", f"HeaderRegexp(`Authorization`, `({key('pattern')}`)", valid))
    put("hash.yml", mapping("h", f"KeySha256(`{key('hash')}`)", valid))
    put("unclosed.yml", mapping("u", f"Key(`{key('unclosed')}", valid))
    put("yaml.yml", f"http: {{routers: {{a: {{rule: \"Key(`{key('yaml')}`)\", service: [}}\n")
    put("tabs.yml", f"http:\n\trouters: {key('tabs')}\n")
    put("url.yml", mapping("l", "Key(`x`)", f"http://user:{key('url')}@127.0.0.1:1/?{key('url')}"))
    put("bytes.yml", keyed("b", key("bytes"), valid).encode() + b"\xff")
    put("field.yml", keyed("d", key("field"), valid) + f"{key('field')}: 1\n")
    put("twice.yml", f"http: {{}}\n# {key('twice')}\nhttp: {{routers: {key('twice')}}}\n")
    put("middleware.yml", mapping("w", f"Key(`{key('middleware')}`)", valid, middlewares=["nobody"]))
    put("kind.yml", f"http: {{middlewares: {{a: {{{key('kind')}: {key('kind')}}}}}}}\n")
    put("open.yml", keyed("o", key("open"), valid))
    (folder / "open.yml").chmod(0o666)
    outside.write_text(keyed("out", key("link"), valid))
    (folder / "link.yml").symlink_to(outside)
    os.mkfifo(folder / "fifo.yml")


def shown_by(process, admin=()):
    """What a process shows of itself; its environment is its operator's."""
    me = Path(f"/proc/{process.child.pid}")
    shown = {"cmdline": (me / "cmdline").read_bytes().decode(errors="replace")}
    shown["threads"] = "".join((task / "comm").read_text() for task in (me / "task").iterdir())
    for name, reply in admin:
        shown[name] = str(reply.headers) + reply.text
    return shown


def hits(shown):
    """Where a canary is shown, and what stands around it."""
    found = []
    for place, text in shown.items():
        at = text.find(CANARY)
        while at >= 0:
            found.append((place, text[max(0, at - 80):at + 60]))
            at = text.find(CANARY, at + 1)
    return found


def assert_lines_are_json(*logs):
    """Each line an object and nothing but one; what a start announces to its terminal apart."""
    for log in logs:
        *lines, rest = log.split(b"\n")
        assert rest == b""
        for line in lines:
            if not line.startswith(b"conclave: "):
                assert isinstance(json.loads(line), dict) and not any(byte < 0x20 for byte in line), line


def test_no_error_of_the_edge_shows_a_key_or_a_prompt(start_edge, tmp_path):
    access_log, state = tmp_path / "access.log", tmp_path / "state"
    cases, statuses = list(requests()), {}
    assert len({case for case, _, _ in cases}) >= 40
    with socket.socket() as dead, Origin(answering) as origin:
        dead.bind(("127.0.0.1", 0))
        bad_files(start_edge.mappings, tmp_path / "outside.yml")
        (start_edge.mappings / "all.yml").write_text(routing(origin.url, dead.getsockname()[1]))
        edge = start_edge("--log-level", "DEBUG", "--log-json", "--access-log", access_log, "--read-timeout", "1",
                          "--state", state)
        shown = {}
        for case, data, expected in cases:
            reply = send(edge.address, data)
            assert reply.status in expected, (case, reply)
            statuses.setdefault(reply.status, case)
            shown[f"answer to {case}"] = str(reply.headers) + reply.body.decode(errors="replace")
        # Clients that leave, and a server that does.
        with socket.create_connection(edge.address) as gone:
            gone.sendall(post(CHAT, bearer("gone"), body=chat("gone"), length=5000).encode())
        with socket.create_connection(edge.address) as half:
            half.sendall(post(CHAT, bearer("half"), body=chat("half")).encode())
            half.shutdown(socket.SHUT_WR)
            while half.recv(4096):
                pass
        assert set(statuses) >= {200, 400, 401, 403, 404, 405, 413, 418, 429, 431, 500, 502, 503, 504}
        operator = [(path, edge.operator.get(path)) for path in ("/metrics", "/health", "/ready")]
        shown.update(shown_by(edge.process, operator))
        bad = edge.bad_files()
        assert {"open.yml", "link.yml", "fifo.yml", "yaml.yml", "bytes.yml", "hash.yml"} <= set(bad), bad
        assert "chmod o-w" in str(bad["open.yml"]) and "Put the file itself here" in str(bad["link.yml"])
        edge.stop()
    lines = access_log.read_text()
    shown["access log"], shown["log"] = lines, edge.process.output
    for path in state.rglob("*"):
        if path.is_file():
            shown[f"state {path.name}"] = path.read_bytes().decode(errors="replace")
    checked = subprocess.run([binary(), "check", "--mappings", start_edge.mappings], text=True, capture_output=True, timeout=60)
    assert checked.returncode == 1 and "chmod o-w" in checked.stdout
    shown["check"] = checked.stdout + checked.stderr
    assert_lines_are_json(lines.encode(), edge.process.output.encode())
    assert hits(shown) == []


CONFIG = """\
server: {{auth: keys}}
admin: {{auth: {{type: bearer, token: {admin}}}}}
backends:
- {{name: echo, type: openai, url: '{echo}', api_key: {backend}, headers: {{x-team: {header}}}, models: [m]}}
- {{name: dead, type: anthropic, url: 'http://127.0.0.1:{dead}', api_key: {backend}, models: [dead]}}
response_storage: {{enabled: false}}
council: {{templates_dir: '{templates}', listed: true}}
"""


def echoing(request):
    """A backend that repeats all it was sent, in an error: what it says is quoted to clients."""
    said = json.dumps({"error": {"message": f"{request.headers} {request.target}", "type": "x"}})
    return Answer(400 if b"refuse-me" in request.body else 401, said.encode())


def aggregator_requests():
    """(case, method, path, headers, body)"""
    known = {"Authorization": f"Bearer {key('known')}"}
    for path in (CHAT, "/v1/messages", "/api/chat", "/v1/responses", "/v1/embeddings"):
        yield f"no key {path}", "POST", path, {}, chat("aggregator")
        yield f"unknown {path}", "POST", path, {"x-api-key": key("stranger")}, chat("aggregator")
        yield f"backend refuses the key {path}", "POST", path, known, chat("aggregator")
        yield f"backend refuses {path}", "POST", path, known, chat("aggregator").replace('"m"', '"m", "x": "refuse-me"')
        yield f"dead {path}", "POST", path, known, chat("aggregator", model="dead")
        yield f"no model {path}", "POST", path, known, chat("aggregator", model=key("model"))
        yield f"no JSON {path}", "POST", path, known, chat("aggregator")[:-1]
        yield f"no text {path}", "POST", path, known, b"\xff" + chat("aggregator").encode()
        yield f"wrong shape {path}", "POST", path, known, json.dumps({"model": "m", "messages": prompt("shape"), "input": {"x": prompt("shape")}})
    yield "two keys", "POST", CHAT, {**known, "x-api-key": key("stranger")}, chat("aggregator")
    yield "council", "POST", "/v1/council/chat", known, json.dumps({"template": key("template"), "messages": [{"role": "user", "content": prompt("council")}]})
    yield "council shape", "POST", "/v1/council/chat", known, json.dumps({"members": prompt("members"), "messages": prompt("council")})
    yield "query", "POST", f"{CHAT}?key={key('query')}", {}, chat("aggregator")
    yield "path", "GET", f"/nothing?key={key('path')}", {}, ""
    yield "method", "PUT", f"/stats?key={key('method')}", known, prompt("method")
    yield "wrong token", "GET", "/admin/backends", {"Authorization": f"Bearer {key('wrong')}"}, ""
    yield "token in the query", "GET", f"/admin/backends?token={key('admin')}", {}, ""
    yield "token in a cookie", "GET", "/admin/backends", {"Cookie": f"token={key('admin')}"}, ""
    yield "unknown filter", "GET", f"/admin/responses?{key('filter')}={key('filter')}", {"Authorization": f"Bearer {key('admin')}"}, ""
    yield "other host", "GET", "/admin/backends", {"Authorization": f"Bearer {key('admin')}", "Host": key("host").lower()}, ""
    yield "other origin", "GET", "/admin/backends", {"Authorization": f"Bearer {key('admin')}", "Origin": f"http://{key('origin')}"}, ""
    yield "manage", "POST", "/api/pull", {"Authorization": f"Bearer {key('wrong')}"}, chat("aggregator")
    yield "show", "POST", "/api/show", known, json.dumps({"model": key("show")})


def test_no_error_of_the_aggregator_shows_a_key_or_a_prompt(tmp_path):
    folder, templates, config = tmp_path / "mappings", tmp_path / "templates", tmp_path / "config.yaml"
    folder.mkdir(), templates.mkdir()
    (folder / "known.yml").write_text(keyed("known", key("known"), "http://127.0.0.1:1"))
    (templates / "broken.yaml").write_text(f"members: {key('template')}\n{key('template')}: [\n")
    with socket.socket() as dead, Origin(echoing) as echo:
        dead.bind(("127.0.0.1", 0))
        said = dict(admin=key("admin"), echo=echo.url, backend=key("backend"), header=key("header"),
                    dead=dead.getsockname()[1], templates=templates)
        config.write_text(CONFIG.format(**said))
        aggregator = Aggregator(folder, tmp_path, "--config", config, "--log-level", "DEBUG", "--log-json",
                                environment={"CONCLAVE_BACKEND_KEY": key("environment")})
        try:
            shown, served, cases = {}, [], list(aggregator_requests())
            assert len(cases) >= 40
            # A connection each: one on which a body was not read ends.
            once = httpx.Limits(max_keepalive_connections=0)
            client = httpx.Client(base_url=aggregator.url, timeout=30, limits=once)
            for case, method, path, headers, body in cases:
                reply = client.request(method, path, headers=headers, content=body)
                served += [case] if reply.status_code < 400 else []
                shown[case] = str(reply.headers) + reply.text
            assert served == []
            # A file that breaks while it runs.
            config.write_text(CONFIG.format(**said) + f"{key('broken')}: [{key('broken')}\n")
            eventually(lambda: "kept_last_good" in aggregator.http.get("/health").text, what="the broken file is noticed")
            admin = {"Authorization": f"Bearer {key('admin')}"}
            pages = [(path, aggregator.http.get(path, headers=admin)) for path in (
                "/", "/health", "/metrics", "/stats", "/v1/models", "/admin/backends", "/admin/council/templates",
                "/admin/usage", "/api/tags", "/api/ps")]
            shown.update(shown_by(aggregator.process, pages))
        finally:
            aggregator.stop()
    shown["log"] = aggregator.process.output
    assert_lines_are_json(aggregator.process.output.encode())
    assert hits(shown) == []


def wrong_starts(folder):
    """Command lines that are refused, with files that hold keys."""
    def put(name, text, mode=0o600):
        path = folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    mappings = folder / "mappings"
    mappings.mkdir()
    (mappings / "a.yml").write_text(keyed("a", key("file"), "http://127.0.0.1:1"))
    config = f"backends:\n- {{name: a, type: openai, url: 'http://u:{key('url')}@h', api_key: {key('config')}}}\n"
    yield "edge", "--config", put("static.yml", f"entryPoints: {{a: {{address: {key('static')}}}}}\n")
    yield "edge", "--tls-listen", "127.0.0.1:0", "--tls-cert", put("cert.pem", key("cert")), "--tls-key", put("key.pem", key("tls"))
    yield "edge", "--upstream-ca", put("ca.pem", f"-----BEGIN CERTIFICATE-----\n{key('ca')}\n-----END CERTIFICATE-----\n")
    yield "aggregator", "--config", put("config.yaml", config)
    yield "aggregator", "--config", put("open.yaml", config, 0o666)
    yield "aggregator", "--config", put("variable.yaml", f"backends: [{{name: a, type: openai, url: 'http://h', api_key: '${{NEVER_SET}}{key('v')}'}}]\n")
    yield "aggregator", "--backend-key-file", put("backend.key", f"{key('line')} {key('line')} {key('line')}\n")
    yield "aggregator", "--backend-key-file", put("open.key", key("line"), 0o622)
    yield "aggregator", "--db-path", folder / "a.db", "--db-key-file", put("db.key", key("db"))
    yield "aggregator", "--stats-config-file", put("stats.yml", f"enabled_sections: {{{key('stats')}: [}}\n")
    yield "key", "rotate", "nobody", "--mappings", mappings
    yield "key", "revoke", "nobody", "--mappings", mappings
    yield "key", "new", "a", "--mappings", mappings
    yield "responses", "--url", "http://127.0.0.1:1", "--token-file", put("token", key("token")), "list"
    yield "responses", "--url", "http://127.0.0.1:1", "--token-file", put("open.token", key("token"), 0o606), "list"


def test_no_command_that_fails_shows_a_key(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONCLAVE_")}
    environment.update({"CONCLAVE_STATE": "none", "ADMIN_TOKEN": key("token"), "CONCLAVE_BACKEND_KEY": key("environment")})
    shown = {}
    for number, (command, *arguments) in enumerate(wrong_starts(tmp_path)):
        flags = {"edge": ["--listen", "127.0.0.1:0", "--admin", "none", "--aggregator", "none"], "aggregator": ["--port", "0"]}
        mappings = ["--mappings", tmp_path / "mappings"] if command in flags else []
        result = subprocess.run([binary(), command, *flags.get(command, []), *mappings, *arguments], env=environment,
                                cwd=tmp_path, text=True, capture_output=True, timeout=20)
        assert result.returncode not in (0, 101), (arguments, result.stdout + result.stderr)
        shown[f"{number} {command} {arguments}"] = result.stdout + result.stderr
    assert sum("chmod o-w" in text for text in shown.values()) >= 3, shown
    assert hits(shown) == []


@pytest.mark.parametrize("path", ["\x01\x1b[31m", '"\\u0000\\', "\u2028\u0085", "é" * 3000, "x" * 7000, "%0d%0a%00", "{}\t"])
def test_a_line_of_the_log_is_one_line_of_json_whatever_a_path_holds(start_edge, tmp_path, path):
    access_log = tmp_path / "access.log"
    with Origin() as origin:
        edge = start_edge("--log-level", "DEBUG", "--log-json", "--access-log", access_log)
        edge.put("a.yml", keyed("a", "k", origin.url))
        for headers in (["Authorization: Bearer k"], [], [f"x-request-id: {path}"], [f"User-Agent: {path}"]):
            data = request(f"/v1/{path}", headers=headers).encode("utf-8")
            with socket.create_connection(edge.address, timeout=10) as connection:
                connection.sendall(data)
                assert connection.recv(4096).startswith(b"HTTP/1.1 ")
        edge.stop()
    assert access_log.read_bytes().count(b"\n") in (0, 4)
    assert_lines_are_json(access_log.read_bytes(), edge.process.output.encode())


def test_a_crash_leaves_no_memory_on_disk(tmp_path):
    """The process is killed as a crash would kill it, with no limit on cores but its own."""
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    (mappings / "a.yml").write_text(keyed("a", key("core"), "http://127.0.0.1:1"))
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    child = subprocess.Popen(
        [binary(), "edge", "--listen", "127.0.0.1:0", "--admin", "none", "--aggregator", "none", "--mappings", mappings,
         "--log-level", "INFO"],
        env={**os.environ, "CONCLAVE_STATE": "none"}, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    with child.stderr:
        for line in child.stderr:
            if b"mappings changed" in line:
                break
        limits = Path(f"/proc/{child.pid}/limits").read_text()
        (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
        assert core[4:6] == ["0", "0"], core
        os.kill(child.pid, signal.SIGABRT)
        _, status = os.waitpid(child.pid, 0)
        child.returncode = -signal.SIGABRT
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mappings"]
