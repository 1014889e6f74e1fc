/** Who is logged in here: this tab's own id first, then the one this browser remembers. */
import { local, session } from "./storage.js";

const KEY = "login";

/** @typedef {{id: string, token: string}} Credentials */

/** @returns {Credentials | null} */
export function remembered() {
  const own = session.get(KEY);
  if (own) return own.id ? own : null;
  return local.get(KEY);
}

/** Whether the browser remembers this id when it is closed. @param {string} id */
export function stays(id) {
  return local.get(KEY)?.id === id;
}

/**
 * The tab keeps it through a reload; `stay` keeps it when the browser is closed, too.
 * @param {Credentials} credentials
 * @param {boolean} stay
 */
export function remember(credentials, stay) {
  session.set(KEY, credentials);
  if (stay) local.set(KEY, credentials);
}

/** This tab is nobody's; the browser and its other tabs keep what they have. */
export function forgetHere() {
  session.set(KEY, { id: "", token: "" });
}

/** Logged out: this tab forgets, and so does the browser if it remembers the same id. */
export function forget() {
  const own = remembered();
  if (own && stays(own.id)) local.remove(KEY);
  forgetHere();
}
