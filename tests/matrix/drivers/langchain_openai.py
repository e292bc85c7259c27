"""LangChain's OpenAI models, as its users write them."""

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from .run import Unsupported, run, seen


class Client:
    def __init__(self, job):
        self.job = job

    def llm(self, feature, model, **more):
        return ChatOpenAI(
            model=model, base_url=f"{self.job.url}/v1", api_key="unused", max_retries=0, timeout=60,
            max_tokens=self.job.tokens_max[feature], stream_usage=True, **more,
        )

    def messages(self, feature, content=None):
        return [SystemMessage(self.job.system), HumanMessage(content or self.job.ask[feature])]

    def create(self, feature, model, content=None, **more):
        return whole(self.llm(feature, model, **more).invoke(self.messages(feature, content)))

    def streamed(self, feature, llm):
        total, chunks = None, 0
        for chunk in llm.stream(self.messages(feature)):
            chunks += bool(chunk.content)
            total = chunk if total is None else total + chunk
        return {**whole(total), "chunks": chunks}

    def chat(self, model):
        return self.create("chat", model)

    def stream(self, model):
        return self.streamed("stream", self.llm("stream", model))

    def with_tool(self, feature, model, **options):
        tool = {"type": "function", "function": self.job.tool}
        return self.llm(feature, model).bind_tools([tool], **options)

    def tools(self, model):
        asked = self.messages("tools")
        first = self.with_tool("tools", model).invoke(asked)
        answer = whole(first)
        if first.tool_calls:
            result = ToolMessage(self.job.tool_result, tool_call_id=first.tool_calls[0]["id"])
            answer["after_result"] = self.llm("tools", model).invoke([*asked, first, result]).content
        return answer

    def tools_stream(self, model):
        return self.streamed("tools stream", self.with_tool("tools stream", model))

    def tool_choice(self, model):
        return whole(self.with_tool("tool choice", model, tool_choice="required").invoke(self.messages("tool choice")))

    def images(self, model):
        picture = {"type": "image", "base64": self.job.image, "mime_type": "image/png"}
        return self.create("images", model, [{"type": "text", "text": self.job.ask["images"]}, picture])

    def schema(self, model):
        titled = {"title": "place", "description": "A town.", **self.job.schema}
        llm = self.llm("schema", model).with_structured_output(titled, method="json_schema", include_raw=True)
        answer = llm.invoke(self.messages("schema"))
        return whole(answer["raw"])

    def thinking(self, model):
        raise Unsupported("ChatOpenAI drops reasoning_content, by its documentation")

    def thinking_stream(self, model):
        raise Unsupported("ChatOpenAI drops reasoning_content, by its documentation")

    def embeddings(self, model):
        embedder = OpenAIEmbeddings(
            model=model, base_url=f"{self.job.url}/v1", api_key="unused", max_retries=0,
            check_embedding_ctx_length=False,
        )
        return {"vectors": embedder.embed_documents(self.job.embed)}

    def unknown_model(self, model):
        return self.create("unknown model", "nobody-serves-this")

    def bad_request(self, model):
        return self.create("bad request", model, extra_body={"temperature": "hot"})

    def busy(self, model):
        return self.create("busy", model)

    def cut(self, model):
        return self.streamed("cut", self.llm("cut", model))


def whole(message):
    told = message.response_metadata
    usage = message.usage_metadata
    return seen(
        message.content, told.get("finish_reason"), None,
        [(call["name"], call["args"]) for call in message.tool_calls],
        usage and (usage["input_tokens"], usage["output_tokens"]), model=told.get("model_name"),
    )


if __name__ == "__main__":
    run(Client)
