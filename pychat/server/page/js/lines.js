/** A conversation as the lines of its log: messages in groups, days, the "new messages" line. */
import { dayKey } from "./format.js";
import { beginning, daySeparator, messageRow, newSeparator } from "./views/message.js";

/** @typedef {import("./views/message.js").Line} Line */
/** @typedef {import("./conversation.js").Conversation} Conversation */

const GROUP_MS = 5 * 60_000;

/**
 * @param {import("./chat.js").Chat} chat
 * @param {Conversation} conversation
 * @param {number} found the seq to point out, or 0
 * @returns {import("./dom.js").Entry[]}
 */
export function entries(chat, conversation, found) {
  const lines = linesOf(chat, conversation, found);
  const result = [];
  if (conversation.loaded && !conversation.hasOlder) result.push(beginningOf(conversation));
  let day = "";
  let marked = !conversation.newAfter;
  for (const line of lines) {
    const newDay = line.date && dayKey(line.date) !== day;
    if (line.date && newDay) {
      const date = line.date;
      day = dayKey(date);
      result.push({ key: `day ${day}`, signature: dayKey(new Date()), build: () => daySeparator(date) });
    }
    if (!marked && line.seq > conversation.newAfter) {
      marked = true;
      result.push({ key: "new", signature: "", build: newSeparator });
    }
    const signature = JSON.stringify({ ...line, text: line.text.length });
    result.push({ key: line.key, signature, build: () => messageRow(line) });
  }
  return result;
}

/**
 * @param {import("./chat.js").Chat} chat
 * @param {Conversation} conversation
 * @param {number} found
 * @returns {Line[]}
 */
function linesOf(chat, conversation, found) {
  const person = conversation.kind === "person";
  /** @type {Line[]} */
  const lines = conversation.messages.map((message) => {
    const sender = message.sender ?? "";
    const own = sender === chat.me;
    return line({
      key: own && message.clientId ? message.clientId : `seq ${message.seq}`,
      seq: message.seq,
      sender,
      senderTitle: chat.aliasOf(sender),
      own,
      named: !own && !person && !message.removed,
      text: message.data ?? "",
      removed: Boolean(message.removed),
      date: message.sentAt ? new Date(message.sentAt) : null,
      state: own && !message.removed ? stateOf(conversation, message.seq, person) : "",
      found: message.seq === found,
    });
  });
  const shown = new Set(lines.map((one) => one.key));
  for (const pending of chat.outbox.of(conversation.name)) {
    if (shown.has(pending.clientId)) continue;
    const failed = pending.error !== undefined;
    lines.push(
      line({
        key: pending.clientId,
        sender: chat.me,
        own: true,
        text: pending.data,
        date: new Date(pending.at),
        state: failed ? "failed" : "sending",
        error: pending.error ?? "",
      }),
    );
  }
  group(lines, conversation.newAfter);
  return lines;
}

/** @param {Partial<Line>} given @returns {Line} */
function line(given) {
  return {
    key: "", seq: 0, sender: "", senderTitle: "", own: false, named: false, first: true, last: true,
    text: "", removed: false, date: null, state: "", error: "", found: false, ...given,
  };
}

/** @param {Conversation} conversation @param {number} seq @param {boolean} person */
function stateOf(conversation, seq, person) {
  if (person && seq <= conversation.peerReadSeq) return "read";
  if (person && seq <= conversation.peerDeliveredSeq) return "delivered";
  return "sent";
}

/** Neighbours by one sender within minutes belong together. @param {Line[]} lines @param {number} newAfter */
function group(lines, newAfter) {
  for (let at = 1; at < lines.length; at++) {
    const [before, line] = [lines[at - 1], lines[at]];
    const together =
      before.sender === line.sender &&
      before.removed === line.removed &&
      before.date && line.date &&
      line.date.getTime() - before.date.getTime() < GROUP_MS &&
      dayKey(before.date) === dayKey(line.date) &&
      !(newAfter && before.seq <= newAfter && line.seq > newAfter);
    line.first = !together;
    before.last = !together;
  }
}

/** @param {Conversation} conversation */
function beginningOf(conversation) {
  const text = {
    everyone: "Everybody on this server reads what is said here.",
    room: `This is the beginning of ${conversation.title}.`,
    person: `This is the beginning of your conversation with ${conversation.title}.`,
  }[conversation.kind];
  return { key: "beginning", signature: text, build: () => beginning(text) };
}
