// The forget dialog: a preview of what would be erased and what would stay; after confirmation, the certificate.

import { post } from "./api.js";
import { action, button, byId, changed, complain, download, field, given, make, plural } from "./dom.js";
import { note } from "./session.js";

/**
 * Ask whether to forget `asked`: `{ fact }`, `{ entity, relation }`, `{ entity }` or `{ source }`. For a fact, the user
 * can widen it. Resolves to the certificate, or null if nothing was forgotten.
 */
export function forget(asked, fact = null) {
  const dialog = byId("forget-dialog");
  const closure = make("div", { class: "closure", "aria-live": "polite" });
  const reason = field("Reason (optional)", { maxlength: 500 });
  const state = { asked, certificate: null };
  const confirm = action(
    "Forget permanently",
    async () => {
      const told = await post("/kb/forget", { ...state.asked, dry_run: false, ...given("reason", reason) }, "eraser");
      state.certificate = told.certificate;
      dialog.replaceChildren(
        title("Forgotten"),
        certificateView(told.certificate),
        make(
          "div",
          { class: "actions" },
          button("Download the certificate", () => saveCertificate(told.certificate), { class: "primary" }),
          button("Close", () => dialog.close(), { autofocus: true }),
        ),
      );
      dialog.querySelector("button").focus();
      changed();
    },
    { class: "danger", disabled: true },
  );
  const look = async (wanted) => {
    state.asked = wanted;
    confirm.disabled = true;
    closure.replaceChildren(make("p", { class: "hint" }, "Finding everything to erase …"));
    const told = await post("/kb/forget", { ...wanted, dry_run: true });
    if (state.asked !== wanted) return; // the user has chosen something else meanwhile
    closure.replaceChildren(...[...closureView(told), inclusion(wanted, told.certificate, choose)].filter(Boolean));
    const count = told.certificate.facts.length;
    confirm.disabled = count === 0;
    confirm.textContent = `Forget ${plural(count, "fact")} permanently`;
  };
  const choose = (wanted) => look(wanted).catch(complain);
  dialog.replaceChildren(
    title("Forget permanently"),
    make(
      "p",
      {},
      "Forgetting erases a fact from the knowledge base, with its history and sources. You can't undo it, " +
        "and the fact can't be added again.",
    ),
    ...(fact ? [scopes(fact, choose)] : []), // null would become text
    closure,
    reason.box,
    note("eraser"),
    make(
      "div",
      { class: "actions" },
      confirm,
      button("Cancel", () => dialog.close()),
    ),
  );
  dialog.showModal();
  look(asked).catch((error) => {
    dialog.close();
    complain(error);
  });
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(state.certificate), { once: true });
  });
}

const title = (text) => make("h2", { id: "forget-title" }, text);

/** What to forget: this fact, the whole relation, or the whole entity. */
function scopes(fact, choose) {
  const choices = [
    ["Only this fact", { fact: fact.id }],
    [`All facts: ${fact.relation} of ${fact.entity}`, { entity: fact.entity, relation: fact.relation }],
    [`Everything about ${fact.entity}`, { entity: fact.entity }],
  ];
  return make(
    "fieldset",
    {},
    make("legend", {}, "What to forget"),
    choices.map(([label, wanted], number) => {
      const id = `scope-${number}`;
      return make(
        "div",
        { class: "check" },
        make("input", {
          type: "radio",
          name: "scope",
          id,
          checked: number === 0,
          on: { change: () => choose(wanted) },
        }),
        make("label", { for: id }, label),
      );
    }),
  );
}

/** Other entities' facts that can be erased with an entity: the certificate's reason, and a label. */
const INCLUDABLE = {
  values: ["names it as its value", "Facts with this entity as their value"],
  lookalikes: ["is of an entity whose name looks the same", "Facts of entities whose names look the same"],
  documents: ["was read in a document named after it", "Facts from documents named after it"],
  mentions: ["mentions it in its value", "Facts that mention it in their value"],
};

/** Checkboxes to include related facts when a whole entity is forgotten. */
function inclusion(asked, certificate, choose) {
  const included = certificate.included;
  const kinds = Object.entries(INCLUDABLE).filter(
    ([kind, [why]]) => included.includes(kind) || certificate.left[why],
  );
  if (kinds.length === 0) return null;
  const toggle = (kind, on) =>
    choose({ ...asked, include: on ? [...included, kind] : included.filter((each) => each !== kind) }).then(() =>
      byId(`include-${kind}`)?.focus(),
    );
  return make(
    "fieldset",
    {},
    make("legend", {}, "Also forget related facts"),
    kinds.map(([kind, [why, label]]) =>
      make(
        "div",
        { class: "check" },
        make("input", {
          type: "checkbox",
          id: `include-${kind}`,
          checked: included.includes(kind),
          on: { change: (event) => toggle(kind, event.target.checked) },
        }),
        make(
          "label",
          { for: `include-${kind}` },
          `${label}${included.includes(kind) ? "" : ` (${certificate.left[why].toLocaleString("en")})`}`,
        ),
      ),
    ),
  );
}

/** What would be erased and what would stay: counts, and the first of each. */
function closureView({ certificate, facts, related }) {
  const line = (fact) =>
    make(
      "li",
      {},
      make("strong", {}, fact.value),
      make("span", {}, ` ${fact.relation} of ${fact.entity}`),
      fact.why && make("span", { class: "hint" }, ` (${fact.why}${fact.until == null ? "" : ", no longer current"})`),
    );
  const gone = [
    make("h3", {}, `${plural(certificate.facts.length, "fact")} would be erased`),
    make("ul", { class: "facts" }, facts.map(line)),
  ];
  if (related.length === 0) return gone;
  return [
    ...gone,
    make(
      "details",
      {},
      make(
        "summary",
        {},
        `${plural(certificate.related.length, "related fact")} would stay`,
      ),
      make("ul", { class: "facts" }, related.map(line)),
    ),
  ];
}

/** A certificate in words. */
export function certificateView(certificate) {
  const rows = Object.entries(certificate.erased).filter(([, count]) => count > 0);
  const entries = [
    ["When", new Date(certificate.time).toLocaleString()],
    ["Revision", certificate.revision],
    ["Facts erased", `${certificate.facts.length} (${certificate.facts.map((id) => `fact ${id}`).join(", ")})`],
    ["Rows erased", rows.map(([table, count]) => `${table}: ${count}`).join(", ")],
    [
      "Related facts that stay",
      Object.entries(certificate.left ?? {})
        .map(([why, count]) => `${count} (${why})`)
        .join("; "),
    ],
    [
      "Search of the files",
      certificate.clean ? "Nothing was found." : "Not certified clean; see the certificate.",
    ],
    ["Digest before", certificate.before],
    ["Digest after", certificate.after],
  ];
  return make(
    "div",
    { class: "certificate" },
    make(
      "p",
      { class: certificate.clean ? "seal clean" : "seal" },
      certificate.clean ? "Erased; no trace found in the files" : "Erased",
    ),
    make(
      "dl",
      {},
      entries
        .filter(([, told]) => told != null && told !== "")
        .map(([name, told]) => [make("dt", {}, name), make("dd", {}, String(told))]),
    ),
  );
}

export function saveCertificate(certificate) {
  download(`lamlam-certificate-${certificate.revision}.json`, JSON.stringify(certificate, null, 1), "application/json");
}
