// The official JavaScript client through the edge. Prints one JSON line a case: {"case", "error"}; an error of
// null is a pass. BASE_URL is the edge, RETRY_URL and RETRY_KEY lead to a server that answers 503 twice.
import assert from "node:assert/strict";
import OpenAI from "openai";

const baseURL = `${process.env.BASE_URL}/v1`;
const client = (apiKey, options = {}) => new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000, ...options });
const messages = [{ role: "user", content: "Say something about the sea." }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string", maxLength: 20 } }, required: ["city"] },
    },
  },
];

const cases = {
  async chat() {
    for (const [key, model] of [["API_KEY-1", "TinyLlama_Chat"], ["API_KEY-2", "mistral-tiny"]]) {
      const answer = await client(key).chat.completions.create({ model, messages, max_tokens: 20 });
      assert.equal(answer.model, model);
      assert.ok(answer.choices[0].message.content.trim());
      assert.equal(answer.usage.completion_tokens, 20);
    }
  },

  async stream() {
    const stream = await client("API_KEY-1").chat.completions.create({
      model: "TinyLlama_Chat", messages, max_tokens: 30, stream: true, stream_options: { include_usage: true },
    });
    let words = 0, usage = null;
    for await (const chunk of stream) {
      words += chunk.choices[0]?.delta?.content ? 1 : 0;
      usage = chunk.usage ?? usage;
    }
    assert.ok(words >= 20, `${words} words`);
    assert.equal(usage.completion_tokens, 30);
  },

  async embeddings() {
    const answer = await client("API_KEY-4").embeddings.create({ model: "heavy", input: ["one fish", "two fish"] });
    assert.deepEqual(answer.data.map((item) => item.embedding.length), [640, 640]);
  },

  async tools() {
    const answer = await client("API_KEY-3").chat.completions.create({
      model: "caller", messages, tools, tool_choice: "required", parallel_tool_calls: false, max_tokens: 500,
    });
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
  },

  async "streamed tools"() {
    const stream = await client("API_KEY-3").chat.completions.create({
      model: "caller", messages, tools, tool_choice: "required", parallel_tool_calls: false, max_tokens: 500, stream: true,
    });
    let args = "";
    for await (const chunk of stream) {
      for (const call of chunk.choices[0]?.delta?.tool_calls ?? []) args += call.function?.arguments ?? "";
    }
    assert.ok("city" in JSON.parse(args));
  },

  async models() {
    const ids = [];
    for await (const model of client("API_KEY-2").models.list()) ids.push(model.id);
    assert.deepEqual(ids, ["mistral-tiny"]);
  },

  async "models without a key"() {
    const body = await (await fetch(`${baseURL}/models`)).json();
    assert.equal(body.object, "list");
    assert.deepEqual(body.data.map((model) => model.id), ["TinyLlama_Chat", "caller", "heavy", "mistral-tiny"]);
  },

  async "wrong key"() {
    await assert.rejects(client("WRONG-KEY").models.list(), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError);
      assert.equal(error.code, "invalid_api_key");
      assert.ok(!error.message.includes("WRONG-KEY"));
      return true;
    });
  },

  async "unknown path"() {
    await assert.rejects(client("API_KEY-1").get("/nonsense"), OpenAI.NotFoundError);
  },

  async retries() {
    const retrying = new OpenAI({ baseURL: `${process.env.RETRY_URL}/v1`, apiKey: process.env.RETRY_KEY, maxRetries: 3 });
    const begun = performance.now();
    const answer = await retrying.chat.completions.create({ model: "origin", messages });
    assert.equal(answer.choices[0].message.content, "hello");
    assert.ok(performance.now() - begun >= 600, "it waited as it was told, twice");
  },

  async "cancel in mid-stream"() {
    const controller = new AbortController();
    const stream = await client("API_KEY-4").chat.completions.create(
      { model: "heavy", messages, max_tokens: 3000, stream: true }, { signal: controller.signal },
    );
    let chunks = 0;
    for await (const _ of stream) {
      if (++chunks === 10) controller.abort();
      assert.ok(chunks < 2000, "the stream goes on");
    }
    const left = performance.now();
    while ((await (await fetch(`${process.env.HEAVY_URL}/slots`)).json()).some((slot) => slot.is_processing)) {
      assert.ok(performance.now() - left < 10_000, "the slot is never freed");
    }
    const freed = performance.now() - left;
    assert.ok(freed < 100, `the slot was freed after ${freed} ms`);
  },
};

for (const [name, run] of Object.entries(cases)) {
  const error = await run().then(() => null, (error) => error.stack ?? String(error));
  console.log(JSON.stringify({ case: name, error }));
}
