/** What people are called where somebody could be taken for somebody else: with the id. */
import { element } from "./dom.js";
import { safeText } from "./safe-text.js";

/**
 * The id, where the alias is not just the id in other letters; empty where it is.
 * @param {string} id
 * @param {string} alias
 */
export function idBeside(id, alias) {
  return alias && folded(alias) !== folded(id) ? id : "";
}

/**
 * In one piece of text: `Bob (bob7)`.
 * @param {string} id
 * @param {string} alias
 */
export function fullName(id, alias) {
  const beside = idBeside(id, alias);
  return safeText(beside ? `${alias} (${beside})` : alias || id);
}

/**
 * As nodes: the id stands in letters of its own, which no alias can imitate.
 * @param {string} title
 * @param {string} id empty for none
 */
export function nameNodes(title, id) {
  return [element("bdi", {}, title), ...(id ? [" ", element("bdi.id", {}, id)] : [])];
}

/** @param {string} name */
function folded(name) {
  return name.normalize("NFKC").toLowerCase().normalize("NFKC");
}
