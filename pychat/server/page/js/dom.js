/** Building and keeping DOM nodes. Text becomes text nodes, never markup. */

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
  for (const child of children) if (child) node.append(child);
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

/** @type {WeakMap<Element, string>} */
const signatures = new WeakMap();

/**
 * Makes the container's children these entries, in this order, touching as few as it can.
 * @param {HTMLElement} container
 * @param {Entry[]} entries
 */
export function reconcile(container, entries) {
  /** @type {Map<string, HTMLElement>} */
  const old = new Map();
  for (const child of container.children) {
    old.set(/** @type {HTMLElement} */ (child).dataset.key ?? "", /** @type {HTMLElement} */ (child));
  }
  let at = container.firstElementChild;
  for (const { key, signature, build } of entries) {
    let node = old.get(key);
    old.delete(key);
    if (!node || signatures.get(node) !== signature) {
      const fresh = build();
      fresh.dataset.key = key;
      signatures.set(fresh, signature);
      if (node) {
        const focused = node.contains(document.activeElement);
        if (node === at) at = fresh;
        node.replaceWith(fresh);
        if (focused) (fresh.querySelector("button") ?? fresh).focus();
      }
      node = fresh;
    }
    if (node === at) at = at.nextElementSibling;
    else container.insertBefore(node, at);
  }
  for (const node of old.values()) node.remove();
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
