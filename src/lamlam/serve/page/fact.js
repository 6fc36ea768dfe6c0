// One fact: its value, sources and history, with forms to edit, retract or forget it.

import { get, patch, post } from "./api.js";
import { button, busy, changed, complain, field, given, linkTo, make, say } from "./dom.js";
import { forget } from "./forget.js";
import { note } from "./session.js";
import { units } from "./text.js";

/** An element that shows a fact and follows it through edits. */
export async function factCard(id) {
  const card = make("article", { class: "card" });
  await fill(card, id);
  return card;
}

async function fill(card, id) {
  const [fact, { facts: history }] = await Promise.all([get(`/kb/facts/${id}`), get(`/kb/facts/${id}/history`)]);
  const holds = fact.until == null;
  card.replaceChildren(
    make("p", { class: "value" }, fact.value),
    make("p", { class: "hint" }, `Fact ${fact.id}, ${standing(fact)}`),
    holds ? changing(card, fact) : successor(card, fact, history),
    make("h3", {}, "Source"),
    make("div", { class: "passages" }, make("p", { class: "hint" }, "Loading …")),
    make("h3", {}, "History"),
    timeline(history, fact.id),
  );
  passages(id).then((shown) => card.querySelector(".passages")?.replaceChildren(...shown), complain);
}

const standing = (fact) =>
  fact.until == null ? `current since revision ${fact.since}` : `valid from revision ${fact.since} until ${fact.until}`;

/** Buttons for a current fact, and notes on what the role can't do. */
function changing(card, fact) {
  const place = make("div", { class: "change" });
  const edit = button(
    "Correct",
    () =>
      place.replaceChildren(
        editForm(fact, {
          done: (now) => fill(card, now.id).then(() => card.querySelector("button")?.focus(), complain),
          cancelled: back(edit),
        }),
      ),
    { class: "primary" },
  );
  const back = (to) => () => {
    place.replaceChildren(buttons, ...notes);
    to.focus();
  };
  const retract = button("Retract", () =>
    place.replaceChildren(
      reasonForm(
        "Retract",
        async (why) => {
          await post(`/kb/facts/${fact.id}/retract`, why);
          say("Retracted. The fact no longer holds; its history stays.");
          changed();
          await fill(card, fact.id);
        },
        back(retract),
      ),
    ),
  );
  const erase = button(
    "Forget",
    async () => {
      if (await forget({ fact: fact.id }, fact)) card.replaceChildren(make("p", {}, "This fact has been forgotten."));
    },
    { class: "danger" },
  );
  const buttons = make("div", { class: "actions" }, edit, retract, erase);
  const notes = [note("editor", "Correcting and retracting require"), note("eraser", "Forgetting requires")];
  place.append(buttons, ...notes);
  return place;
}

/** A form to correct a fact. `done(fact)` receives the new one. */
export function editForm(fact, { done, cancelled }) {
  const value = field("Correct value", { value: fact.value, maxlength: 2000, required: true });
  const source = field("Source document (optional)", { maxlength: 500 });
  const reason = field("Reason (optional)", { maxlength: 500 });
  const save = make("button", { type: "submit", class: "primary" }, "Save");
  const submit = (event) => {
    event.preventDefault();
    busy(save, async () => {
      const document = source.input.value.trim();
      const now = await patch(`/kb/facts/${fact.id}`, {
        value: value.input.value,
        ...(document && { source: { document } }),
        ...given("reason", reason),
      });
      say(`Corrected: ${now.relation} of ${now.entity} is now “${now.value}”.`);
      changed();
      done(now);
    });
  };
  const form = make(
    "form",
    { class: "edit", "aria-label": `Correct fact ${fact.id}`, on: { submit, keydown: escaping(cancelled) } },
    value.box,
    source.box,
    reason.box,
    make("div", { class: "actions" }, save, button("Cancel", cancelled)),
  );
  queueMicrotask(() => {
    value.input.focus();
    value.input.select();
  });
  return form;
}

/** A form that asks for a reason, then calls `work(why)` with `{ reason }` or `{}`. */
export function reasonForm(label, work, cancelled) {
  const reason = field("Reason (optional)", { maxlength: 500 });
  const go = make("button", { type: "submit", class: "primary" }, label);
  const submit = (event) => {
    event.preventDefault();
    busy(go, () => work(given("reason", reason)));
  };
  queueMicrotask(() => reason.input.focus());
  return make(
    "form",
    { class: "edit", "aria-label": label, on: { submit, keydown: escaping(cancelled) } },
    reason.box,
    make("div", { class: "actions" }, go, button("Cancel", cancelled)),
  );
}

/** A listener that calls `cancelled` for the Escape key. */
const escaping = (cancelled) => (event) => {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  cancelled();
};

/** What replaced a fact that no longer holds. */
function successor(card, fact, history) {
  const next = history.find((other) => other.supersedes === fact.id);
  if (!next) return make("p", { class: "notice" }, "This fact was retracted and no longer holds.");
  return make(
    "p",
    { class: "notice" },
    "Replaced by ",
    make("strong", {}, next.value),
    ". ",
    button("Show it", () => fill(card, next.id).catch(complain)),
  );
}

function timeline(history, id) {
  return make(
    "ol",
    { class: "timeline" },
    history.map((fact) =>
      make(
        "li",
        { "aria-current": fact.id === id ? "true" : null },
        make("span", {}, fact.value),
        make("span", { class: "hint" }, ` ${standing(fact)}`),
      ),
    ),
  );
}

/** The passages that state a fact, with its span marked. */
async function passages(id) {
  const { passages: found } = await get(`/kb/facts/${id}/passages`);
  if (found.length === 0) return [make("p", { class: "hint" }, "No source recorded.")];
  return found.map((passage) => {
    const where = make(
      "figcaption",
      {},
      linkTo("source", passage.document),
      passage.start == null ? "" : `, characters ${passage.start} to ${passage.end}`,
    );
    const text = passage.found
      ? excerpt(passage)
      : make("p", { class: "hint" }, "The text of this document isn't available.");
    return make("figure", { class: "passage" }, text, where);
  });
}

function excerpt({ text, start, end, offset }) {
  if (start == null) return make("blockquote", {}, text);
  const [from, to] = [units(text, start - offset), units(text, end - offset)];
  return make(
    "blockquote",
    {},
    offset > 0 ? "… " : "",
    text.slice(0, from),
    make("mark", {}, text.slice(from, to)),
    text.slice(to),
  );
}

/** A form to add the fact that a call didn't find. */
export function addForm(entity, relation) {
  const [value, reason] = [
    field("Value", { maxlength: 2000, required: true }),
    field("Reason (optional)", { maxlength: 500 }),
  ];
  const save = make("button", { type: "submit", class: "primary" }, "Add the fact");
  const submit = (event) => {
    event.preventDefault();
    busy(save, async () => {
      if (await add({ entity, relation, value: value.input.value }, given("reason", reason))) form.reset();
    });
  };
  const form = make(
    "form",
    { class: "edit", "aria-label": "Add a fact", on: { submit } },
    value.box,
    reason.box,
    make("div", { class: "actions" }, save),
    note("editor"),
  );
  return form;
}

/** Add one fact and report the outcome. Returns whether the knowledge base now has it. */
export async function add(fact, extra) {
  const told = await post("/kb/facts", { facts: [fact], ...extra });
  if (told.refused.length) {
    say("Refused: this fact was forgotten and can't be added again.", "fault");
    return false;
  }
  say(
    told.added
      ? `Added: ${fact.relation} of ${fact.entity} is “${fact.value}”.`
      : "The knowledge base already has this fact.",
  );
  changed();
  return true;
}
