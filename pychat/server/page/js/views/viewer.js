/** One picture as large as the screen; the arrow keys lead to the others of the conversation. */
import { byId } from "../dom.js";
import { fileText } from "../format.js";
import { problemOf } from "../message-changes.js";
import { safeText } from "../safe-text.js";

/** @typedef {import("../protocol.js").FileOfMessage} FileOfMessage */

export class Viewer {
  /** @param {import("../file-links.js").FileLinks} links */
  constructor(links) {
    this.#links = links;
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    this.#dialog.addEventListener("close", () => this.#image.removeAttribute("src"));
    byId("viewer-frame").addEventListener("click", (/** @type {Event} */ event) => {
      if (event.target === this.#image) this.#zoom();
      else this.#dialog.close();
    });
    byId("viewer-zoom").addEventListener("click", () => this.#zoom());
    byId("viewer-before").addEventListener("click", () => this.#go(-1));
    byId("viewer-after").addEventListener("click", () => this.#go(1));
    byId("viewer-close").addEventListener("click", () => this.#dialog.close());
  }
  #links;
  /** @type {HTMLDialogElement} */ #dialog = byId("viewer");
  /** @type {HTMLImageElement} */ #image = byId("viewer-image");
  /** @type {FileOfMessage[]} */ #files = [];
  #at = 0;

  /** @param {FileOfMessage[]} files in the order of the log @param {number} at */
  show(files, at) {
    this.#files = files;
    this.#at = at;
    this.#dialog.showModal();
    this.#render();
    byId("viewer-frame").focus();
  }

  /** @param {number} step */
  #go(step) {
    if (!this.#files[this.#at + step]) return;
    this.#at += step;
    this.#render();
  }

  async #render() {
    const file = this.#files[this.#at];
    const title = byId("viewer-title");
    title.textContent = safeText(fileText(file));
    byId("viewer-before").disabled = this.#at === 0;
    byId("viewer-after").disabled = this.#at === this.#files.length - 1;
    this.#zoom(false);
    this.#image.removeAttribute("src");
    this.#image.alt = safeText(file.name);
    try {
      const url = await this.#links.urlOf(file.id);
      if (this.#files[this.#at] === file && this.#dialog.open) this.#image.src = url;
    } catch (error) {
      title.textContent = problemOf(error);
    }
  }

  /** @param {boolean} [large] in its own size */
  #zoom(large = !this.#dialog.classList.contains("large")) {
    this.#dialog.classList.toggle("large", large);
    byId("viewer-zoom").setAttribute("aria-pressed", String(large));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const large = this.#dialog.classList.contains("large");
    if (event.key === "ArrowLeft" && !large) this.#go(-1);
    else if (event.key === "ArrowRight" && !large) this.#go(1);
    else if (event.key === "+" || event.key === "-") this.#zoom(event.key === "+");
    else return;
    event.preventDefault();
  }
}
