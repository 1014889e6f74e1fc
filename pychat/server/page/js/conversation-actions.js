/** What can be done with the open conversation: mute, block; rename, leave or delete a room. */
import { byId } from "./dom.js";

export class ConversationActions {
  /**
   * @param {import("./chat.js").Chat} chat
   * @param {() => void} close closes the conversation
   */
  constructor(chat, close) {
    this.#chat = chat;
    this.#close = close;
    byId("confirm-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#confirmed?.();
    });
  }
  #chat;
  #close;
  /** @type {(() => void) | null} */
  #confirmed = null;
  /** @type {HTMLDialogElement} */ #dialog = byId("confirm");

  /** @param {string} action */
  run(action) {
    const conversation = this.#chat.active;
    if (!conversation) return;
    const { name, fullTitle: title } = conversation;
    const roomId = name.slice(1);
    if (action === "notify-muted") {
      this.#ask(`Mute ${title}?`, "Its messages do not notify you, on all your devices.", "Mute", () => this.#notify(name, "muted"));
    } else if (action === "notify-mentions") {
      this.#ask(`Only mentions in ${title}?`, "Only messages that mention you notify you, on all your devices.", "Only mentions", () =>
        this.#notify(name, "mentions"),
      );
    } else if (action === "notify-all") {
      this.#ask(`Unmute ${title}?`, "All its messages notify you again, on all your devices.", "Unmute", () => this.#notify(name, "all"));
    } else if (action === "block") {
      const text = `You will not see messages of ${title}. They are not notified.`;
      this.#ask(`Block ${title}?`, text, "Block", () => this.#request("block", { id: name }));
    } else if (action === "unblock") {
      this.#ask(`Unblock ${title}?`, "You will see their messages again.", "Unblock", () => this.#request("unblock", { id: name }));
    } else if (action === "leave") {
      this.#ask(`Leave ${title}?`, "You can join it again later.", "Leave", () => this.#request("room", { command: "leave", roomId }, true));
    } else if (action === "delete") {
      this.#ask(`Delete ${title}?`, "The room and its messages are deleted for all members. This cannot be undone.", "Delete", () =>
        this.#request("room", { command: "delete", roomId }, true),
      );
    } else if (action === "rename") {
      const field = this.#ask(`Rename ${title}`, "", "Rename", () =>
        this.#request("room", { command: "update", roomId, roomName: field.value.trim() }),
      );
      field.hidden = false;
      field.value = title;
      field.select();
    }
  }

  /**
   * @param {string} title
   * @param {string} text
   * @param {string} label
   * @param {() => void} confirmed
   * @returns {HTMLInputElement} the field, hidden
   */
  #ask(title, text, label, confirmed) {
    byId("confirm-title").textContent = title;
    byId("confirm-text").textContent = text;
    byId("confirm-submit").textContent = label;
    byId("confirm-error").hidden = true;
    byId("confirm-field").hidden = true;
    this.#confirmed = confirmed;
    this.#dialog.showModal();
    return byId("confirm-field");
  }

  /**
   * @param {string} name
   * @param {import("./protocol.js").NotifyLevel} level
   */
  #notify(name, level) {
    return this.#request("notify", { with: name, level });
  }

  /**
   * @param {string} event
   * @param {any} payload
   * @param {boolean} [closes]
   */
  async #request(event, payload, closes = false) {
    try {
      await this.#chat.connection.request(event, payload);
      this.#dialog.close();
      if (closes) this.#close();
      if (event === "block" || event === "unblock") await this.#chat.setBlocked(payload.id, event === "block");
      await this.#chat.refresh();
    } catch (error) {
      byId("confirm-error").textContent = /** @type {Error} */ (error).message;
      byId("confirm-error").hidden = false;
    }
  }
}
