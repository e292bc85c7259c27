"""No log, metric or error text shows a key, whatever is sent and however much is logged."""

from harness.mapping import keyed, mapping
from harness.origin import Answer, Origin
from harness.wire import request, send

KEYS = ["SECRET-VALID", "SECRET-WRONG", "SECRET-IN-QUERY", "SECRET-BROKEN", "SECRET-CONFLICT", "SECRET-PATTERN"]


def test_no_key_is_shown_anywhere(start_edge, tmp_path):
    access_log = tmp_path / "access.log"
    with Origin(lambda request: Answer(500)) as origin:
        edge = start_edge("--log-level", "DEBUG", "--access-log", access_log)
        edge.put("valid.yml", keyed("valid", "SECRET-VALID", origin.url))
        edge.put("broken.yml", keyed("broken", "SECRET-BROKEN", origin.url).replace("HeaderRegexp", "headerRegexp"))
        edge.put("pattern.yml", mapping("pattern", "HeaderRegexp(`Authorization`, `(SECRET-PATTERN`)", origin.url))
        replies = []
        for headers in (
            ["Authorization: Bearer SECRET-VALID"],
            ["Authorization: Bearer SECRET-WRONG"],
            ["x-api-key: SECRET-WRONG"],
            ["Authorization: Bearer SECRET-BROKEN"],
            ["Authorization: Bearer SECRET-VALID", "x-api-key: SECRET-CONFLICT"],
            ["Authorization: Basic SECRET-WRONG"],
        ):
            replies.append(send(edge.address, request("/v1/chat/completions?key=SECRET-IN-QUERY", headers=headers)))
        assert {reply.status for reply in replies} >= {500, 401, 400}
        shown = edge.operator.get("/metrics").text + edge.operator.get("/health").text
        shown += "".join(str(reply.headers) + reply.body.decode() for reply in replies)
        edge.stop()
        shown += edge.process.output + access_log.read_text()
    assert len(access_log.read_text().splitlines()) == len(replies)
    assert [key for key in KEYS if key in shown] == []
