// Asks the server. Where it wants a token, or another, that is asked for once, and the request made again.

import { enter, lacks, token } from "./session.js";

/** What the server refused, in its own words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

/** The JSON that a path answers with. `query` leaves out what is empty; `body` is sent as JSON. Throws `Refused`. */
export async function ask(path, { method = "GET", query = {}, body } = {}) {
  const content = body === undefined ? {} : { body: JSON.stringify(body), type: "application/json" };
  return (await request(path, { method, query, ...content })).json();
}

export const get = (path, query) => ask(path, { query });
export const post = (path, body, query) => ask(path, { method: "POST", body, query });
export const patch = (path, body) => ask(path, { method: "PATCH", body });

/** The answer itself. */
export async function request(path, { method = "GET", query = {}, body, type, signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const address = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  for (let again = false; ; again = true) {
    const headers = { ...(type && { "Content-Type": type }), ...(token() && { Authorization: `Bearer ${token()}` }) };
    const answer = await fetch(address, { method, headers, body, signal });
    if (answer.ok) return answer;
    const refused = new Refused(answer.status, await reason(answer));
    if (again || ![401, 403].includes(answer.status)) throw refused;
    if (!(await enter(why(refused)))) throw Object.assign(refused, { given_up: true });
  }
}

async function reason(answer) {
  try {
    const { message, param } = (await answer.json()).error;
    return param ? `${param}: ${message}` : message;
  } catch {
    return `The server answered with ${answer.status}.`;
  }
}

function why(refused) {
  const needed = refused.message.match(/reader|editor|eraser/);
  return (needed && lacks(needed[0])) || "The server wants to know who asks.";
}
