/** The list of conversations: newest first, with presence, last line, time and unread count. */
import { byId, element, oncePerFrame, reconcile, spoken } from "../dom.js";
import { listTime, shownText, statusWord } from "../format.js";
import { nameNodes } from "../names.js";
import { firstLine } from "../text.js";
import { avatar } from "./avatar.js";

/** @typedef {import("../conversation.js").Conversation} Conversation */

/** So many rows are drawn above and below those in view. */
const AROUND = 20;

/** Draws only the rows in view and those around them. */
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
    this.#list.addEventListener("keydown", (event) => this.#moveFocus(event));
    const render = oncePerFrame(() => this.#render());
    const scrolled = oncePerFrame(() => this.#render(this.#order));
    this.#frame.addEventListener("scroll", scrolled, { passive: true });
    new ResizeObserver(render).observe(this.#frame);
    for (const event of ["conversations", "typing"]) chat.on(event, render);
    render();
  }
  #chat;
  /** @type {HTMLElement} */ #list = byId("conversations");
  /** @type {HTMLElement} */ #frame = byId("list-frame");
  #active = "";
  /** In the order shown. @type {Conversation[]} */
  #order = [];
  /** Of a row, in pixels; 0 until one is seen. */
  #height = 0;

  /** @param {string} name */
  activate(name) {
    this.#active = name;
    this.#render();
  }

  /** The names in the order shown. */
  get names() {
    return this.#sorted().map((conversation) => conversation.name);
  }

  /** Puts the focus on the newest conversation. */
  focus() {
    this.#focus(0);
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

  /** @param {Conversation[]} order */
  #render(order = this.#sorted()) {
    byId("nobody-yet").hidden = this.#chat.conversations.size > 1;
    this.#order = order;
    const shown = this.#indexes();
    reconcile(
      this.#list,
      shown.map((index) => {
        const conversation = order[index];
        const active = conversation.name === this.#active;
        const moment = this.#moment(conversation);
        const time = moment ? listTime(new Date(moment)) : "";
        const [kind, preview] = this.#preview(conversation);
        const { name, title, id, unread, mentions, notify, status } = conversation;
        const online = this.#chat.isOnline(conversation);
        return {
          key: name,
          signature: JSON.stringify([title, id, online, unread, mentions, notify, status, kind, preview, time, active]),
          build: () => row({ conversation, online, active, time, kind, preview }),
        };
      }),
    );
    const rows = /** @type {HTMLElement[]} */ ([...this.#list.children]);
    const height = (this.#height = rows[0]?.offsetHeight || this.#height);
    this.#list.style.height = `${height * order.length}px`;
    for (const [at, row] of rows.entries()) {
      row.style.top = `${height * shown[at]}px`;
      row.setAttribute("aria-posinset", String(shown[at] + 1));
      row.setAttribute("aria-setsize", String(order.length));
    }
  }

  /** The indexes of the rows to draw: those around the view, and the one with the focus. */
  #indexes() {
    const { scrollTop, clientHeight } = this.#frame;
    const height = this.#height || Infinity;
    const first = Math.max(0, Math.floor(scrollTop / height) - AROUND);
    const last = Math.min(this.#order.length - 1, Math.ceil((scrollTop + clientHeight) / height) + AROUND);
    const indexes = [];
    for (let index = first; index <= last; index++) indexes.push(index);
    const focused = this.#focused;
    if (focused >= 0 && focused < first) indexes.unshift(focused);
    if (focused > last) indexes.push(focused);
    return indexes;
  }

  /** The index of the row with the focus, or -1. */
  get #focused() {
    const row = /** @type {HTMLElement | null} */ (document.activeElement?.closest("#conversations > li") ?? null);
    return row ? this.#order.findIndex((conversation) => conversation.name === row.dataset.key) : -1;
  }

  /** @param {number} index */
  #focus(index) {
    const name = this.#order[index]?.name;
    if (name === undefined) return;
    const height = this.#height;
    const { scrollTop, clientHeight } = this.#frame;
    if (index * height < scrollTop) this.#frame.scrollTop = index * height;
    else if ((index + 1) * height > scrollTop + clientHeight) this.#frame.scrollTop = (index + 1) * height - clientHeight;
    this.#render(this.#order);
    for (const row of /** @type {Iterable<any>} */ (this.#list.children)) {
      if (row.dataset.key === name) row.querySelector("button").focus();
    }
  }

  /** Up and down go from row to row, Home and End to the first and last. @param {KeyboardEvent} event */
  #moveFocus(event) {
    const at = this.#focused;
    const last = this.#order.length - 1;
    const index = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (index === undefined || event.altKey || at < 0) return;
    this.#focus(Math.max(0, Math.min(index, last)));
    event.preventDefault();
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
    if (pending) return [pending.error ? "failed" : "", `You: ${firstLine(shownText(pending))}`];
    if (conversation.blocked) return ["empty", "Blocked"];
    if (!last && conversation.hasMessages) return ["empty", "Message hidden"];
    if (!last) return ["empty", conversation.kind === "everyone" ? "Everybody on this server" : "No messages yet"];
    const text = firstLine(shownText(last));
    if (last.sender === this.#chat.me) return ["", `You: ${text}`];
    return ["", conversation.kind === "person" ? text : `${this.#chat.people.nameOf(last.sender ?? "")}: ${text}`];
  }
}

/** @param {{conversation: Conversation, online: boolean, active: boolean, time: string, kind: string, preview: string}} shown */
function row({ conversation, online, active, time, kind, preview }) {
  const { name, title, id, unread, mentions, notify } = conversation;
  const person = conversation.kind === "person";
  const state = person && statusWord(conversation.status);
  const count = unread > 99 ? "99+" : String(unread);
  return element(
    unread ? "li.unread" : "li",
    {},
    element(
      "button.conversation",
      { type: "button", "aria-current": active ? "true" : false },
      avatar(name, title, person ? online : null),
      element("span.name", {}, ...nameNodes(title, id), state && element("span.state", {}, ` ${state}`)),
      person && online && spoken(", online"),
      element("span.time", {}, time),
      element(kind ? `span.preview.${kind}` : "span.preview", { dir: "auto" }, preview),
      unread === 0 &&
        notify !== "all" &&
        element("span.badges", {}, element("span.badge.quiet", {}, notify === "muted" ? "muted" : "@ only")),
      unread > 0 &&
        element(
          "span.badges",
          {},
          mentions > 0 && element("span.badge.mention", {}, `@${mentions > 99 ? "99+" : mentions}`, spoken(" mentioned, ")),
          element(notify === "all" ? "span.badge" : "span.badge.quiet", {}, count, spoken(unread === 1 ? " unread message" : " unread messages")),
        ),
    ),
  );
}
