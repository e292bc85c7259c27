"""llmposter's answers, written from the questions: a mock of OpenAI's, Anthropic's and Gemini's APIs (a Rust crate)."""

from ..questions import ANSWER, ASK, CALL


def fixtures():
    def when(feature, outcome, **more):
        match = {"user_message": ASK[feature]} if feature else {}
        return {"match": {**match, **more.pop("match", {})}, **outcome, **more}

    # Of a tool's result the mock's matching knows nothing, but of the request's JSON.
    results = [
        "$.messages[?(@.role == 'tool')]",
        "$.messages[*].content[?(@.type == 'tool_result')]",
        "$.contents[*].parts[?(@.functionResponse)]",
    ]
    said = {"response": {"content": ANSWER["tools"]}}
    return {"fixtures": [
        *(when(None, said, match={"body_jsonpath": path}, priority=10) for path in results),
        when("tools", {"response": {"tool_calls": [CALL]}}),
        when("images", {"response": {"content": ANSWER["images"]}}),
        when("schema", {"response": {"content": ANSWER["schema"]}}),
        when("busy", {"error": {"status": 429, "message": "Too many questions."}}),
        when("cut", {"response": {"content": ANSWER["cut"]}}, failure={"truncate_after_frames": 3}),
        when("chat", {"response": {"content": ANSWER["chat"]}}),
    ]}
