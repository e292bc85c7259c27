// A deliberation, watched: a column for each member, what each says as it says it, then the synthesis.

import { ask, events } from "./api.js";
import { element, gathered } from "./talk.js";

export function council(page, { signal, say }) {
  const find = (selector) => page.querySelector(selector);
  const form = find("[data-council]");
  if (!form) return;
  const stop = form.querySelector("[data-stop]");
  let asking = null;
  signal.addEventListener("abort", () => asking?.abort());
  stop.addEventListener("click", () => asking?.abort(), { signal });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (asking) return;
    asking = new AbortController();
    const trouble = form.querySelector(".trouble");
    trouble.textContent = "";
    stop.hidden = false;
    const sitting = new Sitting(find("[data-sitting]"), say);
    try {
      await watch(new FormData(form), sitting);
    } catch (error) {
      const words = error.name === "AbortError" ? "Stopped." : error.message;
      sitting.stage(words);
      if (error.name !== "AbortError") trouble.textContent = words;
    } finally {
      asking = null;
      stop.hidden = true;
    }
  }, { signal });

  async function watch(fields, sitting) {
    const json = {
      template: fields.get("template"),
      messages: [{ role: "user", content: fields.get("question") }],
      stream: true,
      stream_options: { include_council: "deltas" },
    };
    if (fields.get("model")) json.model = fields.get("model");
    const response = await ask("/admin/council/chat", { method: "POST", json, signal: asking.signal });
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      if (event.council) sitting.take(event.council);
      const words = event.choices?.[0]?.delta?.content;
      if (words) sitting.answer(words);
    }
    sitting.over();
  }
}

class Sitting {
  constructor(root, say) {
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.say = say;
    this.members = new Map();
    this.find("members").replaceChildren();
    this.find("answer").replaceChildren();
    this.find("by").textContent = "";
    this.find("synthesis").hidden = true;
    this.answer = gathered((words) => {
      this.find("synthesis").hidden = false;
      this.find("answer").append(words);
    });
    root.hidden = false;
    this.stage("The council is called.");
    root.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  stage(words) { this.find("stage").textContent = words; }

  take(event) {
    ({
      opened: () => event.members.forEach((member) => this.seat(member)),
      round: () => this.round(event),
      delta: () => this.members.get(event.member)?.part(event)(event.text),
      member: () => this.ended(event, false),
      review: () => this.ended(event, true),
      ranking: () => this.stage("The answers are ranked."),
      tally: () => this.stage("The votes are counted."),
      synthesis: () => this.synthesis(event),
      closed: () => this.closed(event),
    })[event.stage]?.();
  }

  seat({ name, model }) {
    const said = element("div", { class: "said" });
    const state = element("span", { class: "badge quiet" }, "waits");
    const column = element("article", { class: "card member", "aria-label": name },
      element("header", {}, element("h3", {}, name), state), element("p", { class: "under" }, model), said);
    this.find("members").append(column);
    const parts = new Map();
    const part = ({ round, review }) => {
      const label = review ? "Review" : `Round ${round}`;
      if (!parts.has(label)) {
        const words = element("div", { class: "words" });
        said.append(element("section", {}, element("h4", {}, label), words));
        parts.set(label, gathered((text) => { words.append(text); said.scrollTop = said.scrollHeight; }));
        set("busy", "speaks");
      }
      return parts.get(label);
    };
    const set = (tone, words) => { state.className = `badge ${tone}`; state.textContent = words; };
    this.members.set(name, { part, set, said });
  }

  round({ round, review }) {
    this.stage(review ? "The members rank the answers." : `Round ${round}: the members speak.`);
    for (const member of this.members.values()) member.set("quiet", "waits");
  }

  ended(event, review) {
    const member = this.members.get(event.member);
    if (!member) return;
    if (event.status === "answered") member.set("good", review ? "has ranked" : "has spoken");
    else {
      member.set("bad", "missing");
      member.said.append(element("p", { class: "trouble" }, event.reason));
    }
  }

  synthesis(event) {
    if (event.status === "begun") {
      this.stage("The synthesis is written.");
      this.find("by").textContent = `by ${event.model}`;
      this.find("synthesis").hidden = false;
    }
    if (event.status === "failed") this.stage(`A synthesizer failed: ${event.reason}`);
    if (event.status === "best_single") this.find("by").textContent = `${event.member}'s answer: nobody could synthesize`;
  }

  closed({ usage }) {
    this.stage(`The council has ended. ${usage?.total_tokens?.toLocaleString("en") ?? "Unknown"} tokens in all.`);
  }

  over() { this.say("The synthesis is complete"); }
}
