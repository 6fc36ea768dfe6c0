// Builds elements. Untrusted text only becomes text nodes or attribute values, never markup.

/**
 * Make an element. `settings.on` holds listeners by event; the rest are attributes (true: empty, false or null: omitted).
 * Children are nodes or strings; null is skipped.
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

/** `{ name: value }` of a field, or `{}` if it is empty. */
export const given = (name, { input }) => (input.value.trim() ? { [name]: input.value.trim() } : {});

/** Tell all views that the knowledge base has changed. */
export const changed = () => document.dispatchEvent(new Event("changed"));

export function button(label, press, settings = {}) {
  return make("button", { type: "button", ...settings, on: { click: press } }, label);
}

/** A button that is disabled while its work runs. `work` receives the button. */
export function action(label, work, settings = {}) {
  const element = button(label, () => busy(element, () => work(element)), settings);
  return element;
}

/** Run `work` with the button disabled, and report errors. */
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

/** Show a message for a while and have screen readers announce it. */
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
  say(error.name === "Refused" ? error.message : "Can't reach the server. Is it still running?", "fault");
}

/**
 * A table: rows of cells, which are contents or `td` and `th` elements. The roles are explicit because on a phone it is
 * laid out as cards, and browsers then stop treating it as a table.
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

/** Download a text as a file. */
export function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Debounce a function. */
export function afterPause(work, milliseconds = 150) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
