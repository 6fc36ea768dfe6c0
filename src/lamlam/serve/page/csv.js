// Many changes at once: the filtered facts as CSV, and a changed file tried before it is applied.

import { request } from "./api.js";
import { action, busy, button, byId, download, field, make, plural, say } from "./dom.js";
import { changed } from "./fact.js";
import { note } from "./session.js";

/** `filter()` says which facts the download has. */
export function prepare(filter) {
  const save = byId("csv-download");
  save.addEventListener("click", () => busy(save, async () => {
    const { entity, relation } = filter();
    download("facts.csv", await (await request("/kb/facts.csv", { query: { entity, relation } })).text(), "text/csv");
  }));
  byId("csv").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(byId("csv").querySelector("button"), async () => attempt(await byId("csv-file").files[0].text()));
  });
}

async function send(text, query) {
  return (await request("/kb/facts.csv", { method: "POST", body: text, type: "text/csv", query, needs: "editor" })).json();
}

/** Show what a file would change, and offer to apply it. */
async function attempt(text) {
  const told = await send(text, { dry_run: true });
  const count = told.edited.length + told.added.length;
  const reason = field("Why (may be empty)", { maxlength: 500 });
  const clear = () => { byId("csv-changes").replaceChildren(); byId("csv").reset(); };
  const apply = action(`Apply ${plural(count, "change")}`, async () => {
    const done = await send(text, { dry_run: false, reason: reason.input.value.trim() });
    clear();
    say(`Applied as revision ${done.revision}: ${done.edited.length} edited, ${done.added.length} added.`);
    changed();
  }, { class: "primary" });
  byId("csv-changes").replaceChildren(
    make("p", {}, `${told.edited.length} would be edited, ${told.added.length} added, ${told.unchanged} stay as they are${told.refused.length ? `, ${told.refused.length} are refused` : ""}.`),
    count ? changes(told) : make("p", { class: "hint" }, "There is nothing to apply."),
    ...(count ? [reason.box, note("editor"), make("div", { class: "actions" }, apply, button("Leave all as it is", clear))] : []));
}

function changes({ edited, added, refused }) {
  const rows = [
    ...edited.map(({ id, old, new: value, entity, relation }) => [`Fact ${id}`, about(entity, relation), make("del", {}, text(old)), make("ins", {}, text(value))]),
    ...added.map((fact) => ["New", about(fact.entity, fact.relation), "", make("ins", {}, text(fact))]),
    ...refused.map((fact) => ["Refused: forgotten", about(fact.entity, fact.relation), "", text(fact)]),
  ];
  return make("div", { class: "table" }, make("table", {}, make("caption", { class: "unseen" }, "Changes"),
    make("thead", {}, make("tr", {}, ["Row", "About", "Before", "After"].map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, rows.map((cells) => make("tr", {}, cells.map((cell, at) => make("td", { "data-label": ["Row", "About", "Before", "After"][at] }, cell)))))));
}

const text = (value) => (typeof value === "string" ? value : (value?.value ?? ""));
const about = (entity, relation) => (entity ? `${relation} of ${entity}` : "");
