/** Who is typing: told at most every three seconds, believed for six. */

const TELL_EVERY_MS = 3_000;
const STOPPED_AFTER_MS = 5_000;
const BELIEVED_MS = 6_000;

export class Typing {
  /** @param {import("./chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    chat.connection.on("server:typing", (/** @type {{sender: string, recepient: string, typing: boolean}} */ event) => {
      const name = event.recepient === chat.me ? event.sender : event.recepient;
      this.#note(name, event.sender, event.typing);
    });
  }
  #chat;
  /** conversation name -> sender -> timer. @type {Map<string, Map<string, number>>} */
  #typing = new Map();
  #toldTo = "";
  #toldAt = 0;
  #stopTimer = 0;

  /** Ids that are typing there. @param {string} name */
  in(name) {
    return [...(this.#typing.get(name)?.keys() ?? [])];
  }

  /** The user typed. @param {string} name */
  typed(name) {
    if (this.#toldTo && this.#toldTo !== name) this.stopped();
    const now = Date.now();
    if (this.#toldTo !== name || now - this.#toldAt >= TELL_EVERY_MS) {
      this.#toldTo = name;
      this.#toldAt = now;
      this.#chat.connection.tell("typing", { recepient: name, typing: true });
    }
    clearTimeout(this.#stopTimer);
    this.#stopTimer = setTimeout(() => this.stopped(), STOPPED_AFTER_MS);
  }

  /** The user sent, cleared or left what was typed. */
  stopped() {
    clearTimeout(this.#stopTimer);
    if (this.#toldTo) this.#chat.connection.tell("typing", { recepient: this.#toldTo, typing: false });
    this.#toldTo = "";
  }

  /**
   * A message of theirs has arrived: they are done.
   * @param {string} name
   * @param {string} sender
   */
  wrote(name, sender) {
    if (this.#typing.get(name)?.has(sender)) this.#note(name, sender, false);
  }

  /**
   * @param {string} name
   * @param {string} sender
   * @param {boolean} typing
   */
  #note(name, sender, typing) {
    const senders = this.#typing.get(name) ?? new Map();
    this.#typing.set(name, senders);
    clearTimeout(senders.get(sender));
    senders.delete(sender);
    if (typing) senders.set(sender, setTimeout(() => this.#note(name, sender, false), BELIEVED_MS));
    this.#chat.emit("typing", name);
  }
}
