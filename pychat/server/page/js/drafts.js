/** What was typed and not sent, for each conversation, through reloads. */
import { keyPart, local } from "./storage.js";

export class Drafts {
  /** @param {string} me */
  constructor(me) {
    this.#prefix = `draft:${keyPart(me)}:`;
  }
  #prefix;

  /** @param {string} name */
  get(name) {
    return /** @type {string} */ (local.get(this.#prefix + name) ?? "");
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  set(name, text) {
    if (text) local.set(this.#prefix + name, text);
    else local.remove(this.#prefix + name);
  }

  clear() {
    for (const key of local.keys(this.#prefix)) local.remove(key);
  }
}
