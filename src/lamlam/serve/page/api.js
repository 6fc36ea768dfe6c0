// Sends requests. If the server requires a token, asks for one once and retries.

import { enter, known, lacks, token } from "./session.js";

/** A refusal, in the server's words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

/** Fetch JSON. Empty `query` values are left out; `body` is sent as JSON. Throws `Refused`. */
async function ask(path, { body, ...how }) {
  const content = body === undefined ? {} : { body: JSON.stringify(body), type: "application/json" };
  return (await request(path, { ...how, ...content })).json();
}

export const get = (path, query) => ask(path, { query });
export const post = (path, body, needs = "editor") => ask(path, { method: "POST", body, needs });
export const patch = (path, body) => ask(path, { method: "PATCH", body, needs: "editor" });

/** Fetch a response. `needs` is the required role; a user without it is asked for a token first. */
export async function request(path, { method = "GET", query = {}, body, type, signal, needs = "reader" } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const address = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  if (known() && lacks(needs)) await demand(lacks(needs));
  for (let again = false; ; again = true) {
    const headers = { ...(type && { "Content-Type": type }), ...(token() && { Authorization: `Bearer ${token()}` }) };
    const answer = await fetch(address, { method, headers, body, signal });
    if (answer.ok) return answer;
    const refused = new Refused(answer.status, await reason(answer));
    if (again || ![401, 403].includes(answer.status)) throw refused;
    await demand(
      refused.status === 401 && token() ? "The server doesn't accept this token." : lacks(needs) || refused.message,
    );
  }
}

/** Ask for a token; throws if none is given. */
async function demand(why) {
  if (!(await enter(why))) throw Object.assign(new Refused(401, why), { given_up: true });
}

async function reason(answer) {
  try {
    const { message, param } = (await answer.json()).error;
    return param ? `${param}: ${message}` : message;
  } catch {
    return `The server responded with status ${answer.status}.`;
  }
}
