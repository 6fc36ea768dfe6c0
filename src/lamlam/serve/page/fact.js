// One fact: its value, where it was read, what stood in its place before; to be edited in place, retracted, forgotten.

import { get, patch, post } from "./api.js";
import { button, busy, changed, complain, field, given, linkTo, make, say } from "./dom.js";
import { forget } from "./forget.js";
import { note } from "./session.js";
import { units } from "./text.js";

/** An element that shows the fact of an id, and stays with it when it is edited. */
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
    make("div", { class: "passages" }, make("p", { class: "hint" }, "Reading …")),
    make("h3", {}, "History"),
    timeline(history, fact.id),
  );
  passages(id).then((shown) => card.querySelector(".passages")?.replaceChildren(...shown), complain);
}

const standing = (fact) =>
  fact.until == null ? `holds since revision ${fact.since}` : `held from revision ${fact.since} until ${fact.until}`;

/** Buttons for what can be done with a fact that holds, and a line on what the role may not. */
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
          say("Retracted: the fact holds no longer, and its history stays.");
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
      if (await forget({ fact: fact.id }, fact)) card.replaceChildren(make("p", {}, "This fact is forgotten."));
    },
    { class: "danger" },
  );
  const buttons = make("div", { class: "actions" }, edit, retract, erase);
  const notes = [note("editor", "To correct and retract takes"), note("eraser", "To forget takes")];
  place.append(buttons, ...notes);
  return place;
}

/** A form that states another value in the fact's place. `done(fact)` gets the new one. */
export function editForm(fact, { done, cancelled }) {
  const value = field("The right value", { value: fact.value, maxlength: 2000, required: true });
  const source = field("Where you read it: a document (may be empty)", { maxlength: 500 });
  const reason = field("Why (may be empty)", { maxlength: 500 });
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

/** A form that asks why before `work(why)` is done, where `why` is `{ reason }` or empty. */
export function reasonForm(label, work, cancelled) {
  const reason = field("Why (may be empty)", { maxlength: 500 });
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

/** What took the place of a fact that holds no longer. */
function successor(card, fact, history) {
  const next = history.find((other) => other.supersedes === fact.id);
  if (!next) return make("p", { class: "notice" }, "This fact holds no longer: it was retracted.");
  return make(
    "p",
    { class: "notice" },
    "This fact was replaced by ",
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

/** The passages in which a fact was read, with its span marked. */
async function passages(id) {
  const { passages: found } = await get(`/kb/facts/${id}/passages`);
  if (found.length === 0) return [make("p", { class: "hint" }, "No source is on record.")];
  return found.map((passage) => {
    const where = make(
      "figcaption",
      {},
      linkTo("source", passage.document),
      passage.start == null ? "" : `, characters ${passage.start} to ${passage.end}`,
    );
    const text = passage.found
      ? excerpt(passage)
      : make("p", { class: "hint" }, "The text of this document is not at hand.");
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

/** A form that adds a fact for a call that found none. */
export function addForm(entity, relation) {
  const [value, reason] = [
    field("Value", { maxlength: 2000, required: true }),
    field("Why (may be empty)", { maxlength: 500 }),
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

/** Add one fact and say how it went; whether it is there now. */
export async function add(fact, extra) {
  const told = await post("/kb/facts", { facts: [fact], ...extra });
  if (told.refused.length) {
    say("Refused: this fact was forgotten, and what was forgotten does not come back.", "fault");
    return false;
  }
  say(
    told.added
      ? `Added: ${fact.relation} of ${fact.entity} is “${fact.value}”.`
      : "The knowledge base knows this already.",
  );
  changed();
  return true;
}
