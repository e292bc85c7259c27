// The shell: which page is shown, how it is loaded and kept current, signing in, colours.

import { ask, events, hasToken, setToken } from "./api.js";
import { actions } from "./actions.js";
import { council } from "./council.js";
import { keys } from "./keys.js";
import { plots } from "./plots.js";
import { tryIt } from "./try.js";

const $ = (id) => document.getElementById(id);
const page = $("page");
const PAGES = { keys, council, try: tryIt };
let leaving = new AbortController(); // ends what belongs to the page that is shown

// Moves

const address = () => {
  const name = location.pathname.split("/")[2] || "overview";
  return { name, query: location.search };
};

export function go(href, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", href);
  show({ focus: true });
}

async function show({ focus = false } = {}) {
  leaving.abort();
  const { entry } = document.documentElement.dataset;
  if (!hasToken() && entry !== "open") {
    pulse("idle", "Signed out");
    return signIn(entry === "closed" ? "No admin token is configured, so these pages are closed." : "");
  }
  leaving = new AbortController();
  const { signal } = leaving;
  const { name, query } = address();
  for (const link of document.querySelectorAll("[data-nav]")) {
    if (link.dataset.nav !== name) {
      link.removeAttribute("aria-current");
      continue;
    }
    link.setAttribute("aria-current", "page");
    // Where the navigation is a strip, what is current is in sight.
    const strip = link.closest("nav");
    strip.scrollLeft = link.offsetLeft - (strip.clientWidth - link.offsetWidth) / 2;
  }
  page.setAttribute("aria-busy", "true");
  pulse("waiting", "Loading");
  try {
    const response = await ask(`/ui/part/${name}${query}`, { signal });
    const html = await response.text();
    if (signal.aborted) return;
    // Written by the server, which escapes all that comes from elsewhere; the policy lets no script in it run.
    page.innerHTML = html;
    $("leave").hidden = !hasToken();
    settle(name, signal, focus);
  } catch (error) {
    if (!signal.aborted) failed(error);
  } finally {
    if (!signal.aborted) page.removeAttribute("aria-busy");
  }
}

function settle(name, signal, focus) {
  const shown = page.querySelector(".page");
  document.title = `${shown.dataset.title} · Conclave`;
  if (focus) {
    window.scrollTo(0, 0);
    shown.querySelector("h1").focus({ preventScroll: true });
    say(`${shown.dataset.title} is shown`);
  }
  plots(page, signal);
  PAGES[name]?.(page, { signal, go, say, toast });
  if (shown.hasAttribute("data-live")) follow(name, signal);
  else pulse("idle", "Loaded");
}

function failed(error) {
  if (error.wantsToken) {
    pulse("idle", "Signed out");
    signIn(hasToken() || error.code === "admin_closed" ? error.message : "");
    return;
  }
  pulse("down", "Not connected");
  const title = document.createElement("h1");
  title.textContent = "This page cannot be shown";
  title.tabIndex = -1;
  const why = document.createElement("p");
  why.textContent = error.message;
  const again = document.createElement("button");
  again.textContent = "Try again";
  again.addEventListener("click", () => show({ focus: true }));
  const box = document.createElement("div");
  box.className = "page empty failed";
  box.append(title, why, again);
  page.replaceChildren(box);
}

// Kept current

async function follow(name, signal) {
  let pause = 1000;
  while (!signal.aborted) {
    try {
      const response = await ask(`/ui/live/${name}${address().query}`, { signal });
      pulse("live", "Live");
      pause = 1000;
      for await (const { part, html } of events(response)) {
        if (signal.aborted) return;
        exchange(part, html);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.wantsToken) return failed(error);
    }
    if (signal.aborted) return;
    pulse("down", "Reconnecting");
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, 30_000);
  }
}

// A part's new content. Where somebody is at work in the part it stays as it is: the next exchange brings it.
function exchange(part, html) {
  const place = page.querySelector(`[data-part="${CSS.escape(part)}"]`);
  if (!place || place.querySelector("dialog[open]")) return;
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  if (active?.matches("input, textarea, select")) return;
  const mark = active && (active.dataset.post || active.dataset.delete || active.getAttribute("href"));
  const open = [...place.querySelectorAll("details")].map((details) => details.open);
  const scrolled = [...place.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
  place.innerHTML = html;
  place.querySelectorAll("details").forEach((details, index) => { if (open[index]) details.open = true; });
  place.querySelectorAll(".scroll").forEach((box, index) => { if (scrolled[index]) [box.scrollLeft, box.scrollTop] = scrolled[index]; });
  if (active) {
    const same = [...place.querySelectorAll("button, a, summary, [tabindex]")];
    const other = same.find((one) => mark && (one.dataset.post || one.dataset.delete || one.getAttribute("href")) === mark);
    (other || same.find((one) => one.textContent === active.textContent))?.focus({ preventScroll: true });
  }
  plots(place, leaving.signal);
}

// Signing in

function signIn(trouble) {
  const gate = $("gate");
  $("leave").hidden = true;
  $("gate-trouble").textContent = trouble;
  if (!gate.open) gate.showModal();
  $("token").focus();
}

$("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken($("token").value.trim());
  $("token").value = "";
  $("gate").close();
  show({ focus: true });
});
// There is nothing behind it to go back to.
$("gate").addEventListener("cancel", (event) => event.preventDefault());
$("leave").addEventListener("click", () => {
  setToken("");
  leaving.abort();
  page.replaceChildren();
  pulse("idle", "Signed out");
  signIn("");
});

// What is said

export function say(words) { $("said").textContent = words; }

function toast(words, tone = "good") {
  const one = document.createElement("p");
  one.className = `toast ${tone}`;
  one.textContent = words;
  $("toasts").append(one);
  setTimeout(() => one.remove(), tone === "bad" ? 12_000 : 5_000);
}

function pulse(state, words) {
  $("pulse").dataset.state = state;
  $("pulse").querySelector(".words").textContent = words;
}

// Colours

const THEMES = ["system", "light", "dark"];
const theme = () => document.documentElement.dataset.theme || "system";
function paint(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  $("theme").setAttribute("aria-label", `Colours: ${name === "system" ? "as the system" : name}`);
  $("theme").title = $("theme").getAttribute("aria-label");
}
$("theme").addEventListener("click", () => {
  const name = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  paint(name);
  say(`Colours: ${name}`);
  try {
    if (name === "system") localStorage.removeItem("conclave.theme");
    else localStorage.setItem("conclave.theme", name);
  } catch { /* Then it is as it was at the next visit. */ }
});
paint(theme());

// Links stay within the page; with a modifier they are the browser's.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/ui']");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
window.addEventListener("popstate", () => show({ focus: true }));
actions(page, { go, say, toast, reload: () => show() });
show();
