/** The dialog of one's logins: which devices, since when, and how to end them. */
import { byId, element } from "../dom.js";
import { exactTime, seenText } from "../format.js";

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
      ...sessions.map((session) =>
        element(
          "li",
          {},
          element(
            "div",
            {},
            element("span.name", {}, session.device || "unknown device"),
            element("span.preview", { title: `since ${exactTime(new Date(session.since))}` }, session.current ? "this one" : seenText(session.lastSeen)),
          ),
          !session.current && element("button.quiet", { type: "button", "data-revoke": session.id }, "Log out"),
        ),
      ),
    );
    byId("revoke-others").hidden = sessions.length < 2;
  }
}
