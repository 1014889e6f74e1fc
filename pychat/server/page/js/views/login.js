/** The login form. For an unknown id it asks whether to create the account. */
import { byId } from "../dom.js";

export class LoginView {
  /** @param {(login: import("../connection.js").Login, stay: boolean) => void} submit */
  constructor(submit) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const id = this.#id.value.trim();
      if (!id) return this.error("Enter an id: a short name by which others find you.", this.#id);
      const create = id === this.#creating;
      this.error("");
      this.#busy(true);
      submit({ id, password: this.#password.value, alias: this.#alias.value.trim(), create }, this.#stay.checked);
    });
    this.#id.addEventListener("input", () => {
      if (this.#creating && this.#creating !== this.#id.value.trim()) this.forgetCreation();
    });
    byId("show-password").addEventListener("click", () => this.#togglePassword());
  }
  /** @type {HTMLFormElement} */ #form = byId("login-form");
  /** @type {HTMLInputElement} */ #id = byId("login-id");
  /** @type {HTMLInputElement} */ #password = byId("login-password");
  /** @type {HTMLInputElement} */ #alias = byId("login-alias");
  /** @type {HTMLInputElement} */ #stay = byId("login-stay");
  /** @type {HTMLElement} */ #error = byId("login-error");
  /** @type {HTMLButtonElement} */ #button = byId("login-submit");
  /** The id of an account that the next login creates. */
  #creating = "";

  /** Asks whether to create the account. The next login creates it, unless the id is changed. */
  askToCreate() {
    this.#creating = this.#id.value.trim();
    this.#busy(false);
    this.waiting(`There is no account ${this.#creating}. Create it with this password?`);
    this.#button.focus();
  }

  /** The next login creates no account. */
  forgetCreation() {
    this.#creating = "";
    this.error("");
    this.#busy(false);
  }

  /** @param {string} [id] */
  show(id = "") {
    byId("login").hidden = false;
    if (id) this.#id.value = id;
    this.#busy(false);
    (this.#id.value ? this.#password : this.#id).focus();
  }

  hide() {
    byId("login").hidden = true;
    this.#password.value = "";
    this.forgetCreation();
  }

  /**
   * @param {string} text empty for none
   * @param {HTMLInputElement} [field]
   */
  error(text, field = this.#password) {
    this.#error.textContent = text;
    this.#error.hidden = !text;
    for (const input of [this.#id, this.#password]) {
      input.setAttribute("aria-invalid", String(Boolean(text) && input === field));
    }
    if (!text) return;
    this.#busy(false);
    field.focus();
    field.select();
  }

  /** Says what is going on while the form still waits. @param {string} text */
  waiting(text) {
    this.#error.textContent = text;
    this.#error.hidden = false;
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#button.disabled = busy;
    if (this.#creating) this.#button.textContent = busy ? "Creating account…" : `Create account ${this.#creating}`;
    else this.#button.textContent = busy ? "Logging in…" : "Log in or create account";
  }

  #togglePassword() {
    const shown = this.#password.type === "text";
    this.#password.type = shown ? "password" : "text";
    byId("show-password").setAttribute("aria-pressed", String(!shown));
    this.#password.focus();
  }
}
