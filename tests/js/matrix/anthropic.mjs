// The official Anthropic client.
import Anthropic from "@anthropic-ai/sdk";

import { run, seen, Unsupported } from "./run.mjs";

class Client {
  constructor(job) {
    this.job = job;
    this.api = new Anthropic({ baseURL: job.url, apiKey: "unused", maxRetries: 0, timeout: 60_000 });
  }

  options(feature, model, { content, ...more } = {}) {
    return {
      model, max_tokens: this.job.tokens_max[feature], system: this.job.system,
      messages: [{ role: "user", content: content ?? this.job.ask[feature] }], ...more,
    };
  }

  create(feature, model, more) {
    return this.api.messages.create(this.options(feature, model, more));
  }

  async streamed(feature, model, more) {
    let chunks = 0;
    const stream = this.api.messages.stream(this.options(feature, model, more));
    stream.on("text", () => chunks++);
    return { ...whole(await stream.finalMessage()), chunks };
  }

  async chat(model) {
    return whole(await this.create("chat", model));
  }

  stream(model) {
    return this.streamed("stream", model);
  }

  tool() {
    const { name, description, parameters } = this.job.tool;
    return [{ name, description, input_schema: parameters }];
  }

  async tools(model) {
    const first = await this.create("tools", model, { tools: this.tool() });
    const answer = whole(first);
    const used = first.content.find((block) => block.type === "tool_use");
    if (used) {
      const last = await this.create("tools", model, {
        tools: this.tool(),
        messages: [
          { role: "user", content: this.job.ask.tools }, { role: "assistant", content: first.content },
          { role: "user", content: [{ type: "tool_result", tool_use_id: used.id, content: this.job.tool_result }] },
        ],
      });
      answer.after_result = whole(last).text;
    }
    return answer;
  }

  "tools stream"(model) {
    return this.streamed("tools stream", model, { tools: this.tool() });
  }

  async "tool choice"(model) {
    return whole(await this.create("tool choice", model, { tools: this.tool(), tool_choice: { type: "any" } }));
  }

  async images(model) {
    const source = { type: "base64", media_type: "image/png", data: this.job.image };
    return whole(await this.create("images", model, {
      content: [{ type: "image", source }, { type: "text", text: this.job.ask.images }],
    }));
  }

  async schema(model) {
    const output_config = { format: { type: "json_schema", schema: this.job.schema } };
    return whole(await this.create("schema", model, { output_config }));
  }

  async thinking(model) {
    return whole(await this.create("thinking", model, { thinking: { type: "enabled", budget_tokens: 1024 } }));
  }

  "thinking stream"(model) {
    return this.streamed("thinking stream", model, { thinking: { type: "enabled", budget_tokens: 1024 } });
  }

  embeddings() {
    throw new Unsupported("Anthropic's API has no embeddings");
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
  const of = (type) => answer.content.filter((block) => block.type === type);
  return seen({
    text: of("text").map((block) => block.text).join(""), finish: answer.stop_reason,
    thinking: of("thinking").map((block) => block.thinking).join(""),
    calls: of("tool_use").map((block) => [block.name, block.input]),
    usage: [answer.usage.input_tokens, answer.usage.output_tokens], model: answer.model,
  });
}

await run((job) => new Client(job));
