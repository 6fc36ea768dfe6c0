// The dialog that forgets for good: first what would go and what would stay, then, once confirmed, the certificate.

import { post } from "./api.js";
import { action, button, byId, changed, complain, download, field, given, make, plural } from "./dom.js";
import { note } from "./session.js";

/**
 * Ask whether to forget, beginning with `asked`: `{ fact }`, `{ entity, relation }`, `{ entity }` or `{ source }`. For a
 * fact, more can be chosen. Resolves to the certificate, or null where nothing was forgotten.
 */
export function forget(asked, fact = null) {
  const dialog = byId("forget-dialog");
  const closure = make("div", { class: "closure", "aria-live": "polite" });
  const reason = field("Why (may be empty)", { maxlength: 500 });
  const state = { asked, certificate: null };
  const confirm = action(
    "Forget for good",
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
    closure.replaceChildren(make("p", { class: "hint" }, "Looking what belongs to it …"));
    const told = await post("/kb/forget", { ...wanted, dry_run: true });
    if (state.asked !== wanted) return; // another choice was made meanwhile, whose closure is to be shown
    closure.replaceChildren(...[...closureView(told), inclusion(wanted, told.certificate, choose)].filter(Boolean));
    const count = told.certificate.facts.length;
    confirm.disabled = count === 0;
    confirm.textContent = `Forget ${plural(count, "fact")} for good`;
  };
  const choose = (wanted) => look(wanted).catch(complain);
  dialog.replaceChildren(
    title("Forget for good"),
    make(
      "p",
      {},
      "What is forgotten is erased from the knowledge base with its history and its sources. It cannot be taken back, " +
        "and it cannot be added again.",
    ),
    ...(fact ? [scopes(fact, choose)] : []), // null would become a text
    closure,
    reason.box,
    note("eraser"),
    make(
      "div",
      { class: "actions" },
      confirm,
      button("Keep it", () => dialog.close()),
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

/** How much is to be forgotten: this fact, all of the relation, all of the entity. */
function scopes(fact, choose) {
  const choices = [
    ["This fact alone", { fact: fact.id }],
    [`All that ${fact.entity} has as ${fact.relation}`, { entity: fact.entity, relation: fact.relation }],
    [`All about ${fact.entity}`, { entity: fact.entity }],
  ];
  return make(
    "fieldset",
    {},
    make("legend", {}, "How much"),
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

/** What of others can go with an entity, by the reason for which it tells of it. */
const INCLUDABLE = {
  values: "names it as its value",
  lookalikes: "is of an entity whose name looks the same",
  documents: "was read in a document named after it",
  mentions: "mentions it in its value",
};

/** Boxes to include what tells of an entity, where all of it is to be forgotten and something does. */
function inclusion(asked, certificate, choose) {
  const included = certificate.included;
  const kinds = Object.entries(INCLUDABLE).filter(([kind, why]) => included.includes(kind) || certificate.left[why]);
  if (kinds.length === 0) return null;
  const toggle = (kind, on) =>
    choose({ ...asked, include: on ? [...included, kind] : included.filter((each) => each !== kind) }).then(() =>
      byId(`include-${kind}`)?.focus(),
    );
  return make(
    "fieldset",
    {},
    make("legend", {}, "Forget with it what others say of it"),
    kinds.map(([kind, why]) =>
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
          `What ${why}${included.includes(kind) ? "" : ` (${plural(certificate.left[why], "fact")})`}`,
        ),
      ),
    ),
  );
}

/** What would go and what would stay: counts of all, and the first of each. */
function closureView({ certificate, facts, related }) {
  const line = (fact) =>
    make(
      "li",
      {},
      make("strong", {}, fact.value),
      make("span", {}, ` ${fact.relation} of ${fact.entity}`),
      fact.why && make("span", { class: "hint" }, ` (${fact.why}${fact.until == null ? "" : ", holds no longer"})`),
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
        `${plural(certificate.related.length, "fact")} would stay that tell of it`,
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
      "Facts left that tell of it",
      Object.entries(certificate.left ?? {})
        .map(([why, count]) => `${count} (${why})`)
        .join("; "),
    ],
    [
      "The files searched",
      certificate.clean
        ? "Nothing of it was found in them."
        : "They are not certified to be clean; the certificate says more.",
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
      certificate.clean ? "Erased; nothing of it was found in the files" : "Erased",
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
