/** The line above the log: with whom, are they there, and what can be done with it. */
import { byId, element, oncePerFrame } from "../dom.js";
import { seenText, statusLine } from "../format.js";
import { nameNodes } from "../names.js";
import { safeText } from "../safe-text.js";
import { avatar } from "./avatar.js";

const REFRESH_MS = 60_000;

/** @typedef {import("../conversation.js").Conversation} Conversation */

export class HeaderView {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {(action: string) => void} act
   */
  constructor(chat, act) {
    this.#chat = chat;
    const render = oncePerFrame(() => this.#render());
    for (const event of ["log", "conversations", "typing", "rooms"]) chat.on(event, render);
    setInterval(render, REFRESH_MS); // "last seen … ago" goes on
    this.#menu.addEventListener("click", (event) => {
      const action = /** @type {HTMLElement} */ (event.target).dataset.action;
      if (!action) return;
      byId("chat-menu").open = false;
      act(action);
    });
  }
  #chat;
  /** @type {HTMLElement} */ #menu = byId("chat-actions");
  /** @type {Conversation | null} */ #conversation = null;

  /** @param {Conversation | null} conversation */
  open(conversation) {
    this.#conversation = conversation;
    byId("chat-menu").open = false;
    this.#render();
  }

  #render() {
    const conversation = this.#conversation;
    if (!conversation) return;
    const { name, title, id, kind } = conversation;
    const online = this.#chat.isOnline(conversation);
    byId("chat-avatar").replaceChildren(avatar(name, title, kind === "person" ? online : null));
    byId("chat-title").replaceChildren(...nameNodes(title, id));
    const subtitle = byId("chat-subtitle");
    const text = this.#subtitle(conversation);
    if (subtitle.textContent !== text) subtitle.textContent = text;
    subtitle.classList.toggle("typing", this.#chat.typing.in(name).length > 0);
    const actions = this.#actions(conversation);
    byId("chat-menu").hidden = !actions.length;
    this.#menu.replaceChildren(
      ...actions.map(([action, label]) => element("button", { type: "button", "data-action": action }, label)),
    );
  }

  /** @param {Conversation} conversation */
  #subtitle(conversation) {
    const { name, kind, alias, online, blocked, lastSeen, loaded, lastSeq, status } = conversation;
    if (blocked) return "blocked: nothing of what they write reaches you";
    const typing = this.#chat.typing.in(name).map((id) => this.#chat.people.nameOf(id));
    if (typing.length) {
      if (kind === "person") return "typing…";
      return typing.length > 2 ? "several people are typing…" : `${typing.join(" and ")} ${typing.length > 1 ? "are" : "is"} typing…`;
    }
    if (kind === "everyone") return "everybody on this server";
    if (kind === "room") {
      const room = this.#room(name);
      if (room?.topic) return safeText(room.topic);
      return room ? `#${room.id} · ${room.owner === this.#chat.me ? "you own this room" : `owner: ${this.#chat.people.nameOf(room.owner)}`}` : "room";
    }
    if (name === this.#chat.me) return "notes to yourself";
    if (!this.#chat.presenceKnown) return "no connection";
    if (loaded && !lastSeq && !alias) return online ? "online" : "";
    const presence = online ? status === "online" && "online" : seenText(lastSeen);
    return [presence, statusLine(conversation)].filter(Boolean).join(" · ");
  }

  /** @param {string} name */
  #room(name) {
    return this.#chat.rooms.find((room) => `#${room.id}` === name);
  }

  /**
   * @param {Conversation} conversation
   * @returns {Array<[string, string]>}
   */
  #actions({ name, kind, blocked, notify }) {
    /** @type {Array<[string, string]>} */
    const choices = [["notify-all", "Unmute"], ["notify-mentions", "Only mentions"], ["notify-muted", "Mute"]];
    const offered = choices.filter(([action]) => action !== `notify-${notify}` && (kind === "room" || action !== "notify-mentions"));
    if (kind === "everyone") return offered;
    if (kind === "person" && name === this.#chat.me) return [];
    if (kind === "person") return [...offered, blocked ? ["unblock", "Unblock"] : ["block", "Block"]];
    const own = this.#room(name)?.owner === this.#chat.me;
    return [...offered, ...own ? [["rename", "Rename…"]] : [], ["leave", "Leave"], ...own ? [["delete", "Delete room…"]] : []];
  }
}
