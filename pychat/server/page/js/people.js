/** What people are called: aliases by id, asked for when somebody unknown writes. */
import { fullName } from "./names.js";

export class People {
  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
  }
  #chat;
  /** @type {Map<string, string>} */
  #aliases = new Map();
  /** @type {Set<string>} */
  #asked = new Set();

  /** @param {string} id @param {string} alias */
  note(id, alias) {
    this.#aliases.set(id, alias);
  }

  /** The alias; empty while it is not known, or there is none. @param {string} id */
  aliasOf(id) {
    const alias = this.#aliases.get(id);
    if (alias === undefined && id && !this.#asked.has(id)) this.lookUp(id);
    return alias ?? "";
  }

  /** The alias, with the id where that is another word. @param {string} id */
  nameOf(id) {
    return fullName(id, this.aliasOf(id));
  }

  /**
   * Asks who that is; undefined if nobody is.
   * @param {string} id
   * @returns {Promise<import("./protocol.js").User | undefined>}
   */
  async lookUp(id) {
    this.#asked.add(id);
    try {
      const answer = await this.#chat.connection.request("users", { query: id });
      for (const user of answer.users) this.note(user.id, user.alias);
      this.#chat.emit("conversations");
      return answer.users.find((/** @type {{id: string}} */ user) => user.id === id);
    } catch {
      this.#asked.delete(id); // only a nicety: another time
    }
  }
}
