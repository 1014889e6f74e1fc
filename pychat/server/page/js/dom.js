/** Building and keeping DOM nodes. Text becomes text nodes, never markup. */
import { safeText } from "./safe-text.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element.
 * @param {string} kind a tag with classes: `span.time.muted`
 * @param {Record<string, string | boolean>} [attributes] false leaves one out
 * @param {...(Node | string | false | null | undefined)} children
 * @returns {HTMLElement}
 */
export function element(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) if (child) node.append(typeof child === "string" ? safeText(child) : child);
  return node;
}

/**
 * An icon of those in index.html; silent, its button or a hidden text names it.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A text that only screen readers get. @param {string} text */
export function spoken(text) {
  return element("span.spoken", {}, text);
}

/**
 * The element of the page with that id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`index.html has no #${id}`);
  return node;
}

/**
 * One entry of a keyed list: built again only when its signature changes.
 * @typedef {{key: string, signature: string, build: () => HTMLElement}} Entry
 */

/** What reconcile last put into a container. @type {WeakMap<HTMLElement, {entries: Entry[], nodes: HTMLElement[]}>} */
const contents = new WeakMap();

/**
 * Makes the container's children these entries, in this order, touching as few as it can: of a long
 * list with one new entry, that one. Nobody else may put anything into the container.
 * @param {HTMLElement} container
 * @param {Entry[]} entries
 */
export function reconcile(container, entries) {
  let old = contents.get(container);
  if (!old || !container.firstElementChild) old = { entries: [], nodes: [] };
  const [before, nodes] = [old.entries, old.nodes];
  const least = Math.min(before.length, entries.length);
  let head = 0;
  while (head < least && same(before[head], entries[head])) head++;
  let tail = 0;
  while (tail < least - head && same(before[before.length - 1 - tail], entries[entries.length - 1 - tail])) tail++;
  const end = before.length - tail;
  /** @type {Map<string, number>} */
  const known = new Map();
  const wanted = new Set(entries.slice(head, entries.length - tail).map(({ key }) => key));
  // First, so that what stays is not moved: a row that is moved loses the focus and the selection.
  for (let at = head; at < end; at++) {
    if (wanted.has(before[at].key)) known.set(before[at].key, at);
    else nodes[at].remove();
  }
  let next = /** @type {HTMLElement | null} */ (head ? nodes[head - 1].nextElementSibling : container.firstElementChild);
  const fresh = [];
  for (let at = head; at < entries.length - tail; at++) {
    const entry = entries[at];
    const index = known.get(entry.key);
    known.delete(entry.key);
    let node = index === undefined ? null : nodes[index];
    if (index === undefined || !node || !same(before[index], entry)) {
      const built = entry.build();
      built.dataset.key = entry.key;
      if (node) {
        const { activeElement } = document;
        const focused = node.contains(activeElement);
        const itself = node === activeElement;
        if (node === next) next = built;
        node.replaceWith(built);
        if (focused) ((!itself && built.querySelector("button")) || built).focus({ preventScroll: itself });
      }
      node = built;
    }
    if (node === next) next = /** @type {HTMLElement | null} */ (next.nextElementSibling);
    else container.insertBefore(node, next);
    fresh.push(node);
  }
  for (const index of known.values()) nodes[index].remove();
  nodes.splice(head, end - head, ...fresh);
  contents.set(container, { entries, nodes });
}

/** @param {Entry} a @param {Entry} b */
function same(a, b) {
  return a === b || (a.key === b.key && a.signature === b.signature);
}

/**
 * Calls many times, runs once: with the next frame, or soon if the page is hidden.
 * @param {() => void} run
 */
export function oncePerFrame(run) {
  let waiting = false;
  const now = () => {
    waiting = false;
    run();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    if (document.hidden) setTimeout(now, 0);
    else requestAnimationFrame(now);
  };
}
