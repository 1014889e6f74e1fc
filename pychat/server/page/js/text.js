/** A message's text as nodes: text, line breaks by CSS, and links for http and https only. */

const LINK = /\bhttps?:\/\/[^\s<>"'`\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gi;
const TRAILING = ".,;:!?…)]}»”’";
const HANGUL = /\p{Script=Hangul}/u;
const OTHER_CJK = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u;
const ONE_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Regional_Indicator}{2})/u;
const MAX_BIG = 3;

/**
 * @param {string} text
 * @returns {Array<string | HTMLAnchorElement>}
 */
export function linked(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const address = withoutTrailing(match[0]);
    if (!isWebAddress(address)) continue;
    nodes.push(text.slice(end, match.index));
    const anchor = document.createElement("a");
    anchor.href = address;
    anchor.target = "_blank";
    anchor.rel = "noopener noreferrer nofollow";
    anchor.textContent = address;
    nodes.push(anchor);
    end = match.index + address.length;
  }
  nodes.push(text.slice(end));
  return nodes;
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

/** One line of it, for the list. @param {string} text */
export function firstLine(text) {
  return text.slice(0, 200).replace(/\s+/g, " ").trim();
}
