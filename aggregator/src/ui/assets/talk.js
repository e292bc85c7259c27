// What a model says while it says it: always as text, thinking folded.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A message in a list; its words grow.
export class Message {
  constructor(role) {
    this.text = "";
    this.words = element("div", { class: "words" });
    this.item = element("li", { class: `message ${role}` }, element("h2", { class: "role" }, role), this.words);
  }

  think(words) {
    if (!this.thinking) {
      this.thinking = element("div", { class: "words" });
      this.item.insertBefore(element("details", { class: "thinking" }, element("summary", {}, "Thinking"), this.thinking), this.words);
    }
    this.thinking.append(words);
  }

  say(words) {
    this.text += words;
    this.words.append(words);
  }

  note(words, tone = "quiet") { this.item.append(element("p", { class: tone }, words)); }
}

// Text that grows, where new words come often: once a frame is enough.
export function gathered(put) {
  let waiting = "";
  return (words) => {
    if (!waiting) requestAnimationFrame(() => { put(waiting); waiting = ""; });
    waiting += words;
  };
}
