/** A conversation as the lines of its log: messages in groups, days, the "new messages" line. */
import { dayKey } from "./format.js";
import { idBeside } from "./names.js";
import { beginning, daySeparator, hiddenRow, messageRow, newSeparator } from "./views/message.js";

/** @typedef {import("./views/message.js").Line} Line */
/** @typedef {import("./dom.js").Entry} Entry */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./outbox.js").Pending} Pending */

const GROUP_MS = 5 * 60_000;
/** @type {Entry} */
const NEW = { key: "new", signature: "", build: newSeparator };

/** What was drawn of a message, or of one on its way, stays the same object while nothing changes. */
/** @type {WeakMap<Message | Pending, {line: Line, entry: Entry}>} */
const drawn = new WeakMap();
/** @type {WeakMap<Message | Pending, Line>} */
const fixed = new WeakMap();

/**
 * @param {import("./chat.js").Chat} chat
 * @param {Conversation} conversation
 * @param {number} found the seq to point out, or 0
 * @returns {Entry[]}
 */
export function entries(chat, conversation, found) {
  const items = linesOf(chat, conversation, found);
  const today = dayKey(new Date());
  /** @type {Entry[]} */
  const result = [];
  if (conversation.loaded && !conversation.hasOlder) result.push(beginningOf(conversation));
  let day = "";
  let marked = false;
  const newAfter = conversation.newAfter ?? Infinity;
  for (let at = 0; at < items.length; at++) {
    const { item, line } = items[at];
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
    if (!marked && line.seq > newAfter) {
      marked = true;
      result.push(NEW);
    }
    result.push(entryOf(item, line));
  }
  return result;
}

/**
 * @param {import("./chat.js").Chat} chat
 * @param {Conversation} conversation
 * @param {number} found
 */
function linesOf(chat, conversation, found) {
  const person = conversation.kind === "person";
  const newAfter = conversation.newAfter ?? Infinity;
  const shown = new Set();
  /** @type {Array<{item: Message | Pending, line: Line}>} */
  const items = conversation.messages.map((message) => {
    const line = { ...lineOfMessage(message, chat.me) };
    shown.add(line.key);
    const alias = chat.people.aliasOf(line.sender);
    line.senderTitle = alias || line.sender;
    line.senderId = idBeside(line.sender, alias);
    line.named = !line.own && !person;
    line.state = line.own ? stateOf(conversation, message.seq, person) : "";
    line.found = message.seq === found;
    return { item: message, line };
  });
  for (const pending of chat.outbox.of(conversation.name)) {
    if (shown.has(pending.clientId)) continue;
    const line = { ...lineOfPending(pending, chat.me) };
    line.state = pending.error === undefined ? "sending" : "failed";
    line.error = pending.error ?? "";
    items.push({ item: pending, line });
  }
  for (let at = 1; at < items.length; at++) {
    const [before, line] = [items[at - 1].line, items[at].line];
    if (!together(before, line) || (before.seq <= newAfter && line.seq > newAfter)) continue;
    line.first = false;
    before.last = false;
  }
  return items;
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
    removed: Boolean(message.removed),
    date: message.sentAt ? new Date(message.sentAt) : null,
  }));
}

/** @param {Pending} pending @param {string} me */
function lineOfPending(pending, me) {
  return kept(pending, () => ({
    key: pending.clientId, sender: me, own: true, text: pending.data, date: new Date(pending.at),
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
      text: "", removed: false, date: null, day: "", state: "", error: "", found: false, ...facts(),
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

/** @param {Message | Pending} item @param {Line} line */
function entryOf(item, line) {
  const last = drawn.get(item);
  if (last && same(last.line, line)) return last.entry;
  const signature = JSON.stringify({ ...line, text: line.text.length });
  const entry = { key: line.key, signature, build: () => messageRow(line) };
  drawn.set(item, { line, entry });
  return entry;
}

/** @param {Line} a @param {Line} b of the same message */
function same(a, b) {
  return (
    a.state === b.state && a.first === b.first && a.last === b.last && a.senderTitle === b.senderTitle &&
    a.senderId === b.senderId &&    a.named === b.named && a.found === b.found && a.error === b.error
  );
}

/** @param {number} count @param {number} seq of the last of them: it stays when older ones come */
function hiddenEntry(count, seq) {
  return { key: `hidden ${seq}`, signature: String(count), build: () => hiddenRow(count) };
}

/** @param {Date} date @param {string} day @param {string} today */
function dayEntry(date, day, today) {
  return { key: `day ${day}`, signature: today, build: () => daySeparator(date) };
}

/** @param {Conversation} conversation */
function beginningOf(conversation) {
  const text = {
    everyone: "Everybody on this server reads what is said here.",
    room: `This is the beginning of ${conversation.title}.`,
    person: `This is the beginning of your conversation with ${conversation.fullTitle}.`,
  }[conversation.kind];
  return { key: "beginning", signature: text, build: () => beginning(text) };
}
