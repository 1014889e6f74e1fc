/** What can be done with a message: buttons beside it, keys on it, and a sheet after a long press. */
import { byId, element, icon } from "../dom.js";
import { nameOfEmoji, QUICK } from "../emoji.js";
import { problemOf } from "../message-changes.js";
import { shownText } from "../format.js";
import { safeText } from "../safe-text.js";
import { copyText } from "./clipboard.js";
import { ask } from "./question.js";

const LONG_PRESS_MS = 500;
/** A finger that moves farther than this scrolls. */
const STILL_PX = 10;

/** @typedef {import("../protocol.js").Message} Message */
/** @typedef {{name: string, label: string, code: string, key: string}} Action */

/** @type {Record<string, Action>} */
const ACTIONS = {
  react: { name: "react", label: "React", code: "", key: "+" },
  reply: { name: "reply", label: "Reply", code: "KeyR", key: "R" },
  copy: { name: "copy", label: "Copy text", code: "KeyC", key: "C" },
  edit: { name: "edit", label: "Edit", code: "KeyE", key: "E" },
  remove: { name: "remove", label: "Delete", code: "Delete", key: "Delete" },
  reactions: { name: "reactions", label: "Who reacted", code: "", key: "" },
};

export class MessageTools {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {HTMLElement} list the rows
   * @param {import("./emoji-picker.js").EmojiPicker} picker
   * @param {{reply: (message: Message) => void, edit: (message: Message) => void}} compose
   */
  constructor(chat, list, picker, compose) {
    this.#chat = chat;
    this.#list = list;
    this.#picker = picker;
    this.#compose = compose;
    list.addEventListener("pointerover", (event) => event.pointerType === "mouse" && this.#attach(rowOf(event.target) ?? rowOf(document.activeElement)));
    byId("log").addEventListener("pointerleave", () => this.#attach(rowOf(document.activeElement)));
    list.addEventListener("focusin", (event) => this.#attach(rowOf(event.target)));
    list.addEventListener("focusout", () => setTimeout(() => this.#bar.matches(":hover") || this.#attach(rowOf(document.activeElement))));
    list.addEventListener("pointerdown", (event) => this.#press(event));
    for (const end of ["pointerup", "pointercancel", "scroll"]) addEventListener(end, () => clearTimeout(this.#timer), true);
    list.addEventListener("contextmenu", (event) => this.#pressed && event.preventDefault());
    this.#bar.addEventListener("click", (event) => this.#chosen(event.target, this.#row));
    this.#sheet.addEventListener("click", (event) => {
      if (event.target === this.#sheet) return this.#sheet.close(); // beside it
      const row = this.#opened;
      if (/** @type {HTMLElement} */ (event.target).closest("[data-do], [data-quick]")) this.#sheet.close();
      this.#chosen(event.target, row);
    });
  }
  #chat;
  #list;
  #picker;
  #compose;
  #bar = element("div.tools", { role: "toolbar", "aria-label": "Message actions" });
  /** @type {HTMLDialogElement} */ #sheet = byId("sheet");
  /** @type {HTMLElement | null} */ #row = null;
  #timer = 0;
  /** The row that the sheet is for. @type {HTMLElement | null} */ #opened = null;
  /** Whether the finger that is down has opened the sheet. */
  #pressed = false;

  /** The message and the action whose button has the focus. */
  get focused() {
    const button = /** @type {HTMLElement | null} */ (document.activeElement);
    return this.#bar.contains(button) ? { key: this.#row?.dataset.key ?? "", name: button?.dataset.do ?? "" } : null;
  }

  /**
   * The rows were drawn again: the buttons go to the new row of the same message.
   * @param {{key: string, name: string} | null} focused before
   */
  drawn(focused) {
    const key = focused?.key ?? this.#row?.dataset.key;
    if (key === undefined || (this.#row?.isConnected && !focused)) return;
    this.#attach(this.#list.querySelector(`[data-key="${CSS.escape(key)}"]`));
    if (focused) /** @type {HTMLElement | null} */ (this.#bar.querySelector(`[data-do="${focused.name}"]`))?.focus();
  }

  /** @param {KeyboardEvent} event on a row */
  key(event) {
    const row = rowOf(event.target);
    const message = this.#messageOf(row);
    if (!row || !message || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "Enter") this.#open(row);
    else {
      const action = this.#actionsOf(message).find(({ key, code }) => event.key === key || (code && event.code === code));
      if (!action) return false;
      this.#do(action.name, message);
    }
    return true;
  }

  /** @param {Message} message */
  #actionsOf(message) {
    const { changes, active } = this.#chat;
    const actions = [ACTIONS.react, ACTIONS.reply];
    if (message.data) actions.push(ACTIONS.copy);
    if (changes.mayEdit(message) && message.data) actions.push(ACTIONS.edit);
    if (active && changes.mayRemove(active, message)) actions.push(ACTIONS.remove);
    return actions;
  }

  /** @param {HTMLElement | null} row */
  #messageOf(row) {
    const { active } = this.#chat;
    const message = active?.messages[active.indexOf(Number(row?.dataset.seq ?? -1))];
    return message?.removed ? undefined : message;
  }

  /** @param {HTMLElement | null} row */
  #attach(row) {
    const message = this.#messageOf(row);
    if (!row || !message) {
      this.#row = null;
      return this.#bar.remove();
    }
    const actions = this.#actionsOf(message);
    const wanted = actions.map(({ name }) => name).join();
    if (row === this.#row && this.#bar.dataset.shown === wanted) return;
    this.#row = row;
    if (this.#bar.dataset.shown !== wanted) {
      this.#bar.dataset.shown = wanted;
      this.#bar.replaceChildren(
        ...actions.map(({ name, label, key }) =>
          element(
            "button.icon-button",
            { type: "button", "data-do": name, "aria-label": label, title: `${label} (${key})`, "aria-keyshortcuts": key },
            icon(name),
          ),
        ),
      );
    }
    row.append(this.#bar);
    this.#place(row);
  }

  /** Beside the bubble; where there is no room, over its upper corner. @param {HTMLElement} row */
  #place(row) {
    const bubble = /** @type {HTMLElement} */ (row.querySelector(".bubble"));
    const { offsetWidth: width } = this.#bar;
    const left = bubble.offsetLeft;
    const right = left + bubble.offsetWidth;
    const own = row.classList.contains("own");
    const beside = own ? left - width - 4 : right + 4;
    const fits = beside >= 0 && beside + width <= row.offsetWidth;
    const over = own ? right - width : Math.max(0, Math.min(left, row.offsetWidth - width));
    this.#bar.classList.toggle("over", !fits);
    this.#bar.style.left = `${fits ? beside : over}px`;
    this.#bar.style.top = `${bubble.offsetTop + (fits ? 0 : -this.#bar.offsetHeight + 6)}px`;
  }

  /** @param {PointerEvent} event */
  #press(event) {
    this.#pressed = false;
    if (event.pointerType === "mouse") return;
    const row = rowOf(event.target);
    const control = /** @type {HTMLElement} */ (event.target).closest("a, audio, video");
    if (!row || control || !this.#messageOf(row)) return;
    const { clientX, clientY } = event;
    const moved = (/** @type {PointerEvent} */ now) => {
      if (Math.hypot(now.clientX - clientX, now.clientY - clientY) > STILL_PX) clearTimeout(this.#timer);
    };
    this.#list.addEventListener("pointermove", moved);
    addEventListener("pointerup", () => this.#list.removeEventListener("pointermove", moved), { once: true });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#pressed = true;
      // The click that may end the press is for nobody.
      const swallow = (/** @type {Event} */ click) => click.stopPropagation();
      addEventListener("click", swallow, { capture: true });
      addEventListener("pointerdown", () => removeEventListener("click", swallow, { capture: true }), { capture: true, once: true });
      this.#open(row);
    }, LONG_PRESS_MS);
  }

  /** The sheet with everything in words. @param {HTMLElement} row */
  #open(row) {
    const message = this.#messageOf(row);
    if (!message) return;
    const actions = this.#actionsOf(message).filter(({ name }) => name !== "react");
    if (message.reactions?.length) actions.push(ACTIONS.reactions);
    byId("sheet-text").textContent = safeText(shownText(message)).slice(0, 200);
    byId("sheet-quick").replaceChildren(
      ...QUICK.map((emoji) => element("button", { type: "button", "data-quick": emoji, "aria-label": `React with ${nameOfEmoji(emoji)}` }, emoji)),
      element("button.icon-button", { type: "button", "data-do": "react", "aria-label": "More emoji" }, icon("plus")),
    );
    byId("sheet-actions").replaceChildren(
      ...actions.map(({ name, label }) =>
        element(name === "remove" ? "button.danger" : "button", { type: "button", "data-do": name }, icon(name), label),
      ),
    );
    this.#opened = row;
    this.#sheet.showModal();
  }

  /** @param {EventTarget | null} target @param {HTMLElement | null} row */
  #chosen(target, row) {
    const button = /** @type {HTMLElement} */ (target).closest("button");
    const message = this.#messageOf(row);
    if (!button || !message) return;
    if (button.dataset.quick) this.#chat.changes.react(message, button.dataset.quick, true);
    else if (button.dataset.do) this.#do(button.dataset.do, message);
  }

  /** @param {string} action @param {Message} message */
  #do(action, message) {
    const { changes } = this.#chat;
    if (action === "react") this.#picker.show((emoji) => changes.react(message, emoji, true));
    if (action === "reply") this.#compose.reply(message);
    if (action === "edit") this.#compose.edit(message);
    if (action === "copy") this.#copy(message);
    if (action === "reactions") this.#whoReacted(message);
    if (action === "remove") {
      const whose = message.sender === this.#chat.me ? "your message" : `the message of ${this.#chat.people.nameOf(message.sender ?? "")}`;
      const text = `“${safeText(shownText(message)).slice(0, 120)}” is deleted for everybody. This cannot be undone.`;
      ask({ title: `Delete ${whose}?`, text, label: "Delete" }, async () => {
        await changes.remove(message);
      });
    }
  }

  /** @param {Message} message */
  async #copy(message) {
    const copied = await copyText(safeText(message.data ?? ""));
    this.#chat.emit("note", copied ? "Copied" : "The browser does not let this page copy.");
  }

  /** @param {Message} message */
  async #whoReacted(message) {
    const dialog = byId("reactors");
    byId("reactor-list").replaceChildren();
    byId("reactors-error").hidden = true;
    dialog.showModal();
    try {
      const reactions = await this.#chat.changes.reactions(message);
      byId("reactor-list").replaceChildren(
        ...reactions.map(({ emoji, by }) =>
          element("li", {}, element("span.big-emoji", { "aria-hidden": "true" }, emoji), element("div", {}, element("b", {}, `${nameOfEmoji(emoji)}: `), by.map((id) => this.#chat.people.nameOf(id)).join(", "))),
        ),
      );
    } catch (error) {
      byId("reactors-error").textContent = problemOf(error);
      byId("reactors-error").hidden = false;
    }
  }
}

/** The row of a message. @param {EventTarget | null} target */
function rowOf(target) {
  return target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("#messages > .message")) : null;
}
