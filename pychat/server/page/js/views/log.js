/** The log of the open conversation: renders its lines and keeps the view where the reader is. */
import { byId, oncePerFrame, reconcile } from "../dom.js";
import { entries } from "../lines.js";

/** @typedef {import("../conversation.js").Conversation} Conversation */

/** As near to the end as this counts as being there. */
const END_PX = 48;
/** The next page is fetched when the reader is this near to the edge of what is here. */
const AHEAD_PX = 900;
/** After a page that did not come, no other is asked for as long as this. */
const PAUSE_MS = 2_000;

/** Reports what is looked at: `seen` is called when the end is before the reader's eyes. */
export class LogView {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {(conversation: Conversation) => void} seen
   */
  constructor(chat, seen) {
    this.#chat = chat;
    this.#seen = seen;
    this.#render = oncePerFrame(() => this.#renderNow());
    chat.on("log", (conversation) => conversation === this.#conversation && this.#render());
    chat.on("conversations", () => this.#conversation?.kind !== "person" && this.#render());
    this.#log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#list.addEventListener("click", (event) => this.#clicked(/** @type {HTMLElement} */ (event.target)));
    this.#jump.addEventListener("click", () => this.toEnd());
    const resized = new ResizeObserver(() => this.#atEnd && this.#scrollToEnd());
    resized.observe(this.#log);
    for (const event of ["focus", "visibilitychange"]) addEventListener(event, () => this.#look(), true);
  }
  #chat;
  #seen;
  #render;
  /** @type {HTMLElement} */ #log = byId("log");
  /** @type {HTMLElement} */ #list = byId("messages");
  /** @type {HTMLButtonElement} */ #jump = byId("jump");
  /** @type {Conversation | null} */ #conversation = null;
  #atEnd = true;
  #pausedUntil = 0;
  /** Where to go with the next rendering. @type {"" | "end" | "new" | "found"} */
  #goTo = "";
  #found = 0;

  get conversation() {
    return this.#conversation;
  }

  /** Whether somebody sits before it: the tab is visible, has the focus, and shows the end. */
  get looking() {
    return this.#atEnd && document.visibilityState === "visible" && document.hasFocus();
  }

  /**
   * @param {Conversation | null} conversation
   * @param {number} [found] the seq to show, of a search
   */
  async open(conversation, found = 0) {
    if (this.#conversation) {
      this.#conversation.newAfter = null;
      this.#conversation.trim();
    }
    this.#conversation = conversation;
    this.#list.replaceChildren();
    this.#log.classList.remove("settled");
    this.#found = found;
    this.#jump.hidden = true;
    if (!conversation) return;
    conversation.newAfter = conversation.unread ? conversation.readSeq : null;
    this.#atEnd = !conversation.unread && !found;
    this.#goTo = found ? "found" : conversation.unread ? "new" : "end";
    this.#renderNow();
    if (!this.#foundIsHere) {
      await this.#fetch(this.#chat.sync.loadAround(conversation, found));
      if (this.#conversation === conversation && !this.#foundIsHere) this.#goTo = "end"; // no answer
    } else if (!conversation.loaded) await this.#fetch(this.#chat.sync.load(conversation));
    if (this.#conversation === conversation) this.#renderNow();
  }

  /** The newest message, fetched if it is not here. */
  async toEnd() {
    const conversation = this.#conversation;
    if (!conversation) return;
    this.#atEnd = true;
    this.#goTo = "end";
    if (conversation.hasNewer) await this.#fetch(this.#chat.sync.load(conversation));
    this.#render();
  }

  /** Somebody else's message has arrived: where nobody looks, the line "new messages" is drawn. */
  mark() {
    const conversation = this.#conversation;
    if (conversation && !this.looking && conversation.newAfter === null) conversation.newAfter = conversation.readSeq;
  }

  /** Whether what is to be pointed out has been fetched, if anything is. */
  get #foundIsHere() {
    const { oldestSeq = 0, newestSeq = 0 } = this.#conversation ?? {};
    return !this.#found || (this.#found >= oldestSeq && this.#found <= newestSeq);
  }

  #renderNow() {
    const conversation = this.#conversation;
    if (!conversation) return;
    const anchor = this.#atEnd ? null : this.#anchor();
    if (this.#atEnd) conversation.trim();
    reconcile(this.#list, entries(this.#chat, conversation, this.#found));
    this.#log.setAttribute("aria-busy", String(!conversation.loaded));
    const possible = this.#goTo !== "found" || this.#foundIsHere;
    if (this.#goTo && possible && (conversation.loaded || this.#list.children.length)) this.#go();
    else if (this.#atEnd) this.#scrollToEnd();
    else if (anchor) this.#restore(anchor);
    this.#scrolled();
  }

  #go() {
    const target =
      this.#goTo === "found" ? this.#list.querySelector(".found")
      : this.#goTo === "new" ? this.#list.querySelector(".new")
      : null;
    this.#goTo = "";
    this.#log.classList.add("settled");
    if (target) target.scrollIntoView({ block: target.classList.contains("new") ? "start" : "center" });
    else this.#scrollToEnd();
    this.#noteEnd();
  }

  /** The first message in view: it stays where it is, whatever is put above it. */
  #anchor() {
    const top = this.#log.scrollTop;
    for (const node of /** @type {Iterable<any>} */ (this.#list.children)) {
      const inView = node.classList.contains("message") && node.offsetTop + node.offsetHeight > top;
      if (inView) return { key: node.dataset.key, top: node.offsetTop };
    }
    return null;
  }

  /** @param {{key: string, top: number}} anchor */
  #restore({ key, top }) {
    for (const node of /** @type {Iterable<any>} */ (this.#list.children)) {
      if (node.dataset.key === key) this.#log.scrollTop += node.offsetTop - top;
    }
  }

  #scrollToEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #noteEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#log;
    this.#atEnd = scrollHeight - clientHeight - scrollTop < END_PX && !this.#conversation?.hasNewer;
  }

  #scrolled() {
    const conversation = this.#conversation;
    if (!conversation || this.#goTo) return;
    this.#noteEnd();
    const { scrollTop, clientHeight, scrollHeight } = this.#log;
    if (conversation.loaded && Date.now() > this.#pausedUntil && this.#chat.connection.status === "online") {
      const below = scrollHeight - clientHeight - scrollTop;
      if (conversation.hasOlder && scrollTop < AHEAD_PX) this.#fetch(this.#chat.sync.older(conversation));
      else if (conversation.hasNewer && below < AHEAD_PX) this.#fetch(this.#chat.sync.newer(conversation));
    }
    this.#look();
  }

  #look() {
    const conversation = this.#conversation;
    this.#jump.hidden = this.#atEnd || !conversation?.loaded;
    if (conversation?.loaded && this.looking) this.#seen(conversation);
    byId("jump-count").textContent = conversation?.unread ? String(conversation.unread) : "";
  }

  /** @param {Promise<void>} page */
  async #fetch(page) {
    try {
      await page;
    } catch {
      // Offline or refused for now: the next login or scroll asks again.
      this.#pausedUntil = Date.now() + PAUSE_MS;
    }
  }

  /** @param {HTMLElement} target */
  #clicked(target) {
    const { retry, discard } = target.dataset;
    if (retry) this.#chat.outbox.retry(retry);
    if (discard) this.#chat.outbox.discard(discard);
  }
}
