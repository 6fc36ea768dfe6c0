// The Log view: revisions with the facts they added and ended, undo, and certificates of forgetting.

import { get, post } from "./api.js";
import { action, button, byId, changed, complain, linkTo, make, plural, say } from "./dom.js";
import { reasonForm } from "./fact.js";
import { certificateView, saveCertificate } from "./forget.js";

let before = null; // id of the oldest revision shown

export function prepare() {
  byId("log-more").addEventListener("click", () => older().catch(complain));
  document.addEventListener("changed", () => document.body.dataset.view === "log" && enter());
}

export function enter() {
  before = null;
  older().catch(complain);
  certificates().catch(complain);
}

async function older() {
  const told = await get("/kb/log", { before, limit: 50 });
  const entries = told.revisions.map(entry);
  if (before === null) byId("revisions").replaceChildren(...entries);
  else byId("revisions").append(...entries);
  before = told.next;
  byId("log-more").hidden = told.next === null;
}

const moment = (time) =>
  make(
    "time",
    { datetime: time },
    new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }),
  );

function entry(revision) {
  const counts = [
    revision.began && `${plural(revision.began, "fact")} added`,
    revision.ended && `${plural(revision.ended, "fact")} ended`,
  ];
  const inside = make("div", { class: "inside" });
  const fill = async () => {
    const told = await get(`/kb/revisions/${revision.id}`);
    inside.replaceChildren(...facts("Added", told.began), ...facts("Ended", told.ended));
  };
  const opened = (event) => event.currentTarget.open && !inside.hasChildNodes() && fill().catch(complain);
  const form = make("div");
  const undo = button(
    "Undo",
    () =>
      form.replaceChildren(
        reasonForm(
          `Undo revision ${revision.id}`,
          async (why) => {
            const told = await post(`/kb/revisions/${revision.id}/undo`, why);
            say(`Undone by revision ${told.revision}.`);
            changed();
          },
          () => {
            form.replaceChildren();
            undo.focus();
          },
        ),
      ),
    { "aria-label": `Undo revision ${revision.id} …` },
  );
  return make(
    "li",
    { "data-revision": revision.id },
    make(
      "div",
      { class: "revision-top" },
      make("h3", {}, `${revision.id}. ${revision.action}`),
      revision.undoable ? undo : null,
    ),
    form,
    make("p", { class: "hint" }, moment(revision.time), ` by ${revision.actor || "an unnamed user"}`),
    revision.reason ? make("p", { class: "reason" }, `“${revision.reason}”`) : null,
    counts.some(Boolean)
      ? make("details", { on: { toggle: opened } }, make("summary", {}, counts.filter(Boolean).join(", ")), inside)
      : null,
  );
}

/** The first facts that a revision added or ended. */
function facts(title, told) {
  if (told.length === 0) return [];
  return [
    make("h4", {}, title),
    make(
      "ul",
      { class: "facts" },
      told.map((fact) =>
        make("li", {}, make("strong", {}, fact.value), ` ${fact.relation} of `, linkTo("entity", fact.entity)),
      ),
    ),
  ];
}

async function certificates(earlier = null) {
  const told = await get("/kb/certificates", { before: earlier });
  const place = byId("certificates");
  if (earlier === null)
    place.replaceChildren(
      told.certificates.length
        ? make("ul", { class: "certificates" })
        : make("p", { class: "hint" }, "Nothing has been forgotten yet."),
    );
  place.querySelector("ul")?.append(...told.certificates.map(certificate));
  if (told.next)
    place.append(
      action("Show older certificates", async (pressed) => {
        await certificates(told.next);
        pressed.remove();
      }),
    );
}

function certificate(told) {
  return make(
    "li",
    {},
    make(
      "details",
      {},
      make(
        "summary",
        {},
        `Revision ${told.revision}: ${plural(told.facts.length, "fact")} forgotten, `,
        moment(told.time),
      ),
      certificateView(told),
    ),
    make(
      "div",
      { class: "actions" },
      button("Download", () => saveCertificate(told), { "aria-label": `Download the certificate of revision ${told.revision}` }),
    ),
  );
}
