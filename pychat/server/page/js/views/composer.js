/** Where a message is typed, answered and edited: Enter sends, Shift+Enter breaks the line, the field grows. */
import { quoteOf } from "../conversation.js";
import { byId } from "../dom.js";
import { shownText } from "../format.js";
import { problemOf } from "../message-changes.js";
import { MAX_DATA_BYTES, Refusal } from "../protocol.js";
import { firstLine } from "../text.js";
import { AttachmentsView } from "./attachments.js";
import { Completion } from "./completion.js";

/** The key code of keys that an input method handles itself. */
const IN_COMPOSITION = 229;
/** Measuring it lays out the whole page. */
const GROWS_BY_ITSELF = CSS.supports("field-sizing", "content");

/** @typedef {import("../protocol.js").Message} Message */
/** What the text is: an answer to the message, or its new text. @typedef {{kind: "reply" | "edit", message: Message, base: string | null, text: string}} Purpose */

export class Composer {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {import("./emoji-picker.js").EmojiPicker} picker
   * @param {() => void} sent
   */
  constructor(chat, picker, sent) {
    this.#chat = chat;
    this.#sent = sent;
    this.#completion = new Completion(chat, this.#field);
    this.#attachments = new AttachmentsView(chat, () => this.#attached());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("input", () => this.#changed());
    byId("purpose-cancel").addEventListener("click", () => this.#cancel());
    byId("composer-emoji").addEventListener("click", () => picker.show((emoji) => this.insert(emoji)));
    chat.on("log", (conversation) => conversation.name === this.#name && this.#repurpose());
    chat.uploads.on("change", (name) => this.#uploaded(name));
  }
  #chat;
  #sent;
  #attachments;
  #completion;
  /** Conversations whose message goes out when its files have arrived. @type {Set<string>} */
  #waiting = new Set();
  #name = "";
  /** Of each conversation, as long as the page lives. @type {Map<string, Purpose>} */
  #purposes = new Map();
  /** @type {HTMLFormElement} */ #form = byId("composer");
  /** @type {HTMLTextAreaElement} */ #field = byId("composer-text");
  /** @type {HTMLElement} */ #error = byId("composer-error");
  /** @type {HTMLElement} */ #bar = byId("purpose");

  /** @param {import("../conversation.js").Conversation | null} conversation */
  open(conversation) {
    this.#chat.typing.stopped();
    this.#completion.close();
    this.#name = conversation?.name ?? "";
    const { kind, text = "" } = this.#purpose ?? {};
    this.#field.value = kind === "edit" ? text : conversation ? this.#chat.drafts.get(conversation.name) : "";
    if (conversation) this.#field.setAttribute("aria-label", `Message to ${conversation.fullTitle}`);
    this.#say("");
    this.#showPurpose();
    this.#attachments.open(this.#name);
    this.#grow();
  }

  focus() {
    this.#field.focus();
  }

  /** The next message answers this one. @param {Message} message */
  reply(message) {
    if (this.#purpose?.kind === "edit") this.#cancel();
    this.#purposes.set(this.#name, { kind: "reply", message, base: null, text: "" });
    this.#showPurpose();
    this.focus();
  }

  /** The draft is put aside, and comes back afterwards. @param {Message} message */
  edit(message) {
    const text = message.data ?? "";
    this.#purposes.set(this.#name, { kind: "edit", message, base: message.edited ?? null, text });
    this.#field.value = text;
    this.#chat.typing.stopped();
    this.#showPurpose();
    this.#grow();
    this.focus();
    this.#field.setSelectionRange(text.length, text.length);
  }

  /** Where the caret is, or instead of what is selected. @param {string} text */
  insert(text) {
    const { selectionStart, selectionEnd } = this.#field;
    this.#field.setRangeText(text, selectionStart, selectionEnd, "end");
    this.#changed();
    this.focus();
  }

  get #purpose() {
    return this.#purposes.get(this.#name);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || event.keyCode === IN_COMPOSITION || event.defaultPrevented) return;
    if (this.#completion.key(event)) return event.preventDefault();
    if (event.key === "Enter" && !event.shiftKey) this.#send();
    else if (event.key === "Escape" && this.#purpose) this.#cancel();
    else if (event.key === "ArrowUp" && !event.altKey && !this.#field.value && !this.#purpose) {
      const last = this.#chat.active?.lastOwn(this.#chat.me);
      if (!last) return;
      this.edit(last);
    } else return;
    event.preventDefault();
  }

  #changed() {
    this.#say("");
    const text = this.#field.value;
    if (this.#purpose?.kind === "edit") this.#purpose.text = text;
    else {
      this.#chat.drafts.set(this.#name, text);
      if (text.trim()) this.#chat.typing.typed(this.#name);
      else this.#chat.typing.stopped();
    }
    this.#grow();
  }

  #cancel() {
    const kind = this.#purpose?.kind;
    this.#purposes.delete(this.#name);
    if (kind === "edit") this.#field.value = this.#chat.drafts.get(this.#name);
    this.#say("");
    this.#showPurpose();
    this.#grow();
    this.focus();
  }

  #send() {
    this.#completion.close();
    const text = this.#field.value.trimEnd();
    const purpose = this.#purpose;
    const uploads = purpose?.kind === "edit" ? [] : this.#chat.uploads.of(this.#name);
    if ((!text.trim() && !uploads.length) || !this.#name) return;
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MAX_DATA_BYTES) {
      return this.#say(`Too long by ${Math.ceil((bytes / MAX_DATA_BYTES - 1) * 100)} %: send it in parts.`);
    }
    // Lone surrogates (half an emoji) are no text: the server refuses them.
    const data = wellFormed(text);
    if (purpose?.kind === "edit") return this.#edit(purpose, data);
    if (uploads.some(({ state }) => state === "failed")) return this.#say("A file could not be sent: remove it, or try again.");
    if (uploads.some(({ state }) => state !== "done")) {
      this.#waiting.add(this.#name);
      return this.#say("Is sent when the files have arrived.");
    }
    this.#post(this.#name, data);
  }

  /** The first file has the text and the answer; each further one is a message. @param {string} name @param {string} data */
  #post(name, data) {
    const purpose = this.#purposes.get(name);
    const replyTo = purpose && quoteOf(purpose.message);
    const [file, ...more] = this.#chat.uploads.take(name);
    this.#waiting.delete(name);
    this.#chat.outbox.post(name, data.trim() ? data : "", { ...(replyTo && { replyTo }), ...(file && { file }) });
    for (const file of more) this.#chat.outbox.post(name, "", { file });
    this.#purposes.delete(name);
    this.#chat.drafts.set(name, "");
    if (name !== this.#name) return;
    this.#field.value = "";
    this.#chat.typing.stopped();
    this.#say("");
    this.#showPurpose();
    this.#grow();
    this.#sent();
  }

  /** Files were added or removed by the user. */
  #attached() {
    this.#say("");
    this.#waiting.delete(this.#name);
    this.#grow();
    this.focus();
  }

  /** @param {string} name */
  #uploaded(name) {
    const uploads = this.#chat.uploads.of(name);
    if (name === this.#name) this.#grow();
    if (!this.#waiting.has(name) || uploads.some(({ state }) => state === "waiting" || state === "sending")) return;
    this.#waiting.delete(name);
    const editing = this.#purposes.get(name)?.kind === "edit";
    if (uploads.length && !editing && uploads.every(({ state }) => state === "done")) {
      this.#post(name, wellFormed(this.#chat.drafts.get(name)).trimEnd());
    } else if (name === this.#name) this.#say("A file could not be sent: remove it, or try again.");
  }

  /** @param {Purpose} purpose @param {string} data */
  async #edit(purpose, data) {
    const name = this.#name;
    const changed = data !== purpose.message.data || purpose.base !== (purpose.message.edited ?? null);
    try {
      if (changed) await this.#chat.changes.edit(purpose.message.id, data, purpose.base);
    } catch (error) {
      // The user has seen that it is another text now: the next try is meant.
      if (error instanceof Refusal && error.current) purpose.base = error.current.edited ?? null;
      if (this.#name === name && this.#purpose === purpose) this.#say(problemOf(error));
      return;
    }
    if (this.#purposes.get(name) !== purpose) return;
    if (this.#name === name) this.#cancel();
    else this.#purposes.delete(name);
  }

  /** What is answered or edited may have been deleted or changed meanwhile. */
  #repurpose() {
    const { active } = this.#chat;
    const purpose = this.#purpose;
    const now = active && purpose && active.messages[active.indexOf(purpose.message.seq)];
    if (!now || now === purpose.message) return;
    if (now.removed) {
      this.#say(purpose.kind === "edit" ? "The message was deleted. Its text is still here." : "");
      const { text } = purpose;
      this.#purposes.delete(this.#name);
      if (purpose.kind === "edit" && !this.#chat.drafts.get(this.#name)) this.#chat.drafts.set(this.#name, text);
      this.#field.value = this.#chat.drafts.get(this.#name);
      this.#grow();
    } else purpose.message = now;
    this.#showPurpose();
  }

  #showPurpose() {
    const purpose = this.#purpose;
    this.#bar.hidden = !purpose;
    this.#form.classList.toggle("editing", purpose?.kind === "edit");
    byId("composer-send").setAttribute("aria-label", purpose?.kind === "edit" ? "Save" : "Send");
    if (!purpose) return;
    const { kind, message } = purpose;
    const sender = message.sender === this.#chat.me ? "yourself" : this.#chat.people.nameOf(message.sender ?? "");
    byId("purpose-title").textContent = kind === "edit" ? "Editing" : `Replying to ${sender}`;
    byId("purpose-text").textContent = firstLine(shownText(message));
    byId("purpose-cancel").setAttribute("aria-label", kind === "edit" ? "Cancel editing" : "Cancel the reply");
  }

  /** @param {string} problem empty for none */
  #say(problem) {
    this.#error.textContent = problem;
    this.#error.hidden = !problem;
  }

  #grow() {
    const files = this.#chat.uploads.of(this.#name).length > 0;
    this.#form.classList.toggle("empty", !this.#field.value.trim() && !files);
    if (GROWS_BY_ITSELF) return;
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
  }
}

/** @param {string} text */
function wellFormed(text) {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}
