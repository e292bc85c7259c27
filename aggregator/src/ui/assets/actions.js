// What pages do, told by attributes: forms that are queries, buttons that post or delete, downloads, dialogs.

import { ask } from "./api.js";

export function actions(page, { go, say, toast, reload }) {
  page.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-go]");
    if (!form) return;
    event.preventDefault();
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim() !== ""));
    go(`${form.dataset.go}${query.size ? `?${query}` : ""}`);
  });

  page.addEventListener("change", (event) => {
    if (event.target.matches("select[data-go]")) go(event.target.value);
  });

  page.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { post, delete: remove, download, open, then, said } = button.dataset;
    if (open) document.getElementById(open).showModal();
    if ("close" in button.dataset) button.closest("dialog").close();
    if (!post && !remove && !download) return;
    if (button.dataset.ask && !(await confirmed(button.dataset))) return;
    button.disabled = true;
    try {
      if (download) await save(download, button.dataset.name);
      else await ask(post || remove, { method: post ? "POST" : "DELETE" });
      if (said) { say(said); toast(said); }
      if (then) go(then);
      else if (!download) reload();
    } catch (error) {
      toast(error.message, "bad");
    } finally {
      button.disabled = false;
    }
  });
}

// Asks in a dialog; resolves to whether it was confirmed.
function confirmed({ ask: title, askText, askYes }) {
  const dialog = document.getElementById("asking");
  document.getElementById("asking-title").textContent = title;
  document.getElementById("asking-text").textContent = askText || "";
  document.getElementById("asking-yes").textContent = askYes || "Yes";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// A link could not bring the token.
async function save(path, name) {
  const blob = await (await ask(path)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
