/** The dialog that asks before something is done, and says why it could not be done. */
import { byId } from "../dom.js";
import { problemOf } from "../message-changes.js";

/** @type {((value: string) => Promise<unknown>) | null} */
let confirmed = null;

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} [text]
 * @property {string} label of the button that does it
 * @property {string} [value] what the field has at first; without it, there is no field
 * @property {string} [name] what the field is called
 * @property {number} [most] characters of the field
 */

/**
 * @param {Question} question
 * @param {(value: string) => Promise<unknown>} act gets what the field has. When it is done, the dialog closes; a
 *     function that it gave is called then
 */
export function ask({ title, text = "", label, value, name = "New name", most = 64 }, act) {
  /** @type {HTMLInputElement} */
  const field = byId("confirm-field");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-text").hidden = !text;
  byId("confirm-submit").textContent = label;
  byId("confirm-error").hidden = true;
  field.hidden = value === undefined;
  field.value = value ?? "";
  field.maxLength = most;
  field.setAttribute("aria-label", name);
  confirmed = act;
  byId("confirm").showModal();
  if (value === undefined) byId("confirm-submit").focus();
  else field.select();
}

/** Once for the page. */
export function answerQuestions() {
  byId("confirm-form").addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const act = confirmed;
    try {
      const then = await act?.(byId("confirm-field").value.trim());
      if (act === confirmed) byId("confirm").close();
      if (typeof then === "function") then();
    } catch (error) {
      byId("confirm-error").textContent = problemOf(error);
      byId("confirm-error").hidden = false;
    }
  });
}
