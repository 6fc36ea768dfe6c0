// The page: one view at a time, chosen by the URL hash, so that the browser's Back button works.

import { byId, complain } from "./dom.js";
import * as facts from "./facts.js";
import * as log from "./log.js";
import * as panel from "./panel.js";
import * as session from "./session.js";
import * as write from "./write.js";

const VIEWS = { write, facts, log };
const NAMES = { write: "Write", facts: "Facts", log: "Log" };

let shown = null;

/** Show the view in the URL hash: `#facts`, or `#facts?entity=...` with filters. */
function route() {
  if (session.takeFromAddress()) session.refresh().catch(complain);
  const [name, query] = location.hash.slice(1).split(/\?(.*)/s);
  const view = name in VIEWS ? name : "write";
  panel.rest(null);
  panel.close();
  for (const other of Object.keys(VIEWS)) byId(`view-${other}`).hidden = other !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${NAMES[view]} · LamLam`;
  document.body.dataset.view = view;
  if (shown !== null && shown !== view) byId(`${view}-title`).focus({ preventScroll: true });
  if (shown !== view) scrollTo(0, 0);
  shown = view;
  VIEWS[view].enter(new URLSearchParams(query ?? ""));
}

session.takeFromAddress();
session.prepare();
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash is the view's
  byId("content").focus();
});
panel.prepare();
await session.refresh().catch(complain); // ask for a token first where one is required
for (const view of Object.values(VIEWS)) view.prepare();
addEventListener("hashchange", () => {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close(); // it belongs to the previous view
  route();
});
route();
