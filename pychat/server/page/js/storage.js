/** Web Storage that never throws: where the browser refuses it, this page's memory serves. */
import { ROOT } from "./place.js";

/** @implements {Pick<Storage, "getItem" | "setItem" | "removeItem">} */
class MemoryStorage {
  /** @type {Map<string, string>} */
  #values = new Map();
  /** @param {string} key */
  getItem(key) {
    return this.#values.get(key) ?? null;
  }
  /** @param {string} key @param {string} value */
  setItem(key, value) {
    this.#values.set(key, value);
  }
  /** @param {string} key */
  removeItem(key) {
    this.#values.delete(key);
  }
  keys() {
    return [...this.#values.keys()];
  }
}

/** JSON values under a common prefix. */
export class JsonStorage {
  /** @param {"localStorage" | "sessionStorage"} area */
  constructor(area) {
    this.#memory = new MemoryStorage();
    try {
      this.#storage = window[area];
    } catch {
      this.#storage = null; // blocked by the browser's settings
    }
  }
  #memory;
  /** @type {Storage | null} */
  #storage;

  /**
   * @param {string} key
   * @returns {any} the value, or null
   */
  get(key) {
    const text = this.#memory.getItem(key) ?? this.#storage?.getItem(PREFIX + key) ?? null;
    if (text === null) return null;
    try {
      return JSON.parse(text);
    } catch {
      return null; // not ours
    }
  }

  /**
   * @param {string} key
   * @param {any} value
   */
  set(key, value) {
    const text = JSON.stringify(value);
    try {
      if (!this.#storage) throw new Error("no storage");
      this.#storage.setItem(PREFIX + key, text);
      this.#memory.removeItem(key);
    } catch {
      this.#memory.setItem(key, text); // full or blocked: at least until the page is closed
    }
  }

  /** @param {string} key */
  remove(key) {
    this.#memory.removeItem(key);
    this.#storage?.removeItem(PREFIX + key);
  }

  /**
   * The keys that start with this, without order.
   * @param {string} start
   */
  keys(start) {
    const stored = this.#storage ? Object.keys(this.#storage) : [];
    const own = stored.filter((key) => key.startsWith(PREFIX)).map((key) => key.slice(PREFIX.length));
    return [...new Set([...own, ...this.#memory.keys()])].filter((key) => key.startsWith(start));
  }
}

/**
 * A user's part of a key. An id may contain the separator: `a` must not read the keys of `a:b`.
 * @param {string} id
 */
export function keyPart(id) {
  return id.replaceAll("%", "%25").replaceAll(":", "%3A");
}

/** Servers under different paths of one host share the storage, but no logins and no messages. */
const PREFIX = ROOT === "/" ? "pychat:" : `pychat:${ROOT}:`;
export const local = new JsonStorage("localStorage");
export const session = new JsonStorage("sessionStorage");
