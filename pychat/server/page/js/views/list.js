/** The list of conversations: newest first, with presence, last line, time and unread count. */
import { byId, element, oncePerFrame, reconcile, spoken } from "../dom.js";
import { listTime } from "../format.js";
import { nameNodes } from "../names.js";
import { firstLine } from "../text.js";
import { avatar } from "./avatar.js";

/** @typedef {import("../conversation.js").Conversation} Conversation */

export class ListView {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {(name: string) => void} open
   */
  constructor(chat, open) {
    this.#chat = chat;
    this.#list.addEventListener("click", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest("li");
      if (row?.dataset.key) open(row.dataset.key);
    });
    this.#list.addEventListener("keydown", moveFocus);
    const render = oncePerFrame(() => this.#render());
    for (const event of ["conversations", "typing"]) chat.on(event, render);
    render();
  }
  #chat;
  /** @type {HTMLElement} */ #list = byId("conversations");
  #active = "";

  /** @param {string} name */
  activate(name) {
    this.#active = name;
    this.#render();
  }

  /** The names in the order shown. */
  get names() {
    return this.#sorted().map((conversation) => conversation.name);
  }

  #sorted() {
    return [...this.#chat.conversations.values()].sort(
      (a, b) => this.#chat.recency.of(b.name) - this.#chat.recency.of(a.name) || a.title.localeCompare(b.title),
    );
  }

  /** @param {Conversation} conversation */
  #moment(conversation) {
    const pending = this.#chat.outbox.of(conversation.name).at(-1)?.at ?? 0;
    return Math.max(pending, Date.parse(conversation.lastShown?.sentAt ?? "") || 0);
  }

  #render() {
    byId("nobody-yet").hidden = this.#chat.conversations.size > 1;
    reconcile(
      this.#list,
      this.#sorted().map((conversation) => {
        const active = conversation.name === this.#active;
        const moment = this.#moment(conversation);
        const time = moment ? listTime(new Date(moment)) : "";
        const [kind, preview] = this.#preview(conversation);
        const { name, title, id, unread } = conversation;
        const online = this.#chat.isOnline(conversation);
        return {
          key: name,
          signature: JSON.stringify([title, id, online, unread, kind, preview, time, active]),
          build: () => row({ conversation, online, active, time, kind, preview }),
        };
      }),
    );
  }

  /**
   * @param {Conversation} conversation
   * @returns {[string, string]} class and text
   */
  #preview(conversation) {
    const { name, lastShown: last } = conversation;
    const typing = this.#chat.typing.in(name);
    if (typing.length) return ["typing", conversation.kind === "person" ? "typing…" : `${this.#chat.people.nameOf(typing[0])} is typing…`];
    const draft = name === this.#active ? "" : this.#chat.drafts.get(name);
    if (draft) return ["draft", `Draft: ${firstLine(draft)}`];
    const pending = this.#chat.outbox.of(name).at(-1);
    if (pending) return [pending.error ? "failed" : "", `You: ${firstLine(pending.data)}`];
    if (conversation.blocked) return ["empty", "Blocked"];
    if (!last && conversation.hasMessages) return ["empty", "Message hidden"];
    if (!last) return ["empty", conversation.kind === "everyone" ? "Everybody on this server" : "No messages yet"];
    const text = firstLine(last.data ?? "");
    if (last.sender === this.#chat.me) return ["", `You: ${text}`];
    return ["", conversation.kind === "person" ? text : `${this.#chat.people.nameOf(last.sender ?? "")}: ${text}`];
  }
}

/** @param {{conversation: Conversation, online: boolean, active: boolean, time: string, kind: string, preview: string}} shown */
function row({ conversation, online, active, time, kind, preview }) {
  const { name, title, id, unread } = conversation;
  const person = conversation.kind === "person";
  const count = unread > 99 ? "99+" : String(unread);
  return element(
    unread ? "li.unread" : "li",
    {},
    element(
      "button.conversation",
      { type: "button", "aria-current": active ? "true" : false },
      avatar(name, title, person ? online : null),
      element("span.name", {}, ...nameNodes(title, id)),
      person && online && spoken(", online"),
      element("span.time", {}, time),
      element(kind ? `span.preview.${kind}` : "span.preview", { dir: "auto" }, preview),
      unread > 0 && element("span.badge", {}, count, spoken(unread === 1 ? " unread message" : " unread messages")),
    ),
  );
}

/** Up and down go from row to row. @param {KeyboardEvent} event */
function moveFocus(event) {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!step || event.altKey) return;
  const item = /** @type {any} */ (event.target).closest("li");
  item?.[step]?.querySelector("button")?.focus();
  event.preventDefault();
}
