/** One field to find everything: people, rooms, conversations and messages; and to begin a new one. */
import { byId, element } from "../dom.js";
import { listTime, shownText } from "../format.js";
import { idBeside } from "../names.js";
import { conversationOf } from "../protocol.js";
import { firstLine } from "../text.js";
import { avatar } from "./avatar.js";

const WAIT_MS = 150;
const LIMIT = 20;
/** Of those that are known here. */
const MAX_HITS = 50;

/** @typedef {import("../protocol.js").Message} Message */

export class FinderView {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {(name: string, seq?: number) => void} open
   * @param {(roomId: string) => void} join
   * @param {() => void} enterList puts the focus into the list of conversations
   */
  constructor(chat, open, join, enterList) {
    this.#chat = chat;
    this.#enterList = enterList;
    this.#field.addEventListener("input", () => this.#changed());
    chat.on("rooms", () => this.#field.value.trim() && !this.#results.contains(document.activeElement) && this.#show(...this.#shown));
    byId("finder-clear").addEventListener("click", () => {
      this.clear();
      this.#field.focus();
    });
    byId("sidebar").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.#results.addEventListener("pointerdown", () => (this.#held = true));
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(() => this.#release()));
    this.#results.addEventListener("click", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest("button");
      if (!row) return;
      const { name = "", seq, join: room } = row.dataset;
      this.clear();
      if (room) join(room);
      else open(name, seq ? Number(seq) : 0);
    });
  }
  #chat;
  #enterList;
  /** @type {HTMLInputElement} */ #field = byId("finder");
  /** @type {HTMLElement} */ #results = byId("results");
  /** What is shown: the query, users and messages. @type {[string, import("../protocol.js").User[], Message[]]} */
  #shown = ["", [], []];
  /** While the pointer is down on the results, they stay: a click needs the same row at its beginning and end. */
  #held = false;
  /** Whether they were to be drawn meanwhile. */
  #late = false;
  #timer = 0;
  #asked = 0;

  focus() {
    this.#field.focus();
    this.#field.select();
  }

  clear() {
    this.#field.value = "";
    this.#changed();
  }

  #changed() {
    clearTimeout(this.#timer);
    this.#asked++;
    const query = this.#field.value.trim();
    byId("finder-clear").hidden = !this.#field.value;
    byId("conversations").hidden = Boolean(query);
    this.#results.hidden = !query;
    if (!query) {
      this.#late = false;
      return this.#results.replaceChildren();
    }
    this.#show(query, [], []);
    this.#timer = setTimeout(() => this.#ask(query), WAIT_MS);
  }

  /** @param {string} query */
  async #ask(query) {
    const asked = this.#asked;
    const { connection } = this.#chat;
    const [users, messages] = await Promise.allSettled([
      connection.request("users", { query, limit: LIMIT }),
      connection.request("search", { text: query, limit: LIMIT }),
    ]);
    if (asked !== this.#asked) return; // typed on meanwhile
    this.#show(
      query,
      users.status === "fulfilled" ? users.value.users : [],
      messages.status === "fulfilled" ? messages.value.messages : [],
    );
  }

  #release() {
    this.#held = false;
    if (!this.#late) return;
    this.#late = false;
    if (this.#field.value.trim()) this.#show(...this.#shown);
  }

  /**
   * @param {string} query
   * @param {import("../protocol.js").User[]} users
   * @param {Message[]} messages
   */
  #show(query, users, messages) {
    this.#shown = [query, users, messages];
    if (this.#held) {
      this.#late = true;
      return;
    }
    const { me, conversations, rooms } = this.#chat;
    const wanted = query.toLocaleLowerCase();
    const matches = (/** @type {string[]} */ ...texts) => texts.some((text) => text.toLocaleLowerCase().includes(wanted));
    const isWanted = (/** @type {string} */ name) => name.toLocaleLowerCase() === wanted;
    const known = [...conversations.values()]
      .filter((one) => matches(one.name, one.title))
      .sort((a, b) => Number(isWanted(b.name)) - Number(isWanted(a.name))); // an alias may be anybody's
    const names = new Set(known.map((one) => one.name));
    const people = users.filter((user) => !names.has(user.id));
    for (const user of people) names.add(user.id);
    const open = rooms.filter((room) => !room.member && matches(room.id, room.name));
    const exact = [...names].some(isWanted);
    const parts = [
      ...section("Conversations", known, (one) =>
        hit(one.name, one.title, one.id, one.kind === "person" ? this.#chat.isOnline(one) : null),
      ),
      ...section("People", people, (user) => hit(user.id, user.alias || user.id, detailOf(user, me), user.online)),
      ...section("Rooms to join", open, (room) =>
        hit(`#${room.id}`, room.name || room.id, `owner: ${this.#chat.people.nameOf(room.owner)}`, null, { "data-join": room.id }),
      ),
      ...section("Messages", messages.filter((one) => !one.removed), (message) => this.#found(message)),
      ...section("New chat", exact || query.startsWith("#") ? [] : [query], () => hit(query, query, "Start a chat with this id", null)),
    ];
    this.#results.replaceChildren(...parts);
    byId("finder-status").textContent = `${this.#results.querySelectorAll("button").length} found`;
  }

  /** @param {Message} message */
  #found(message) {
    const name = conversationOf(message, this.#chat.me);
    const title = this.#chat.conversations.get(name)?.fullTitle ?? name;
    const sender = message.sender === this.#chat.me ? "You" : this.#chat.people.nameOf(message.sender ?? "");
    const row = hit(name, title, `${sender}: ${firstLine(shownText(message))}`, null, { "data-seq": String(message.seq) });
    if (message.sentAt) row.querySelector("button")?.append(element("span.time", {}, listTime(new Date(message.sentAt))));
    return row;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const inField = event.target === this.#field;
    if (event.isComposing) return;
    if (event.key === "Escape" && this.#field.value) {
      this.clear();
      this.#field.focus();
      event.preventDefault();
      return;
    }
    const rows = /** @type {HTMLElement[]} */ ([...this.#results.querySelectorAll("button")]);
    if (inField && event.key === "ArrowDown" && this.#results.hidden) this.#enterList();
    else if (inField && event.key === "ArrowDown") rows[0]?.focus();
    else if (inField && event.key === "Enter" && !this.#results.hidden) rows[0]?.click();
    else if (!this.#results.hidden && !inField && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      const at = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      (rows[at + (event.key === "ArrowDown" ? 1 : -1)] ?? (at === 0 ? this.#field : rows[at]))?.focus();
    } else return;
    event.preventDefault();
  }
}

/** @param {import("../protocol.js").User} user @param {string} me */
function detailOf(user, me) {
  if (user.id === me) return "you: notes to yourself";
  return idBeside(user.id, user.alias);
}

/**
 * A bounded number of hits under a title.
 * @template T
 * @param {string} title
 * @param {T[]} found
 * @param {(one: T) => HTMLElement} build
 */
function section(title, found, build) {
  if (!found.length) return [];
  const more = found.length - MAX_HITS;
  return [
    element(
      "section.hits",
      { "aria-label": title },
      element("h2", {}, title),
      element("ul", {}, ...found.slice(0, MAX_HITS).map(build)),
      more > 0 && element("p.hint", {}, `${more} more: type more of the name`),
    ),
  ];
}

/**
 * @param {string} name
 * @param {string} title
 * @param {string} detail
 * @param {boolean | null} online
 * @param {Record<string, string>} [data]
 */
function hit(name, title, detail, online, data = {}) {
  return element(
    "li",
    {},
    element(
      "button.conversation",
      { type: "button", "data-name": name, ...data },
      avatar(name, title, online),
      element("bdi.name", {}, title),
      element("span.preview", { dir: "auto" }, detail),
    ),
  );
}
