/** The dialog in which an emoji is chosen: a search and a grid that the arrow keys walk. */
import { byId, element } from "../dom.js";
import { EMOJI, findEmoji } from "../emoji.js";

/** @typedef {import("../emoji.js").NamedEmoji} NamedEmoji */

export class EmojiPicker {
  constructor() {
    this.#field.addEventListener("input", () => this.#render());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    this.#dialog.addEventListener("click", (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (target === this.#dialog) return this.#dialog.close(); // beside it
      const emoji = target.closest("button")?.dataset.emoji;
      if (emoji) this.#take(emoji);
    });
  }
  /** @type {HTMLDialogElement} */ #dialog = byId("emoji");
  /** @type {HTMLInputElement} */ #field = byId("emoji-search");
  /** @type {HTMLElement} */ #grid = byId("emoji-grid");
  /** @type {(emoji: string) => void} */ #chosen = () => {};

  /** @param {(emoji: string) => void} chosen */
  show(chosen) {
    this.#chosen = chosen;
    this.#field.value = "";
    this.#render();
    this.#dialog.showModal();
    this.#grid.scrollTop = 0;
    this.#field.focus();
  }

  /** @param {string} emoji */
  #take(emoji) {
    this.#dialog.close();
    this.#chosen(emoji);
  }

  #render() {
    const query = this.#field.value.trim();
    const found = query ? [{ title: "Found", emoji: findEmoji(query) }] : EMOJI;
    const shown = found.filter((group) => group.emoji.length);
    this.#grid.replaceChildren(
      ...shown.map(({ title, emoji }) =>
        element("section", { "aria-label": title }, element("h3", {}, title), element("div.emoji-row", {}, ...emoji.map(choice))),
      ),
    );
    // One stop for the Tab key; from there, the arrow keys.
    this.#choices[0]?.removeAttribute("tabindex");
    byId("emoji-none").hidden = shown.length > 0;
  }

  get #choices() {
    return /** @type {HTMLElement[]} */ ([...this.#grid.querySelectorAll("button")]);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const choices = this.#choices;
    const at = choices.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const inField = event.target === this.#field;
    if (event.isComposing) return;
    if (inField && event.key === "Enter") {
      if (choices[0]) this.#take(choices[0].dataset.emoji ?? "");
    } else if (inField && event.key === "ArrowDown") choices[0]?.focus();
    else if (at >= 0 && event.key === "ArrowRight") choices[at + 1]?.focus();
    else if (at >= 0 && event.key === "ArrowLeft") choices[at - 1]?.focus();
    else if (at >= 0 && ["ArrowUp", "ArrowDown"].includes(event.key)) this.#vertically(choices, at, event.key === "ArrowDown");
    else return;
    event.preventDefault();
  }

  /**
   * To the nearest one in the next line, as it is laid out.
   * @param {HTMLElement[]} choices
   * @param {number} at
   * @param {boolean} down
   */
  #vertically(choices, at, down) {
    const here = choices[at].getBoundingClientRect();
    const ahead = down ? choices.slice(at + 1) : choices.slice(0, at).reverse();
    const line = ahead.map((node) => ({ node, box: node.getBoundingClientRect() }));
    const next = line.find(({ box }) => (down ? box.top >= here.bottom - 1 : box.bottom <= here.top + 1));
    if (!next) return down ? undefined : this.#field.focus();
    const same = line.filter(({ box }) => Math.abs(box.top - next.box.top) < 2);
    same.sort((a, b) => Math.abs(a.box.left - here.left) - Math.abs(b.box.left - here.left));
    same[0].node.focus();
  }
}

/** @param {NamedEmoji} emoji */
function choice({ emoji, name }) {
  const said = name.replaceAll("_", " ");
  return element("button", { type: "button", "data-emoji": emoji, "aria-label": said, title: `:${name}:`, tabindex: "-1" }, emoji);
}
