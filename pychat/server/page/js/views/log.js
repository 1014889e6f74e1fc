/** The log of the open conversation: draws the part that is read, and keeps it where the reader is. */
import { byId, oncePerFrame, reconcile } from "../dom.js";
import { entries, rangeAround } from "../lines.js";
import { problemOf } from "../message-changes.js";
import { SHOWN_IMAGES } from "../protocol.js";
import { MediaView } from "./media.js";
import { MessageTools } from "./message-tools.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("../conversation.js").Conversation} Conversation */
/** @typedef {import("../protocol.js").Message} Message */

/** As near to the end as this counts as being there. */
const END_PX = 48;
/** More is drawn or fetched when the reader is this near to the edge of what is drawn. */
const AHEAD_PX = 900;
/** After a request that failed, the next one waits as long as this, or until the next login. */
const PAUSE_MS = 2_000;
/** Selected messages stay drawn while others are scrolled to, up to this many. */
const MAX_SELECTED = 1_000;

/** A row in view, and how far below the upper edge it stands. @typedef {{key: string, seq: number, top: number}} Anchor */

/** Reports what is looked at: `seen` is called when the end is before the reader's eyes. */
export class LogView {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {(conversation: Conversation) => void} seen
   * @param {import("./emoji-picker.js").EmojiPicker} picker
   * @param {{reply: (message: Message) => void, edit: (message: Message) => void, focus: () => void}} composer
   */
  constructor(chat, seen, picker, composer) {
    this.#chat = chat;
    this.#seen = seen;
    this.#composer = composer;
    this.#media = new MediaView(chat.links, this.#log);
    this.#viewer = new Viewer(chat.links);
    this.#tools = new MessageTools(chat, this.#list, picker, composer);
    this.#render = oncePerFrame(() => this.#renderNow());
    chat.on("log", (conversation) => conversation === this.#conversation && this.#render());
    chat.on("conversations", () => this.#conversation?.kind !== "person" && this.#render());
    chat.connection.on("online", () => (this.#pausedUntil = 0)); // what it fetches then draws the log
    this.#log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#log.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => this.#clicked(/** @type {HTMLElement} */ (event.target)));
    this.#jump.addEventListener("click", () => this.toEnd());
    const resized = new ResizeObserver(() => this.#atEnd && this.#scrollToEnd());
    resized.observe(this.#log);
    for (const event of ["focus", "visibilitychange"]) addEventListener(event, () => this.#look(), true);
  }
  #chat;
  #seen;
  #composer;
  #media;
  #viewer;
  #tools;
  #render;
  /** @type {HTMLElement} */ #log = byId("log");
  /** @type {HTMLElement} */ #list = byId("messages");
  /** @type {HTMLButtonElement} */ #jump = byId("jump");
  /** @type {Conversation | null} */ #conversation = null;
  /** The items that are drawn. @type {import("../lines.js").Range} */
  #drawn = { from: 0, to: 0 };
  /** Whether they were all that there was when they were drawn, up to the end. */
  #drawnToEnd = true;
  #atEnd = true;
  #pausedUntil = 0;
  /** Where to go with the next rendering. @type {"" | "start" | "end" | "new" | "found"} */
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
    } else if (!conversation.loaded) await this.#fetch(this.#chat.sync.loadOnce(conversation));
    if (this.#conversation === conversation) this.#renderNow();
  }

  /** Shows a message that is quoted, and points it out. @param {number} seq */
  async #jumpTo(seq) {
    const conversation = this.#conversation;
    if (!conversation) return;
    this.#found = 0; // pointed out before: it is to be pointed out again
    this.#draw(conversation, this.#drawn);
    this.#found = seq;
    this.#atEnd = false;
    this.#goTo = "found";
    if (!this.#foundIsHere) await this.#fetch(this.#chat.sync.loadAround(conversation, seq));
    if (this.#conversation !== conversation || this.#found !== seq) return;
    if (!this.#foundIsHere) {
      this.#goTo = "";
      this.#chat.emit("note", "The message cannot be fetched now. Try again later.");
    }
    this.#renderNow();
    /** @type {HTMLElement | null} */ (this.#list.querySelector(".found"))?.focus({ preventScroll: true });
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
    return !this.#found || (this.#conversation?.indexOf(this.#found) ?? -1) >= 0;
  }

  #renderNow() {
    const conversation = this.#conversation;
    if (!conversation) return;
    const anchors = this.#atEnd || this.#goTo ? [] : this.#inView();
    if (this.#atEnd) conversation.trim();
    this.#draw(conversation, this.#rangeAt(conversation, anchors));
    this.#log.setAttribute("aria-busy", String(!conversation.loaded));
    const possible = this.#goTo !== "found" || this.#foundIsHere;
    if (this.#goTo && possible && (conversation.loaded || this.#list.children.length)) this.#go();
    else if (this.#atEnd) this.#scrollToEnd();
    else this.#restore(anchors);
    this.#scrolled();
  }

  /** @param {Conversation} conversation @param {import("../lines.js").Range} range */
  #draw(conversation, range) {
    this.#drawn = range;
    this.#drawnToEnd = range.to === conversation.messages.length + this.#chat.outbox.of(conversation.name).length;
    const focused = this.#list.contains(document.activeElement);
    const tool = this.#tools.focused;
    reconcile(this.#list, entries(this.#chat, conversation, range, this.#found, (file) => this.#media.nodeOf(file)));
    this.#media.prune();
    this.#tools.drawn(tool);
    // The row that had the focus is not drawn any more: the keys still scroll.
    if (focused && !this.#list.contains(document.activeElement)) this.#log.focus({ preventScroll: true });
  }

  /**
   * What to draw: around the reader or the place to go to, and what is selected.
   * @param {Conversation} conversation
   * @param {Anchor[]} anchors
   */
  #rangeAt(conversation, anchors) {
    const pending = this.#chat.outbox.of(conversation.name);
    const range = rangeAround(conversation, pending, this.#placeOf(conversation, anchors));
    const selected = this.#selected(conversation);
    if (!selected) return range;
    const from = Math.min(range.from, selected.from);
    const to = Math.max(range.to, selected.to);
    return selected.to - selected.from < MAX_SELECTED && to - from < 2 * MAX_SELECTED ? { from, to } : range;
  }

  /**
   * @param {Conversation} conversation
   * @param {Anchor[]} anchors
   * @returns {number} the index of an item; Infinity for the end
   */
  #placeOf(conversation, anchors) {
    if (this.#goTo === "start") return 0;
    if (this.#goTo === "found" && this.#foundIsHere) return conversation.indexOf(this.#found);
    const marked = this.#goTo === "new" ? conversation.newIndex(this.#chat.me) : -1;
    if (marked >= 0) return marked;
    for (const { seq } of anchors) {
      const index = conversation.indexOf(seq);
      if (index >= 0) return index;
    }
    return Infinity;
  }

  /** The messages with a part of the selection. @param {Conversation} conversation */
  #selected(conversation) {
    const selection = getSelection();
    if (!selection || selection.isCollapsed) return null;
    const ends = [selection.anchorNode, selection.focusNode].map((node) => {
      const parent = node instanceof Element ? node : node?.parentElement;
      return conversation.indexOf(Number(/** @type {HTMLElement | null} */ (parent?.closest("#messages > li"))?.dataset.seq ?? -1));
    });
    const here = ends.filter((index) => index >= 0);
    return here.length ? { from: Math.min(...here), to: Math.max(...here) + 1 } : null;
  }

  #go() {
    const goTo = this.#goTo;
    const target =
      goTo === "found" ? this.#list.querySelector(".found")
      : goTo === "new" ? this.#list.querySelector(".new")
      : null;
    this.#goTo = "";
    this.#log.classList.add("settled");
    if (target) target.scrollIntoView({ block: target.classList.contains("new") ? "start" : "center" });
    else if (goTo === "start") this.#log.scrollTop = 0;
    else this.#scrollToEnd();
    this.#noteEnd();
  }

  /** The rows in view: the first that is still drawn stays where it is, whatever is put above it. */
  #inView() {
    const top = this.#log.scrollTop;
    const bottom = top + this.#log.clientHeight;
    /** @type {Anchor[]} */
    const anchors = [];
    for (const node of /** @type {Iterable<HTMLElement>} */ (this.#list.children)) {
      if (!node.classList.contains("message") && !node.classList.contains("hidden-run")) continue;
      if (node.offsetTop >= bottom) break;
      if (node.offsetTop + node.offsetHeight <= top) continue;
      const { key = "", seq = "-1" } = node.dataset;
      anchors.push({ key, seq: Number(seq), top: node.offsetTop - top });
    }
    return anchors;
  }

  /** @param {Anchor[]} anchors */
  #restore(anchors) {
    /** @type {Map<string | undefined, HTMLElement>} */
    const rows = new Map([.../** @type {any} */ (this.#list.children)].map((node) => [node.dataset.key, node]));
    const anchor = anchors.find(({ key }) => rows.has(key));
    if (anchor) this.#log.scrollTop = /** @type {HTMLElement} */ (rows.get(anchor.key)).offsetTop - anchor.top;
  }

  #scrollToEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #noteEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#log;
    this.#atEnd = scrollHeight - clientHeight - scrollTop < END_PX && this.#drawnToEnd && !this.#conversation?.hasNewer;
  }

  #scrolled() {
    const conversation = this.#conversation;
    if (!conversation || this.#goTo) return;
    this.#noteEnd();
    const { scrollTop, clientHeight, scrollHeight } = this.#log;
    const above = scrollTop < AHEAD_PX;
    const below = scrollHeight - clientHeight - scrollTop < AHEAD_PX;
    if ((above && this.#drawn.from > 0) || (below && !this.#drawnToEnd)) this.#drawMore(conversation);
    if (conversation.loaded && Date.now() >= this.#pausedUntil && this.#chat.connection.status === "online") {
      if (above && this.#drawn.from === 0 && conversation.hasOlder) this.#fetch(this.#chat.sync.older(conversation));
      else if (below && this.#drawnToEnd && conversation.hasNewer) {
        this.#fetch(this.#chat.sync.newer(conversation));
      }
    }
    this.#look();
  }

  /** Draws what is in memory around the reader, if that is not what is drawn. @param {Conversation} conversation */
  #drawMore(conversation) {
    if (this.#atEnd) return;
    const { from, to } = this.#rangeAt(conversation, this.#inView());
    if (from !== this.#drawn.from || to !== this.#drawn.to) this.#render();
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
      // No connection, or refused for now. A reader at the edge cannot scroll to ask again.
      this.#pausedUntil = Date.now() + PAUSE_MS;
      setTimeout(() => this.#scrolled(), PAUSE_MS);
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const row = /** @type {HTMLElement} */ (event.target).closest("#messages > .message");
    if (row && event.target !== row && event.key === "Escape") {
      /** @type {HTMLElement} */ (row).focus(); // out of its buttons
      return event.preventDefault();
    }
    if ((event.target !== this.#log && event.target !== row) || event.altKey || event.shiftKey) return;
    if (row && this.#tools.key(event)) return event.preventDefault();
    if (event.key === "ArrowUp" || event.key === "ArrowDown") this.#moveFocus(row, event.key === "ArrowDown");
    else if (row && event.key === "Escape") this.#composer.focus();
    else if (event.key === "End") this.toEnd();
    else if (event.key === "Home") {
      this.#atEnd = false;
      this.#goTo = "start";
      this.#render();
    } else return;
    event.preventDefault();
  }

  /** From message to message; below the last one is the composer. @param {Element | null} row @param {boolean} down */
  #moveFocus(row, down) {
    const rows = /** @type {HTMLElement[]} */ ([...this.#list.querySelectorAll(".message[tabindex]")]);
    if (!row) {
      const bottom = this.#log.scrollTop + this.#log.clientHeight;
      const inView = rows.filter((one) => one.offsetTop + one.offsetHeight / 2 < bottom).at(-1);
      return (inView ?? rows.at(-1))?.focus();
    }
    const next = rows[rows.indexOf(/** @type {HTMLElement} */ (row)) + (down ? 1 : -1)];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
    if (!next && down && this.#atEnd) this.#composer.focus();
  }

  /** @param {HTMLElement} clicked */
  #clicked(clicked) {
    const target = clicked.closest("button");
    if (!target) return;
    const { retry, discard, file, jump, react, view } = target.dataset;
    if (view) this.#view(view);
    if (jump) this.#jumpTo(Number(jump));
    if (react) this.#react(target, react);
    if (retry) this.#chat.outbox.retry(retry);
    if (discard) this.#chat.outbox.discard(discard);
    if (file) this.#openFile(file);
  }

  /** @param {HTMLElement} chip @param {string} emoji */
  #react(chip, emoji) {
    const seq = Number(chip.closest("li")?.dataset.seq);
    const message = this.#conversation?.messages[this.#conversation.indexOf(seq)];
    if (message) this.#chat.changes.react(message, emoji);
  }

  /** The picture, among all of those in memory. @param {string} id */
  #view(id) {
    const files = (this.#conversation?.messages ?? []).flatMap(({ file }) => (file && SHOWN_IMAGES.includes(file.mime) ? file : []));
    const pending = this.#chat.outbox.of(this.#conversation?.name ?? "").flatMap(({ file }) => file ?? []);
    const all = [...files, ...pending.filter(({ mime }) => SHOWN_IMAGES.includes(mime))];
    const at = all.findIndex((file) => file.id === id);
    if (at >= 0) this.#viewer.show(all, at);
  }

  /** In a tab of its own, or as a download: the server says which. @param {string} id */
  async #openFile(id) {
    try {
      open(await this.#chat.links.urlOf(id), "_blank", "noopener");
    } catch (error) {
      this.#chat.emit("note", problemOf(error));
    }
  }
}
