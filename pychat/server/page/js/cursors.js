/** The delivered and read cursors: told when a message is here, and when somebody looks at it. */

/** @typedef {import("./conversation.js").Conversation} Conversation */

/** Arrivals within this time share one `delivered`. */
const GATHER_MS = 200;

export class Cursors {
  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
  }
  #chat;
  /** @type {Map<Conversation, number>} */
  #timers = new Map();

  /**
   * Everything up to the last message has reached this page.
   * @param {Conversation} conversation
   */
  received(conversation) {
    if (conversation.deliveredSeq >= conversation.lastSeq || this.#timers.has(conversation)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(conversation);
      const seq = conversation.lastSeq;
      if (seq <= conversation.deliveredSeq || this.#chat.connection.status !== "online") return;
      conversation.deliveredSeq = seq;
      this.#chat.connection.tell("delivered", { with: conversation.name, seq });
    }, GATHER_MS);
    this.#timers.set(conversation, timer);
  }

  /**
   * The user has the end of the conversation before their eyes.
   * @param {Conversation} conversation
   */
  seen(conversation) {
    const seq = conversation.lastSeq;
    if (conversation.readSeq >= seq) return;
    const { connection, me } = this.#chat;
    const others = conversation.unreadAfter(conversation.readSeq, me);
    conversation.readSeq = seq;
    conversation.unread = 0;
    conversation.mentions = 0;
    // No receipt for what the user wrote; null: only the server knows who wrote the messages.
    if (others !== 0) {
      conversation.deliveredSeq = Math.max(conversation.deliveredSeq, seq);
      connection.tell("read", { with: conversation.name, seq });
    }
    this.#chat.emit("conversations");
  }

  /**
   * What was read while the connection was away is told again.
   * @param {Conversation} conversation
   * @param {import("./protocol.js").Summary} summary
   */
  repair(conversation, summary) {
    if (conversation.readSeq > summary.readSeq && conversation.readSeq <= summary.lastSeq && summary.unread) {
      this.#chat.connection.tell("read", { with: conversation.name, seq: conversation.readSeq });
    }
  }
}
