/** Completes what is typed in the composer: `@` people, `:` emoji. */
import { byId, element } from "../dom.js";
import { emojiNamed, findEmoji } from "../emoji.js";
import { idBeside } from "../names.js";
import { EVERYONE } from "../protocol.js";
import { safeText } from "../safe-text.js";
import { avatar } from "./avatar.js";

const WORD = /[\p{L}\p{M}\p{N}_]/u;
/** A name is looked for so many characters back. */
const FARTHEST = 40;
const MOST = 8;
/** Emoji are offered after so many letters: `:)` and `:D` are none. */
const LETTERS = 2;

/** @typedef {{kind: "@" | ":", at: number, query: string}} Token what is typed, from its mark to the caret */
/** @typedef {{insert: string, node: () => HTMLElement}} Choice */

export class Completion {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {HTMLTextAreaElement} field
   */
  constructor(chat, field) {
    this.#chat = chat;
    this.#field = field;
    field.addEventListener("input", (event) => !(/** @type {InputEvent} */ (event).isComposing) && this.#typed());
    field.addEventListener("compositionend", () => this.#typed());
    field.addEventListener("blur", () => this.close());
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    this.#list.addEventListener("click", (event) => {
      const option = /** @type {HTMLElement} */ (event.target).closest("li");
      if (option) this.#take([...this.#list.children].indexOf(option));
    });
  }
  #chat;
  #field;
  /** @type {HTMLElement} */ #list = byId("completions");
  /** @type {Choice[]} */ #choices = [];
  /** @type {Token | null} */ #token = null;
  #at = 0;
  #asked = 0;

  close() {
    this.#asked++;
    this.#token = null;
    this.#list.hidden = true;
    this.#field.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it was for the list */
  key(event) {
    const token = this.#token;
    if (!token || this.#list.hidden || event.altKey || event.ctrlKey || event.metaKey) return false;
    const { length } = this.#choices;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#mark((this.#at + (event.key === "ArrowDown" ? 1 : length - 1)) % length);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Tab" && !event.shiftKey) this.#take(this.#at);
    else if (event.key === "Enter" && !event.shiftKey) {
      // Typed in full already: Enter sends.
      if (this.#choices[this.#at].insert.trim() === `${token.kind}${token.query}`) return false;
      this.#take(this.#at);
    } else return false;
    return true;
  }

  #typed() {
    const { value, selectionStart, selectionEnd } = this.#field;
    if (selectionStart !== selectionEnd) return this.close();
    const named = emojiEndingAt(value, selectionStart);
    if (named) return this.#replace(named.at, named.emoji);
    const token = tokenAt(value, selectionStart);
    if (!token) return this.close();
    this.#token = token;
    if (token.kind === ":") this.#offer(findEmoji(token.query, MOST).map(({ emoji, name }) => ({ insert: emoji, node: () => line(element("span.big-emoji", {}, emoji), `:${name}:`, "") })));
    else this.#people(token);
  }

  /** @param {Token} token */
  async #people(token) {
    const asked = ++this.#asked;
    const conversation = this.#chat.active;
    if (!conversation) return;
    const room = conversation.kind === "room";
    const known = [...this.#chat.conversations.values()].filter(({ kind }) => kind === "person").map(({ name, alias }) => ({ id: name, alias }));
    if (!room) this.#offer(this.#peopleOf(token.query, known, new Set()));
    try {
      if (room) {
        const members = await this.#chat.members.of(conversation.name);
        if (asked !== this.#asked) return;
        const ids = new Set(members.map(({ id }) => id));
        const all = conversation.role ? [{ id: EVERYONE, alias: "All members" }] : [];
        this.#offer(this.#peopleOf(token.query, [...members, ...all, ...known.filter(({ id }) => !ids.has(id))], ids));
      } else {
        const { users } = await this.#chat.connection.request("users", { query: token.query, limit: MOST });
        if (asked !== this.#asked) return;
        const ids = new Set(known.map(({ id }) => id));
        this.#offer(this.#peopleOf(token.query, [...known, ...users.filter((/** @type {{id: string}} */ { id }) => !ids.has(id))], new Set()));
      }
    } catch {
      // Only a nicety: those who are known are offered.
    }
  }

  /**
   * @param {string} query
   * @param {Array<{id: string, alias: string}>} people
   * @param {Set<string>} members of the room, if it is one
   * @returns {Choice[]}
   */
  #peopleOf(query, people, members) {
    const wanted = query.toLocaleLowerCase();
    const begins = (/** @type {string} */ text) => text.toLocaleLowerCase().split(" ").some((word) => word.startsWith(wanted));
    return people
      .filter(({ id, alias }) => id !== this.#chat.me && (begins(id) || begins(safeText(alias))))
      .slice(0, MOST)
      .map(({ id, alias }) => {
        const outside = members.size > 0 && id !== EVERYONE && !members.has(id);
        const detail = [id === EVERYONE ? EVERYONE : idBeside(id, alias), outside && "not in this room"].filter(Boolean).join(" · ");
        return { insert: `@${id} `, node: () => line(avatar(id, alias || id), alias || id, detail) };
      });
  }

  /** @param {Choice[]} choices */
  #offer(choices) {
    this.#choices = choices;
    this.#list.hidden = !choices.length;
    this.#list.replaceChildren(...choices.map(({ node }, at) => {
      const option = node();
      option.id = `completion-${at}`;
      return option;
    }));
    byId("completion-status").textContent = choices.length ? `${choices.length} suggestions` : "";
    if (choices.length) this.#mark(0);
    else this.#field.removeAttribute("aria-activedescendant");
  }

  /** @param {number} at */
  #mark(at) {
    this.#at = at;
    for (const [index, option] of [...this.#list.children].entries()) option.setAttribute("aria-selected", String(index === at));
    this.#field.setAttribute("aria-activedescendant", `completion-${at}`);
    this.#list.children[at].scrollIntoView({ block: "nearest" });
  }

  /** @param {number} at */
  #take(at) {
    const token = this.#token;
    const choice = this.#choices[at];
    if (token && choice) this.#replace(token.at, choice.insert);
  }

  /** From there to the caret; Ctrl+Z brings back what was typed. @param {number} from @param {string} text */
  #replace(from, text) {
    const field = this.#field;
    const to = field.selectionStart;
    this.close();
    field.focus();
    field.setSelectionRange(from, to);
    if (document.execCommand("insertText", false, text)) return;
    field.setRangeText(text, from, to, "end");
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
}

/**
 * @param {string} text
 * @param {number} caret
 * @returns {Token | null}
 */
function tokenAt(text, caret) {
  const at = markBefore(text, caret);
  if (at < 0) return null;
  const kind = /** @type {"@" | ":"} */ (text[at]);
  const query = text.slice(at + 1, caret);
  return kind === ":" && query.length < LETTERS ? null : { kind, at, query };
}

/** The emoji of `:name:` that ends at the caret. @param {string} text @param {number} caret */
function emojiEndingAt(text, caret) {
  if (text[caret - 1] !== ":") return null;
  const at = markBefore(text, caret - 1);
  const emoji = at >= 0 && text[at] === ":" ? emojiNamed(text.slice(at + 1, caret - 1)) : undefined;
  return emoji ? { at, emoji } : null;
}

/** Where the word before the caret begins with `@` or `:`; -1 if it does not. @param {string} text @param {number} caret */
function markBefore(text, caret) {
  for (let at = caret - 1; at >= Math.max(0, caret - FARTHEST) && text[at].trim(); at--) {
    if (text[at] === "@" || text[at] === ":") return at > 0 && WORD.test(text[at - 1]) ? -1 : at;
  }
  return -1;
}

/** @param {HTMLElement} picture @param {string} title @param {string} detail */
function line(picture, title, detail) {
  return element("li", { role: "option", "aria-selected": "false" }, picture, element("span.name", {}, title), detail && element("span.preview", {}, detail));
}
