// Shows an answer: its text, what was looked up marked by how the lookup went, and what differs from another answer.

import { make } from "./dom.js";

/** How a lookup went: its style, a word for it, and a sentence. */
export const STATUS = {
  exact: ["found", "Found", "The knowledge base has this fact under exactly these names."],
  alias: ["alias", "Found by another name", "The knowledge base has this fact; it was asked for by another name."],
  fuzzy: [
    "fuzzy",
    "Found, a name alike",
    "The names differ a little from those in the knowledge base, but only one fact comes into question.",
  ],
  ambiguous: ["unsure", "Ambiguous", "Several names come into question, and none of them is chosen blindly."],
  unknown_entity: ["missing", "Unknown name", "The knowledge base has nothing of this name."],
  unknown_relation: ["missing", "Not known", "The knowledge base knows the name, but not this about it."],
  forgotten: [
    "forgotten",
    "Forgotten",
    "This was erased for good. The knowledge base knows only that it must not come back.",
  ],
};

export const styleOf = (status) => STATUS[status]?.[0] ?? "missing";

/** The text in pieces: `{ start, end, lookup }`; a lookup that the text does not state has an empty one. */
export function pieces(answer) {
  const found = [];
  let at = 0;
  for (const lookup of [...answer.lookups].sort((a, b) => a.start - b.start)) {
    let [start, end] = span(lookup, answer.text);
    [start, end] = [Math.max(start, at), Math.max(end, at)];
    if (start > at) found.push({ start: at, end: start, lookup: null });
    found.push({ start, end, lookup });
    at = end;
  }
  if (at < answer.text.length) found.push({ start: at, end: answer.text.length, lookup: null });
  return found;
}

/**
 * Where the text states a lookup's value: the span that the server told, or, for a word that stands in for a value and
 * for a text still being written, what of the value follows the call.
 */
function span(lookup, text) {
  if (lookup.end > lookup.start) return [lookup.start, lookup.end];
  const rest = text.slice(lookup.start);
  const begin = lookup.start + (rest.length - rest.trimStart().length);
  const values = [lookup.value, ...lookup.facts.map((fact) => fact.value)].filter(Boolean);
  for (const value of values) {
    const written = text.slice(begin, begin + value.length);
    if (written && value.startsWith(written)) return [begin, begin + written.length];
  }
  return [lookup.start, lookup.start];
}

/** An element that shows answers; what is already on the screen stays the same element while more is written. */
export class AnswerText {
  /** `open(lookup, mark)` is called when a mark is pressed. */
  constructor(open) {
    this.open = open;
    this.element = make("p", { class: "text" });
    this.shown = [];
  }

  /** Show an answer; `changed` are spans of its text that another answer lacks, in elements called `tag`. */
  show(answer, changed = [], tag = "ins") {
    const wanted = pieces(answer).map((piece) => ({ ...piece, words: answer.text.slice(piece.start, piece.end) }));
    const keys = wanted.map((piece) => JSON.stringify([piece.words, piece.lookup, changed]));
    let same = 0;
    while (same < keys.length && this.shown[same]?.key === keys[same]) same++;
    for (const { node } of this.shown.splice(same)) node.remove();
    for (const [offset, piece] of wanted.slice(same).entries()) {
      const node = piece.lookup ? this.mark(piece, changed, tag) : make("span", {}, marked(piece, changed, tag));
      this.element.append(node);
      this.shown.push({ key: keys[same + offset], node });
    }
  }

  get marks() {
    return [...this.element.querySelectorAll(".fact")];
  }

  mark(piece, changed, tag) {
    const { lookup, words } = piece;
    const [style, word] = STATUS[lookup.status] ?? ["missing", lookup.status];
    const about = `${lookup.relation} of ${lookup.entity}`;
    const press = (event) => {
      if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.open(lookup, mark);
    };
    const settings = {
      class: `fact ${style}`,
      role: "button",
      tabindex: "0",
      "aria-controls": "panel",
      "aria-expanded": "false",
    };
    const unsaid = lookup.facts.length ? `found “${lookup.value}”, which the text does not state` : "nothing was found";
    const label = `${words || unsaid}: ${about}, ${word.toLowerCase()}`;
    const mark = make(
      "span",
      { ...settings, "aria-label": label, title: words ? `${about}: ${word.toLowerCase()}` : `${about}: ${unsaid}` },
      words ? marked(piece, changed, tag) : "…",
    );
    for (const event of ["click", "keydown"]) mark.addEventListener(event, press);
    return mark;
  }
}

/** The words of a piece, with the changed ones in elements of their own. */
function marked({ start, words }, changed, tag) {
  const nodes = [];
  let at = 0;
  for (const [from, to] of changed) {
    const [begin, end] = [Math.max(from - start, at), Math.min(to - start, words.length)];
    if (begin >= end) continue;
    nodes.push(words.slice(at, begin), make(tag, {}, words.slice(begin, end)));
    at = end;
  }
  return [...nodes, words.slice(at)];
}

/** What the marks of a text mean, those that occur. */
export function legend(statuses) {
  const entries = [...new Set(statuses)].filter((status) => STATUS[status]);
  return make(
    "ul",
    { class: "legend", "aria-label": "What the marks mean" },
    entries.map((status) => {
      const [style, word] = STATUS[status];
      return make("li", {}, make("span", { class: `fact ${style}` }, word));
    }),
  );
}
