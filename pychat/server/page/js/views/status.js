/** What the page says about itself: the banner, the title, and words for screen readers. */
import { byId, oncePerFrame } from "../dom.js";
import { shownText } from "../format.js";
import { firstLine } from "../text.js";

const PATIENCE_MS = 1_000;
const NOTE_MS = 8_000;

export class StatusView {
  /**
   * @param {import("../connection.js").Connection} connection
   */
  constructor(connection) {
    this.#connection = connection;
    connection.on("status", () => this.#statusChanged());
  }
  #connection;
  #timer = 0;
  #announced = "";
  /** @type {import("../chat.js").Chat | null} */
  #chat = null;

  /** @param {import("../chat.js").Chat} chat */
  follow(chat) {
    this.#chat = chat;
    const title = oncePerFrame(() => {
      const { unread, active } = chat;
      const name = active ? `${active.fullTitle} · pychat` : "pychat";
      const text = unread ? `(${unread > 99 ? "99+" : unread}) ${name}` : name;
      if (document.title !== text) document.title = text; // setting it is not cheap
    });
    chat.on("note", (text) => this.note(text));
    chat.on("conversations", title);
    chat.on("opened", title);
    chat.on("incoming", (conversation, message) => {
      if (conversation !== chat.active && !conversation.announces(message, chat.me)) return;
      const sender = chat.people.nameOf(message.sender);
      const where = conversation.kind === "person" ? "" : ` in ${conversation.title}`;
      this.say(
        conversation === chat.active
          ? `${sender}: ${firstLine(shownText(message))}`
          : `New message from ${sender}${where}`,
      );
    });
  }

  /** Screen readers say it when they are free. @param {string} text */
  say(text) {
    // The same text twice in a row would be no change and stay unsaid.
    this.#announced = text === this.#announced ? `${text}\u00a0` : text;
    byId("announcer").textContent = this.#announced;
  }

  /** Shows it for a while, where the banner is. @param {string} text */
  note(text) {
    clearTimeout(this.#timer);
    const banner = byId("banner");
    banner.classList.add("note");
    byId("banner-text").textContent = text;
    banner.hidden = false;
    this.#timer = setTimeout(() => (banner.hidden = true), NOTE_MS);
  }

  #statusChanged() {
    clearTimeout(this.#timer);
    const { status } = this.#connection;
    const banner = byId("banner");
    if (status === "online" || status === "idle") {
      this.#chat?.notePresenceKnown(true);
      if (!banner.hidden && status === "online") this.say("Connected again");
      banner.hidden = true;
      return;
    }
    // A short break is nobody's business.
    this.#timer = setTimeout(() => {
      this.#chat?.notePresenceKnown(false);
      banner.hidden = false;
      banner.classList.remove("note");
      byId("banner-text").textContent =
        status === "connecting" ? "Connecting…" : "No connection. Your messages will be sent when it is back.";
    }, PATIENCE_MS);
  }
}
