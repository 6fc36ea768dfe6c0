// The session: its token, which lasts as long as the tab, its role, and the token dialog.

import { byId, make, say } from "./dom.js";

const KEY = "lamlam-token";
const ROLES = ["reader", "editor", "eraser"];

let access = null; // what the server said about this session; null until then

export const token = () => sessionStorage.getItem(KEY);
export const known = () => access !== null;
const role = () => access?.role ?? (access?.open_reads ? "reader" : null);
const allows = (needed) => ROLES.indexOf(role()) >= ROLES.indexOf(needed);

/** Take the token from a start link, `#token=...`, and remove it from the address. Returns whether there was one. */
export function takeFromAddress() {
  const found = location.hash.match(/^#token=([^&]+)$/);
  if (!found) return false;
  sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + location.search + "#write");
  return true;
}

/** Ask the server what this session may do, and show it. */
export async function refresh() {
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  const answer = await fetch("/access", { headers });
  access = answer.ok ? await answer.json() : null;
  byId("access").textContent = who();
  for (const note of document.querySelectorAll("[data-needs]"))
    note.textContent = lacks(note.dataset.needs, note.dataset.what);
}

function who() {
  if (!token() || !access?.name) return "Token";
  return access.name === role() ? role() : `${access.name} (${role()})`;
}

/** A sentence saying which role is missing; "" if none is, or if the role isn't known yet. */
export function lacks(needed, what = "This requires") {
  if (!known() || allows(needed)) return "";
  return `${what} ${a(needed)}'s token${access.name ? `; yours is ${a(role())}'s` : ""}.`;
}

/** A line with that sentence, updated whenever the token changes. */
export const note = (needed, what) =>
  make("p", { class: "hint", "data-needs": needed, "data-what": what }, lacks(needed, what));

const a = (word) => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`);

/** Ask for a token and say why. Resolves to whether one was given. */
export function enter(why) {
  const dialog = byId("token-dialog");
  byId("token-why").textContent = why;
  byId("token").value = "";
  byId("token-drop").hidden = !token();
  dialog.returnValue = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
  });
}

/** Connect the button at the top and the dialog. */
export function prepare() {
  const dialog = byId("token-dialog");
  byId("access").addEventListener("click", () => enter(about()));
  byId("token-cancel").addEventListener("click", () => dialog.close(""));
  byId("token-drop").addEventListener("click", async () => {
    sessionStorage.removeItem(KEY);
    dialog.close("");
    await refresh();
  });
  byId("token-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, byId("token").value.trim());
    await refresh();
    dialog.close("given");
    if (access?.name) say(`You now have ${a(role())}'s token.`);
  });
}

function about() {
  return access?.name
    ? `You are using “${access.name}”, ${a(role())}'s token. Readers can read, editors can also change ` +
        "facts, and erasers can also forget them."
    : "Changing facts requires an editor's token; forgetting them requires an eraser's.";
}
