/** A message's text as nodes: small Markdown, line breaks by CSS, links for http and https only. */
import { element } from "./dom.js";
import { safeText } from "./safe-text.js";

const FENCE = /^\s{0,3}```/;
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

/**
 * A message as nodes: the same small Markdown as in the terminal (pychat/tui/text/markdown.py), and links.
 * @param {string} text
 * @returns {Array<string | HTMLElement>}
 */
export function formatted(text) {
  /** @type {Array<string | HTMLElement>} */
  const nodes = [];
  let left = MAX_ELEMENTS;
  for (const { code, text: block } of blocks(safeText(text), MAX_ELEMENTS)) {
    const parts = code ? [] : inline(block, left);
    left -= parts.filter(({ kind }) => kind).length;
    if (code) nodes.push(element("code.block", {}, block));
    else nodes.push(...parts.map(({ kind, text }) => nodeOf(kind, text)));
  }
  return nodes;
}

/** The same without its marks, as one line for the list. @param {string} text */
export function firstLine(text) {
  const parts = blocks(safeText(text.slice(0, 200)), MAX_ELEMENTS).map(({ code, text: block }) =>
    code ? block : inline(block, MAX_ELEMENTS).map((part) => part.text).join(""),
  );
  return parts.join(" ").replace(/\s+/g, " ").trim();
}

/**
 * Code between fences, and what is around it. A fence that is not closed runs to the end.
 * @param {string} text
 * @param {number} most after so many blocks, fences are text
 */
function blocks(text, most) {
  if (!text.includes("```")) return [{ code: false, text }];
  /** @type {Array<{code: boolean, text: string}>} */
  const found = [];
  let code = false;
  /** @type {string[]} */
  let lines = [];
  const end = () => {
    if (lines.length) found.push({ code, text: lines.join("\n") });
    lines = [];
  };
  for (const line of text.split("\n")) {
    if (found.length < most && FENCE.test(line)) {
      end();
      code = !code;
    } else lines.push(line);
  }
  end();
  return found.length ? found : [{ code: false, text }];
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
