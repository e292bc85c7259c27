"""aimock's answers, written from the questions: `@copilotkit/aimock` (npm, MIT), a mock of all four dialects."""

import json

from ..questions import ANSWER, ASK, CALL, THOUGHT


def fixtures():
    def when(feature, response, **more):
        return {"match": {"userMessage": ASK[feature], **more.pop("match", {})}, "response": response, **more}

    call = {"toolCalls": [{"name": CALL["name"], "arguments": json.dumps(CALL["arguments"])}]}
    busy = {"error": {"message": "Too many questions.", "type": "rate_limit_error", "code": "busy"}, "status": 429}
    return {"fixtures": [
        when("tools", {"content": ANSWER["tools"]}, match={"hasToolResult": True}),
        when("tools", call),
        when("images", {"content": ANSWER["images"]}),
        when("schema", {"content": ANSWER["schema"]}),
        when("thinking", {"content": ANSWER["thinking"], "reasoning": THOUGHT}),
        when("busy", busy),
        when("cut", {"content": ANSWER["cut"]}, truncateAfterChunks=3),
        when("chat", {"content": ANSWER["chat"]}),
    ]}
