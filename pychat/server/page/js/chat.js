/** What the page knows: one user's conversations, kept true by the connection's events. */
import { Conversation, isMentioned } from "./conversation.js";
import { Cursors } from "./cursors.js";
import { Drafts } from "./drafts.js";
import { Emitter } from "./emitter.js";
import { FileLinks } from "./file-links.js";
import { MessageChanges } from "./message-changes.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { conversationOf, EVERYONE } from "./protocol.js";
import { Recency } from "./recency.js";
import { RoomMembers } from "./room-members.js";
import { Sync } from "./sync.js";
import { Typing } from "./typing.js";
import { Uploads } from "./uploads.js";

/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./protocol.js").Summary} Summary */
/** @typedef {import("./protocol.js").Room} Room */

/** After this time the server is asked again how many messages are unread. */
const RECOUNT_MS = 500;

/**
 * Emits `conversations` (the list changed), `log` (a Conversation changed), `incoming`
 * (Conversation, Message: somebody else's, just now), `typing` (name), `rooms`, `note` (a text for the
 * user, shown for a while).
 */
export class Chat extends Emitter {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {string} me the id that is logged in
   */
  constructor(connection, me) {
    super();
    this.connection = connection;
    this.me = me;
    /** @type {Map<string, Conversation>} */
    this.conversations = new Map();
    /** The open one. @type {Conversation | null} */
    this.active = null;
    /** @type {Room[]} */
    this.rooms = [];
    this.changes = new MessageChanges(this);
    this.cursors = new Cursors(this);
    this.drafts = new Drafts(me);
    this.links = new FileLinks(connection);
    this.members = new RoomMembers(this);
    this.uploads = new Uploads(connection);
    this.people = new People(this);
    this.outbox = new Outbox(connection, me);
    this.recency = new Recency();
    this.sync = new Sync(this);
    this.typing = new Typing(this);
    this.conversation(EVERYONE);
    for (const name of this.outbox.names) {
      this.conversation(name);
      this.recency.raise(name);
    }
    this.outbox.on("posted", (name) => this.recency.raise(name));
    this.outbox.on("sent", (_pending, message) => this.#note(message, false));
    this.outbox.on("change", (name) => this.#changed(this.conversation(name)));
    connection.on("server:message", (message) => this.#note(message, true));
    connection.on("server:receipt", (receipt) => this.#noteReceipt(receipt));
    connection.on("server:presence", (presence) => this.#notePresence(presence));
    connection.on("server:changed", (changed) => this.#noteChanged(changed));
    connection.on("server:room", () => this.refresh());
    connection.on("server:membership", () => this.refresh());
    connection.on("server:notify", () => this.refresh());
    connection.on("online", () => {
      for (const conversation of this.conversations.values()) {
        this.#lastSeqs.set(conversation.name, conversation.lastSeq);
      }
      this.refresh();
    });
  }
  /** How far each conversation had come at this login, until the server says how far it is. */
  #lastSeqs = new Map();

  /** Whether it is known who is online: not without a connection. */
  presenceKnown = true;

  /** @param {boolean} known */
  notePresenceKnown(known) {
    if (known === this.presenceKnown) return;
    this.presenceKnown = known;
    this.emit("conversations");
  }

  /** @param {Conversation} conversation */
  isOnline(conversation) {
    return this.presenceKnown && conversation.online;
  }

  /** Everything unread, in all conversations that the user has not muted. */
  get unread() {
    let sum = 0;
    for (const conversation of this.conversations.values()) sum += conversation.counted;
    return sum;
  }

  /**
   * The conversation of that name, made if it is not known yet.
   * @param {string} name
   */
  conversation(name) {
    let conversation = this.conversations.get(name);
    if (!conversation) {
      conversation = new Conversation(name);
      this.conversations.set(name, conversation);
    }
    return conversation;
  }

  /** Asks for everything that may have changed, and sends what waits. */
  async refresh() {
    this.outbox.flush();
    try {
      await Promise.all([this.sync.refresh(), this.refreshRooms()]);
    } catch {
      // Unanswered or refused for now: the next login asks again.
    }
    this.emit("conversations");
  }

  async refreshRooms() {
    const answer = await this.connection.request("room", { command: "list" });
    this.rooms = answer.rooms;
    this.emit("rooms");
  }

  /** @param {Summary} summary */
  noteSummary(summary) {
    const conversation = this.conversation(summary.with);
    this.#compare(conversation, summary.lastSeq);
    conversation.merge(summary, this.me);
    if (conversation.kind === "person") this.people.note(summary.with, summary.alias);
    this.cursors.repair(conversation, summary);
    this.#changed(conversation);
  }

  /**
   * Rooms that are not in the server's list any more are gone; people stay.
   * @param {Set<string>} names newest first
   * @param {number} asked `recency.top` when the list was asked for
   */
  keepOnly(names, asked) {
    const known = [...this.conversations.keys()];
    const later = known.filter((name) => this.recency.of(name) > asked || this.outbox.of(name).length);
    this.recency.list(names, later);
    for (const conversation of this.conversations.values()) {
      if (names.has(conversation.name)) continue;
      this.#compare(conversation, 0);
      if (conversation.kind !== "room") continue;
      this.conversations.delete(conversation.name);
      this.emit("gone", conversation);
    }
    this.emit("conversations");
  }

  /**
   * A server that starts over (one that keeps its messages in memory) counts from 1 again.
   * @param {Conversation} conversation
   * @param {number} lastSeq as the server has it
   */
  #compare(conversation, lastSeq) {
    if (lastSeq < (this.#lastSeqs.get(conversation.name) ?? 0)) conversation.forget();
    this.#lastSeqs.delete(conversation.name);
  }

  /**
   * @param {Message} message
   * @param {boolean} live whether the server pushed it (not our own send's answer)
   */
  #note(message, live) {
    const name = conversationOf(message, this.me);
    const isNew = !this.conversations.has(name);
    const conversation = this.conversation(name);
    const before = conversation.lastSeq;
    const outcome = conversation.add(message);
    if (message.sender === this.me && message.clientId && live) this.outbox.discard(message.clientId);
    if (conversation.lastSeq > before) this.recency.raise(name);
    if (conversation.lastSeq > before && message.sender !== this.me) {
      conversation.unread += 1;
      if (isMentioned(message, this.me)) conversation.mentions += 1;
      // Of the messages between, only the server knows who wrote them.
      if (!isNew && conversation.lastSeq > before + 1) this.#recount();
      this.typing.wrote(name, /** @type {string} */ (message.sender));
      this.emit("incoming", conversation, message);
    }
    if (isNew) this.refresh();
    if (outcome === "gap") this.sync.catchUp(conversation).catch(() => {});
    else if (conversation === this.active && !conversation.loaded) this.sync.load(conversation).catch(() => {});
    if (live) this.cursors.received(conversation);
    this.#changed(conversation);
  }

  /** @param {{with: string, by: string, kind: "delivered" | "read", seq: number}} receipt */
  #noteReceipt({ with: name, by, kind, seq }) {
    const conversation = this.conversation(name);
    if (by === this.me) {
      conversation.deliveredSeq = Math.max(conversation.deliveredSeq, seq);
      if (kind === "read" && seq > conversation.readSeq) {
        conversation.readSeq = seq;
        const unread = conversation.unreadAfter(seq, this.me);
        if (unread === null) this.#recount();
        conversation.unread = unread ?? Math.min(conversation.unread, conversation.lastSeq - seq);
        conversation.mentions = this.#mentionsOf(conversation);
      }
    } else {
      conversation.peerDeliveredSeq = Math.max(conversation.peerDeliveredSeq, seq);
      if (kind === "read") conversation.peerReadSeq = Math.max(conversation.peerReadSeq, seq);
    }
    this.#changed(conversation);
  }

  /** @param {import("./protocol.js").User & {lastSeen: string | null}} presence */
  #notePresence({ id, alias, online, lastSeen, status = "online", statusText = "" }) {
    this.people.note(id, alias);
    const conversation = this.conversations.get(id);
    if (!conversation) return;
    Object.assign(conversation, { alias, online, lastSeen, status, statusText });
    this.#changed(conversation);
  }

  /**
   * The server has done it: other messages are shown now, there and wherever that person writes.
   * @param {string} name
   * @param {boolean} blocked
   */
  async setBlocked(name, blocked) {
    this.conversation(name).blocked = blocked;
    for (const conversation of this.conversations.values()) {
      if (conversation !== this.active) conversation.unload();
    }
    if (this.active) await this.sync.load(this.active);
    this.emit("conversations");
  }

  /** @param {import("./protocol.js").Change} change */
  #noteChanged(change) {
    const conversation = this.conversations.get(change.with);
    if (!conversation) return;
    if (change.removed && change.seq !== undefined && !conversation.remove(change.seq, this.me)) this.#recount();
    conversation.change(change, this.me);
    if (change.removed || change.data !== undefined) conversation.mentions = this.#mentionsOf(conversation);
    this.#changed(conversation);
  }

  /**
   * The number of unread mentions after what was just read or changed. If only the server can tell, it is asked.
   * @param {Conversation} conversation
   */
  #mentionsOf(conversation) {
    if (conversation.kind !== "room" || !conversation.unread) return 0;
    const known = conversation.mentionsAfter(conversation.readSeq, this.me);
    if (known === null) this.#recount();
    return known ?? Math.min(conversation.mentions, conversation.unread);
  }

  /** Asks the server how many are unread, once for all that is removed within the time. */
  #recount() {
    this.#recounting ??= setTimeout(() => {
      this.#recounting = null;
      this.refresh();
    }, RECOUNT_MS);
  }
  /** @type {ReturnType<typeof setTimeout> | null} */
  #recounting = null;

  /** @param {Conversation} conversation */
  #changed(conversation) {
    this.emit("log", conversation);
    this.emit("conversations");
  }
}
