/** The wire as the page sees it: constants, payload types, and the names of conversations. */

export const PROTOCOL = 1;
export const EVERYONE = "ALL";
export const ROOM_PREFIX = "#";
export const MAX_DATA_BYTES = 64 * 1024;
export const PAGE_LIMIT = 50;
export const MAX_LIMIT = 100;
/** Of files, what the page shows by itself; everything else may have scripts. */
export const SHOWN_IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];
export const SHOWN_VIDEOS = ["video/mp4", "video/webm"];
export const SHOWN_SOUNDS = ["audio/mpeg", "application/ogg"];

/**
 * A stored message. One that is gone is `{id, seq, removed: true}`.
 * @typedef {object} Message
 * @property {string} id
 * @property {number} seq
 * @property {string} [sender]
 * @property {string} [recepient]
 * @property {string} [command]
 * @property {string} [data]
 * @property {string} [sentAt]
 * @property {string} [clientId]
 * @property {boolean} [removed]
 * @property {number} [rev] of its newest change
 * @property {string} [edited] when its text was edited last
 * @property {Reaction[]} [reactions]
 * @property {string[]} [mentions] ids of members of the room, or ALL for all of them
 * @property {FileOfMessage} [file]
 * @property {Quote} [replyTo] what it answers
 */

/** Without a sender, the reader may not see the origin. @typedef {{seq: number, sender?: string, data?: string}} Quote */

/** @typedef {{id: string, name: string, size: number, mime: string, width?: number, height?: number}} FileOfMessage */

/** @typedef {{emoji: string, count: number, by: string[], mine?: boolean}} Reaction */

/**
 * What was changed of a message. Without `seq`: of one that this reader may not see.
 * @typedef {object} Change
 * @property {string} with
 * @property {number} rev
 * @property {number} [seq]
 * @property {boolean} [removed]
 * @property {string} [data]
 * @property {string} [edited]
 * @property {string[]} [mentions]
 * @property {{emoji: string, by: string, on: boolean}} [reaction]
 */

/**
 * One conversation as the server's `conversations` answer tells it.
 * @typedef {object} Summary
 * @property {string} with
 * @property {string} alias
 * @property {boolean} online
 * @property {number} firstSeq
 * @property {number} lastSeq
 * @property {number} deliveredSeq
 * @property {number} readSeq
 * @property {number} peerDeliveredSeq
 * @property {number} peerReadSeq
 * @property {number} unread
 * @property {number} [unreadMentions] missing from older servers
 * @property {number} rev of the newest change
 * @property {Message | null} last
 * @property {string} [lastSeen]
 * @property {boolean} [blocked]
 * @property {NotifyLevel} [notify] missing for "all"
 * @property {string} [role] in rooms: "owner" or "moderator"
 * @property {Availability} [status] missing for "online"
 * @property {string} [statusText]
 */

/** Which messages of a conversation the page announces. @typedef {"all" | "mentions" | "muted"} NotifyLevel */
/** @typedef {"online" | "away" | "dnd"} Availability */
/** @typedef {{id: string, alias: string, online: boolean, status?: Availability, statusText?: string}} User */
/** @typedef {{id: string, name: string, owner: string, member?: boolean, topic?: string, private?: boolean, invited?: boolean}} Room */
/** @typedef {{id: string, device: string, since: string, lastSeen: string, current: boolean}} Session */

/** A request that the server answered with a refusal. */
export class Refusal extends Error {
  /** @param {{code: string, message?: string, retryAfter?: number, current?: Message}} answer */
  constructor(answer) {
    super(sentence(answer.message || `refused with code ${answer.code}`));
    this.code = answer.code;
    this.retryAfter = answer.retryAfter;
    /** The message as it is now, where a change met another one. */
    this.current = answer.current;
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get passing() {
    return ["401", "429", "500", "503"].includes(this.code);
  }
}

/**
 * What a refusal says to people: not the name of the field that it begins with for programs.
 * @param {string} message
 */
function sentence(message) {
  const said = message.replace(/^[a-z][A-Za-z]*: /, "");
  const field = said === message ? "" : message.slice(0, message.length - said.length - 2);
  const text = /^(must|is|are|cannot|may|has|needs) /.test(said) && field ? `${FIELDS[field] ?? field} ${said}` : said;
  const end = /[.!?]$/.test(text) ? "" : ".";
  return `${text.slice(0, 1).toLocaleUpperCase()}${text.slice(1)}${end}`;
}

/** What the fields are called where a sentence needs a subject. @type {Record<string, string>} */
const FIELDS = {
  id: "the id",
  recepient: "the recipient",
  with: "the conversation",
  data: "the message",
  roomId: "the room’s id",
  roomName: "the room’s name",
  text: "the search",
  query: "the search",
};

/** A request that got no answer: the connection broke, or the server took too long. */
export class Unanswered extends Error {
  name = "Unanswered";
}

/**
 * The conversation that a message belongs to, as its reader calls it.
 * @param {Message} message
 * @param {string} me
 */
export function conversationOf(message, me) {
  if (message.recepient === EVERYONE) return EVERYONE;
  if (message.command === "groupchat") return ROOM_PREFIX + message.recepient;
  return /** @type {string} */ (message.sender === me ? message.recepient : message.sender);
}

/**
 * How a message is addressed to a conversation.
 * @param {string} name
 * @returns {{recepient: string, command: "chat" | "groupchat"}}
 */
export function addressOf(name) {
  return name.startsWith(ROOM_PREFIX)
    ? { recepient: name.slice(ROOM_PREFIX.length), command: "groupchat" }
    : { recepient: name, command: "chat" };
}
