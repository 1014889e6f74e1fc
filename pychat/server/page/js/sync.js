/** Pulls what is missing: the list of conversations after every login, and their messages. */
import { MAX_LIMIT, PAGE_LIMIT, Refusal } from "./protocol.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */

/** Farther behind than this, the rest is fetched when it is scrolled to. */
const CATCH_UP_PAGES = 5;

export class Sync {
  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
  }
  #chat;
  /** One fetch at a time for each conversation. @type {Map<Conversation, Promise<void>>} */
  #running = new Map();
  #refreshing = false;
  #again = false;

  /** The whole list; asked for again meanwhile, once more afterwards. */
  async refresh() {
    if (this.#refreshing) {
      this.#again = true;
      return;
    }
    this.#refreshing = true;
    try {
      do {
        this.#again = false;
        await this.#refresh();
      } while (this.#again);
    } finally {
      this.#refreshing = false;
    }
  }

  async #refresh() {
    const chat = this.#chat;
    const seen = new Set();
    const asked = chat.recency.top;
    let cursor;
    do {
      const request = cursor ? { limit: MAX_LIMIT, cursor } : { limit: MAX_LIMIT };
      const answer = await this.#ask("conversations", request);
      for (const summary of answer.conversations) {
        seen.add(summary.with);
        chat.noteSummary(summary);
      }
      cursor = answer.next;
    } while (cursor);
    chat.keepOnly(seen, asked);
    if (chat.active) await this.#bringUp(chat.active); // the reader waits for this one
    for (const conversation of [...chat.conversations.values()]) {
      // The server does not list a conversation without messages.
      if (conversation !== chat.active && seen.has(conversation.name)) await this.#bringUp(conversation);
    }
  }

  /** Fetches what is new in it, if it is open or something undelivered waits. @param {Conversation} conversation */
  async #bringUp(conversation) {
    const wanted = conversation === this.#chat.active || conversation.lastSeq > conversation.deliveredSeq;
    try {
      if (wanted && !conversation.loaded) await this.loadOnce(conversation);
      else if (conversation.hasNewer) await this.catchUp(conversation);
      if (conversation.loaded && conversation.rev < conversation.listedRev) await this.changes(conversation);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return; // nobody of that name, or not for us: the others go on
    }
    this.#chat.cursors.received(conversation);
  }

  /** The newest page. @param {Conversation} conversation */
  async load(conversation) {
    await this.#idle(conversation);
    return this.#once(conversation, () => this.#replace(conversation, {}));
  }

  /** The newest page, unless it has been loaded or is being loaded. @param {Conversation} conversation */
  async loadOnce(conversation) {
    await this.#idle(conversation);
    if (!conversation.loaded) await this.load(conversation);
  }

  /** A run of messages with this one in its middle. @param {Conversation} conversation @param {number} seq */
  async loadAround(conversation, seq) {
    await this.#idle(conversation);
    return this.#once(conversation, () => this.#replace(conversation, { before: seq + PAGE_LIMIT / 2 }));
  }

  /** @param {Conversation} conversation */
  older(conversation) {
    return this.#once(conversation, async () => {
      if (!conversation.hasOlder || !conversation.messages.length) return;
      const before = conversation.oldestSeq;
      const page = await this.#history(conversation, { before });
      conversation.prepend(page.messages, before, page.hasMore);
    });
  }

  /** One page on, from where the messages in memory end. @param {Conversation} conversation */
  newer(conversation) {
    return this.#once(conversation, async () => {
      const after = conversation.newestSeq;
      const page = await this.#history(conversation, { after });
      conversation.append(page.messages, after);
    });
  }

  /** Everything since the newest in memory. @param {Conversation} conversation */
  catchUp(conversation) {
    return this.#once(conversation, async () => {
      for (let pages = 0; conversation.hasNewer && pages < CATCH_UP_PAGES; pages++) {
        const after = conversation.newestSeq;
        const page = await this.#history(conversation, { after, limit: MAX_LIMIT });
        if (!page.messages.length) break;
        conversation.append(page.messages, after);
      }
    });
  }

  /** What was changed of the messages in memory while nothing was heard. @param {Conversation} conversation */
  changes(conversation) {
    return this.#once(conversation, async () => {
      for (let pages = 0; conversation.rev < conversation.listedRev; pages++) {
        if (pages === CATCH_UP_PAGES) {
          await this.#replace(conversation, {});
          conversation.takeChanged([], conversation.listedRev);
          return;
        }
        const range = { changedAfter: conversation.rev, from: conversation.oldestShown, limit: MAX_LIMIT };
        const page = await this.#history(conversation, range);
        conversation.takeChanged(page.messages, page.rev);
        if (!page.hasMore) return;
      }
    });
  }

  /**
   * One page instead of the messages in memory.
   * @param {Conversation} conversation
   * @param {{before?: number}} range
   */
  async #replace(conversation, range) {
    const page = await this.#history(conversation, range);
    conversation.replace(page.messages);
    conversation.hasOlder = page.hasMore;
  }

  /** @param {Conversation} conversation */
  async #idle(conversation) {
    while (this.#running.has(conversation)) await this.#running.get(conversation)?.catch(() => {});
  }

  /**
   * @param {Conversation} conversation
   * @param {() => Promise<void>} fetch
   */
  #once(conversation, fetch) {
    const running = this.#running.get(conversation);
    if (running) return running;
    const task = fetch().finally(() => {
      this.#running.delete(conversation);
      this.#chat.emit("log", conversation);
    });
    this.#running.set(conversation, task);
    return task;
  }

  /**
   * @param {Conversation} conversation
   * @param {{before?: number, after?: number, changedAfter?: number, from?: number, limit?: number}} range
   * @returns {Promise<{messages: import("./protocol.js").Message[], hasMore: boolean, rev: number}>}
   */
  #history(conversation, range) {
    return this.#ask("history", { with: conversation.name, limit: PAGE_LIMIT, ...range });
  }

  /**
   * Asks; too fast, it waits as long as it is told.
   * @param {string} event
   * @param {object} payload
   */
  async #ask(event, payload) {
    for (;;) {
      try {
        return await this.#chat.connection.request(event, payload);
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== "429") throw error;
        await new Promise((resolve) => setTimeout(resolve, (error.retryAfter ?? 1) * 1000));
      }
    }
  }
}
