"""The official Anthropic client; its older releases too, which send their key in another header."""

import anthropic

from .run import Unsupported, run, seen


class Client:
    def __init__(self, job):
        self.job = job
        self.api = anthropic.Anthropic(base_url=job.url, api_key="unused", max_retries=0, timeout=60)

    def options(self, feature, model, content=None, **more):
        messages = [{"role": "user", "content": content or self.job.ask[feature]}]
        return {
            "model": model, "max_tokens": self.job.tokens_max[feature], "system": self.job.system,
            "messages": messages, **more,
        }

    def create(self, feature, model, content=None, **more):
        return self.api.messages.create(**self.options(feature, model, content, **more))

    def streamed(self, feature, model, **more):
        chunks = 0
        with self.api.messages.stream(**self.options(feature, model, **more)) as stream:
            for event in stream:
                chunks += event.type == "text"
            # The client does not miss the last event; its user has to.
            answer = stream.get_final_message()
        return {**whole(answer), "chunks": chunks}

    def chat(self, model):
        return whole(self.create("chat", model))

    def stream(self, model):
        return self.streamed("stream", model)

    def tools(self, model):
        first = self.create("tools", model, tools=self.tool())
        answer = whole(first)
        used = [block for block in first.content if block.type == "tool_use"]
        if used:
            result = {"type": "tool_result", "tool_use_id": used[0].id, "content": self.job.tool_result}
            messages = [
                {"role": "user", "content": self.job.ask["tools"]},
                {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
                {"role": "user", "content": [result]},
            ]
            last = self.create("tools", model, messages=messages, tools=self.tool())
            answer["after_result"] = whole(last)["text"]
        return answer

    def tools_stream(self, model):
        return self.streamed("tools stream", model, tools=self.tool())

    def tool_choice(self, model):
        return whole(self.create("tool choice", model, tools=self.tool(), tool_choice={"type": "any"}))

    def tool(self):
        tool = self.job.tool
        return [{"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}]

    def images(self, model):
        source = {"type": "base64", "media_type": "image/png", "data": self.job.image}
        return whole(self.create("images", model, [
            {"type": "image", "source": source}, {"type": "text", "text": self.job.ask["images"]},
        ]))

    def schema(self, model):
        form = {"format": {"type": "json_schema", "schema": self.job.schema}}
        return whole(self.create("schema", model, extra_body={"output_config": form}))

    def thinking(self, model):
        return whole(self.create("thinking", model, thinking={"type": "enabled", "budget_tokens": 1024}))

    def thinking_stream(self, model):
        return self.streamed("thinking stream", model, thinking={"type": "enabled", "budget_tokens": 1024})

    def embeddings(self, model):
        raise Unsupported("Anthropic's API has no embeddings")

    def unknown_model(self, model):
        return whole(self.create("unknown model", "nobody-serves-this"))

    def bad_request(self, model):
        return whole(self.create("bad request", model, extra_body={"temperature": "hot"}))

    def busy(self, model):
        return whole(self.create("busy", model))

    def cut(self, model):
        return self.streamed("cut", model)


def whole(answer):
    def parts(kind, field):
        return [getattr(block, field) for block in answer.content if block.type == kind]

    return seen(
        "".join(parts("text", "text")), answer.stop_reason, "".join(parts("thinking", "thinking")),
        zip(parts("tool_use", "name"), parts("tool_use", "input")),
        (answer.usage.input_tokens, answer.usage.output_tokens), model=answer.model,
    )


if __name__ == "__main__":
    run(Client)
