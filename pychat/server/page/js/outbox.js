/** Messages on their way: kept until the server has stored them, sent in order, each once. */
import { Emitter } from "./emitter.js";
import { addressOf, Refusal } from "./protocol.js";
import { keyPart, local } from "./storage.js";
import { uuid } from "./uuid.js";

const RETRY_MS = 3_000;

/**
 * @typedef {object} Pending
 * @property {string} clientId the same id sent again is the same message
 * @property {string} to the name of a conversation
 * @property {string} data
 * @property {import("./protocol.js").Quote} [replyTo] what it answers
 * @property {import("./protocol.js").FileOfMessage} [file] that was uploaded for it
 * @property {number} at when it was typed, in ms; later ones are greater
 * @property {string} [error] why the server does not take it; absent while on its way
 */

/** Emits `sent` (Pending, answer), `posted` and `change` (the name of a conversation). */
export class Outbox extends Emitter {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {string} me
   */
  constructor(connection, me) {
    super();
    this.#connection = connection;
    this.#me = me;
    // A key for each message: two tabs of one user share the storage without overwriting.
    this.#prefix = `outbox:${keyPart(me)}:`;
    /** @type {Pending[]} */
    this.#pending = local.keys(this.#prefix).map((key) => local.get(key)).filter(Boolean);
    this.#pending.sort((a, b) => a.at - b.at);
    for (const pending of this.#pending) this.of(pending.to).push(pending);
  }
  #connection;
  #me;
  #prefix;
  /** @type {Pending[]} */
  #pending;
  /** The same, by conversation. @type {Map<string, Pending[]>} */
  #byName = new Map();
  /** Conversations with a message unanswered. @type {Set<string>} */
  #busy = new Set();

  /** Oldest first; not to be changed. @param {string} name @returns {Pending[]} */
  of(name) {
    let pending = this.#byName.get(name);
    if (!pending) this.#byName.set(name, (pending = []));
    return pending;
  }

  /** Names of conversations with something in it. */
  get names() {
    return [...new Set(this.#pending.map((pending) => pending.to))];
  }

  get size() {
    return this.#pending.length;
  }

  /**
   * @param {string} to
   * @param {string} data
   * @param {{replyTo?: import("./protocol.js").Quote, file?: import("./protocol.js").FileOfMessage}} [more]
   */
  post(to, data, more = {}) {
    const at = Math.max(Date.now(), (this.#pending.at(-1)?.at ?? 0) + 1);
    const pending = { clientId: uuid(), to, data, at, ...more };
    this.#pending.push(pending);
    this.of(to).push(pending);
    local.set(this.#prefix + pending.clientId, pending);
    this.emit("posted", to);
    this.emit("change", to);
    this.#flush(to);
  }

  /** Sends everything that waits: after every login. */
  flush() {
    for (const name of this.names) this.#flush(name);
  }

  /** @param {string} clientId */
  retry(clientId) {
    const pending = this.#find(clientId);
    if (!pending) return;
    delete pending.error;
    local.set(this.#prefix + clientId, pending);
    this.emit("change", pending.to);
    this.#flush(pending.to);
  }

  /**
   * Drops it: thrown away by the user, or seen stored by another way than its answer.
   * @param {string} clientId
   */
  discard(clientId) {
    const pending = this.#find(clientId);
    if (!pending) return;
    for (const list of [this.#pending, this.of(pending.to)]) list.splice(list.indexOf(pending), 1);
    local.remove(this.#prefix + clientId);
    this.emit("change", pending.to);
  }

  clear() {
    for (const { clientId } of [...this.#pending]) this.discard(clientId);
  }

  /** @param {string} clientId */
  #find(clientId) {
    return this.#pending.find((pending) => pending.clientId === clientId);
  }

  /** @param {string} to */
  async #flush(to) {
    if (this.#busy.has(to)) return;
    this.#busy.add(to);
    try {
      for (;;) {
        const pending = this.of(to).find((one) => one.error === undefined);
        if (!pending || this.#connection.status !== "online") return;
        await this.#send(pending);
      }
    } finally {
      this.#busy.delete(to);
    }
  }

  /** @param {Pending} pending */
  async #send(pending) {
    const { clientId, data, to, replyTo, file } = pending;
    const message = { sender: this.#me, ...addressOf(to), type: "text", data, clientId };
    try {
      const answer = await this.#connection.request("message", { ...message, replyTo: replyTo?.seq, file: file?.id });
      const { id, seq, sentAt, mentions } = answer;
      this.emit("sent", pending, { ...message, id, seq, sentAt, mentions, replyTo, file });
      this.discard(clientId);
    } catch (error) {
      if (error instanceof Refusal && !error.passing) {
        pending.error = error.message;
        local.set(this.#prefix + clientId, pending);
        this.emit("change", to);
      } else if (error instanceof Refusal) {
        const wait = error.retryAfter ? error.retryAfter * 1000 : RETRY_MS;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
      // No answer: the loop sends the same clientId again, or the next login does.
    }
  }
}
