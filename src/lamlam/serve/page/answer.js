// Shows an answer: its text, marks for the lookups, and the differences from another answer.

import { make } from "./dom.js";

/** A lookup's status: its style, its label, and a sentence. */
export const STATUS = {
  exact: ["found", "Found", "The knowledge base has this fact under exactly these names."],
  alias: ["alias", "Found by alias", "The knowledge base has this fact under another name."],
  fuzzy: [
    "fuzzy",
    "Found, similar name",
    "The names differ slightly from those in the knowledge base, but only one fact matches.",
  ],
  ambiguous: ["unsure", "Ambiguous", "Several names match, so none was chosen."],
  unknown_entity: ["missing", "Unknown entity", "The knowledge base has no such entity."],
  unknown_relation: ["missing", "Unknown relation", "The knowledge base has the entity, but no such fact about it."],
  forgotten: [
    "forgotten",
    "Forgotten",
    "This fact was erased. Only a tombstone remains, which keeps it from coming back.",
  ],
};

export const styleOf = (status) => STATUS[status]?.[0] ?? "missing";

/** Split the text into pieces, `{ start, end, lookup }`; a lookup that the text doesn't state gets an empty one. */
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
 * Where the text states a lookup's value: the server's span or, for a placeholder word and for a text still being
 * written, as much of the value as follows the call.
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

/** Shows an answer; elements already on screen are reused while more text arrives. */
export class AnswerText {
  /** `open(lookup, mark)` is called when a mark is pressed. */
  constructor(open) {
    this.open = open;
    this.element = make("p", { class: "text" });
    this.shown = [];
  }

  /** Show an answer; `changed` are spans that differ from another answer, wrapped in `tag` elements. */
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
    const unsaid = lookup.facts.length ? `found “${lookup.value}”, but the text doesn't say it` : "nothing found";
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

/** The words of a piece, with changed ones wrapped in elements. */
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

/** A legend of the statuses that occur. */
export function legend(statuses) {
  const entries = [...new Set(statuses)].filter((status) => STATUS[status]);
  return make(
    "ul",
    { class: "legend", "aria-label": "Legend" },
    entries.map((status) => {
      const [style, word] = STATUS[status];
      return make("li", {}, make("span", { class: `fact ${style}` }, word));
    }),
  );
}
