"""The official Ollama client."""

import ollama

from .run import Unsupported, run, seen


class Client:
    def __init__(self, job):
        self.job = job
        self.api = ollama.Client(host=job.url, timeout=60)

    def create(self, feature, model, messages=None, options=(), **more):
        messages = messages or [
            {"role": "system", "content": self.job.system}, {"role": "user", "content": self.job.ask[feature]},
        ]
        options = {"num_predict": self.job.tokens_max[feature], **dict(options)}
        return self.api.chat(model=model, messages=messages, options=options, **more)

    def streamed(self, feature, model, **more):
        text, thinking, calls, chunks, last = "", "", [], 0, None
        for last in self.create(feature, model, stream=True, **more):
            text += last.message.content or ""
            thinking += last.message.thinking or ""
            calls += [(call.function.name, dict(call.function.arguments)) for call in last.message.tool_calls or []]
            chunks += bool(last.message.content)
        # The client does not miss the last line; its user has to.
        assert last is not None and last.done, "the stream ended without its last line"
        return seen(text, last.done_reason, thinking, calls, counted(last), chunks=chunks)

    def chat(self, model):
        return whole(self.create("chat", model))

    def stream(self, model):
        return self.streamed("stream", model)

    def tools(self, model):
        first = self.create("tools", model, tools=self.tool())
        answer = whole(first)
        if first.message.tool_calls:
            messages = [
                {"role": "user", "content": self.job.ask["tools"]}, first.message,
                {"role": "tool", "tool_name": self.job.tool["name"], "content": self.job.tool_result},
            ]
            answer["after_result"] = self.create("tools", model, messages, tools=self.tool()).message.content
        return answer

    def tools_stream(self, model):
        return self.streamed("tools stream", model, tools=self.tool())

    def tool_choice(self, model):
        raise Unsupported("Ollama's API has no tool_choice")

    def tool(self):
        return [{"type": "function", "function": self.job.tool}]

    def images(self, model):
        asked = {"role": "user", "content": self.job.ask["images"], "images": [self.job.image]}
        return whole(self.create("images", model, [asked]))

    def schema(self, model):
        return whole(self.create("schema", model, format=self.job.schema))

    def thinking(self, model):
        return whole(self.create("thinking", model, think="low"))

    def thinking_stream(self, model):
        return self.streamed("thinking stream", model, think="low")

    def embeddings(self, model):
        return {"vectors": [list(vector) for vector in self.api.embed(model=model, input=self.job.embed).embeddings]}

    def unknown_model(self, model):
        return whole(self.create("unknown model", "nobody-serves-this"))

    def bad_request(self, model):
        return whole(self.create("bad request", model, options={"temperature": "hot"}))

    def busy(self, model):
        return whole(self.create("busy", model))

    def cut(self, model):
        return self.streamed("cut", model)


def whole(answer):
    calls = [(call.function.name, dict(call.function.arguments)) for call in answer.message.tool_calls or []]
    return seen(
        answer.message.content, answer.done_reason, answer.message.thinking, calls, counted(answer), model=answer.model
    )


def counted(answer):
    return (answer.prompt_eval_count or 0, answer.eval_count or 0)


if __name__ == "__main__":
    run(Client)
