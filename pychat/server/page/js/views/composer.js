/** Where a message is typed: Enter sends, Shift+Enter breaks the line, the field grows. */
import { byId } from "../dom.js";
import { MAX_DATA_BYTES } from "../protocol.js";

/** The key code of keys that an input method handles itself. */
const IN_COMPOSITION = 229;
/** Measuring it lays out the whole page. */
const GROWS_BY_ITSELF = CSS.supports("field-sizing", "content");

export class Composer {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {() => void} sent
   */
  constructor(chat, sent) {
    this.#chat = chat;
    this.#sent = sent;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("keydown", (event) => {
      const composing = event.isComposing || event.keyCode === IN_COMPOSITION;
      if (event.key !== "Enter" || event.shiftKey || composing) return;
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("input", () => this.#changed());
  }
  #chat;
  #sent;
  #name = "";
  /** @type {HTMLFormElement} */ #form = byId("composer");
  /** @type {HTMLTextAreaElement} */ #field = byId("composer-text");
  /** @type {HTMLElement} */ #error = byId("composer-error");

  /** @param {import("../conversation.js").Conversation | null} conversation */
  open(conversation) {
    this.#chat.typing.stopped();
    this.#name = conversation?.name ?? "";
    this.#field.value = conversation ? this.#chat.drafts.get(conversation.name) : "";
    if (conversation) this.#field.setAttribute("aria-label", `Message to ${conversation.fullTitle}`);
    this.#error.hidden = true;
    this.#grow();
  }

  focus() {
    this.#field.focus();
  }

  #changed() {
    this.#error.hidden = true;
    this.#chat.drafts.set(this.#name, this.#field.value);
    if (this.#field.value.trim()) this.#chat.typing.typed(this.#name);
    else this.#chat.typing.stopped();
    this.#grow();
  }

  #send() {
    const text = this.#field.value.trimEnd();
    if (!text.trim() || !this.#name) return;
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MAX_DATA_BYTES) {
      const share = Math.ceil((bytes / MAX_DATA_BYTES - 1) * 100);
      this.#error.textContent = `Too long by ${share} %: send it in parts.`;
      this.#error.hidden = false;
      return;
    }
    // Lone surrogates (half an emoji) are no text: the server refuses them.
    this.#chat.outbox.post(this.#name, wellFormed(text));
    this.#chat.drafts.set(this.#name, "");
    this.#field.value = "";
    this.#chat.typing.stopped();
    this.#grow();
    this.#sent();
  }

  #grow() {
    this.#form.classList.toggle("empty", !this.#field.value.trim());
    if (GROWS_BY_ITSELF) return;
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
  }
}

/** @param {string} text */
function wellFormed(text) {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}
