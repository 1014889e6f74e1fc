/** One message in the log, and the lines between messages. */
import { element, icon, spoken } from "../dom.js";
import { nameOfEmoji } from "../emoji.js";
import { dayOf, exactTime, timeOf } from "../format.js";
import { nameNodes } from "../names.js";
import { breaksAtWords, firstLine, formatted, isBigEmoji } from "../text.js";
import { avatar, colourOf } from "./avatar.js";

/** @typedef {"sending" | "failed" | "sent" | "delivered" | "read" | ""} State */

/**
 * @typedef {object} Line
 * @property {string} key
 * @property {number} seq 0 while it is on its way
 * @property {string} sender
 * @property {string} senderTitle
 * @property {string} senderId where the title is another word
 * @property {boolean} own
 * @property {boolean} named whether the sender's name and picture stand beside it
 * @property {boolean} first of a group by one sender
 * @property {boolean} last of that group
 * @property {string} text
 * @property {import("../protocol.js").FileOfMessage | null} file
 * @property {number} rev
 * @property {boolean} edited
 * @property {import("../protocol.js").Quote | null} quote what it answers
 * @property {import("../protocol.js").Reaction[]} reactions
 * @property {Record<string, string>} names of those whom it quotes and who reacted, by id
 * @property {import("../text.js").Mention[]} mentions
 * @property {boolean} removed
 * @property {boolean} mentioned whether somebody else mentions the user
 * @property {Date | null} date
 * @property {string} day of the date, as `dayKey` gives it
 * @property {State} state
 * @property {string} error
 * @property {boolean} found by the search just now
 */

const STATES = {
  sending: "sending",
  failed: "not sent",
  sent: "sent",
  delivered: "delivered",
  read: "read",
};

/** @param {Line} line @param {(file: import("../protocol.js").FileOfMessage) => HTMLElement} fileNode */
export function messageRow(line, fileNode) {
  const big = !line.quote && !line.file && isBigEmoji(line.text);
  const classes = ["message", line.own ? "own" : "other"];
  if (line.first) classes.push("first");
  if (line.last) classes.push("last");
  if (line.named) classes.push("named");
  if (big) classes.push("big");
  if (line.state === "failed") classes.push("failed");
  if (line.found) classes.push("found");
  if (line.mentioned) classes.push("mentioned");
  return element(
    `li.${classes.join(".")}`,
    { "data-seq": line.seq ? String(line.seq) : false, tabindex: line.seq ? "-1" : false },
    line.named && line.first && avatar(line.sender, line.senderTitle),
    element(
      "div.bubble",
      {},
      line.named && line.first
        ? element("span.sender", { "data-colour": colourOf(line.sender) }, ...nameNodes(line.senderTitle, line.senderId))
        : spoken(`${line.own ? "You" : [line.senderTitle, line.senderId].filter(Boolean).join(" ")}: `),
      line.quote && quoted(line.quote, line.names),
      line.mentioned && spoken("mentions you: "),
      line.file && fileNode(line.file),
      (line.text || !line.file) && body(line),
      meta(line),
      line.reactions.length > 0 && reactions(line),
    ),
    line.state === "failed" && failure(line),
  );
}

/** @param {Line} line */
function body(line) {
  const words = breaksAtWords(line.text) ? "div.text.words" : "div.text";
  // No dir="auto": it takes the square of the time for many elements. CSS finds the direction.
  return element(words, { lang: "" }, ...formatted(line.text, line.mentions));
}

/** Pressed, it leads to the message that it quotes. @param {import("../protocol.js").Quote} quote @param {Record<string, string>} names */
function quoted({ seq, sender, data = "" }, names) {
  if (!sender) return element("div.quote", {}, "A message that you cannot read");
  return element("button.quote", { type: "button", "data-jump": String(seq) }, element("b", {}, names[sender] ?? sender), ` ${firstLine(data)}`);
}

/** @param {Line} line */
function reactions({ reactions, names }) {
  return element(
    "div.reactions",
    {},
    ...reactions.map(({ emoji, count, by, mine }) => {
      const named = by.map((id) => names[id] ?? id);
      const more = count - named.length;
      const who = more > 0 ? `${named.join(", ")} and ${more} more` : named.join(", ");
      return element(
        "button.reaction",
        { type: "button", "data-react": emoji, "aria-pressed": String(Boolean(mine)), title: who },
        `${emoji} ${count}`,
        spoken(` ${nameOfEmoji(emoji)}: ${who}`),
      );
    }),
  );
}

/** @param {Line} line */
function meta(line) {
  return element(
    "span.meta",
    {},
    line.edited && element("span", {}, "edited"),
    line.date && element("time", { datetime: line.date.toISOString(), title: exactTime(line.date) }, timeOf(line.date)),
    line.state && element(`span.state.${line.state}`, {}, icon(line.state), spoken(`, ${STATES[line.state]}`)),
  );
}

/** @param {Line} line */
function failure(line) {
  return element(
    "div.failure",
    {},
    element("span", {}, `Not sent. ${line.error}`),
    element(
      "span.choices",
      {},
      element("button.link", { type: "button", "data-retry": line.key }, "Try again"),
      element("button.link", { type: "button", "data-discard": line.key }, "Discard"),
    ),
  );
}

/** @param {Date} date */
export function daySeparator(date) {
  return element("li.day", {}, element("span", {}, dayOf(date)));
}

export function newSeparator() {
  return element("li.new", {}, element("span", {}, "New messages"));
}

/** Messages that are gone, or that somebody blocked has written. @param {number} count @param {number} seq of the last */
export function hiddenRow(count, seq) {
  return element("li.hidden-run", { "data-seq": String(seq) }, count === 1 ? "1 message hidden" : `${count} messages hidden`);
}

/** The first of all: nothing came before. @param {string} text */
export function beginning(text) {
  return element("li.beginning", {}, text);
}
