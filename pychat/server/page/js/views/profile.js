/** The dialog of what others see of the user: the name, the status and a text beside it. */
import { byId } from "../dom.js";

export class ProfileView {
  /** @param {import("../chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    byId("profile-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#save();
    });
  }
  #chat;
  /** @type {HTMLDialogElement} */ #dialog = byId("profile");

  async show() {
    this.#say("");
    byId("profile-form").reset();
    // Until they are known, saving would overwrite what is there.
    byId("profile-submit").disabled = true;
    this.#dialog.showModal();
    const me = await this.#chat.people.lookUp(this.#chat.me);
    if (!me) return this.#say("Your profile cannot be read now. Try again later.");
    byId("profile-alias").value = me.alias === me.id ? "" : me.alias;
    byId("profile-status").value = me.status ?? "online";
    byId("profile-text").value = me.statusText ?? "";
    byId("profile-submit").disabled = false;
  }

  async #save() {
    try {
      await this.#chat.connection.request("profile", {
        alias: byId("profile-alias").value,
        status: byId("profile-status").value,
        statusText: byId("profile-text").value,
      });
      this.#dialog.close();
    } catch (error) {
      this.#say(/** @type {Error} */ (error).message);
    }
  }

  /** @param {string} problem */
  #say(problem) {
    byId("profile-error").textContent = problem;
    byId("profile-error").hidden = !problem;
  }
}
