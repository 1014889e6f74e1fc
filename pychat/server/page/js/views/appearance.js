/** The dialog in which the theme is chosen. */
import { byId } from "../dom.js";
import { chooseTheme, theme } from "../theme.js";

export class AppearanceView {
  constructor() {
    byId("appearance").addEventListener("change", (/** @type {Event} */ event) => {
      const { value } = /** @type {HTMLInputElement} */ (event.target);
      chooseTheme(/** @type {import("../theme.js").Theme} */ (value));
    });
  }

  show() {
    byId(`theme-${theme()}`).checked = true;
    byId("appearance").showModal();
    byId(`theme-${theme()}`).focus();
  }
}
