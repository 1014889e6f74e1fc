/** Starts the page: logs in by what is remembered or by the form, then shows the chat. */
import { App } from "./app.js";
import { Connection } from "./connection.js";
import { forget, forgetHere, remember, remembered, stays } from "./credentials.js";
import { byId } from "./dom.js";
import { applyTheme } from "./theme.js";
import { LoginView } from "./views/login.js";
import { StatusView } from "./views/status.js";

const ENDED =
  "You were logged out: from another device, by a new password, or after 90 days without use. " +
  "Please log in again.";

applyTheme();
addEventListener("storage", applyTheme); // chosen in another tab
const connection = new Connection();
const status = new StatusView(connection);
let stay = true;
/** @type {App | null} */
let app = null;

const form = new LoginView((login, stays) => {
  stay = stays;
  connection.open(login);
});

connection.on("online", ({ id, token, message, created }) => {
  remember({ id, token }, stay);
  start(id);
  if (created) status.note(`${message.slice(0, 1).toLocaleUpperCase()}${message.slice(1)}.`);
});
connection.on("refused", (/** @type {import("./protocol.js").Refusal} */ refusal) => {
  if (refusal.code === "404") return form.askToCreate();
  const again = app !== null || remembered() !== null;
  byId("app").hidden = true;
  form.show(remembered()?.id);
  const text = again && refusal.code === "401" && !byId("login-password").value ? ENDED : refusal.message;
  form.error(text, byId(refusal.code === "409" ? "login-id" : "login-password"));
});
connection.on("unreachable", () => {
  if (!app) form.waiting("The server cannot be reached. Trying again…");
});

const known = remembered();
if (known) {
  stay = stays(known.id);
  start(known.id);
  connection.open({ id: known.id, token: known.token });
} else {
  form.show();
}

/** @param {string} id */
function start(id) {
  form.hide();
  if (app && app.chat.me !== id) return location.reload(); // another user: nothing of the last one stays
  byId("app").hidden = false;
  if (app) return;
  app = new App(connection, id, { logOut, switchUser });
  status.follow(app.chat);
  if (connection.status === "online") app.chat.refresh();
}

async function logOut() {
  const unsent = app?.chat.outbox.size ?? 0;
  if (unsent && !confirm(`${unsent} of your messages are not sent yet and would be lost. Log out?`)) return;
  try {
    await connection.request("logout", {});
  } catch {
    // Offline: the token stays valid until it expires, but this browser forgets it.
  }
  app?.chat.outbox.clear();
  app?.chat.drafts.clear();
  forget();
  leave();
}

/** Another id in this tab; other tabs and the browser keep theirs. */
function switchUser() {
  forgetHere();
  leave();
}

/** A fresh page: nothing of the last user stays in memory. */
function leave() {
  connection.close();
  location.replace(location.pathname);
}
