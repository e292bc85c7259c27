// A chat. With the admin token it goes to /admin/chat; with a key to /v1/chat/completions, as a client's would.

import { ask, events } from "./api.js";
import { Message, element, gathered } from "./talk.js";

export function tryIt(page, { signal, go, say, toast }) {
  const find = (selector) => page.querySelector(selector);
  const form = find("[data-say]");
  const input = find("#f-say");
  const stop = form.querySelector("[data-stop]");
  let messages = [];
  let asking = null;
  signal.addEventListener("abort", () => asking?.abort());

  const usesKey = () => find("[name=access][value=key]").checked;

  find("[data-access]").addEventListener("change", (event) => {
    if (event.target.name === "access") {
      find("[data-for=admin]").hidden = usesKey();
      find("[data-for=key]").hidden = !usesKey();
    }
    if (event.target.name === "of") go(`/ui/try${event.target.value ? `?key=${encodeURIComponent(event.target.value)}` : ""}`);
  }, { signal });
  find("[data-access]").addEventListener("submit", (event) => event.preventDefault(), { signal });
  find("[data-identify]").addEventListener("click", identify, { signal });
  find("[data-anew]").addEventListener("click", () => {
    asking?.abort();
    messages = [];
    find("[data-messages]").replaceChildren();
    input.focus();
  }, { signal });
  stop.addEventListener("click", () => asking?.abort(), { signal });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  }, { signal });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!asking && input.value.trim()) send(input.value);
  }, { signal });

  async function identify() {
    try {
      const response = await ask("/admin/keys/identify", { method: "POST", json: { key: find("#f-key").value.trim() } });
      const { name, models } = await response.json();
      find("#f-model").replaceChildren(...models.map((model) => element("option", { value: model }, model)));
      form.querySelector("[type=submit]").disabled = models.length === 0;
      find("[data-known]").textContent = models.length ? `It is ${name}'s.` : `It is ${name}'s; none of its models is up.`;
    } catch (error) {
      find("[data-known]").textContent = error.message;
    }
  }

  async function send(text) {
    asking = new AbortController();
    find(".chat .trouble").textContent = "";
    messages.push({ role: "user", content: text });
    const asked = new Message("user");
    asked.say(text);
    const answer = new Message("assistant");
    answer.item.setAttribute("aria-busy", "true");
    find("[data-messages]").append(asked.item, answer.item);
    input.value = "";
    stop.hidden = false;
    try {
      await hear(answer);
      messages.push({ role: "assistant", content: answer.text });
    } catch (error) {
      if (error.name === "AbortError") answer.note("Stopped.");
      else {
        messages.pop();
        answer.note(error.message, "trouble");
        toast(error.message, "bad");
      }
    } finally {
      asking = null;
      stop.hidden = true;
      answer.item.removeAttribute("aria-busy");
      input.focus();
    }
  }

  async function hear(answer) {
    const began = performance.now();
    let first = 0;
    let usage = null;
    const words = gathered((text) => { answer.say(text); answer.item.scrollIntoView({ block: "nearest" }); });
    const thoughts = gathered((text) => answer.think(text));
    const json = { model: find("#f-model").value, messages, stream: true, stream_options: { include_usage: true } };
    const response = await ask(usesKey() ? "/v1/chat/completions" : "/admin/chat", {
      method: "POST", json, signal: asking.signal, key: usesKey() ? find("#f-key").value.trim() : undefined,
    });
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      usage = event.usage || usage;
      const delta = event.choices?.[0]?.delta ?? {};
      if (!first && (delta.content || delta.reasoning_content)) first = performance.now();
      if (delta.reasoning_content) thoughts(delta.reasoning_content);
      if (delta.content) words(delta.content);
    }
    await new Promise(requestAnimationFrame);
    answer.note(figures(began, first, usage, response.headers.get("x-conclave-backend")));
    say("The answer is complete");
  }
}

function figures(began, first, usage, backend) {
  const ended = performance.now();
  const parts = [];
  if (first) parts.push(`first token after ${Math.round(first - began)} ms`);
  if (usage) {
    parts.push(`${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written`);
    if (first && ended > first) parts.push(`${(usage.completion_tokens / ((ended - first) / 1000)).toFixed(1)} a second`);
  }
  if (backend) parts.push(`from ${backend}`);
  return parts.join(" · ");
}
