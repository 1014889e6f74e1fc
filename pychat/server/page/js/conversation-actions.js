/** What can be done with the open conversation: mute, block; rename, leave or delete a room. */
import { ask } from "./views/question.js";

export class ConversationActions {
  /**
   * @param {import("./chat.js").Chat} chat
   * @param {() => void} close closes the conversation
   */
  constructor(chat, close) {
    this.#chat = chat;
    this.#close = close;
  }
  #chat;
  #close;

  /** @param {string} action */
  run(action) {
    const conversation = this.#chat.active;
    if (!conversation) return;
    const { name, fullTitle: title } = conversation;
    const roomId = name.slice(1);
    if (action === "notify-muted") {
      const text = "Its messages do not notify you, on all your devices.";
      ask({ title: `Mute ${title}?`, text, label: "Mute" }, () => this.#notify(name, "muted"));
    } else if (action === "notify-mentions") {
      const text = "Only messages that mention you notify you, on all your devices.";
      ask({ title: `Only mentions in ${title}?`, text, label: "Only mentions" }, () => this.#notify(name, "mentions"));
    } else if (action === "notify-all") {
      const text = "All its messages notify you again, on all your devices.";
      ask({ title: `Unmute ${title}?`, text, label: "Unmute" }, () => this.#notify(name, "all"));
    } else if (action === "block") {
      const text = `You will not see messages of ${title}. They are not notified.`;
      ask({ title: `Block ${title}?`, text, label: "Block" }, () => this.#request("block", { id: name }));
    } else if (action === "unblock") {
      const text = "You will see their messages again.";
      ask({ title: `Unblock ${title}?`, text, label: "Unblock" }, () => this.#request("unblock", { id: name }));
    } else if (action === "leave") {
      const text = "You can join it again later.";
      ask({ title: `Leave ${title}?`, text, label: "Leave" }, () => this.#request("room", { command: "leave", roomId }, true));
    } else if (action === "delete") {
      const text = "The room and its messages are deleted for all members. This cannot be undone.";
      ask({ title: `Delete ${title}?`, text, label: "Delete" }, () => this.#request("room", { command: "delete", roomId }, true));
    } else if (action === "rename") {
      ask({ title: `Rename ${title}`, label: "Rename", value: title }, (roomName) =>
        this.#request("room", { command: "update", roomId, roomName }),
      );
    }
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
    await this.#chat.connection.request(event, payload);
    return async () => {
      if (closes) this.#close();
      if (event === "block" || event === "unblock") await this.#chat.setBlocked(payload.id, event === "block");
      await this.#chat.refresh();
    };
  }
}
