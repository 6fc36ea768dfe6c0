// The Facts view: search and filters, a table to edit in place, an entity's names, adding facts.

import { get, post } from "./api.js";
import { action, busy, button, byId, changed, complain, field, given, linkTo, make, plural, tableOf } from "./dom.js";
import * as combobox from "./combobox.js";
import * as csv from "./csv.js";
import { add, editForm } from "./fact.js";
import { forget } from "./forget.js";
import * as panel from "./panel.js";
import { note } from "./session.js";

const PAGE = 50;
const FILTERS = ["entity", "relation", "text", "source"];

let pages = [null]; // start ids of the pages so far
let asked = 0; // drops answers that arrive out of order

export function prepare() {
  byId("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  byId("filter").addEventListener("reset", () => setTimeout(search));
  byId("filter-relation").addEventListener("change", search);
  combobox.attach(byId("filter-entity"), byId("entity-names"), search);
  byId("facts-back").addEventListener("click", () => {
    pages.pop();
    list();
  });
  byId("facts-more").addEventListener("click", (event) => {
    pages.push(event.currentTarget.dataset.next);
    list();
  });
  byId("add").addEventListener("submit", (event) => {
    event.preventDefault();
    addOne();
  });
  csv.prepare(filter);
  document.addEventListener("changed", () => document.body.dataset.view === "facts" && show());
}

/** Show what the address says. */
export function enter(query) {
  for (const name of FILTERS) {
    const input = byId(`filter-${name}`);
    const wanted = query.get(name) ?? "";
    if (name === "relation" && wanted && ![...input.options].some((option) => option.value === wanted))
      input.append(make("option", {}, wanted));
    input.value = wanted;
  }
  pages = [null];
  relations().catch(complain);
  show();
}

/** The filters that are set, also used for the CSV download. */
const filter = () =>
  Object.fromEntries(FILTERS.map((name) => [name, byId(`filter-${name}`).value.trim()]).filter(([, value]) => value));

/** Put the filters into the address. */
function search() {
  const query = new URLSearchParams(filter()).toString();
  const hash = query ? `#facts?${query}` : "#facts";
  if (location.hash === hash) enter(new URLSearchParams(query));
  else location.hash = hash;
}

function show() {
  list();
  names().catch(complain);
  get("/kb").then((told) => {
    byId("facts-count").textContent =
      `${plural(told.facts, "fact")} about ${plural(told.entities, "entity", "entities")}, at revision ${told.revision}.`;
  }, complain);
}

async function relations() {
  const { relations: found } = await get("/kb/relations");
  const options = found.map(({ name, facts }) =>
    make("option", { value: name }, `${name} (${facts.toLocaleString("en")})`),
  );
  const chosen = byId("filter-relation").value;
  byId("filter-relation").replaceChildren(make("option", { value: "" }, "any"), ...options);
  if (chosen && !found.some(({ name }) => name === chosen))
    byId("filter-relation").append(make("option", { value: chosen }, chosen));
  byId("filter-relation").value = chosen;
  byId("relations").replaceChildren(...found.map(({ name }) => make("option", { value: name })));
}

async function list() {
  const number = ++asked;
  try {
    const told = await get("/kb/facts", { ...filter(), after: pages.at(-1), limit: PAGE });
    if (number !== asked) return;
    byId("facts-table").replaceChildren(...(told.facts.length ? [table(told.facts)] : []));
    byId("facts-back").disabled = pages.length === 1;
    byId("facts-more").disabled = told.next === null;
    byId("facts-more").dataset.next = told.next ?? "";
    byId("facts-found").textContent = summary(told);
  } catch (error) {
    byId("facts-found").textContent = "Can't load the facts.";
    complain(error);
  }
}

/** Summarise a page; in a text search a page may be empty without being the last. */
function summary({ facts, next }) {
  const page = pages.length > 1 ? `Page ${pages.length}: ` : "";
  if (facts.length === 0)
    return next === null ? `${page}No matching facts.` : `${page}Nothing found yet. Press More to continue.`;
  return `${page}${plural(facts.length, "fact")}${next === null ? "." : ", more available."}`;
}

const table = (facts) => tableOf("Facts", ["Entity", "Relation", "Value", "Source", "Change"], facts.map(row));

/** The cells of a fact's row. */
function row(fact) {
  const label = `${fact.relation} of ${fact.entity}`;
  const value = make("td");
  const plain = () => value.replaceChildren(make("span", { class: "value-text" }, fact.value));
  const cancelled = () => {
    plain();
    edit.focus();
  };
  const edit = button("Edit", () => value.replaceChildren(editForm(fact, { done: () => {}, cancelled })), {
    "aria-label": `Edit ${label}`,
  });
  const opening = { "aria-label": `Open ${label}`, "aria-expanded": "false", "aria-controls": "panel" };
  const open = button("Open", () => panel.showFact(fact, open), opening);
  const erase = button("Forget", () => forget({ fact: fact.id }, fact), {
    class: "danger",
    "aria-label": `Forget ${label}`,
  });
  plain();
  const documents = [...new Set(fact.sources.map((source) => source.document))];
  return [
    make("th", { scope: "row" }, linkTo("entity", fact.entity)),
    fact.relation,
    value,
    documents.map((name, at) => [at ? ", " : "", linkTo("source", name)]),
    make("td", { class: "row-actions" }, open, edit, erase),
  ];
}

/** The other names of the filtered entity, and actions on all its facts. */
async function names() {
  const { entity } = filter();
  byId("entity-card").hidden = !entity;
  if (!entity) return;
  const [{ aliases }, { facts }] = await Promise.all([
    get("/kb/aliases", { entity }),
    get("/kb/facts", { entity, limit: 1 }),
  ]);
  const name = facts[0]?.entity ?? entity;
  const more = field("Another name", { maxlength: 500, required: true });
  const reason = field("Reason (optional)", { maxlength: 500 });
  const save = make("button", { type: "submit" }, "Add the name");
  const submit = (event) => {
    event.preventDefault();
    busy(save, async () => {
      await post("/kb/aliases", { name: more.input.value.trim(), entity: name, ...given("reason", reason) });
      changed();
    });
  };
  const known = aliases.length
    ? make(
        "p",
        {},
        "Also known as ",
        make(
          "span",
          { class: "names" },
          aliases.map((alias, at) => [at ? ", " : "", make("strong", {}, alias.name)]),
        ),
      )
    : make("p", { class: "hint" }, "No other names recorded.");
  const erase = action(`Forget everything about ${name}`, () => forget({ entity: name }), { class: "danger" });
  byId("entity-card").replaceChildren(
    make(
      "section",
      { class: "box", "aria-label": name },
      make("h2", {}, name),
      known,
      make(
        "form",
        { on: { submit } },
        make("div", { class: "fields" }, more.box, reason.box),
        note("editor"),
        make("div", { class: "actions" }, save, erase),
      ),
    ),
  );
}

async function addOne() {
  const typed = (name) => byId(`add-${name}`).value.trim();
  const source = typed("source") ? { source: { document: typed("source") } } : {};
  await busy(byId("add").querySelector("button"), async () => {
    const fact = { entity: typed("entity"), relation: typed("relation"), value: typed("value"), ...source };
    if (await add(fact, typed("reason") ? { reason: typed("reason") } : {})) byId("add").reset();
  });
}
