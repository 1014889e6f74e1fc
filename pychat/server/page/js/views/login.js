/** The form to log in, and the one to create an account: two steps of one card. */
import { byId } from "../dom.js";

/** Of a password that needs no second thought. */
const STRONG = 12;
const LEAST = 8;

export class LoginView {
  /** @param {(login: import("../connection.js").Login, stay: boolean) => void} submit */
  constructor(submit) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submitted(submit);
    });
    byId("login-other").addEventListener("click", () => {
      this.#step(!this.#creating);
      this.error("");
      (this.#id.value ? this.#password : this.#id).focus();
    });
    this.#password.addEventListener("input", () => this.#hint());
    this.#id.addEventListener("input", () => this.#error.hidden || this.error(""));
    byId("show-password").addEventListener("click", () => this.#togglePassword());
  }
  /** @type {HTMLFormElement} */ #form = byId("login-form");
  /** @type {HTMLInputElement} */ #id = byId("login-id");
  /** @type {HTMLInputElement} */ #password = byId("login-password");
  /** @type {HTMLInputElement} */ #again = byId("login-again");
  /** @type {HTMLInputElement} */ #alias = byId("login-alias");
  /** @type {HTMLInputElement} */ #stay = byId("login-stay");
  /** @type {HTMLElement} */ #error = byId("login-error");
  /** @type {HTMLButtonElement} */ #button = byId("login-submit");
  /** Whether the form creates an account. */
  #creating = false;

  /** There is no such account: creating it takes the password once more. */
  askToCreate() {
    this.#busy(false);
    this.#step(true);
    this.waiting(`There is no account ${this.#id.value.trim()}. To create it, type the password again.`);
    this.#again.focus();
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
    this.error("");
    this.#step(false);
    this.#busy(false);
  }

  /**
   * @param {string} text empty for none
   * @param {HTMLInputElement} [field]
   */
  error(text, field = this.#password) {
    this.#error.textContent = text;
    this.#error.hidden = !text;
    for (const input of [this.#id, this.#password, this.#again]) {
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

  /** @param {(login: import("../connection.js").Login, stay: boolean) => void} submit */
  #submitted(submit) {
    const create = this.#creating;
    const id = this.#id.value.trim();
    if (!id) return this.error("Enter an id: a short name by which others find you.", this.#id);
    if (create && this.#password.value !== this.#again.value) {
      return this.error(this.#again.value ? "The two passwords are not the same." : "Type the password again.", this.#again);
    }
    this.error("");
    this.#busy(true);
    const alias = create ? this.#alias.value.trim() : "";
    submit({ id, password: this.#password.value, alias, create }, this.#stay.checked);
  }

  /** @param {boolean} creating */
  #step(creating) {
    this.#creating = creating;
    for (const node of this.#form.querySelectorAll("[data-step]")) {
      /** @type {HTMLElement} */ (node).hidden = (/** @type {HTMLElement} */ (node).dataset.step === "create") !== creating;
    }
    this.#again.value = "";
    this.#password.autocomplete = creating ? "new-password" : "current-password";
    byId("login-other").textContent = creating ? "Log in instead" : "Create an account";
    this.#hint();
    this.#busy(false);
  }

  #hint() {
    const { value } = this.#password;
    byId("password-hint").textContent =
      value.length < LEAST ? `At least ${LEAST} characters. A few words together are easy to keep in mind.`
      : value.length < STRONG || new Set(value).size < LEAST ? "Fair. A few more characters make it strong."
      : "Strong.";
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.#button.disabled = busy;
    if (this.#creating) this.#button.textContent = busy ? "Creating account…" : "Create account";
    else this.#button.textContent = busy ? "Logging in…" : "Log in";
  }

  #togglePassword() {
    const shown = this.#password.type === "text";
    this.#password.type = this.#again.type = shown ? "password" : "text";
    byId("show-password").setAttribute("aria-pressed", String(!shown));
    this.#password.focus();
  }
}
