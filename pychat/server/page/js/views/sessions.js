/** The dialog of one's logins: which devices, since when, and how to end them. */
import { deviceTitle } from "../devices.js";
import { byId, element } from "../dom.js";
import { exactTime, usedText } from "../format.js";

export class SessionsView {
  /** @param {import("../chat.js").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    byId("sessions").addEventListener("click", (/** @type {Event} */ event) => {
      const revoke = /** @type {HTMLElement} */ (event.target).dataset.revoke;
      if (revoke) this.#ask({ revoke });
    });
  }
  #chat;

  show() {
    byId("session-list").replaceChildren();
    byId("sessions").showModal();
    return this.#ask({});
  }

  /** @param {{revoke?: string}} request */
  async #ask(request) {
    const error = byId("sessions-error");
    error.hidden = true;
    try {
      const answer = await this.#chat.connection.request("sessions", request);
      this.#render(answer.sessions);
    } catch (reason) {
      error.textContent = /** @type {Error} */ (reason).message;
      error.hidden = false;
    }
  }

  /** @param {import("../protocol.js").Session[]} sessions */
  #render(sessions) {
    byId("session-list").replaceChildren(
      ...inOrder(sessions).map((session) =>
        element(
          "li",
          {},
          element(
            "div",
            {},
            element("span.name", { title: session.device }, deviceTitle(session.device)),
            element(
              session.current ? "span.preview.current" : "span.preview",
              { title: `since ${exactTime(new Date(session.since))}` },
              session.current ? "This device" : usedText(session.lastSeen, session.since),
            ),
          ),
          !session.current && element("button.quiet", { type: "button", "data-revoke": session.id }, "Log out"),
        ),
      ),
    );
    byId("revoke-others").hidden = sessions.length < 2;
  }
}

/** This one first, then the one that was used last. @param {import("../protocol.js").Session[]} sessions */
function inOrder(sessions) {
  return [...sessions].sort(
    (a, b) => Number(b.current) - Number(a.current) || Date.parse(b.lastSeen) - Date.parse(a.lastSeen),
  );
}
