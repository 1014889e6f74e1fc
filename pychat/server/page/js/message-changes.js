/** Changes of messages that the user asks for: edit, delete, react; and who may. */

/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./conversation.js").Conversation} Conversation */

export class MessageChanges {
  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
  }
  #chat;

  /** @param {Message} message */
  mayEdit({ sender, removed }) {
    return sender === this.#chat.me && !removed;
  }

  /** Admins may, too; only the server knows them. @param {Conversation} conversation @param {Message} message */
  mayRemove(conversation, message) {
    return this.mayEdit(message) || (conversation.role !== "" && !message.removed);
  }

  /**
   * @param {string} id
   * @param {string} data
   * @param {string | null} base `edited` of the text that the user changed
   */
  edit(id, data, base) {
    return this.#chat.connection.request("edit", { id, data, base });
  }

  /** @param {Message} message */
  remove({ id }) {
    return this.#chat.connection.request("remove", { id });
  }

  /**
   * Adds the user's reaction, or takes it back.
   * @param {Message} message
   * @param {string} emoji
   * @param {boolean} [on] without it, the other way round
   */
  async react({ id, reactions = [] }, emoji, on) {
    const mine = reactions.some((each) => each.emoji === emoji && each.mine);
    try {
      await this.#chat.connection.request("react", { id, emoji, on: on ?? !mine });
    } catch (error) {
      this.#chat.emit("note", problemOf(error));
    }
  }

  /**
   * Everybody who reacted, the oldest first.
   * @param {Message} message
   * @returns {Promise<Array<{emoji: string, by: string[]}>>}
   */
  async reactions({ id }) {
    return (await this.#chat.connection.request("reactions", { id })).reactions;
  }
}

/** What to say of a request that failed. @param {unknown} error */
export function problemOf(error) {
  const { message, name } = /** @type {Error} */ (error);
  return name === "Unanswered" ? "The server does not answer. Try again." : message;
}
