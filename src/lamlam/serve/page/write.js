// The Write view: ask, see the facts in the answer, ask again and compare.

import { get } from "./api.js";
import { AnswerText, STATUS, legend, pieces } from "./answer.js";
import { complete } from "./completion.js";
import { action, button, byId, complain, make, plural } from "./dom.js";
import * as panel from "./panel.js";
import { differences } from "./text.js";

let running = null; // aborts the running request
let now = null; // the latest answer's column
let former = null; // the previous one, for the same prompt

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
    make("p", {}, "Marks show what the model looked up, and with what result:"),
    legend(Object.keys(STATUS)),
    make(
      "p",
      { class: "hint" },
      "Click a mark, or tab to it and press Enter, to see the call, the fact and its source.",
    ),
  ]);
}

/** Offer example prompts: the server's, or openings made from names in the knowledge base. */
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

/** Openings, each with a different name; a bare name if the knowledge base has none of these relations. */
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

/** Write a text, replacing earlier answers. */
async function write(prompt) {
  if (!prompt.trim()) return;
  former = null;
  const column = new Column();
  byId("answers").replaceChildren(column.element);
  await run(column, prompt, settings());
}

/** Write the same prompt again beside the previous answer, with the latest facts. */
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
  `Answer: ${answer.prompt}${answer.text} ${plural(answer.lookups.length, "fact", "facts")} looked up.`;

/** Mark the differences between the previous answer and this one. */
function compare() {
  if (!former?.answer?.finish || !now?.answer?.finish || former === now) return;
  const [gone, come] = differences(former.answer.text, now.answer.text);
  former.text.show(former.answer, gone, "del");
  now.text.show(now.answer, come, "ins");
  const told =
    gone.length + come.length === 0 ? "Both answers are identical." : "Differences are marked in both answers.";
  byId("spoken").textContent += ` ${told}`;
  now.element.append(make("p", { class: "hint" }, told));
}

/** One answer: the prompt, the text and its actions. */
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
    const ended = finish === null ? "stopped" : finish === "length" ? "reached the length limit" : null;
    const said = [
      revision == null ? null : `facts as of revision ${revision}`,
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
