// The official OpenAI client.
import OpenAI from "openai";

import { run, seen } from "./run.mjs";

class Client {
  constructor(job) {
    this.job = job;
    this.api = new OpenAI({ baseURL: `${job.url}/v1`, apiKey: "unused", maxRetries: 0, timeout: 60_000 });
  }

  create(feature, model, more = {}) {
    const messages = [
      { role: "system", content: this.job.system },
      { role: "user", content: more.content ?? this.job.ask[feature] },
    ];
    const { content, ...rest } = more;
    return this.api.chat.completions.create({
      model, max_completion_tokens: this.job.tokens_max[feature], messages, ...rest,
    });
  }

  // The stream put together by hand: what a chunk lacks is missed here.
  async streamed(feature, model, more = {}) {
    let [text, thinking, finish, usage, chunks] = ["", "", null, null, 0];
    const calls = [];
    const streamed = { stream: true, stream_options: { include_usage: true } };
    const stream = await this.create(feature, model, { ...streamed, ...more });
    for await (const chunk of stream) {
      usage = chunk.usage ?? usage;
      for (const choice of chunk.choices) {
        finish = choice.finish_reason ?? finish;
        text += choice.delta.content ?? "";
        thinking += choice.delta.reasoning_content ?? "";
        chunks += choice.delta.content ? 1 : 0;
        for (const call of choice.delta.tool_calls ?? []) {
          const entry = (calls[call.index] ??= ["", ""]);
          entry[0] += call.function.name ?? "";
          entry[1] += call.function.arguments ?? "";
        }
      }
    }
    const called = calls.map(([name, args]) => [name, JSON.parse(args)]);
    return seen({ text, finish, thinking, calls: called, usage: counted(usage), chunks });
  }

  async chat(model) {
    return whole(await this.create("chat", model));
  }

  stream(model) {
    return this.streamed("stream", model);
  }

  tool() {
    return [{ type: "function", function: this.job.tool }];
  }

  async tools(model) {
    const first = await this.create("tools", model, { tools: this.tool() });
    const answer = whole(first);
    const message = first.choices[0].message;
    if (message.tool_calls?.length) {
      const last = await this.create("tools", model, {
        tools: this.tool(),
        messages: [
          { role: "user", content: this.job.ask.tools }, message,
          { role: "tool", tool_call_id: message.tool_calls[0].id, content: this.job.tool_result },
        ],
      });
      answer.after_result = last.choices[0].message.content;
    }
    return answer;
  }

  "tools stream"(model) {
    return this.streamed("tools stream", model, { tools: this.tool() });
  }

  async "tool choice"(model) {
    return whole(await this.create("tool choice", model, { tools: this.tool(), tool_choice: "required" }));
  }

  async images(model) {
    return whole(await this.create("images", model, {
      content: [
        { type: "text", text: this.job.ask.images },
        { type: "image_url", image_url: { url: `data:image/png;base64,${this.job.image}` } },
      ],
    }));
  }

  async schema(model) {
    const json_schema = { name: "place", strict: true, schema: this.job.schema };
    return whole(await this.create("schema", model, { response_format: { type: "json_schema", json_schema } }));
  }

  async thinking(model) {
    return whole(await this.create("thinking", model, { reasoning_effort: "low" }));
  }

  "thinking stream"(model) {
    return this.streamed("thinking stream", model, { reasoning_effort: "low" });
  }

  async embeddings(model) {
    const answer = await this.api.embeddings.create({ model, input: this.job.embed });
    return { vectors: answer.data.map((item) => Array.from(item.embedding)) };
  }

  async "unknown model"() {
    return whole(await this.create("unknown model", "nobody-serves-this"));
  }

  async "bad request"(model) {
    return whole(await this.create("bad request", model, { temperature: "hot" }));
  }

  async busy(model) {
    return whole(await this.create("busy", model));
  }

  cut(model) {
    return this.streamed("cut", model);
  }
}

function whole(answer) {
  const [choice] = answer.choices;
  return seen({
    text: choice.message.content, finish: choice.finish_reason, thinking: choice.message.reasoning_content,
    calls: (choice.message.tool_calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
    usage: counted(answer.usage), model: answer.model,
  });
}

function counted(usage) {
  return usage ? [usage.prompt_tokens, usage.completion_tokens] : null;
}

await run((job) => new Client(job));
