// Reads a job, runs its cells one after the other as it is told to, prints one line of JSON for each: what was seen,
// or the error. The counterpart of matrix/drivers/run.py.
import { createInterface } from "node:readline";

export class Unsupported extends Error {}

export async function run(make) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const job = JSON.parse((await lines.next()).value);
  const client = make(job);
  for (const [feature, model] of job.cells) {
    await lines.next();
    process.stdout.write(JSON.stringify({ feature, ...(await observe(client, feature, model)) }) + "\n");
  }
  process.exit(0);
}

async function observe(client, feature, model) {
  try {
    return { seen: await client[feature](model) };
  } catch (error) {
    if (error instanceof Unsupported) return { unsupported: error.message };
    return { error: described(error) };
  }
}

function described(error) {
  const status = [error.status, error.status_code, error.code].find((value) => typeof value === "number");
  return {
    kind: error.constructor.name, status: status ?? null, message: String(error.message).slice(0, 600),
    should_retry: error.headers?.get?.("x-should-retry") ?? null,
  };
}

export function seen({ text, finish, thinking, calls, usage, ...more }) {
  return {
    text: text ?? "", finish: finish ?? null, thinking: thinking ?? "",
    calls: (calls ?? []).map(([name, args]) => ({ name, arguments: args })), usage: usage ?? null, ...more,
  };
}
