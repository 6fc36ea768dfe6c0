// Asks the server. Where it wants a token, or another, that is asked for once, and the request made again.

import { enter, known, lacks, token } from "./session.js";

/** What the server refused, in its own words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

/** The JSON that a path answers with. `query` leaves out what is empty; `body` is sent as JSON. Throws `Refused`. */
async function ask(path, { body, ...how }) {
  const content = body === undefined ? {} : { body: JSON.stringify(body), type: "application/json" };
  return (await request(path, { ...how, ...content })).json();
}

export const get = (path, query) => ask(path, { query });
export const post = (path, body, needs = "editor") => ask(path, { method: "POST", body, needs });
export const patch = (path, body) => ask(path, { method: "PATCH", body, needs: "editor" });

/** The answer itself. `needs` is the role that it takes: who lacks it is asked for a token beforehand. */
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
      refused.status === 401 && token() ? "The server does not know this token." : lacks(needs) || refused.message,
    );
  }
}

/** Ask for a token; throws where none is given. */
async function demand(why) {
  if (!(await enter(why))) throw Object.assign(new Refused(401, why), { given_up: true });
}

async function reason(answer) {
  try {
    const { message, param } = (await answer.json()).error;
    return param ? `${param}: ${message}` : message;
  } catch {
    return `The server answered with ${answer.status}.`;
  }
}
