/** The one Socket.IO connection: logs in after every connect, asks and waits for answers. */
import { io } from "../../socket.io/socket.io.esm.min.js";
import { Emitter } from "./emitter.js";
import { ROOT } from "./place.js";
import { PROTOCOL, Refusal, Unanswered } from "./protocol.js";

const ANSWER_TIMEOUT_MS = 10_000;
const RETRY_MS = 3_000;

/** @typedef {{id: string, password?: string, token?: string, alias?: string, create?: boolean}} Login */
/** @typedef {"idle" | "connecting" | "online" | "offline"} Status */

/**
 * Emits `status`, `online` (the login's answer), `refused` (a Refusal of the login),
 * `unreachable`, and every event of the server under its own name prefixed with `server:`.
 */
export class Connection extends Emitter {
  #socket = io({
    path: `${ROOT}socket.io/`,
    autoConnect: false,
    transports: ["websocket", "polling"],
    tryAllTransports: true,
    reconnectionDelay: 500,
    reconnectionDelayMax: 5_000,
    timeout: ANSWER_TIMEOUT_MS,
  });
  /** @type {Login | null} */
  #login = null;
  #loggingIn = false;
  /** @type {Status} */
  status = "idle";

  constructor() {
    super();
    const socket = this.#socket;
    socket.on("connect", () => this.#logIn());
    socket.on("disconnect", (/** @type {string} */ reason) => {
      if (!this.#login) return;
      this.#become("offline");
      // The library comes back by itself from everything but the server's explicit goodbye.
      if (reason === "io server disconnect") setTimeout(() => this.#login && socket.connect(), RETRY_MS);
    });
    socket.on("connect_error", () => {
      this.#become(this.status === "online" ? "offline" : this.status);
      this.emit("unreachable");
      // A refusal by the server (not a broken network) is not tried again by the library.
      if (!socket.active) setTimeout(() => this.#login && socket.connect(), RETRY_MS);
    });
    socket.onAny((/** @type {string} */ event, /** @type {unknown} */ payload) => {
      this.emit(`server:${event}`, payload);
    });
    // The browser knows at once when the network is back: do not wait for the next attempt.
    addEventListener("online", () => this.#login && !socket.connected && socket.disconnect().connect());
  }

  /** Of this login; empty without one, and with open accounts. */
  get token() {
    return this.status === "idle" ? "" : (this.#login?.token ?? "");
  }

  /** @param {Login} login */
  open(login) {
    this.#login = login;
    this.#become("connecting");
    if (this.#socket.connected) this.#logIn();
    else this.#socket.connect();
  }

  close() {
    this.#login = null;
    this.#socket.disconnect();
    this.#become("idle");
  }

  /**
   * Asks and waits for the acknowledgement.
   * @param {string} event
   * @param {object} payload
   * @returns {Promise<any>} the answer
   * @throws {Refusal | Unanswered}
   */
  async request(event, payload) {
    if (!this.#socket.connected) throw new Unanswered("not connected");
    let answer;
    try {
      answer = await this.#socket.timeout(ANSWER_TIMEOUT_MS).emitWithAck(event, payload);
    } catch {
      throw new Unanswered(`no answer to ${event}`);
    }
    if (answer?.code === "200" || answer?.code === "202") return answer;
    const refusal = new Refusal(answer ?? { code: "500" });
    if (refusal.code === "401" && event !== "login") this.#logIn();
    throw refusal;
  }

  /**
   * Tells without waiting; while offline, nothing.
   * @param {string} event
   * @param {object} payload
   */
  tell(event, payload) {
    if (this.status === "online") this.#socket.emit(event, payload);
  }

  async #logIn() {
    if (this.#loggingIn || !this.#login) return;
    this.#loggingIn = true;
    const login = this.#login;
    try {
      const today = new Date().toISOString();
      const answer = await this.request("login", { ...login, today, protocol: PROTOCOL });
      if (login !== this.#login) return;
      // From now on the token logs in again; without one (open accounts) the id alone does.
      this.#login = { id: answer.id, token: answer.token, password: answer.token ? "" : login.password };
      this.#become("online");
      this.emit("online", answer);
    } catch (error) {
      if (login === this.#login) this.#failed(error, login);
    } finally {
      this.#loggingIn = false;
    }
  }

  /**
   * @param {unknown} error
   * @param {Login} login
   */
  #failed(error, login) {
    if (error instanceof Unanswered) {
      // The account may have been created: without this, the next try logs in to it.
      login.create = undefined;
      // Connected, yet no answer in time: this connection is no good.
      if (this.#socket.connected) this.#socket.disconnect().connect();
    } else if (error instanceof Refusal && (error.code === "401" || !error.passing || !login.token)) {
      this.close();
      this.emit("refused", error);
    } else {
      const wait = error instanceof Refusal && error.retryAfter ? error.retryAfter * 1000 : RETRY_MS;
      setTimeout(() => this.#login === login && this.#socket.connected && this.#logIn(), wait);
    }
  }

  /** @param {Status} status */
  #become(status) {
    if (status === this.status) return;
    this.status = status;
    this.emit("status", status);
  }
}
