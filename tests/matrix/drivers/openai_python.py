"""The official OpenAI client."""

import json

import openai

from .run import run, seen


class Client:
    def __init__(self, job):
        self.job = job
        self.api = openai.OpenAI(base_url=f"{job.url}/v1", api_key="unused", max_retries=0, timeout=60)

    def create(self, feature, model, content=None, **more):
        messages = [
            {"role": "system", "content": self.job.system},
            {"role": "user", "content": content or self.job.ask[feature]},
        ]
        more.setdefault("messages", messages)
        return self.api.chat.completions.create(
            model=model, max_completion_tokens=self.job.tokens_max[feature], **more
        )

    def streamed(self, feature, model, **more):
        """The stream put together by hand: what a chunk lacks is missed here."""
        text, thinking, calls, finish, usage, chunks = "", "", {}, None, None, 0
        for chunk in self.create(feature, model, stream=True, stream_options={"include_usage": True}, **more):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                text += choice.delta.content or ""
                thinking += getattr(choice.delta, "reasoning_content", None) or ""
                chunks += bool(choice.delta.content)
                for call in choice.delta.tool_calls or []:
                    entry = calls.setdefault(call.index, ["", ""])
                    entry[0] += call.function.name or ""
                    entry[1] += call.function.arguments or ""
        called = [(name, json.loads(arguments)) for name, arguments in calls.values()]
        return seen(text, finish, thinking, called, counted(usage), chunks=chunks)

    def chat(self, model):
        return whole(self.create("chat", model))

    def stream(self, model):
        return self.streamed("stream", model)

    def tools(self, model):
        first = self.create("tools", model, tools=self.tool())
        message = first.choices[0].message
        answer = whole(first)
        if message.tool_calls:
            result = {
                "role": "tool", "tool_call_id": message.tool_calls[0].id, "content": self.job.tool_result,
            }
            messages = [
                {"role": "user", "content": self.job.ask["tools"]},
                message.model_dump(exclude_none=True), result,
            ]
            last = self.create("tools", model, messages=messages, tools=self.tool())
            answer["after_result"] = last.choices[0].message.content
        return answer

    def tools_stream(self, model):
        return self.streamed("tools stream", model, tools=self.tool())

    def tool_choice(self, model):
        return whole(self.create("tool choice", model, tools=self.tool(), tool_choice="required"))

    def tool(self):
        return [{"type": "function", "function": self.job.tool}]

    def images(self, model):
        return whole(self.create("images", model, [
            {"type": "text", "text": self.job.ask["images"]},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{self.job.image}"}},
        ]))

    def schema(self, model):
        form = {"name": "place", "strict": True, "schema": self.job.schema}
        return whole(self.create("schema", model, response_format={"type": "json_schema", "json_schema": form}))

    def thinking(self, model):
        return whole(self.create("thinking", model, reasoning_effort="low"))

    def thinking_stream(self, model):
        return self.streamed("thinking stream", model, reasoning_effort="low")

    def embeddings(self, model):
        answer = self.api.embeddings.create(model=model, input=self.job.embed)
        return {"vectors": [item.embedding for item in answer.data]}

    def unknown_model(self, model):
        return whole(self.create("unknown model", "nobody-serves-this"))

    def bad_request(self, model):
        return whole(self.create("bad request", model, temperature="hot"))

    def busy(self, model):
        return whole(self.create("busy", model))

    def cut(self, model):
        return self.streamed("cut", model)


def whole(answer):
    (choice,) = answer.choices
    message = choice.message
    return seen(
        message.content, choice.finish_reason, getattr(message, "reasoning_content", None),
        [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []],
        counted(answer.usage), model=answer.model,
    )


def counted(usage):
    return usage and (usage.prompt_tokens, usage.completion_tokens)


if __name__ == "__main__":
    run(Client)
