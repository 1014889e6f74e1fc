/** Files on their way to the server, before their message is sent: two at a time, with progress. */
import { Emitter } from "./emitter.js";
import { SHOWN_IMAGES } from "./protocol.js";
import { ROOT } from "./place.js";

/** As many as the server takes of one account. */
const AT_ONCE = 2;
const RETRY_MS = 2_000;
/** A larger picture is sent without its size: the browser would have to decode it. */
const MAX_MEASURED_BYTES = 30_000_000;
const THUMBNAIL_PX = 96;

/** @typedef {import("./protocol.js").FileOfMessage} FileOfMessage */
/** @typedef {"waiting" | "sending" | "done" | "failed"} UploadState */

/**
 * @typedef {object} Upload
 * @property {string} to the conversation that it is for
 * @property {File} file
 * @property {UploadState} state
 * @property {number} share that is sent, 0 to 1
 * @property {string} error
 * @property {FileOfMessage | null} answer
 * @property {XMLHttpRequest | null} request
 * @property {HTMLCanvasElement | null} thumbnail
 * @property {{width: number, height: number} | null} size
 */

/** Emits `change` (the name of a conversation). */
export class Uploads extends Emitter {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    super();
    this.#connection = connection;
  }
  #connection;
  /** @type {Upload[]} */
  #all = [];
  #paused = false;

  /** Open accounts have no tokens, and send no files. */
  get possible() {
    return this.#connection.token !== "";
  }

  /** @param {string} name */
  of(name) {
    return this.#all.filter((upload) => upload.to === name);
  }

  /** @param {string} to @param {Iterable<File>} files */
  add(to, files) {
    for (const file of files) {
      /** @type {Upload} */
      const upload = { to, file, state: "waiting", share: 0, error: "", answer: null, request: null, thumbnail: null, size: null };
      if (!file.size) Object.assign(upload, { state: "failed", error: "It is empty." });
      this.#all.push(upload);
    }
    this.#next(to);
  }

  /** @param {Upload} upload */
  cancel(upload) {
    upload.request?.abort();
    this.#all = this.#all.filter((one) => one !== upload);
    this.#next(upload.to);
  }

  /** @param {Upload} upload */
  retry(upload) {
    Object.assign(upload, { state: "waiting", share: 0, error: "" });
    this.#next(upload.to);
  }

  /** Those that have arrived, for their messages. @param {string} name @returns {FileOfMessage[]} */
  take(name) {
    const done = this.of(name).filter(({ state }) => state === "done");
    this.#all = this.#all.filter((upload) => !done.includes(upload));
    this.emit("change", name);
    return done.flatMap(({ answer }) => answer ?? []);
  }

  /** @param {string} changed */
  #next(changed) {
    this.emit("change", changed);
    const sending = this.#all.filter(({ state }) => state === "sending").length;
    const waiting = this.#all.filter(({ state }) => state === "waiting");
    if (this.#paused) return;
    for (const upload of waiting.slice(0, Math.max(0, AT_ONCE - sending))) this.#start(upload);
  }

  /** @param {Upload} upload */
  async #start(upload) {
    upload.state = "sending";
    await measure(upload);
    if (upload.state !== "sending" || !this.#all.includes(upload)) return;
    const request = (upload.request = new XMLHttpRequest());
    const query = new URLSearchParams({ name: upload.file.name || "file" });
    if (upload.size) {
      query.set("width", String(upload.size.width));
      query.set("height", String(upload.size.height));
    }
    request.open("POST", `${ROOT}files?${query}`);
    request.setRequestHeader("Authorization", `Bearer ${this.#connection.token}`);
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      upload.share = total ? loaded / total : 0;
      this.emit("change", upload.to);
    });
    request.addEventListener("load", () => this.#answered(upload, request));
    request.addEventListener("error", () => this.#failed(upload, "The connection broke, or the file is too large."));
    request.send(upload.file);
    this.emit("change", upload.to);
  }

  /** @param {Upload} upload @param {XMLHttpRequest} request */
  #answered(upload, request) {
    if (request.status === 201) {
      Object.assign(upload, { state: "done", share: 1, answer: JSON.parse(request.responseText) });
    } else if (request.status === 429 || request.status === 503) {
      upload.state = "waiting";
      this.#pause(Number(request.getResponseHeader("Retry-After")) * 1000 || RETRY_MS);
    } else return this.#failed(upload, sentence(request.responseText) || `The server answered ${request.status}.`);
    this.#next(upload.to);
  }

  /** @param {number} ms */
  #pause(ms) {
    this.#paused = true;
    setTimeout(() => {
      this.#paused = false;
      for (const name of new Set(this.#all.map(({ to }) => to))) this.#next(name);
    }, ms);
  }

  /** @param {Upload} upload @param {string} error */
  #failed(upload, error) {
    Object.assign(upload, { state: "failed", error });
    this.#next(upload.to);
  }
}

/** How large a picture is, and a small one of it. @param {Upload} upload */
async function measure(upload) {
  const { file } = upload;
  if (!SHOWN_IMAGES.includes(file.type) || file.size > MAX_MEASURED_BYTES || upload.size) return;
  try {
    const picture = await createImageBitmap(file);
    const { width, height } = picture;
    const scale = THUMBNAIL_PX / Math.min(width, height);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = THUMBNAIL_PX;
    canvas
      .getContext("2d")
      ?.drawImage(picture, (THUMBNAIL_PX - width * scale) / 2, (THUMBNAIL_PX - height * scale) / 2, width * scale, height * scale);
    picture.close();
    Object.assign(upload, { size: { width, height }, thumbnail: canvas });
  } catch {
    // No picture that this browser knows: it is sent all the same.
  }
}

/** `413: the file is too large` as people read it. @param {string} text */
function sentence(text) {
  const said = text.slice(text.indexOf(":") + 1).trim().slice(0, 200);
  return said && `${said.slice(0, 1).toLocaleUpperCase()}${said.slice(1)}.`;
}
