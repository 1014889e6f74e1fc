/** The pane of a room's members: who is there, what they are, the topic; and what the user may change. */
import { byId, element, icon, reconcile, spoken } from "../dom.js";
import { problemOf } from "../message-changes.js";
import { fullName, idBeside, nameNodes } from "../names.js";
import { safeText } from "../safe-text.js";
import { avatar } from "./avatar.js";
import { ask } from "./question.js";

/** Nobody tells when a member comes online or goes. */
const REFRESH_MS = 20_000;
const MAX_TOPIC = 250;

/** @typedef {import("../room-members.js").Member} Member */
/** @typedef {import("../conversation.js").Conversation} Conversation */

/** What a role is called; plain members have no mark. */
const ROLES = { owner: "Owner", moderator: "Moderator", member: "" };

export class MembersView {
  /** @param {import("../chat.js").Chat} chat @param {(name: string) => void} open */
  constructor(chat, open) {
    this.#chat = chat;
    this.#openConversation = open;
    byId("show-members").addEventListener("click", () => (this.#pane.hidden ? this.#show() : this.close()));
    byId("members-close").addEventListener("click", () => this.close());
    byId("topic-edit").addEventListener("click", () => this.#editTopic());
    byId("invite").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#invite();
    });
    this.#pane.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.close();
    });
    byId("member-list").addEventListener("click", (/** @type {Event} */ event) => {
      const id = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset.member;
      const member = this.#members.find((one) => one.id === id);
      if (member) this.#choose(member);
    });
    byId("member-actions").addEventListener("click", (/** @type {Event} */ event) => {
      const action = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset.do;
      if (!action || !this.#chosen) return;
      byId("member").close();
      this.#do(action, this.#chosen);
    });
    for (const event of ["server:room", "server:membership"]) chat.connection.on(event, () => this.#load());
    for (const event of ["rooms", "conversations"]) chat.on(event, () => this.#pane.hidden || this.#render());
    // Nobody tells who joins a private room.
    chat.on("incoming", (conversation, { sender }) => conversation === this.#room && this.#members.every(({ id }) => id !== sender) && this.#load());
    setInterval(() => document.hidden || this.#load(), REFRESH_MS);
  }
  #chat;
  #openConversation;
  /** @type {HTMLElement} */ #pane = byId("members");
  /** @type {Conversation | null} */ #room = null;
  /** @type {Member[]} */ #members = [];
  /** @type {Member | null} */ #chosen = null;

  /** @param {Conversation | null} conversation */
  open(conversation) {
    const room = conversation?.kind === "room" ? conversation : null;
    byId("show-members").hidden = !room;
    if (room === this.#room) return;
    this.#room = room;
    this.#members = [];
    if (!room) this.close();
    else if (!this.#pane.hidden) this.#load();
  }

  close() {
    const inside = this.#pane.contains(document.activeElement);
    this.#pane.hidden = true;
    byId("show-members").setAttribute("aria-expanded", "false");
    if (inside && this.#room) byId("show-members").focus();
  }

  #show() {
    this.#pane.hidden = false;
    byId("show-members").setAttribute("aria-expanded", "true");
    byId("invite-id").value = "";
    this.#say("");
    this.#load();
    byId("members-close").focus();
  }

  async #load() {
    const room = this.#room;
    if (!room || this.#pane.hidden) return;
    this.#render();
    try {
      const members = await this.#chat.members.of(room.name, true);
      if (room !== this.#room) return;
      this.#members = [...members].sort(byRole);
      this.#render();
    } catch (error) {
      if (room === this.#room) this.#say(problemOf(error));
    }
  }

  #render() {
    const room = this.#room;
    if (!room) return;
    const topic = this.#chat.rooms.find(({ id }) => `#${id}` === room.name)?.topic ?? "";
    byId("members-title").textContent = this.#members.length ? `Members (${this.#members.length})` : "Members";
    byId("topic").textContent = safeText(topic) || "No topic";
    byId("topic-edit").hidden = room.role === "";
    reconcile(
      byId("member-list"),
      this.#members.map((member) => ({
        key: member.id,
        signature: JSON.stringify(member),
        build: () => row(member, member.id === this.#chat.me),
      })),
    );
  }

  #editTopic() {
    const room = this.#room;
    if (!room) return;
    const value = this.#chat.rooms.find(({ id }) => `#${id}` === room.name)?.topic ?? "";
    ask({ title: `Topic of ${room.title}`, label: "Save", value, name: "Topic", most: MAX_TOPIC }, async (topic) => {
      await this.#request({ command: "topic", topic });
      return () => this.#chat.refresh();
    });
  }

  async #invite() {
    const user = byId("invite-id").value.trim();
    if (!user) return;
    try {
      await this.#request({ command: "invite", user });
      byId("invite-id").value = "";
      this.#say("");
      this.#chat.emit("note", `${user} is invited.`);
    } catch (error) {
      this.#say(problemOf(error));
    }
  }

  /** @param {Member} member */
  #choose(member) {
    const own = this.#room?.role ?? "";
    const other = member.id !== this.#chat.me;
    /** @type {Array<[string, string]>} */
    const actions = other ? [["write", "Write a message"]] : [];
    if (other && own === "owner") {
      if (member.role === "member") actions.push(["moderator", "Make moderator"]);
      if (member.role === "moderator") actions.push(["member", "Make plain member"]);
      if (member.role !== "owner") actions.push(["transfer", "Make owner…"]);
    }
    if (other && (own === "owner" ? member.role !== "owner" : own === "moderator" && member.role === "member")) actions.push(["kick", "Remove from the room…"]);
    this.#chosen = member;
    byId("member-title").replaceChildren(...nameNodes(member.alias || member.id, idBeside(member.id, member.alias)));
    byId("member-role").textContent = [ROLES[member.role], member.online ? "online" : "offline"].filter(Boolean).join(" · ");
    byId("member-actions").replaceChildren(
      ...actions.map(([action, label]) => element(action === "kick" ? "button.danger" : "button", { type: "button", "data-do": action }, label)),
    );
    byId("member").showModal();
  }

  /** @param {string} action @param {Member} member */
  #do(action, member) {
    const name = fullName(member.id, member.alias);
    const title = this.#room?.title ?? "";
    const user = member.id;
    if (action === "write") this.#openConversation(user);
    else if (action === "kick") {
      const text = `${name} cannot join ${title} again until somebody invites them.`;
      ask({ title: `Remove ${name}?`, text, label: "Remove" }, () => this.#change({ command: "kick", user }));
    } else if (action === "transfer") {
      const text = `${name} owns ${title} then, and you do not any more.`;
      ask({ title: `Make ${name} the owner?`, text, label: "Make owner" }, () => this.#change({ command: "transfer", user }));
    } else this.#change({ command: "role", user, role: action }).then((then) => then(), (error) => this.#say(problemOf(error)));
  }

  /** @param {object} request */
  async #change(request) {
    await this.#request(request);
    return async () => {
      await this.#load();
      await this.#chat.refresh(); // the user's own role may be another
    };
  }

  /** @param {object} request */
  #request(request) {
    return this.#chat.connection.request("room", { roomId: this.#room?.name.slice(1), ...request });
  }

  /** @param {string} problem */
  #say(problem) {
    byId("members-error").textContent = problem;
    byId("members-error").hidden = !problem;
  }
}

/** The owner, then moderators, then the others by name. @param {Member} a @param {Member} b */
function byRole(a, b) {
  const rank = Object.keys(ROLES);
  return rank.indexOf(a.role) - rank.indexOf(b.role) || (a.alias || a.id).localeCompare(b.alias || b.id);
}

/** @param {Member} member @param {boolean} me */
function row({ id, alias, role, online }, me) {
  return element(
    "li",
    {},
    element(
      "button.member",
      { type: "button", "data-member": id },
      avatar(id, alias || id, online),
      element("span.name", {}, ...nameNodes(alias || id, idBeside(id, alias)), me && element("span.id", {}, " (you)")),
      online && spoken(", online"),
      ROLES[role] && element("span.role", {}, ROLES[role]),
      icon("after"),
    ),
  );
}
