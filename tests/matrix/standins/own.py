"""Our own stand-in, only for what the others' get wrong: written from the APIs' documentation, like our conversions,
so that it proves less than theirs."""

import json

from harness.origin import Answer, Origin

from ..questions import ANSWER, EMBED, THOUGHT

THINKING = "by our own stand-in: aimock says `reasoning_content` where Ollama says `thinking`"
INSTEAD = {
    "aimock-ollama": {
        "thinking": THINKING,
        "thinking stream": THINKING,
        "embeddings": "by our own stand-in: aimock answers /api/embed in the shape of /api/embeddings",
    },
    "aimock-gemini": {"embeddings": "by our own stand-in: aimock has no batchEmbedContents"},
    "llmposter-gemini": {"embeddings": "by our own stand-in: llmposter has no batchEmbedContents"},
}
VECTORS = [[0.25, -0.5, 1.0], [0.5, 0.125, -1.0]]


def start():
    return Origin(answer)


def answer(request):
    path = request.target.split("?")[0]
    if request.method == "POST":
        if path == "/api/chat":
            return ollama_chat(json.loads(request.body))
        if path == "/api/embed":
            return embed(json.loads(request.body))
        if path.endswith(":batchEmbedContents"):
            return gemini_embed(json.loads(request.body))
    listed = {"/api/tags": tags, "/api/ps": tags, "/api/version": lambda: {"version": "0.12.0"}}.get(path)
    return said(listed()) if listed else said({"error": "not found"}, 404)


def said(value, status=200):
    return Answer(status, json.dumps(value).encode())


def tags():
    return {"models": [{"name": "own-ollama", "model": "own-ollama", "details": {}}]}


def ollama_chat(body):
    def line(message, **more):
        return {
            "model": body["model"], "created_at": "2026-11-22T09:00:00.5Z",
            "message": {"role": "assistant", **message}, "done": False, **more,
        }

    counts = {"total_duration": 3, "prompt_eval_count": 7, "eval_count": 5}
    if not body.get("think"):
        return said({"error": "this stand-in thinks"}, 400)
    if not body.get("stream", True):
        message = {"content": ANSWER["thinking"], "thinking": THOUGHT}
        return said({**line(message), "done": True, "done_reason": "stop", **counts})
    lines = [
        line({"content": "", "thinking": THOUGHT[:20]}), line({"content": "", "thinking": THOUGHT[20:]}),
        line({"content": ANSWER["thinking"]}),
        {**line({"content": ""}), "done": True, "done_reason": "stop", **counts},
    ]
    text = "".join(json.dumps(one) + "\n" for one in lines)
    return Answer(200, text.encode(), {"Content-Type": "application/x-ndjson"})


def embed(body):
    if body["input"] != EMBED:
        return said({"error": "not what was asked"}, 400)
    return said({"model": body["model"], "embeddings": VECTORS, "total_duration": 3, "prompt_eval_count": 4})


def gemini_embed(body):
    texts = [request["content"]["parts"][0]["text"] for request in body["requests"]]
    if texts != EMBED:
        return said({"error": {"code": 400, "message": "not what was asked", "status": "INVALID_ARGUMENT"}}, 400)
    return said({"embeddings": [{"values": vector} for vector in VECTORS]})
