/** Files for the next message: chosen, pasted or dropped, and shown above the composer until it is sent. */
import { byId, element, icon, reconcile } from "../dom.js";
import { sizeText } from "../format.js";

/** @typedef {import("../uploads.js").Upload} Upload */

export class AttachmentsView {
  /** @param {import("../chat.js").Chat} chat @param {() => void} added */
  constructor(chat, added) {
    this.#chat = chat;
    this.#added = added;
    /** @type {HTMLInputElement} */
    const input = byId("attach-files");
    byId("attach").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.#add([...(input.files ?? [])]);
      input.value = ""; // the same file can be chosen again
    });
    addEventListener("paste", (event) => this.#paste(event));
    for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => this.#over(/** @type {DragEvent} */ (event)));
    addEventListener("dragleave", (event) => !event.relatedTarget && this.#mark(false));
    addEventListener("drop", (event) => this.#drop(event));
    this.#list.addEventListener("click", (event) => this.#clicked(/** @type {HTMLElement} */ (event.target)));
    chat.uploads.on("change", (name) => name === this.#name && this.#render());
    chat.connection.on("online", () => this.#render());
  }
  #chat;
  #added;
  #name = "";
  /** @type {HTMLElement} */ #list = byId("attachments");
  /** The number of each, for its row. @type {WeakMap<Upload, string>} */
  #keys = new WeakMap();
  #last = 0;

  /** @param {string} name */
  open(name) {
    this.#name = name;
    this.#render();
  }

  /** @param {File[]} files */
  #add(files) {
    if (!files.length || !this.#name) return;
    if (!this.#chat.uploads.possible) return this.#chat.emit("note", "Files need accounts with passwords: this server has none.");
    this.#chat.uploads.add(this.#name, files);
    this.#added();
  }

  /** @param {ClipboardEvent} event */
  #paste(event) {
    const data = event.clipboardData;
    const elsewhere = event.target instanceof HTMLInputElement || document.querySelector("dialog[open]");
    // Programs that copy formatted text put a picture of it beside it.
    const written = ["text/plain", "text/html"].every((type) => data?.types.includes(type));
    if (!data?.files.length || written || elsewhere) return;
    event.preventDefault();
    this.#add([...data.files]);
  }

  /** @param {DragEvent} event */
  #over(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // the page would be left for the file
    const taken = this.#name !== "" && !document.querySelector("dialog[open]");
    event.dataTransfer.dropEffect = taken ? "copy" : "none";
    this.#mark(taken);
  }

  /** @param {DragEvent} event */
  #drop(event) {
    this.#mark(false);
    const data = event.dataTransfer;
    if (!data?.types.includes("Files")) return;
    event.preventDefault();
    if (document.querySelector("dialog[open]")) return;
    const items = [...data.items].filter(({ kind }) => kind === "file");
    const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
    const files = items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).flatMap((item) => item.getAsFile() ?? []);
    if (folders) this.#chat.emit("note", "Folders cannot be sent: choose their files, or pack them.");
    this.#add(files);
  }

  /** @param {boolean} over */
  #mark(over) {
    byId("drop-hint").hidden = !over;
  }

  /** @param {HTMLElement} target */
  #clicked(target) {
    const button = target.closest("button");
    const key = button?.closest("li")?.dataset.key;
    const upload = this.#chat.uploads.of(this.#name).find((one) => this.#keys.get(one) === key);
    if (!upload) return;
    if (button?.dataset.do === "retry") this.#chat.uploads.retry(upload);
    if (button?.dataset.do === "cancel") {
      this.#chat.uploads.cancel(upload);
      this.#added();
    }
  }

  #render() {
    byId("attach").hidden = !this.#chat.uploads.possible;
    const uploads = this.#chat.uploads.of(this.#name);
    this.#list.hidden = !uploads.length;
    reconcile(
      this.#list,
      uploads.map((upload) => {
        if (!this.#keys.has(upload)) this.#keys.set(upload, `file ${++this.#last}`);
        const signature = JSON.stringify([upload.state, Boolean(upload.thumbnail), upload.error]);
        return { key: this.#keys.get(upload) ?? "", signature, build: () => row(upload) };
      }),
    );
    for (const [at, { share }] of uploads.entries()) {
      const progress = this.#list.children[at].querySelector("progress");
      if (progress) progress.value = share;
    }
  }
}

/** @param {Upload} upload */
function row({ file, state, error, thumbnail }) {
  thumbnail?.setAttribute("aria-hidden", "true");
  return element(
    error ? "li.attachment.failed" : "li.attachment",
    {},
    thumbnail ?? icon("file"),
    element(
      "div",
      {},
      element("bdi.name", {}, file.name),
      state === "failed" ? element("span.error", {}, error) : element("span.preview", {}, state === "done" ? sizeText(file.size) : `${sizeText(file.size)} · uploading`),
      (state === "sending" || state === "waiting") && element("progress", { max: "1", value: "0", "aria-label": `Upload of ${file.name}` }),
    ),
    state === "failed" && file.size > 0 && element("button.quiet", { type: "button", "data-do": "retry" }, "Try again"),
    element("button.icon-button", { type: "button", "data-do": "cancel", "aria-label": `Remove ${file.name}` }, icon("clear")),
  );
}
