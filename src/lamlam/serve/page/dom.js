// Builds elements. Whatever is untrusted enters as text or as an attribute's value, never as markup.

/**
 * An element. `settings.on` holds listeners by event, all else are attributes: true is an empty one, false and null none.
 * Children are nodes or texts; null is left out.
 */
export function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  const { on = {}, ...attributes } = settings;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.flat(Infinity).filter((child) => child != null));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** A link to the facts of an entity, or of a source. */
export const linkTo = (filter, name) => make("a", { href: `#facts?${filter}=${encodeURIComponent(name)}` }, name);

let made = 0;

/** A labelled input: `{ box, input }`, where `settings` are the input's attributes. */
export function field(label, settings = {}) {
  const id = `field-${++made}`;
  const input = make("input", { id, autocomplete: "off", ...settings });
  return { input, box: make("div", {}, make("label", { for: id }, label), input) };
}

/** `{ name: what was typed }` in a field, or nothing where nothing was. */
export const given = (name, { input }) => (input.value.trim() ? { [name]: input.value.trim() } : {});

/** Tell all views that the knowledge base is another now. */
export const changed = () => document.dispatchEvent(new Event("changed"));

export function button(label, press, settings = {}) {
  return make("button", { type: "button", ...settings, on: { click: press } }, label);
}

/** A button that waits: while what it starts is under way it cannot be pressed again. `work` is given the button. */
export function action(label, work, settings = {}) {
  const element = button(label, () => busy(element, () => work(element)), settings);
  return element;
}

/** Run `work` with the button out of use, and say what went wrong. */
export async function busy(element, work) {
  element.disabled = true;
  try {
    await work();
  } catch (error) {
    complain(error);
  } finally {
    element.disabled = false;
  }
}

/** Show a sentence for a while, and have it read out. */
export function say(text, kind = "told") {
  const close = button("Close", () => note.remove(), { class: "quiet" });
  const note = make(
    "p",
    { class: `message ${kind}`, role: kind === "fault" ? "alert" : null },
    make("span", {}, text),
    close,
  );
  byId("messages").append(note);
  if (kind !== "fault") setTimeout(() => note.remove(), 8000);
}

export function complain(error) {
  if (error.name === "AbortError" || error.given_up) return;
  if (error.name !== "Refused") console.warn(error);
  say(error.name === "Refused" ? error.message : "The server cannot be reached. Is it still running?", "fault");
}

/**
 * A table: rows of cells, which are contents, or `td` and `th` elements. The roles are said again, because a phone shows
 * it as cards, and browsers then no longer take it for a table.
 */
export function tableOf(caption, heads, rows) {
  const cell = (content, at) => {
    const element = content instanceof HTMLTableCellElement ? content : make("td", {}, content);
    element.dataset.label = heads[at];
    element.setAttribute("role", element.scope === "row" ? "rowheader" : "cell");
    return element;
  };
  const head = make(
    "tr",
    { role: "row" },
    heads.map((text) => make("th", { scope: "col", role: "columnheader" }, text)),
  );
  return make(
    "table",
    { role: "table" },
    make("caption", { class: "unseen" }, caption),
    make("thead", { role: "rowgroup" }, head),
    make(
      "tbody",
      { role: "rowgroup" },
      rows.map((cells) => make("tr", { role: "row" }, cells.map(cell))),
    ),
  );
}

/** Offer a text as a file. */
export function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The same function, run once calls have ceased for a moment. */
export function afterPause(work, milliseconds = 150) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
