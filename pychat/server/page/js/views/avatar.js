/** A round picture made of a name: its first letter on one of eight colours. */
import { element, icon } from "../dom.js";

const COLOURS = 8;

/**
 * @param {string} name the id, `#roomId` or `ALL`: it decides the colour
 * @param {string} title what it is called: its first letter is shown
 * @param {boolean | null} [online] null: no presence to show
 */
export function avatar(name, title, online = null) {
  const node = element("span.avatar", { "aria-hidden": "true", "data-colour": colourOf(name) });
  if (name === "ALL") node.append(icon("everyone"));
  else if (name.startsWith("#")) node.append(icon("room"));
  else node.append(firstLetter(title));
  if (online !== null) node.append(element(online ? "span.dot.online" : "span.dot"));
  return node;
}

/** The number of a name's colour: the same wherever it stands. @param {string} name */
export function colourOf(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return String(hash % COLOURS);
}

/** @param {string} title */
function firstLetter(title) {
  const [first] = "Segmenter" in Intl ? new Intl.Segmenter().segment(title) : [];
  return (first?.segment ?? [...title][0] ?? "?").toLocaleUpperCase();
}
