/** A conversation as the lines of its log: messages in groups, days, the "new messages" line. */
import { isMentioned } from "./conversation.js";
import { dayKey } from "./format.js";
import { idBeside } from "./names.js";
import { EVERYONE } from "./protocol.js";
import { beginning, daySeparator, hiddenRow, messageRow, newSeparator } from "./views/message.js";

/** @typedef {import("./views/message.js").Line} Line */
/** @typedef {import("./dom.js").Entry} Entry */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./outbox.js").Pending} Pending */
/** What is shown of a file. @typedef {(file: import("./protocol.js").FileOfMessage) => HTMLElement} FileNode */

const GROUP_MS = 5 * 60_000;
/** @type {Entry} */
const NEW = { key: "new", signature: "", build: newSeparator };

/** What was drawn of a message, or of one on its way, stays the same object while nothing changes. */
/** @type {WeakMap<Message | Pending, {line: Line, entry: Entry}>} */
const drawn = new WeakMap();
/** @type {WeakMap<Message | Pending, Line>} */
const fixed = new WeakMap();

/** So many messages are drawn before and after the place where the reader is. */
const AROUND = 150;

/**
 * A part of the log's items: of the messages in memory, then of those on their way.
 * @typedef {object} Range
 * @property {number} from index of the first item
 * @property {number} to index after the last one
 */

/**
 * The items to draw for a reader at that index: a bounded number, however many are in memory. It does
 * not begin or end inside a run of hidden messages, which is one row.
 * @param {Conversation} conversation
 * @param {Pending[]} pending
 * @param {number} at
 * @returns {Range}
 */
export function rangeAround({ messages }, pending, at) {
  const length = messages.length + pending.length;
  let [from, to] = [Math.min(at, length), Math.min(at, length)];
  for (let left = AROUND; from > 0 && left > 0; ) if (!messages[--from]?.removed) left--;
  for (let left = AROUND; to < length && left > 0; ) if (!messages[to++]?.removed) left--;
  while (messages[from]?.removed && messages[from - 1]?.removed) from--;
  while (messages[to - 1]?.removed && messages[to]?.removed) to++;
  return { from, to };
}

/**
 * @param {import("./chat.js").Chat} chat
 * @param {Conversation} conversation
 * @param {Range} range
 * @param {number} found the seq to point out, or 0
 * @param {FileNode} fileNode
 * @returns {Entry[]}
 */
export function entries(chat, conversation, range, found, fileNode) {
  const marked = conversation.newIndex(chat.me);
  const items = linesOf(chat, conversation, range, marked, found);
  const today = dayKey(new Date());
  /** @type {Entry[]} */
  const result = [];
  if (range.from === 0 && conversation.loaded && !conversation.hasOlder) result.push(beginningOf(conversation));
  let day = dayBefore(conversation, range.from);
  for (let at = 0; at < items.length; at++) {
    const { index, item, line } = items[at];
    if (line.removed) {
      const start = at;
      while (items[at + 1]?.line.removed) at++;
      result.push(hiddenEntry(at - start + 1, items[at].line.seq));
      continue;
    }
    if (line.day && line.day !== day) {
      day = line.day;
      result.push(dayEntry(/** @type {Date} */ (line.date), day, today));
    }
    if (index === marked) result.push(NEW);
    result.push(entryOf(item, line, fileNode));
  }
  return result;
}

/** The day of the last message before that index, as it stands in the log. @param {Conversation} conversation @param {number} from */
function dayBefore({ messages }, from) {
  let index = Math.min(from, messages.length) - 1;
  while (index >= 0 && messages[index].removed) index--;
  const sentAt = messages[index]?.sentAt;
  return sentAt ? dayKey(new Date(sentAt)) : "";
}

/**
 * @param {import("./chat.js").Chat} chat
 * @param {Conversation} conversation
 * @param {Range} range
 * @param {number} marked the index that the "new messages" line stands above
 * @param {number} found
 */
function linesOf(chat, conversation, { from, to }, marked, found) {
  const { messages } = conversation;
  const person = conversation.kind === "person";
  const pending = chat.outbox.of(conversation.name);
  const length = messages.length + pending.length;
  const shown = new Set();
  /** @type {Array<{index: number, item: Message | Pending, line: Line}>} */
  const items = [];
  // The neighbours too: whether a line is the first or last of its group depends on them.
  for (let index = Math.max(0, from - 1); index < Math.min(length, to + 1); index++) {
    if (index < messages.length) {
      const message = messages[index];
      const line = { ...lineOfMessage(message, chat.me) };
      shown.add(line.key);
      const alias = chat.people.aliasOf(line.sender);
      line.senderTitle = alias || line.sender;
      line.senderId = idBeside(line.sender, alias);
      line.named = !line.own && !person;
      line.state = line.own ? stateOf(conversation, message.seq, person) : "";
      line.found = message.seq === found;
      line.names = namesOf(chat, line);
      items.push({ index, item: message, line });
    } else {
      const item = pending[index - messages.length];
      if (shown.has(item.clientId)) continue;
      const line = { ...lineOfPending(item, chat.me) };
      line.names = namesOf(chat, line);
      line.state = item.error === undefined ? "sending" : "failed";
      line.error = item.error ?? "";
      items.push({ index, item, line });
    }
  }
  for (let at = 1; at < items.length; at++) {
    const [before, line] = [items[at - 1].line, items[at].line];
    if (!together(before, line) || items[at].index === marked) continue;
    line.first = false;
    before.last = false;
  }
  return items.filter(({ index }) => index >= from && index < to);
}

/** What those are called whom it quotes and who reacted, as far as they are known. @param {import("./chat.js").Chat} chat @param {Line} line */
function namesOf({ me, people }, { quote, reactions }) {
  /** @type {Record<string, string>} */
  const names = {};
  for (const id of [quote?.sender, ...reactions.flatMap(({ by }) => by)]) {
    if (id) names[id] = id === me ? "You" : people.nameOf(id);
  }
  return names;
}

/** What never changes of a message. @param {Message} message @param {string} me */
function lineOfMessage(message, me) {
  const own = message.sender === me;
  return kept(message, () => ({
    key: own && message.clientId ? message.clientId : `seq ${message.seq}`,
    seq: message.seq,
    sender: message.sender ?? "",
    own,
    text: message.data ?? "",
    file: message.file ?? null,
    rev: message.rev ?? 0,
    edited: Boolean(message.edited),
    quote: message.replyTo ?? null,
    reactions: message.reactions ?? [],
    removed: Boolean(message.removed),
    mentions: (message.mentions ?? []).map((id) => ({ id, own: id === me || id === EVERYONE })),
    mentioned: isMentioned(message, me),
    date: message.sentAt ? new Date(message.sentAt) : null,
  }));
}

/** @param {Pending} pending @param {string} me */
function lineOfPending(pending, me) {
  return kept(pending, () => ({
    key: pending.clientId, sender: me, own: true, text: pending.data, date: new Date(pending.at),
    file: pending.file ?? null, quote: pending.replyTo ?? null,
  }));
}

/**
 * @param {Message | Pending} item
 * @param {() => Partial<Line>} facts
 * @returns {Line}
 */
function kept(item, facts) {
  let line = fixed.get(item);
  if (!line) {
    line = {
      key: "", seq: 0, sender: "", senderTitle: "", senderId: "", own: false, named: false, first: true, last: true,
      text: "", file: null, rev: 0, edited: false, quote: null, reactions: [], names: {}, mentions: [], removed: false, mentioned: false, date: null, day: "", state: "", error: "", found: false, ...facts(),
    };
    if (line.date) line.day = dayKey(line.date);
    fixed.set(item, line);
  }
  return line;
}

/** @param {Conversation} conversation @param {number} seq @param {boolean} person */
function stateOf(conversation, seq, person) {
  if (person && seq <= conversation.peerReadSeq) return "read";
  if (person && seq <= conversation.peerDeliveredSeq) return "delivered";
  return "sent";
}

/** Neighbours by one sender within minutes belong together. @param {Line} before @param {Line} line */
function together(before, line) {
  return (
    before.sender === line.sender && !before.removed && !line.removed && before.day === line.day &&
    before.date && line.date && line.date.getTime() - before.date.getTime() < GROUP_MS
  );
}

/** @param {Message | Pending} item @param {Line} line @param {FileNode} fileNode */
function entryOf(item, line, fileNode) {
  const last = drawn.get(item);
  if (last && same(last.line, line)) return last.entry;
  const signature = JSON.stringify({ ...line, text: line.text.length });
  const entry = { key: line.key, signature, build: () => messageRow(line, fileNode) };
  drawn.set(item, { line, entry });
  return entry;
}

/** @param {Line} a @param {Line} b of the same message */
function same(a, b) {
  return (
    a.state === b.state && a.first === b.first && a.last === b.last && a.senderTitle === b.senderTitle &&
    a.senderId === b.senderId && a.named === b.named && a.found === b.found && a.error === b.error &&
    Object.keys(a.names).every((id) => a.names[id] === b.names[id])
  );
}

/** @param {number} count @param {number} seq of the last of them: it stays when older ones come */
function hiddenEntry(count, seq) {
  return { key: `hidden ${seq}`, signature: String(count), build: () => hiddenRow(count, seq) };
}

/** @param {Date} date @param {string} day @param {string} today */
function dayEntry(date, day, today) {
  return { key: `day ${day}`, signature: today, build: () => daySeparator(date) };
}

/** @param {Conversation} conversation */
function beginningOf(conversation) {
  const text = {
    everyone: "All users of this server can read these messages.",
    room: `This is the beginning of ${conversation.title}.`,
    person: `This is the beginning of your conversation with ${conversation.fullTitle}.`,
  }[conversation.kind];
  return { key: "beginning", signature: text, build: () => beginning(text) };
}
