// Many changes at once: the filtered facts as CSV, and a changed file tried before it is applied.

import { request } from "./api.js";
import { action, busy, button, byId, changed, download, field, make, plural, say, tableOf } from "./dom.js";
import { note } from "./session.js";

/** `filter()` says which facts the download has. */
export function prepare(filter) {
  const save = byId("csv-download");
  save.addEventListener("click", () =>
    busy(save, async () => {
      const { entity, relation } = filter();
      download("facts.csv", await (await request("/kb/facts.csv", { query: { entity, relation } })).text(), "text/csv");
    }),
  );
  byId("csv").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(byId("csv").querySelector("button"), async () => attempt(await byId("csv-file").files[0].text()));
  });
}

async function send(text, query) {
  return (
    await request("/kb/facts.csv", { method: "POST", body: text, type: "text/csv", query, needs: "editor" })
  ).json();
}

/** Preview a file's changes and offer to apply them. One refused row blocks the whole file. */
async function attempt(text) {
  const told = await send(text, { dry_run: true });
  const [count, refused] = [told.edited.length + told.added.length, told.refused.length];
  const reason = field("Reason (optional)", { maxlength: 500 });
  const clear = () => {
    byId("csv-changes").replaceChildren();
    byId("csv").reset();
  };
  const apply = action(
    `Apply ${plural(count, "change")}`,
    async () => {
      const done = await send(text, { dry_run: false, reason: reason.input.value.trim() });
      clear();
      say(`Applied as revision ${done.revision}: ${done.edited.length} edited, ${done.added.length} added.`);
      changed();
    },
    { class: "primary" },
  );
  const leave = button("Discard", clear);
  const offered = refused
    ? [
        make(
          "p",
          { class: "notice" },
          `${plural(refused, "row is", "rows are")} invalid. Fix the file first: it is applied as a whole.`,
        ),
      ]
    : count
      ? [reason.box, note("editor"), make("div", { class: "actions" }, apply, leave)]
      : [];
  byId("csv-changes").replaceChildren(
    make(
      "p",
      {},
      `${told.edited.length} to edit, ${told.added.length} to add, ${told.unchanged} unchanged.`,
    ),
    ...(count + refused ? [changes(told)] : []),
    ...offered,
  );
}

function changes({ edited, added, refused }) {
  const rows = [
    ...refused.map(({ line, reason }) => [`Line ${line}`, "Refused", "", reason]),
    ...edited.map(({ id, entity, relation, old, new: value }) => [
      `Fact ${id}`,
      `${relation} of ${entity}`,
      make("del", {}, old),
      make("ins", {}, value),
    ]),
    ...added.map(({ entity, relation, value }) => ["New", `${relation} of ${entity}`, "", make("ins", {}, value)]),
  ];
  return make("div", { class: "table" }, tableOf("Changes", ["Row", "About", "Before", "After"], rows));
}
