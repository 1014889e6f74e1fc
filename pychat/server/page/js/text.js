/** A message's text as nodes: small Markdown, line breaks by CSS, links for http and https only. */
import { element } from "./dom.js";
import { safeText } from "./safe-text.js";

const FENCE = /^\s{0,3}```/;
const LIST = /^(?:[-*]|\d{1,3}[.)]) /;
const WORD = /[\p{L}\p{M}\p{N}_]/u;
const INLINE = new RegExp(
  [
    /(?<link>\bhttps?:\/\/[^\s<>"'`]+)/u,
    /(?<!`)`(?<code>[^`\n]+)`(?!`)/u,
    /(?<![\p{L}\p{N}_*])\*\*(?<strong>(?=\S)[^\n*]*\S)\*\*(?![\p{L}\p{N}_*])/u,
    /(?<![\p{L}\p{N}_*])\*(?<emphasis>(?=[^\s*])[^\n*]*[^\s*])\*(?![\p{L}\p{N}_*])/u,
    /(?<![\p{L}\p{N}_])_(?<underscored>(?=[^\s_])[^\n_]*[^\s_])_(?![\p{L}\p{N}_])/u,
    /(?<![\p{L}\p{N}_~])~~(?<struck>(?=\S)[^\n~]*\S)~~(?![\p{L}\p{N}_~])/u,
  ].map((part) => part.source).join("|"),
  "giu",
);
/** @type {Record<string, string>} */
const TAGS = { code: "code", strong: "strong", emphasis: "em", underscored: "em", struck: "s" };
const TRAILING = ".,;:!?…)]}»”’";
const HANGUL = /\p{Script=Hangul}/u;
const OTHER_CJK = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u;
const ONE_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Regional_Indicator}{2})/u;
const MAX_BIG = 3;
/** A message has at most so many elements. What follows them is shown as it was written. */
const MAX_ELEMENTS = 250;
/** The server looks at no more `@` of a message. */
const MAX_MARKS = 50;

/** Whom a message mentions, and whether that is the user. @typedef {{id: string, own: boolean}} Mention */
/** @typedef {{kind: "" | "code" | "quote" | "list", text: string}} Block */

/**
 * A message as nodes: the same small Markdown as in the terminal (pychat/tui/text/markdown.py), quotes, lists,
 * links and mentions.
 * @param {string} text
 * @param {Mention[]} [mentions]
 * @returns {Array<string | HTMLElement>}
 */
export function formatted(text, mentions = []) {
  /** @type {Array<string | HTMLElement>} */
  const nodes = [];
  let left = MAX_ELEMENTS;
  const longestFirst = [...mentions].sort((a, b) => b.id.length - a.id.length);
  /** @param {string} written */
  const inside = (written) => {
    const parts = inline(written, left);
    left -= parts.filter(({ kind }) => kind).length;
    return parts.flatMap((part) => (part.kind || !mentions.length ? nodeOf(part.kind, part.text) : marked(part.text)));
  };
  /** @param {string} written */
  const marked = (written) => {
    const parts = withMentions(written, longestFirst, left);
    left -= parts.filter((part) => typeof part !== "string").length;
    return parts;
  };
  for (const { kind, text: block } of blocks(safeText(text), MAX_ELEMENTS)) {
    const lines = kind === "list" ? block.split("\n") : [];
    if (kind === "code") nodes.push(element("code.block", {}, block));
    else if (kind === "quote" && left > 0) {
      left--;
      nodes.push(element("blockquote", {}, ...inside(block)));
    } else if (kind === "list" && left > lines.length) {
      left -= lines.length + 1;
      nodes.push(element("ul.list", {}, ...lines.map((line) => item(line, inside))));
    } else nodes.push(...inside(block));
  }
  return nodes;
}

/** A number stays as it was written. @param {string} line @param {(written: string) => Array<string | HTMLElement>} inside */
function item(line, inside) {
  const end = line.indexOf(" ");
  const mark = line.slice(0, end);
  return element("li", { "data-mark": mark === "-" || mark === "*" ? "•" : mark }, ...inside(line.slice(end + 1)));
}

/** The same without its marks, as one line for the list. @param {string} text */
export function firstLine(text) {
  const parts = blocks(safeText(text.slice(0, 200)), MAX_ELEMENTS).map(({ kind, text: block }) =>
    kind === "code" ? block : inline(block, MAX_ELEMENTS).map((part) => part.text).join(""),
  );
  return parts.join(" ").replace(/\s+/g, " ").trim();
}

/**
 * Code between fences, quotes, lists, and what is around them. A fence that is not closed runs to the end.
 * @param {string} text
 * @param {number} most after so many blocks, marks are text
 * @returns {Block[]}
 */
function blocks(text, most) {
  /** @type {Block[]} */
  const found = [];
  let code = false;
  /** @type {Block["kind"]} */
  let kind = "";
  /** @type {string[]} */
  let lines = [];
  const end = (/** @type {Block["kind"]} */ next) => {
    if (lines.length) found.push({ kind, text: lines.join("\n") });
    lines = [];
    kind = next;
  };
  for (const line of text.split("\n")) {
    const few = found.length < most;
    if (few && FENCE.test(line)) {
      code = !code;
      end(code ? "code" : "");
      continue;
    }
    const now = code ? "code" : !few ? "" : line.startsWith("> ") ? "quote" : LIST.test(line) ? "list" : "";
    if (now !== kind) end(now);
    lines.push(now === "quote" ? line.slice(2) : line);
  }
  end("");
  return found.length ? found : [{ kind: "", text }];
}

/**
 * The text with `@id` pointed out, wherever the server has found one.
 * @param {string} text
 * @param {Mention[]} mentions the longest first
 * @param {number} most elements
 * @returns {Array<string | HTMLElement>}
 */
function withMentions(text, mentions, most) {
  /** @type {Array<string | HTMLElement>} */
  const parts = [];
  let end = 0;
  for (let at = text.indexOf("@"), seen = 0; at >= 0 && seen < MAX_MARKS && parts.length < 2 * most; at = text.indexOf("@", at + 1), seen++) {
    const mention = mentions.find(({ id }) => text.slice(at + 1, at + 1 + id.length).toLowerCase() === id.toLowerCase());
    const next = at + 1 + (mention?.id.length ?? 0);
    if (!mention || WORD.test(text[at - 1] ?? "") || WORD.test(text[next] ?? "")) continue;
    parts.push(text.slice(end, at), element(mention.own ? "span.mention.mine" : "span.mention", {}, text.slice(at, next)));
    end = next;
  }
  parts.push(text.slice(end));
  return parts;
}

/**
 * @param {string} text
 * @param {number} most after so many marks and links, what follows is text
 * @returns {Array<{kind: string, text: string}>} kind: of TAGS, "link" or ""
 */
function inline(text, most) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    if (parts.length >= 2 * most) break;
    const [[kind, found]] = Object.entries(match.groups ?? {}).filter(([, value]) => value !== undefined);
    const shown = kind === "link" ? withoutTrailing(found) : found;
    if (kind === "link" && !isWebAddress(shown)) continue;
    parts.push({ kind: "", text: text.slice(end, match.index) }, { kind, text: shown });
    end = match.index + (kind === "link" ? shown : match[0]).length;
  }
  parts.push({ kind: "", text: text.slice(end) });
  return parts;
}

/** @param {string} kind @param {string} text */
function nodeOf(kind, text) {
  if (!kind) return text;
  if (kind !== "link") return element(TAGS[kind], {}, text);
  return element("a", { href: text, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
}

/**
 * The sentence's own punctuation is no part of the link; a bracket that it opened is.
 * @param {string} address
 */
function withoutTrailing(address) {
  let end = address.length;
  while (TRAILING.includes(address[end - 1])) end--;
  const bare = address.slice(0, end);
  return address[end] === ")" && bare.includes("(") ? `${bare})` : bare;
}

/** @param {string} address */
function isWebAddress(address) {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

/** Korean breaks between words, Japanese and Chinese anywhere. @param {string} text */
export function breaksAtWords(text) {
  return HANGUL.test(text) && !OTHER_CJK.test(text);
}

/** Whether it is one to three emoji and nothing else. @param {string} text */
export function isBigEmoji(text) {
  if (text.length > 60 || !("Segmenter" in Intl)) return false;
  const graphemes = [...new Intl.Segmenter().segment(text.trim())].map((part) => part.segment);
  return (
    graphemes.length > 0 && graphemes.length <= MAX_BIG && graphemes.every((one) => ONE_EMOJI.test(one))
  );
}
