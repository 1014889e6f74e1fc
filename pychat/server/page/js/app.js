/** The page of one logged-in user: joins the views, the address and the keys to the chat. */
import { byId } from "./dom.js";
import { Chat } from "./chat.js";
import { AppearanceView } from "./views/appearance.js";
import { Composer } from "./views/composer.js";
import { EmojiPicker } from "./views/emoji-picker.js";
import { FinderView } from "./views/finder.js";
import { HeaderView } from "./views/header.js";
import { ListView } from "./views/list.js";
import { LogView } from "./views/log.js";
import { MembersView } from "./views/members.js";
import { closeMenusLikeMenus } from "./views/menus.js";
import { ProfileView } from "./views/profile.js";
import { answerQuestions } from "./views/question.js";
import { RoomsView } from "./views/rooms.js";
import { SessionsView } from "./views/sessions.js";
import { ConversationActions } from "./conversation-actions.js";

export class App {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {string} me
   * @param {{logOut: () => void, switchUser: () => void}} account
   */
  constructor(connection, me, account) {
    const chat = new Chat(connection, me);
    this.chat = chat;
    const picker = new EmojiPicker();
    this.#composer = new Composer(chat, picker, () => this.#wrote());
    this.#log = new LogView(chat, (conversation) => chat.cursors.seen(conversation), picker, this.#composer);
    const open = (/** @type {string} */ name, seq = 0) => this.open(name, seq);
    this.#list = new ListView(chat, open);
    const rooms = new RoomsView(chat, open);
    this.#finder = new FinderView(chat, open, (id) => rooms.join(id), () => this.#list.focus());
    const actions = new ConversationActions(chat, () => this.close());
    this.#header = new HeaderView(chat, (action) => actions.run(action));
    this.#members = new MembersView(chat, open);
    const sessions = new SessionsView(chat);
    const profile = new ProfileView(chat);
    const appearance = new AppearanceView();
    chat.on("incoming", (conversation) => conversation === chat.active && this.#log.mark());
    chat.on("gone", (conversation) => conversation === chat.active && this.close());
    addEventListener("popstate", () => this.#fromAddress());
    addEventListener("keydown", (event) => this.#key(event));
    byId("back").addEventListener("click", () => this.close());
    byId("new-room").addEventListener("click", () => rooms.show());
    byId("own-actions").addEventListener("click", (/** @type {Event} */ event) => {
      const action = /** @type {HTMLElement} */ (event.target).dataset.action;
      if (!action) return;
      byId("own-menu").open = false;
      if (action === "profile") profile.show();
      if (action === "appearance") appearance.show();
      if (action === "sessions") sessions.show();
      if (action === "switch") account.switchUser();
      if (action === "logout") account.logOut();
    });
    closeMenusLikeMenus();
    answerQuestions();
    byId("own-id").textContent = me;
    byId("app").hidden = false;
    this.#fromAddress();
  }
  #log;
  #composer;
  #list;
  #finder;
  #header;
  #members;

  /**
   * Opens a conversation, by way of the address, so that "back" leads back.
   * @param {string} name
   * @param {number} [seq] a message to show
   */
  open(name, seq = 0) {
    const hash = `#${encodeURIComponent(name)}`;
    if (this.chat.active) history.replaceState(history.state, "", hash);
    else history.pushState({ fromList: true }, "", hash);
    this.#show(name, seq);
  }

  /** Back to the list. */
  close() {
    if (history.state?.fromList) history.back();
    else history.replaceState(null, "", location.pathname);
    this.#show("");
  }

  #fromAddress() {
    let name = "";
    try {
      name = decodeURIComponent(location.hash.slice(1));
    } catch {
      // not an address that this page made
    }
    this.#show(name);
  }

  /** @param {string} name @param {number} [seq] */
  #show(name, seq = 0) {
    const chat = this.chat;
    const last = chat.active;
    const conversation = name ? chat.conversation(name) : null;
    chat.active = conversation;
    byId("app").dataset.pane = conversation ? "chat" : "list";
    byId("welcome").hidden = Boolean(conversation);
    byId("chat").hidden = !conversation;
    if (conversation !== last || seq) this.#log.open(conversation, seq);
    this.#header.open(conversation);
    this.#members.open(conversation);
    this.#composer.open(conversation);
    this.#list.activate(name);
    if (conversation) this.#composer.focus();
    else if (last && !byId("sidebar").contains(document.activeElement)) this.#list.focus();
    if (conversation && !conversation.lastSeq) this.#lookUp(conversation);
    chat.emit("opened", conversation);
  }

  /**
   * The server does not list a conversation without messages: ask who that is.
   * @param {import("./conversation.js").Conversation} conversation
   */
  async #lookUp(conversation) {
    if (conversation.kind !== "person") return;
    const user = await this.chat.people.lookUp(conversation.name);
    if (!user) return;
    conversation.alias = user.alias;
    conversation.online = user.online;
    conversation.status = user.status ?? "online";
    conversation.statusText = user.statusText ?? "";
    this.chat.emit("log", conversation);
    this.chat.emit("conversations");
  }

  #wrote() {
    const { active } = this.chat;
    if (active) active.newAfter = null;
    this.#log.toEnd();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "k") {
      event.preventDefault();
      if (byId("app").dataset.pane === "chat" && !byId("sidebar").checkVisibility()) this.close();
      this.#finder.focus();
    } else if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      const { names } = this.#list;
      const at = names.indexOf(this.chat.active?.name ?? "");
      const next = names[at + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) this.open(next);
    } else if (event.key === "Escape" && this.chat.active && !event.defaultPrevented) {
      this.close();
    }
  }
}
