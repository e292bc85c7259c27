"""Spans of both planes in a collector: whose they are, what they say, and what they never say."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from harness.mapping import keyed
from harness.origin import Answer, Origin, chat_completion
from harness.process import eventually
from harness.watched import TOKEN, Sim, Up

KEY = "sk-never-in-a-span"
PROMPT = "The prompt that nobody else may read"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """Takes OTLP over HTTP, and remembers what it got, byte for byte."""

    def __init__(self):
        self.status, self.bodies, self.headers = 200, [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.headers.append((self.path, dict(self.headers)))
                if collector.status == 200:
                    collector.bodies.append(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(collector.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        """Of each service, its spans."""
        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = attributes(resource.resource)["service.name"]
                found += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return found

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def attributes(carrier):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in carrier.attributes}


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture(scope="module")
def traced(tmp_path_factory, collector):
    """Both planes with traces on; a key that leads to a server, one that leads through the aggregator."""
    folder = tmp_path_factory.mktemp("traced")
    sim = Sim(folder, "tiny", "--alias", "flaky", "--prefill-rate", 0, "--decode-rate", 0)
    ill = Origin(well_but_useless)
    origin = Origin(lambda request: Answer(body=chat_completion()))
    through = yaml.safe_dump({"http": {"routers": {"through": {"rule": f"Key(`{KEY}-2`)", "service": "aggregator@internal"}}}})
    config = {
        "backends": [
            {"name": "ill", "type": "openai", "url": ill.url, "priority": 1},
            {"name": "well", "type": "openai", "url": sim.url, "priority": 2},
        ],
        "routing": {"strategy": "priority", "heartbeat_interval": 60},
    }
    up = Up(
        folder, {"direct.yml": keyed("direct", KEY, origin.url), "through.yml": through}, config,
        "--otlp-endpoint", collector.url, environment={"OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue"},
    )
    yield up, origin
    up.stop()
    ill.stop()
    origin.stop()
    sim.stop()


def well_but_useless(request):
    """A backend that lists its model, and answers nobody."""
    if request.method == "GET" and request.target == "/v1/models":
        return Answer(body=b'{"object":"list","data":[{"id":"flaky","object":"model"}]}')
    return Answer(status=404 if request.method == "GET" else 500)


def trace_of(collector, trace, count):
    """The spans of one trace, once there are so many."""
    def found():
        spans = [(service, span) for service, span in collector.spans() if span.trace_id.hex() == trace]
        return len(spans) >= count and spans

    return eventually(found, seconds=60, interval=0.05, what=f"{count} spans of {trace}")


def backends(up):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.get(f"{up.aggregator}/admin/backends", headers=headers, timeout=30).json()["data"]


def ours(number):
    return f"{TRACE[:-1]}{number}", f"00-{TRACE[:-1]}{number}-{PARENT}-01"


def test_an_exchange_is_a_span_and_its_server_gets_the_context(traced, collector):
    up, origin = traced
    trace, traceparent = ours(1)
    reply = up.chat("origin", PROMPT, key=KEY, stream=False, traceparent=traceparent, tracestate="vendor=x")
    assert reply.status_code == 200
    [(service, span)] = trace_of(collector, trace, 1)
    said = attributes(span)
    assert (service, span.name, span.kind) == ("conclave-edge", "POST /v1/chat/completions", 2)
    assert (span.parent_span_id.hex(), span.trace_state) == (PARENT, "vendor=x")
    assert said["conclave.router"] == "direct" and said["http.response.status_code"] == 200
    assert said["gen_ai.operation.name"] == "chat" and said["conclave.outcome"] == "complete"
    assert span.end_time_unix_nano > span.start_time_unix_nano and not span.status.code
    passed = origin.requests[-1]
    assert passed.values("traceparent") == [f"00-{trace}-{span.span_id.hex()}-01"]
    assert passed.values("tracestate") == ["vendor=x"]


def test_a_request_through_both_planes_is_one_trace_with_its_attempts(traced, collector):
    up, _ = traced
    trace, traceparent = ours(2)

    def listed():
        return any(backend["name"] == "ill" and backend["healthy"] for backend in backends(up))

    eventually(listed, seconds=60, what="the ill backend's first heartbeat")
    assert up.chat("flaky", PROMPT, key=f"{KEY}-2", traceparent=traceparent).status_code == 200
    spans = trace_of(collector, trace, 4)
    by_kind = {}
    for service, span in spans:
        by_kind.setdefault((service, span.kind), []).append(span)
    [edge], [server] = by_kind["conclave-edge", 2], by_kind["conclave-aggregator", 2]
    attempts = sorted(by_kind["conclave-aggregator", 3], key=lambda span: span.start_time_unix_nano)
    assert server.parent_span_id == edge.span_id
    assert {attempt.parent_span_id for attempt in attempts} == {server.span_id}
    failed, answered = attempts
    assert attributes(failed)["conclave.backend"] == "ill" and failed.status.code == 2
    said = attributes(answered)
    assert said["conclave.backend"] == "well" and said["gen_ai.request.model"] == "tiny", "as that backend calls it"
    assert said["gen_ai.provider.name"] == "openai" and said["gen_ai.usage.output_tokens"] >= 1
    assert said["gen_ai.response.time_to_first_chunk"] > 0 and "error.type" not in said


def test_a_council_is_traced_member_by_member(traced, collector):
    up, _ = traced
    trace, traceparent = ours(3)
    reply = httpx.post(
        f"{up.aggregator}/v1/council/chat", headers={"traceparent": traceparent}, timeout=60,
        json={"model": "tiny", "max_tokens": 8, "messages": [{"role": "user", "content": PROMPT}]},
    )
    assert reply.status_code == 200, reply.text
    # The council itself, three members and their chair, and an attempt at least for each.
    spans = [span for _, span in trace_of(collector, trace, 9)]
    members = [span for span in spans if span.name == "council member"]
    [root] = [span for span in spans if span.kind == 2]
    assert len(members) >= 4 and {span.parent_span_id for span in members} == {root.span_id}
    assert len({attributes(span)["conclave.council.part"] for span in members}) == len(members)
    asked = {span.parent_span_id for span in spans if span.kind == 3}
    assert asked == {span.span_id for span in members}


def test_what_is_not_sampled_elsewhere_is_passed_on_and_not_kept(traced, collector):
    up, origin = traced
    trace, traceparent = ours(4)
    up.chat("origin", key=KEY, stream=False, traceparent=traceparent[:-1] + "0")
    assert origin.requests[-1].values("traceparent") == [traceparent[:-1] + "0"]
    # A later trace is there, so this one would be.
    later, traceparent = ours(5)
    up.chat("origin", key=KEY, stream=False, traceparent=traceparent)
    trace_of(collector, later, 1)
    assert trace not in {span.trace_id.hex() for _, span in collector.spans()}


def test_prompts_answers_and_keys_are_in_no_span(traced, collector):
    up, _ = traced
    trace, traceparent = ours(6)
    reply = up.chat("origin", PROMPT, key=KEY, stream=False, traceparent=traceparent, **{"X-Request-Id": "my-secret-id"})
    answer = reply.json()["choices"][0]["message"]["content"]
    up.chat("origin", PROMPT, key=f"{KEY}-unknown", traceparent=traceparent)
    httpx.get(f"{up.url}/v1/secret-path/{KEY}?key={KEY}", headers={"traceparent": traceparent}, timeout=30)
    trace_of(collector, trace, 3)
    everything = b"".join(collector.bodies)
    for secret in (PROMPT, KEY, "secret-path", "my-secret-id"):
        assert secret.encode() not in everything, secret
    assert answer and f"\"{answer}\"".encode() not in everything
    path, headers = collector.headers[0]
    assert path == "/v1/traces" and headers["content-type" if "content-type" in headers else "Content-Type"] == "application/x-protobuf"
    assert "blue" in headers.values()


def test_a_collector_that_refuses_costs_spans_and_nothing_else(traced, collector):
    up, _ = traced
    collector.status = 503

    def failed():
        assert up.chat("origin", key=KEY, stream=False).status_code == 200
        found = re.search(r'conclave_trace_spans_total\{result="failed"\} (\d+)', up.pages()[0])
        return found and int(found[1]) > 0

    try:
        eventually(failed, seconds=60, interval=0.1, what="spans that were counted as lost")
    finally:
        collector.status = 200
    assert up.process.output.count("does not take traces") == 1


def test_without_a_collector_the_context_passes_as_it_came(edge):
    with Origin(lambda request: Answer(body=chat_completion())) as origin:
        edge.put("plain.yml", keyed("plain", KEY, origin.url))
        sent = {"Authorization": f"Bearer {KEY}", "traceparent": ours(7)[1], "tracestate": "a=b"}
        assert httpx.get(f"{edge.url}/v1/models", headers=sent, timeout=30).status_code == 200
        assert origin.requests[-1].values("traceparent") == [ours(7)[1]]
        assert origin.requests[-1].values("tracestate") == ["a=b"]
    assert "conclave_trace_spans" not in edge.operator.get("/metrics").text
