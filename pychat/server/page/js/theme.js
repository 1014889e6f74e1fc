/** Light or dark: as the system has it, or as the user chose in this browser. */
import { byId } from "./dom.js";
import { local } from "./storage.js";

const KEY = "theme";
const SYSTEM = "(prefers-color-scheme: dark)";

/** @typedef {"system" | "light" | "dark"} Theme */

/** @returns {Theme} */
export function theme() {
  const chosen = local.get(KEY);
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

/** @param {Theme} chosen */
export function chooseTheme(chosen) {
  if (chosen === "system") local.remove(KEY);
  else local.set(KEY, chosen);
  applyTheme();
}

export function applyTheme() {
  const chosen = theme();
  const dark = { system: SYSTEM, light: "not all", dark: "all" }[chosen];
  const light = { system: "(prefers-color-scheme: light)", light: "all", dark: "not all" }[chosen];
  for (const [id, media] of [["dark-style", dark], ["dark-bar", dark], ["light-bar", light]]) byId(id).media = media;
  document.documentElement.style.colorScheme = chosen === "system" ? "" : chosen;
}
