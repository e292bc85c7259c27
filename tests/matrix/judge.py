"""What must hold of each cell, and what the answer to it was: `ok`, `refused` as documented, or `skipped` for a reason.

A cell that is neither is an assertion's failure. What a stand-in cannot do is written down here, cell by cell: what is
skipped today for a stand-in's sake must be looked at again when the stand-in changes.
"""

import json
from dataclasses import dataclass

from .questions import ANSWER, CALL, EMBED, IMAGE, SYSTEM, THOUGHT, TOKENS_MAX, TOOL, TOOL_RESULT

ENDS = {
    "openai": {"end": "stop", "length": "length", "tools": "tool_calls"},
    "ollama": {"end": "stop", "length": "length", "tools": "stop"},
    "anthropic": {"end": "end_turn", "length": "max_tokens", "tools": "tool_use"},
    "gemini": {"end": "STOP", "length": "MAX_TOKENS", "tools": "STOP"},
}
# How each dialect tells a server to think.
THINK = {
    "openai": b'"reasoning_effort"', "ollama": b'"think"', "anthropic": b'"thinking"', "gemini": b'"thinkingConfig"',
}
NO_EMBEDDINGS = "Anthropic's API has no embeddings"


@dataclass
class Verdict:
    outcome: str  # ok, refused, skipped
    reason: str = ""


class Unexpected(AssertionError):
    pass


@dataclass
class Cell:
    """One client, one feature, one backend, and what was seen."""

    feature: str
    dialect: str  # the client's
    column: object
    direct: bool  # no aggregator in between
    seen: dict = None
    error: dict = None
    unsupported: str = ""
    sent: bytes = b""  # what the backend was sent meanwhile

    @property
    def native(self):
        """Whether nothing is translated."""
        return self.direct or self.dialect == self.column.kind

    def judge(self):
        if self.unsupported:
            return Verdict("skipped", self.unsupported)
        if reason := skip(self):
            return Verdict("skipped", reason)
        if refusal := refused(self):
            self.expect_error(*refusal)
            return Verdict("refused", refusal[1])
        if self.feature in FAILURES:
            FAILURES[self.feature](self)
            return Verdict("ok", self.note)
        if self.error:
            raise Unexpected(f"failed: {self.error}")
        CHECKS[self.feature](self)
        return Verdict("ok", self.note)

    @property
    def note(self):
        return self.column.notes.get(self.feature, "")

    def expect_error(self, statuses, words=""):
        if self.error is None:
            raise Unexpected(f"should have failed with {statuses}, but answered {self.seen}")
        self.hold(self.error["status"] in statuses, f"status {self.error['status']}, not one of {statuses}")
        missing = [word for word in words.split() if word.lower() not in self.error["message"].lower()]
        self.hold(not missing, f"its message does not say {missing}")

    def hold(self, condition, what):
        if not condition:
            raise Unexpected(f"{what}: {self.seen or self.error}")

    def holds(self, name, expected):
        self.hold(self.seen[name] == expected, f"{name} is not {expected!r}")

    def was_sent(self, *pieces):
        for piece in pieces:
            piece = piece.encode() if isinstance(piece, str) else piece
            self.hold(piece in self.sent, f"the backend was not sent {piece[:80]!r}")

    def ends(self, how):
        self.holds("finish", ENDS[self.dialect][how])


def skip(cell):
    """What the server behind the column cannot be asked, and why. None of it is the aggregator's doing."""
    feature, column = cell.feature, cell.column
    if column.real and feature in ("busy", "cut"):
        return "a real server is not told to fail; the stand-ins are"
    if column.name.startswith("aimock") and feature == "bad request" and cell.native:
        return "passes untouched, and aimock checks no field"
    if cell.direct and feature == "unknown model":
        return "stand-ins and llama-server answer whatever model is named"
    if column.name.startswith("llmposter"):
        if feature in ("thinking", "thinking stream"):
            return "llmposter knows no thinking"
        if feature == "bad request" and cell.native:
            return "passes untouched, and llmposter checks no field"
        if feature == "cut" and cell.direct and cell.error is None:
            return "llmposter ends a cut stream cleanly, and this client does not miss the last event"
        if feature == "tools" and column.kind == "gemini":
            return "llmposter's Gemini takes no functionResponse; the other two cells have its calls"
    if column.name == "llama-server-messages" and feature == "schema":
        return "llama-server's /v1/messages takes no schema"
    return None


def refused(cell):
    """The statuses and the words of a documented refusal."""
    feature, column = cell.feature, cell.column
    if feature == "embeddings" and column.kind == "anthropic":
        return (400, 404, 501), "embeddings"
    if feature == "images" and column.real:
        # llama-server says 500 where a model cannot see, the aggregator 502 of whatever a server answers with 500.
        return (400, 500, 502), "image"
    if feature == "tool choice" and column.kind == "ollama":
        return (400,), "tool_choice"
    return None


def chat(cell):
    answered(cell, "chat")
    if cell.seen.get("model") and not cell.direct:
        cell.hold(cell.seen["model"] in cell.column.model("chat"), "another model's name")


def stream(cell):
    answered(cell, "stream")
    cell.hold(cell.seen["chunks"] >= 3, "it came in fewer than three pieces")


def answered(cell, feature):
    cell.was_sent(SYSTEM)
    if cell.column.real:
        cell.hold(cell.seen["text"].strip(), "no text")
        cell.ends("length")
        counted(cell, TOKENS_MAX[feature])
    else:
        cell.holds("text", ANSWER[feature])
        cell.ends("end")


def counted(cell, tokens_out):
    tokens_in, out = cell.seen["usage"] or (0, 0)
    cell.hold(tokens_in > 0 and out == tokens_out, f"usage is not (some, {tokens_out})")


def tools(cell):
    called(cell)
    if not cell.column.real:
        cell.holds("after_result", ANSWER["tools"])
    cell.hold("after_result" in cell.seen, "the tool's result was not taken")
    # As a string inside of JSON, or as the object that it is.
    cell.hold(
        json.dumps(TOOL_RESULT).encode()[1:-1] in cell.sent or b'"sky"' in cell.sent, "the result was not sent on"
    )


def called(cell):
    cell.was_sent(TOOL["name"], TOOL["description"], '"city"', '"required"')
    if cell.column.real:
        (call,) = cell.seen["calls"] or [None]
        cities = TOOL["parameters"]["properties"]["city"]["enum"]
        cell.hold(call and call["name"] == TOOL["name"] and call["arguments"]["city"] in cities, "no sound call")
    else:
        cell.holds("calls", [CALL])
    # aimock's Gemini ends with FUNCTION_CALL, which Google's does not know.
    if cell.dialect != "gemini":
        cell.ends("tools")


def images(cell):
    # Google's client writes the URL's alphabet of base64.
    cell.was_sent(IMAGE.translate({43: "-", 47: "_"}) if cell.dialect == "gemini" else IMAGE)
    if cell.column.kind != "ollama":
        cell.was_sent("image/png")
    cell.holds("text", ANSWER["images"])


def schema(cell):
    cell.was_sent('"town"', '"additionalProperties"')
    place = json.loads(cell.seen["text"])
    cell.hold(set(place) == {"town", "country"}, "not of the schema")
    if not cell.column.real:
        cell.hold(place == json.loads(ANSWER["schema"]), "not what was answered")


def thinking(cell):
    if cell.column.real:
        cell.hold(cell.seen["thinking"].strip(), "no thinking")
        return
    cell.was_sent(THINK[cell.column.kind])
    cell.holds("thinking", THOUGHT)
    cell.holds("text", ANSWER["thinking"])


def embeddings(cell):
    vectors = cell.seen["vectors"]
    cell.hold(len(vectors) == len(EMBED) and all(vectors) and vectors[0] != vectors[1], "not two vectors")
    cell.hold(len(vectors[0]) == len(vectors[1]), "not of one length")


def unknown_model(cell):
    cell.expect_error((404,))
    cell.hold(not cell.sent.count(b"POST "), "a backend was asked")


def bad_request(cell):
    cell.expect_error((400, 422))


def busy(cell):
    cell.expect_error((429,))
    if not cell.direct and cell.dialect in ("openai", "anthropic"):
        cell.hold(cell.error["should_retry"] == "false", "the client's library would try again")


def cut(cell):
    cell.hold(cell.error, "a stream that was cut ended as if it were whole")


CHECKS = {
    "chat": chat, "stream": stream, "tools": tools, "tools stream": called, "tool choice": called, "images": images,
    "schema": schema, "thinking": thinking, "thinking stream": thinking, "embeddings": embeddings,
}
FAILURES = {"unknown model": unknown_model, "bad request": bad_request, "busy": busy, "cut": cut}
