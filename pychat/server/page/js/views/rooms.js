/** The dialog for rooms: make one, or join one that is there. */
import { byId, element } from "../dom.js";
import { avatar } from "./avatar.js";

export class RoomsView {
  /**
   * @param {import("../chat.js").Chat} chat
   * @param {(name: string) => void} open
   */
  constructor(chat, open) {
    this.#chat = chat;
    this.#open = open;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#create();
    });
    this.#name.addEventListener("input", () => this.#hint());
    this.#private.addEventListener("change", () => this.#hint());
    byId("room-list").addEventListener("click", (/** @type {Event} */ event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest("button");
      const id = button?.dataset.room;
      if (id) this.join(id);
    });
    chat.on("rooms", () => this.#dialog.open && this.#render());
  }
  #chat;
  #open;
  /** @type {HTMLDialogElement} */ #dialog = byId("rooms");
  /** @type {HTMLFormElement} */ #form = byId("room-form");
  /** @type {HTMLInputElement} */ #name = byId("room-name");
  /** @type {HTMLInputElement} */ #private = byId("room-private");
  /** @type {HTMLElement} */ #error = byId("room-error");

  show() {
    this.#name.value = "";
    this.#private.checked = false;
    this.#error.hidden = true;
    this.#hint();
    this.#render();
    this.#dialog.showModal();
    this.#chat.refreshRooms().catch(() => {});
  }

  /** Joins, if need be, and opens it. @param {string} id */
  async join(id) {
    const room = this.#chat.rooms.find((one) => one.id === id);
    await this.#request({ command: "join", roomId: id }, id, Boolean(room?.member));
  }

  #create() {
    const name = this.#name.value.trim();
    if (!name) return;
    const id = roomIdOf(name);
    const { me } = this.#chat;
    if (this.#private.checked) return this.#request({ command: "create", private: true, roomName: name }, "", false);
    return this.#request({ command: "create", roomId: id, roomName: name, roomOwner: me }, id, false);
  }

  /** @param {object} request @param {string} id @param {boolean} done */
  async #request(request, id, done) {
    try {
      const { roomId = id } = done ? {} : await this.#chat.connection.request("room", request);
      await this.#chat.refresh();
      this.#dialog.close();
      this.#open(`#${roomId}`);
    } catch (error) {
      this.#error.textContent = /** @type {Error} */ (error).message;
      this.#error.hidden = false;
    }
  }

  #hint() {
    const name = this.#name.value.trim();
    const id = name && !this.#private.checked;
    byId("room-hint").textContent = id ? `Others find it as #${roomIdOf(name)}.` : "";
  }

  #render() {
    const { rooms, me } = this.#chat;
    byId("room-list-title").hidden = !rooms.length;
    byId("room-list").replaceChildren(
      ...rooms.map((room) =>
        element(
          "li",
          {},
          avatar(`#${room.id}`, room.name),
          element("div", {}, element("bdi.name", {}, room.name || room.id), element("span.preview", {}, about(room, me, this.#chat.people.nameOf(room.owner)))),
          element("button.quiet", { type: "button", "data-room": room.id }, room.member ? "Open" : "Join"),
        ),
      ),
    );
  }
}

/** @param {import("../protocol.js").Room} room @param {string} me @param {string} owner */
function about(room, me, owner) {
  const whose = room.owner === me ? "yours" : `of ${owner}`;
  return [room.invited && "you are invited", whose, room.private && "private"].filter(Boolean).join(" · ");
}

/** A short id for a room of that name: `Book club` is `book-club`. @param {string} name */
function roomIdOf(name) {
  const id = name.normalize("NFC").toLocaleLowerCase().replace(/[^\p{Letter}\p{Mark}\p{Number}]+/gu, "-");
  return [...id.replace(/^-|-$/g, "")].slice(0, 64).join("") || "room";
}
