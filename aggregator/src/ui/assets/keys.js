// Keys: made and exchanged in dialogs; a key is shown once, as text, and forgotten.

import { ask } from "./api.js";

const NUMBERS = ["requests_per_minute", "tokens_per_day", "concurrent"];

export function keys(page, { signal, say, toast, go }) {
  const find = (selector) => page.querySelector(selector);

  page.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.rotate) {
      find("#rotate [data-name]").textContent = button.dataset.rotate;
      find("#rotate .trouble").textContent = "";
      find("#rotate").showModal();
    }
    if (button?.dataset.copy) copy(find(`#${button.dataset.copy}`).textContent);
    if (button && "forget" in button.dataset) find("#once").close();
  }, { signal });

  page.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!("newKey" in form.dataset) && !("rotateForm" in form.dataset)) return;
    event.preventDefault();
    const trouble = form.querySelector(".trouble");
    const button = form.querySelector("[type=submit]");
    trouble.textContent = "";
    button.disabled = true;
    try {
      const made = "newKey" in form.dataset ? await create(form) : await rotate(form);
      form.closest("dialog").close();
      form.reset();
      show(made);
    } catch (error) {
      trouble.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }, { signal });

  async function create(form) {
    const wanted = {};
    for (const [name, value] of new FormData(form)) {
      if (value.trim() === "") continue;
      if (NUMBERS.includes(name)) wanted[name] = Number(value);
      else if (name === "models") wanted[name] = value.split(",");
      else wanted[name] = value;
    }
    return (await ask("/admin/keys", { method: "POST", json: wanted })).json();
  }

  async function rotate(form) {
    const name = find("#rotate [data-name]").textContent;
    const grace = new FormData(form).get("grace");
    const path = `/admin/keys/${encodeURIComponent(name)}/rotate`;
    return (await ask(path, { method: "POST", json: { grace } })).json();
  }

  function show(made) {
    const dialog = find("#once");
    dialog.querySelector("[data-name]").textContent = made.name;
    find("#once-key").textContent = made.key;
    find("#once [data-until]").textContent = made.old_key_until
      ? `The old key works until ${made.old_key_until}.`
      : `Written to ${made.file}.`;
    dialog.showModal();
    say(`The key of ${made.name} is shown once`);
    dialog.addEventListener("close", () => {
      find("#once-key").textContent = "";
      go(location.pathname + location.search, { replace: true });
    }, { once: true });
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      // Pages without TLS may not write to the clipboard: then it is marked, to be copied by hand.
      const range = document.createRange();
      range.selectNodeContents(find("#once-key"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      toast("It is marked: copy it with the keyboard");
    }
  }
}
