/** One conversation: what the server says about it, and an unbroken run of its messages. */
import { fullName, idBeside } from "./names.js";
import { EVERYONE, ROOM_PREFIX } from "./protocol.js";
import { safeText } from "./safe-text.js";

/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./protocol.js").Summary} Summary */

/** With more messages than this in memory, those far above are let go. */
const FULL = 300;
const KEPT = 150;

/** @typedef {import("./protocol.js").Change} Change */
/** @typedef {import("./protocol.js").Quote} Quote */

/** Characters of a quote. */
const QUOTED = 120;
/** So many of those who reacted are named. */
const MAX_NAMED = 10;

/** The server counts no further. */
const MAX_UNREAD = 1000;

export class Conversation {
  /** @param {string} name a login id, `#roomId` or `ALL` */
  constructor(name) {
    this.name = name;
    this.alias = "";
    this.online = false;
    /** Whether the user has blocked the other one. */
    this.blocked = false;
    /** What the other one has chosen. @type {import("./protocol.js").Availability} */
    this.status = "online";
    this.statusText = "";
    /** What the user is in a room: "owner", "moderator", or empty. */
    this.role = "";
    /** What the user chose, on any device. @type {import("./protocol.js").NotifyLevel} */
    this.notify = "all";
    /** @type {string | null} */
    this.lastSeen = null;
    this.firstSeq = 1;
    this.lastSeq = 0;
    this.deliveredSeq = 0;
    this.readSeq = 0;
    this.peerDeliveredSeq = 0;
    this.peerReadSeq = 0;
    this.unread = 0;
    /** How many of the unread messages mention the user. */
    this.mentions = 0;
    /** @type {Message | null} */
    this.last = null;
    /** An unbroken run of seqs, oldest first. @type {Message[]} */
    this.messages = [];
    this.loaded = false;
    this.hasOlder = true;
    /** All changes up to this one are in the messages here. */
    this.rev = 0;
    /** As the server last listed it. */
    this.listedRev = 0;
    /** The "new messages" line stands after this seq. @type {number | null} */
    this.newAfter = null;
  }

  get kind() {
    if (this.name === EVERYONE) return "everyone";
    return this.name.startsWith(ROOM_PREFIX) ? "room" : "person";
  }

  get title() {
    if (this.kind === "everyone") return "Everyone";
    if (this.alias) return safeText(this.alias);
    return this.kind === "room" ? this.name.slice(ROOM_PREFIX.length) : this.name;
  }

  /** The other one's id, where the title is another word. */
  get id() {
    return this.kind === "person" ? idBeside(this.name, this.alias) : "";
  }

  /** The title, and the id where that is another word. */
  get fullTitle() {
    return this.kind === "person" ? fullName(this.name, this.alias) : this.title;
  }

  /** How many unread messages the title counts. */
  get counted() {
    if (this.notify === "muted") return 0;
    return this.notify === "mentions" ? this.mentions : this.unread;
  }

  /**
   * Whether the user is told of a message that somebody else has written.
   * @param {Message} message
   * @param {string} me
   */
  announces(message, me) {
    return this.notify === "all" || (this.notify === "mentions" && isMentioned(message, me));
  }

  get oldestSeq() {
    return this.messages[0]?.seq ?? 0;
  }

  /** With no message here: as if the one before the first were. */
  get newestSeq() {
    return this.messages.at(-1)?.seq ?? this.firstSeq - 1;
  }

  /**
   * Where the message is among those in memory, which have no gap; -1 if it is not there.
   * @param {number} seq
   */
  indexOf(seq) {
    const index = seq - this.oldestSeq;
    return index >= 0 && index < this.messages.length ? index : -1;
  }

  /**
   * The index of the first message after `newAfter` that somebody else wrote: the "new messages" line
   * stands above it. -1 for no line.
   * @param {string} me
   */
  newIndex(me) {
    const { newAfter, messages } = this;
    if (newAfter === null || newAfter >= this.newestSeq) return -1;
    let index = Math.max(0, newAfter + 1 - this.oldestSeq);
    while (index < messages.length && (messages[index].removed || messages[index].sender === me)) index++;
    return index < messages.length ? index : -1;
  }

  /**
   * How many messages of others follow this one; null if only the server can tell.
   * @param {number} seq
   * @param {string} me
   */
  unreadAfter(seq, me) {
    if (seq >= this.lastSeq) return 0;
    const start = seq + 1 >= this.firstSeq ? this.indexOf(seq + 1) : this.indexOf(this.firstSeq);
    if (start < 0 || this.hasNewer) return null;
    let count = 0;
    for (let index = start; index < this.messages.length; index++) {
      const { sender, removed } = this.messages[index];
      if (!removed && sender !== me) count++;
    }
    return Math.min(count, MAX_UNREAD);
  }

  /**
   * How many messages after this one mention the user; null if only the server can tell.
   * @param {number} seq
   * @param {string} me
   */
  mentionsAfter(seq, me) {
    if (this.unreadAfter(seq, me) === null) return null;
    return this.messages.filter((message) => message.seq > seq && isMentioned(message, me)).length;
  }

  /** Whether there are messages after those in memory. */
  get hasNewer() {
    return this.loaded && this.newestSeq < this.lastSeq;
  }

  /**
   * @param {Summary} summary
   * @param {string} me
   */
  merge(summary, me) {
    const current = summary.lastSeq >= this.lastSeq;
    this.alias = summary.alias;
    this.online = summary.online;
    this.lastSeen = summary.lastSeen ?? null;
    this.blocked = summary.blocked === true;
    this.notify = summary.notify ?? "all";
    this.role = summary.role ?? "";
    this.status = summary.status ?? "online";
    this.statusText = summary.statusText ?? "";
    this.firstSeq = summary.firstSeq;
    this.listedRev = summary.rev ?? 0;
    if (!this.loaded) this.rev = this.listedRev;
    this.deliveredSeq = Math.max(this.deliveredSeq, summary.deliveredSeq);
    this.readSeq = Math.max(this.readSeq, summary.readSeq);
    this.peerDeliveredSeq = Math.max(this.peerDeliveredSeq, summary.peerDeliveredSeq);
    this.peerReadSeq = Math.max(this.peerReadSeq, summary.peerReadSeq);
    if (!current) return;
    this.lastSeq = summary.lastSeq;
    this.last = summary.last;
    // Read here, and the server has not been told yet.
    const ahead = this.readSeq > summary.readSeq;
    this.unread = (ahead ? this.unreadAfter(this.readSeq, me) : null) ?? summary.unread;
    this.mentions = this.unread && (this.mentionsAfter(this.readSeq, me) ?? summary.unreadMentions ?? 0);
  }

  /**
   * Takes in a message as it happens.
   * @param {Message} message
   * @returns {"added" | "known" | "gap"} gap: some before it are missing, fetch them
   */
  add(message) {
    if (message.seq <= this.lastSeq && (!this.loaded || message.seq <= this.newestSeq)) return "known";
    const complete = this.newestSeq === this.lastSeq;
    if (message.seq > this.lastSeq) {
      this.lastSeq = message.seq;
      this.last = message;
    }
    if (!this.loaded) return "added";
    if (message.seq === this.newestSeq + 1) {
      this.messages.push(message);
      return "added";
    }
    return complete ? "gap" : "known";
  }

  /** @param {Message[]} page oldest first, the newest there are or any run */
  replace(page) {
    this.messages = page;
    this.loaded = true;
    this.#notePage(page);
  }

  /**
   * @param {Message[]} page oldest first
   * @param {number} after what it was asked for with: the newest seq at that time
   */
  append(page, after) {
    if (!this.loaded || this.newestSeq < after) return; // the messages were replaced meanwhile
    const newest = this.newestSeq;
    const fresh = page.filter((message) => message.seq > newest);
    if (fresh.length && fresh[0].seq !== newest + 1) {
      // The server has dropped those between (`memory:`): a run without a gap begins here.
      this.messages = [];
      this.hasOlder = false;
    }
    this.messages.push(...fresh);
    this.#notePage(page);
  }

  /**
   * @param {Message[]} page oldest first
   * @param {number} before what it was asked for with: the oldest seq at that time
   * @param {boolean} hasOlder whether there are messages before it
   */
  prepend(page, before, hasOlder) {
    if (!this.loaded || before !== this.oldestSeq) return; // the messages were replaced meanwhile
    this.messages.unshift(...page);
    this.hasOlder = hasOlder;
  }

  /**
   * @param {number} seq
   * @param {string} me
   * @returns {boolean} false if only the server can tell how many are unread now
   */
  remove(seq, me) {
    const index = this.indexOf(seq);
    const gone = this.messages[index] ?? (this.last?.seq === seq ? this.last : null);
    const counted = seq > this.readSeq && this.unread > 0 && !(gone && (gone.removed || gone.sender === me));
    const certain = gone !== null && this.unread < MAX_UNREAD;
    if (counted && certain) this.unread -= 1;
    if (index >= 0) this.messages[index] = { id: this.messages[index].id, seq, removed: true };
    if (this.last?.seq === seq) this.last = { id: this.last.id, seq, removed: true };
    this.#requote(seq, () => ({ seq }));
    return !counted || certain;
  }

  /**
   * Takes in an edit or a reaction as it happens.
   * @param {Change} change
   * @param {string} me
   */
  change(change, me) {
    const { rev, seq } = change;
    if (rev === this.rev + 1) this.rev = rev;
    const index = seq === undefined ? -1 : this.indexOf(seq);
    if (index >= 0) this.messages[index] = afterChange(this.messages[index], change, me);
    const known = index >= 0 && rev < (this.messages[index].rev ?? 0);
    if (this.last && this.last.seq === seq) this.last = afterChange(this.last, change, me);
    const { data } = change;
    if (seq === undefined || data === undefined || known) return;
    this.#requote(seq, (quote) => (quote.sender ? { ...quote, data: quoted(data) } : quote));
  }

  /**
   * Updates the quotes of a message in all answers to it.
   * @param {number} origin
   * @param {(quote: Quote) => Quote} update
   */
  #requote(origin, update) {
    for (const [index, message] of this.messages.entries()) {
      const quote = message.replyTo;
      if (quote?.seq === origin) this.messages[index] = { ...message, replyTo: update(quote) };
    }
  }

  /** The first seq whose changes are shown here: of a message or of one that is quoted. */
  get oldestShown() {
    return this.messages.reduce((oldest, { replyTo }) => Math.min(oldest, replyTo?.seq ?? oldest), this.oldestSeq) || 1;
  }

  /**
   * Takes in messages as they are now, with all changes up to `rev`.
   * @param {Message[]} messages
   * @param {number} rev
   */
  takeChanged(messages, rev) {
    for (const message of messages) {
      const index = this.indexOf(message.seq);
      if (index >= 0) this.messages[index] = message;
      if (this.last?.seq === message.seq) this.last = message;
      const { seq, data, removed } = message;
      this.#requote(seq, () => (removed || data === undefined ? { seq } : quoteOf(message)));
    }
    this.rev = Math.max(this.rev, rev);
  }

  /** The user's newest message here that has a text. @param {string} me */
  lastOwn(me) {
    if (this.hasNewer) return undefined;
    return this.messages.findLast((message) => message.sender === me && message.data && !message.removed);
  }

  /** Whether anything was said that this reader may read. */
  get hasMessages() {
    return this.lastSeq >= this.firstSeq;
  }

  /** The last message that may be shown, of those that are here. */
  get lastShown() {
    if (!this.last?.removed) return this.last;
    return this.messages.findLast((message) => !message.removed) ?? null;
  }

  /** The messages are to be fetched again: other ones may be shown now. */
  unload() {
    this.messages = [];
    this.loaded = false;
    this.hasOlder = true;
  }

  /** As if it had never been seen: the server does not have what was here. */
  forget() {
    Object.assign(this, new Conversation(this.name));
  }

  /** Frees what is far above; scrolling up fetches it again. */
  trim() {
    if (this.messages.length <= FULL || this.hasNewer) return;
    this.messages = this.messages.slice(-KEPT);
    this.hasOlder = true;
  }

  /** @param {Message[]} page */
  #notePage(page) {
    const newest = page.at(-1);
    if (!newest || newest.seq < this.lastSeq) return;
    this.lastSeq = newest.seq;
    this.last = newest;
  }
}

/** What an answer to that message quotes. @param {Message} message @returns {Quote} */
export function quoteOf({ seq, sender, data, file }) {
  return { seq, sender, data: quoted(data || (file?.name ?? "")) };
}

/** @param {string} text */
function quoted(text) {
  return [...text].slice(0, QUOTED).join("");
}

/**
 * Whether somebody else mentions the user, or all members.
 * @param {Message} message
 * @param {string} me
 */
export function isMentioned({ sender, mentions }, me) {
  return sender !== me && Boolean(mentions?.some((id) => id === me || id === EVERYONE));
}

/**
 * The message with the change, unless it has that or a later one already.
 * @param {Message} message
 * @param {Change} change
 * @param {string} me
 * @returns {Message}
 */
function afterChange(message, { rev, data, edited, mentions, reaction }, me) {
  if (message.removed || rev <= (message.rev ?? 0)) return message;
  const changed = { ...message, rev };
  if (data !== undefined) Object.assign(changed, { data, edited, mentions });
  if (reaction) changed.reactions = reacted(message.reactions ?? [], reaction, me);
  return changed;
}

/**
 * @param {import("./protocol.js").Reaction[]} reactions
 * @param {{emoji: string, by: string, on: boolean}} reaction
 * @param {string} me
 */
function reacted(reactions, { emoji, by, on }, me) {
  const known = reactions.some((each) => each.emoji === emoji);
  const all = known ? reactions : [...reactions, { emoji, count: 0, by: [] }];
  return all
    .map((each) => {
      if (each.emoji !== emoji) return each;
      const mine = by === me ? on : each.mine;
      const others = each.by.filter((id) => id !== by);
      return { ...each, count: each.count + (on ? 1 : -1), mine, by: on && others.length < MAX_NAMED ? [...others, by] : others };
    })
    .filter((each) => each.count > 0);
}
