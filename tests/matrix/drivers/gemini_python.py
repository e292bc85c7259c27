"""Google's client."""

import base64

from google import genai
from google.genai import types

from .run import run, seen


class Client:
    def __init__(self, job):
        self.job = job
        # By itself it would ask for /v1/models/…, which the stand-ins do not know.
        options = types.HttpOptions(base_url=job.url, timeout=60_000, api_version="v1beta")
        self.api = genai.Client(api_key="unused", http_options=options)

    def config(self, feature, **more):
        return types.GenerateContentConfig(
            system_instruction=self.job.system, max_output_tokens=self.job.tokens_max[feature], **more
        )

    def create(self, feature, model, contents=None, **more):
        return self.api.models.generate_content(
            model=model, contents=contents or self.job.ask[feature], config=self.config(feature, **more)
        )

    def streamed(self, feature, model, **more):
        parts, finish, usage, chunks = [], None, None, 0
        for chunk in self.api.models.generate_content_stream(
            model=model, contents=self.job.ask[feature], config=self.config(feature, **more)
        ):
            usage = chunk.usage_metadata or usage
            for candidate in chunk.candidates or []:
                finish = candidate.finish_reason or finish
                parts += (candidate.content and candidate.content.parts) or []
            chunks += 1
        # The client does not miss the last chunk; its user has to.
        assert finish is not None, "the stream ended without a reason"
        return {**of_parts(parts, finish, usage), "chunks": chunks}

    def chat(self, model):
        return whole(self.create("chat", model))

    def stream(self, model):
        return self.streamed("stream", model)

    def tools(self, model):
        first = self.create("tools", model, **self.tool_options("AUTO"))
        answer = whole(first)
        if answer["calls"]:
            result = types.Part.from_function_response(
                name=self.job.tool["name"], response={"result": self.job.tool_result}
            )
            contents = [
                types.UserContent(self.job.ask["tools"]), first.candidates[0].content, types.UserContent([result]),
            ]
            answer["after_result"] = whole(self.create("tools", model, contents, **self.tool_options("AUTO")))["text"]
        return answer

    def tools_stream(self, model):
        return self.streamed("tools stream", model, **self.tool_options("AUTO"))

    def tool_choice(self, model):
        return whole(self.create("tool choice", model, **self.tool_options("ANY")))

    def tool_options(self, mode):
        tool = self.job.tool
        declared = types.FunctionDeclaration(
            name=tool["name"], description=tool["description"], parameters_json_schema=tool["parameters"]
        )
        calling = types.FunctionCallingConfig(mode=mode)
        return {
            "tools": [types.Tool(function_declarations=[declared])],
            "tool_config": types.ToolConfig(function_calling_config=calling),
            "automatic_function_calling": types.AutomaticFunctionCallingConfig(disable=True),
        }

    def images(self, model):
        picture = types.Part.from_bytes(data=base64.b64decode(self.job.image), mime_type="image/png")
        return whole(self.create("images", model, [self.job.ask["images"], picture]))

    def schema(self, model):
        return whole(self.create(
            "schema", model, response_mime_type="application/json", response_json_schema=self.job.schema
        ))

    def thinking(self, model):
        return whole(self.create("thinking", model, thinking_config=types.ThinkingConfig(include_thoughts=True)))

    def thinking_stream(self, model):
        return self.streamed("thinking stream", model, thinking_config=types.ThinkingConfig(include_thoughts=True))

    def embeddings(self, model):
        texts = [types.UserContent(text) for text in self.job.embed]
        answer = self.api.models.embed_content(model=model, contents=texts)
        return {"vectors": [item.values for item in answer.embeddings]}

    def unknown_model(self, model):
        return whole(self.create("unknown model", "nobody-serves-this"))

    def bad_request(self, model):
        return whole(self.create("bad request", model, "x", stop_sequences=[""] * 1000))

    def busy(self, model):
        return whole(self.create("busy", model))

    def cut(self, model):
        return self.streamed("cut", model)


def whole(answer):
    candidate = answer.candidates[0]
    return of_parts(candidate.content.parts, candidate.finish_reason, answer.usage_metadata)


def of_parts(parts, finish, usage):
    texts = [part for part in parts if part.text]
    calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
    return seen(
        "".join(part.text for part in texts if not part.thought), finish and finish.name,
        "".join(part.text for part in texts if part.thought), calls,
        usage and (usage.prompt_token_count or 0, usage.candidates_token_count or 0),
    )


if __name__ == "__main__":
    run(Client)
