// The panel beside a view: what a call asked, how it went, and the facts behind it.

import { get } from "./api.js";
import { STATUS, styleOf } from "./answer.js";
import { button, byId, complain, make, plural } from "./dom.js";
import { addForm, factCard } from "./fact.js";

let opener = null; // where the focus goes back to
let resting = null; // what stands in the panel while nothing is open

/** Say what the panel shows while nothing is open: nodes, or null for no panel. */
export function rest(nodes) {
  resting = nodes;
  if (!opener) quiet();
}

function quiet() {
  const panel = byId("panel");
  panel.hidden = resting === null;
  panel.replaceChildren(...(resting ?? []));
}

/** Close what is open. `back` gives the focus back to what it was opened from. */
export function close({ back = false } = {}) {
  const from = opener;
  opener?.setAttribute("aria-expanded", "false");
  opener = null;
  quiet();
  // What it was opened from may have gone with a change.
  if (back) (from?.isConnected ? from : document.querySelector("main > section:not([hidden]) h1")).focus();
}

/** Show a call of an answer. */
export const showCall = (lookup, from) =>
  show(`${lookup.relation} of ${lookup.entity}`, from, async () => [
    ...status(lookup),
    ...(lookup.facts.length ? await cards(lookup.facts) : await nothing(lookup)),
  ]);

/** Show a fact of the table. */
export const showFact = (fact, from) => show(`${fact.relation} of ${fact.entity}`, from, () => cards([fact]));

async function show(title, from, content) {
  close();
  opener = from;
  from.setAttribute("aria-expanded", "true");
  const panel = byId("panel");
  const heading = make("h2", { id: "panel-title", tabindex: "-1" }, title);
  const body = make("div", {}, make("p", { class: "hint" }, "Reading …"));
  panel.hidden = false;
  panel.replaceChildren(
    make(
      "div",
      { class: "panel-top" },
      heading,
      button("Close", () => close({ back: true }), { class: "quiet" }),
    ),
    body,
  );
  heading.focus({ preventScroll: true });
  try {
    body.replaceChildren(...(await content()));
  } catch (error) {
    body.replaceChildren(
      make(
        "p",
        { class: "notice" },
        error.status === 404 ? "This fact is not there any more: it was forgotten." : "This cannot be shown.",
      ),
    );
    if (error.status !== 404) complain(error);
  }
  if (opener === from && !matchMedia("(min-width: 56.25em)").matches) panel.scrollIntoView({ block: "start" });
}

const cards = (facts) => Promise.all(facts.map((fact) => factCard(fact.id)));

function status(lookup) {
  const [, word, sentence] = STATUS[lookup.status] ?? ["", lookup.status, ""];
  const called = [
    ["Asked for", lookup.entity],
    ["Relation", lookup.relation],
    ["Entered", lookup.value || "nothing"],
  ];
  return [
    make("p", { class: "status" }, make("span", { class: `badge ${styleOf(lookup.status)}` }, word), ` ${sentence}`),
    make(
      "details",
      { class: "call" },
      make("summary", {}, "The call that the model made"),
      make(
        "dl",
        {},
        called.map(([name, told]) => [make("dt", {}, name), make("dd", {}, told)]),
      ),
      lookup.status === "fuzzy" && make("p", { class: "hint" }, `Likeness: ${lookup.score.toFixed(2)}`),
    ),
    lookup.cut ? make("p", { class: "notice" }, "The value was too long, and lost its end in the text.") : null,
    lookup.facts.length > 1
      ? make("p", { class: "hint" }, `${plural(lookup.facts.length, "fact")} answer this call.`)
      : null,
  ].filter(Boolean);
}

/** What to say and to offer where a call found nothing; as the knowledge base stands now. */
async function nothing(lookup) {
  const now = await get("/kb/lookup", { entity: lookup.entity, relation: lookup.relation });
  if (now.facts.length)
    return [make("p", { class: "notice" }, "Since then the fact has become known."), ...(await cards(now.facts))];
  const among = now.candidates?.length
    ? [
        make("h3", {}, "Names that come into question"),
        make(
          "ul",
          {},
          now.candidates.map((name) => make("li", {}, name)),
        ),
      ]
    : [];
  if (now.status === "forgotten") return among;
  return [...among, make("h3", {}, "Do you know it?"), addForm(lookup.entity, lookup.relation)];
}

/** Let Escape close the panel. */
export function prepare() {
  byId("panel").addEventListener("keydown", (event) => event.key === "Escape" && opener && close({ back: true }));
}
