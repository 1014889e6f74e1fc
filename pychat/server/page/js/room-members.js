/** Who is in a room: asked for when it is needed, and kept for a while. */
import { MAX_LIMIT } from "./protocol.js";

/** Of a larger room, only so many are listed. */
const MOST = 1_000;
const KEPT_MS = 20_000;

/** @typedef {{id: string, alias: string, role: "owner" | "moderator" | "member", online: boolean}} Member */

export class RoomMembers {
  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    for (const event of ["server:membership", "server:room", "online"]) chat.connection.on(event, () => this.#lists.clear());
  }
  #chat;
  /** @type {Map<string, {members: Promise<Member[]>, until: number}>} */
  #lists = new Map();

  /** @param {string} name of the conversation @param {boolean} [fresh] */
  of(name, fresh = false) {
    const known = this.#lists.get(name);
    if (known && !fresh && known.until > Date.now()) return known.members;
    const members = this.#ask(name.slice(1));
    this.#lists.set(name, { members, until: Date.now() + KEPT_MS });
    members.catch(() => this.#lists.get(name)?.members === members && this.#lists.delete(name));
    return members;
  }

  /** @param {string} roomId @returns {Promise<Member[]>} */
  async #ask(roomId) {
    /** @type {Member[]} */
    const members = [];
    let cursor;
    do {
      const page = { limit: MAX_LIMIT, ...(cursor && { cursor }) };
      const answer = await this.#chat.connection.request("room", { command: "members", roomId, ...page });
      members.push(...answer.members);
      cursor = answer.next;
    } while (cursor && members.length < MOST);
    for (const { id, alias } of members) this.#chat.people.note(id, alias);
    return members;
  }
}
