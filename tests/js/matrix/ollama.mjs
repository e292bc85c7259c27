// The official Ollama client.
import { Ollama } from "ollama";

import { run, seen, Unsupported } from "./run.mjs";

class Client {
  constructor(job) {
    this.job = job;
    this.api = new Ollama({ host: job.url });
  }

  create(feature, model, { options, ...more } = {}) {
    const messages = [
      { role: "system", content: this.job.system }, { role: "user", content: this.job.ask[feature] },
    ];
    return this.api.chat({
      model, messages, options: { num_predict: this.job.tokens_max[feature], ...options }, ...more,
    });
  }

  async streamed(feature, model, more) {
    let [text, thinking, chunks, last] = ["", "", 0, null];
    const calls = [];
    for await (const part of await this.create(feature, model, { stream: true, ...more })) {
      last = part;
      text += part.message.content ?? "";
      thinking += part.message.thinking ?? "";
      chunks += part.message.content ? 1 : 0;
      calls.push(...called(part));
    }
    return seen({ text, finish: last.done_reason, thinking, calls, usage: counted(last), chunks });
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
    if (first.message.tool_calls?.length) {
      const last = await this.create("tools", model, {
        tools: this.tool(),
        messages: [
          { role: "user", content: this.job.ask.tools }, first.message,
          { role: "tool", tool_name: this.job.tool.name, content: this.job.tool_result },
        ],
      });
      answer.after_result = last.message.content;
    }
    return answer;
  }

  "tools stream"(model) {
    return this.streamed("tools stream", model, { tools: this.tool() });
  }

  "tool choice"() {
    throw new Unsupported("Ollama's API has no tool_choice");
  }

  async images(model) {
    const asked = { role: "user", content: this.job.ask.images, images: [this.job.image] };
    return whole(await this.create("images", model, { messages: [asked] }));
  }

  async schema(model) {
    return whole(await this.create("schema", model, { format: this.job.schema }));
  }

  async thinking(model) {
    return whole(await this.create("thinking", model, { think: "low" }));
  }

  "thinking stream"(model) {
    return this.streamed("thinking stream", model, { think: "low" });
  }

  async embeddings(model) {
    return { vectors: (await this.api.embed({ model, input: this.job.embed })).embeddings };
  }

  async "unknown model"() {
    return whole(await this.create("unknown model", "nobody-serves-this"));
  }

  async "bad request"(model) {
    return whole(await this.create("bad request", model, { options: { temperature: "hot" } }));
  }

  async busy(model) {
    return whole(await this.create("busy", model));
  }

  cut(model) {
    return this.streamed("cut", model);
  }
}

function called(part) {
  return (part.message.tool_calls ?? []).map((call) => [call.function.name, call.function.arguments]);
}

function whole(answer) {
  return seen({
    text: answer.message.content, finish: answer.done_reason, thinking: answer.message.thinking,
    calls: called(answer), usage: counted(answer), model: answer.model,
  });
}

function counted(answer) {
  return [answer.prompt_eval_count ?? 0, answer.eval_count ?? 0];
}

await run((job) => new Client(job));
