// The side panel: a call's query, its status, and the facts behind it.

import { get } from "./api.js";
import { STATUS, styleOf } from "./answer.js";
import { button, byId, complain, make, plural } from "./dom.js";
import { addForm, factCard } from "./fact.js";

let opener = null; // element to return the focus to
let resting = null; // content while nothing is open

/** Set what the panel shows while nothing is open: nodes, or null to hide it. */
export function rest(nodes) {
  resting = nodes;
  if (!opener) quiet();
}

function quiet() {
  const panel = byId("panel");
  panel.hidden = resting === null;
  panel.replaceChildren(...(resting ?? []));
}

/** Close the panel's content. `back` returns the focus to the opener. */
export function close({ back = false } = {}) {
  const from = opener;
  opener?.setAttribute("aria-expanded", "false");
  opener = null;
  quiet();
  // A change may have removed the opener.
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
  const body = make("div", {}, make("p", { class: "hint" }, "Loading …"));
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
        error.status === 404 ? "This fact has been forgotten." : "Can't show this.",
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
    ["Entity", lookup.entity],
    ["Relation", lookup.relation],
    ["Inserted value", lookup.value || "none"],
  ];
  return [
    make("p", { class: "status" }, make("span", { class: `badge ${styleOf(lookup.status)}` }, word), ` ${sentence}`),
    make(
      "details",
      { class: "call" },
      make("summary", {}, "The model's call"),
      make(
        "dl",
        {},
        called.map(([name, told]) => [make("dt", {}, name), make("dd", {}, told)]),
      ),
      lookup.status === "fuzzy" && make("p", { class: "hint" }, `Similarity: ${lookup.score.toFixed(2)}`),
    ),
    lookup.cut ? make("p", { class: "notice" }, "The value was too long and is truncated in the text.") : null,
    lookup.facts.length > 1
      ? make("p", { class: "hint" }, `${plural(lookup.facts.length, "fact")} match this call.`)
      : null,
  ].filter(Boolean);
}

/** What to show for a call that found nothing, as of the current revision. */
async function nothing(lookup) {
  const now = await get("/kb/lookup", { entity: lookup.entity, relation: lookup.relation });
  if (now.facts.length)
    return [make("p", { class: "notice" }, "This fact has been added since."), ...(await cards(now.facts))];
  const among = now.candidates?.length
    ? [
        make("h3", {}, "Possible names"),
        make(
          "ul",
          {},
          now.candidates.map((name) => make("li", {}, name)),
        ),
      ]
    : [];
  if (now.status === "forgotten") return among;
  return [...among, make("h3", {}, "Add the missing fact"), addForm(lookup.entity, lookup.relation)];
}

/** Let Escape close the panel. */
export function prepare() {
  byId("panel").addEventListener("keydown", (event) => event.key === "Escape" && opener && close({ back: true }));
}
