// The view Write: ask, see the facts in the answer, ask again and compare.

import { get } from "./api.js";
import { AnswerText, STATUS, legend, pieces } from "./answer.js";
import { complete } from "./completion.js";
import { action, button, byId, complain, make, plural } from "./dom.js";
import * as panel from "./panel.js";
import { differences } from "./text.js";

let running = null; // stops what is being written
let now = null; // the latest answer and its column
let former = null; // the one before, of the same prompt

export function prepare() {
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    write(byId("prompt").value);
  });
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("ask").requestSubmit();
  });
  byId("stop").addEventListener("click", () => running?.abort());
  byId("ask-again-note").addEventListener("click", again);
  document.addEventListener("changed", () => {
    byId("changed-note").hidden = !now || !!running;
  });
  examples().catch(complain);
}

export function enter() {
  panel.rest([
    make("h2", { id: "panel-title" }, "How to read an answer"),
    make("p", {}, "What the model looked up is marked by how the lookup went:"),
    legend(Object.keys(STATUS)),
    make(
      "p",
      { class: "hint" },
      "Press a mark, or go to it with the Tab key and press Enter, to see the call, the fact and its source.",
    ),
  ]);
}

/** Offer prompts: those that the server names, or openings made from names that it knows. */
async function examples() {
  const told = await get("/kb");
  const prompts = told.examples?.length ? told.examples : await openings();
  byId("examples").replaceChildren(
    "Try: ",
    ...prompts.slice(0, 4).map((prompt) =>
      button(
        `${prompt} …`,
        () => {
          byId("prompt").value = prompt;
          write(prompt);
        },
        { class: "chip" },
      ),
    ),
  );
  byId("examples").hidden = prompts.length === 0;
}

const OPENINGS = {
  "Birth Place": "was born in",
  Employer: "works for",
  Spouse: "is married to",
  Residence: "lives in",
  Mayor: "has a mayor named",
};

/** Each opening with another name; for a knowledge base without such relations, a name alone. */
async function openings() {
  const { facts } = await get("/kb/facts", { limit: 100 });
  const found = [];
  const used = new Set();
  for (const [relation, words] of Object.entries(OPENINGS)) {
    const fact = facts.find((each) => each.relation === relation && !used.has(each.entity));
    if (!fact) continue;
    used.add(fact.entity);
    found.push(`${fact.entity} ${words}`);
  }
  return found.length ? found : facts.slice(0, 1).map((fact) => fact.entity);
}

function settings() {
  const asOf = byId("as-of").value;
  const temperature = Number(byId("temperature").value);
  return {
    max_tokens: Number(byId("max-tokens").value) || 96,
    temperature,
    lookups: byId("lookups").checked,
    ...(asOf !== "" && { revision: Number(asOf) }),
    ...(temperature > 0 && { seed: Math.floor(Math.random() * 2 ** 32) }),
  };
}

/** Have a text written, in place of all that was. */
async function write(prompt) {
  if (!prompt.trim()) return;
  former = null;
  const column = new Column();
  byId("answers").replaceChildren(column.element);
  await run(column, prompt, settings());
}

/** Have the same text written once more, beside the former answer; as the facts stand now, or stood at a revision. */
async function again() {
  if (!now?.answer || running) return;
  const { revision: _, ...same } = now.answer.settings;
  former = now;
  const column = new Column();
  former.name("Before");
  column.name("Now");
  byId("answers").replaceChildren(former.element, column.element);
  await run(column, former.answer.prompt, same);
  compare();
}

async function run(column, prompt, wanted) {
  running?.abort();
  const control = (running = new AbortController());
  panel.close();
  now = column;
  byId("answers").hidden = false;
  byId("changed-note").hidden = true;
  byId("stop").hidden = false;
  let begun = false;
  try {
    for await (const answer of complete(prompt, wanted, control.signal)) {
      column.show(answer);
      if (!begun) column.element.scrollIntoView({ block: "nearest" });
      begun = true;
    }
    byId("spoken").textContent = spoken(column.answer);
  } catch (error) {
    if (error.name === "AbortError") byId("spoken").textContent = "Stopped.";
    complain(error);
  }
  column.finish();
  if (running === control) {
    running = null;
    byId("stop").hidden = true;
  }
}

const spoken = (answer) =>
  `Answer: ${answer.prompt}${answer.text} ${plural(answer.lookups.length, "fact was", "facts were")} looked up.`;

/** Mark what differs between the former answer and this one. */
function compare() {
  if (!former?.answer?.finish || !now?.answer?.finish || former === now) return;
  const [gone, come] = differences(former.answer.text, now.answer.text);
  former.text.show(former.answer, gone, "del");
  now.text.show(now.answer, come, "ins");
  const told =
    gone.length + come.length === 0 ? "Both answers are the same." : "What differs is marked in both answers.";
  byId("spoken").textContent += ` ${told}`;
  now.element.append(make("p", { class: "hint" }, told));
}

/** One answer: the prompt, the text, and what to do with it. */
class Column {
  constructor() {
    this.answer = null;
    this.text = new AnswerText(panel.showCall);
    this.title = make("h2", {}, "Answer");
    this.prompt = make("span", { class: "prompt" });
    this.text.element.append(this.prompt);
    this.foot = make("div", { class: "foot" });
    this.element = make(
      "article",
      { class: "answer writing", "aria-busy": "true" },
      this.title,
      this.text.element,
      this.foot,
    );
  }

  name(title) {
    this.title.textContent = title;
    if (title === "Before") this.foot.replaceChildren(this.about());
  }

  show(answer) {
    this.answer = answer;
    this.prompt.textContent = answer.prompt;
    this.text.show(answer);
  }

  finish() {
    this.element.classList.remove("writing");
    this.element.removeAttribute("aria-busy");
    if (!this.answer) return this.element.remove();
    this.foot.replaceChildren(this.about(), make("div", { class: "actions" }, action("Ask again", again)));
  }

  about() {
    const { finish, lookups, revision } = this.answer;
    const ended = finish === null ? "stopped" : finish === "length" ? "cut at the length that was set" : null;
    const said = [
      revision == null ? null : `facts of revision ${revision}`,
      plural(lookups.length, "lookup"),
      ended,
    ].filter(Boolean);
    return make(
      "div",
      {},
      make("p", { class: "hint" }, said.join(" · ")),
      legend(
        pieces(this.answer)
          .filter((piece) => piece.lookup)
          .map((piece) => piece.lookup.status),
      ),
    );
  }
}
