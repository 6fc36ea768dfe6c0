// Lets the model continue a text and yields the growing answer.

import { Refused, request } from "./api.js";
import { units } from "./text.js";

/**
 * Yields one answer repeatedly as it grows:
 * `{ prompt, settings, text, lookups, finish, revision }`. Spans of lookups are in UTF-16 units of `text`.
 */
export async function* complete(prompt, settings, signal) {
  const body = JSON.stringify({ prompt, ...settings, stream: true });
  const response = await request("/v1/completions", { method: "POST", body, type: "application/json", signal });
  const answer = { prompt, settings, text: "", lookups: [], finish: null, revision: null };
  for await (const event of events(response.body)) {
    if (event.error) throw new Refused(event.error.code, event.error.message);
    for (const choice of event.choices) take(answer, choice);
    yield answer;
  }
}

function take(answer, choice) {
  answer.text += choice.text;
  const lookups = (choice.lookups ?? []).map((lookup) => placed(lookup, answer.text));
  if (!choice.finish_reason) {
    answer.lookups.push(...lookups);
    return;
  }
  Object.assign(answer, { lookups, finish: choice.finish_reason, revision: choice.revision ?? null });
}

function placed(lookup, text) {
  return { ...lookup, start: units(text, lookup.start), end: units(text, lookup.end) };
}

/** The objects of a server-sent event stream, up to `[DONE]`. */
async function* events(body) {
  let waiting = "";
  for await (const part of decoded(body)) {
    const blocks = (waiting + part).split(/\r?\n\r?\n/);
    waiting = blocks.pop();
    for (const block of blocks) {
      const data = block
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart());
      if (data.length === 0) continue;
      if (data.join("\n") === "[DONE]") return;
      yield JSON.parse(data.join("\n"));
    }
  }
}

async function* decoded(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
