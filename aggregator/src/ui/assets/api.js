// Requests to this server, with the token. The token lives in this tab's session storage and goes nowhere else.

const NAME = "conclave.token";
let token = read();

function read() {
  try { return sessionStorage.getItem(NAME) || ""; } catch { return ""; }
}

export function setToken(value) {
  token = value;
  try {
    if (value) sessionStorage.setItem(NAME, value);
    else sessionStorage.removeItem(NAME);
  } catch { /* Then it lives as long as this page. */ }
}

export const hasToken = () => token !== "";

// What the server refused, in its words.
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  get wantsToken() { return this.code === "invalid_admin_token" || this.code === "admin_closed"; }
}

// The response, once it is known to be good.
export async function ask(path, { method = "GET", json, key, signal } = {}) {
  const headers = {};
  const secret = key ?? token;
  if (secret) headers.Authorization = `Bearer ${secret}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? undefined : JSON.stringify(json);
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "unreachable", "The server cannot be reached.");
  }
  if (response.ok) return response;
  throw await refused(response);
}

async function refused(response) {
  try {
    const { error } = await response.json();
    return new Refused(response.status, error.code || "", error.message || `HTTP ${response.status}`);
  } catch {
    return new Refused(response.status, "", `The server answered ${response.status}.`);
  }
}

// The data of server-sent events, one after the other, as objects. Bytes that make no whole event wait for more.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const whole = rest.split("\n\n");
      rest = whole.pop();
      for (const event of whole) {
        const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
        if (data && data !== "[DONE]") yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
