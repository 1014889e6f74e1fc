/** Files in the log: pictures with a preview, players, and cards. Each keeps its height while it loads. */
import { element, icon } from "../dom.js";
import { fileText, sizeText } from "../format.js";
import { problemOf } from "../message-changes.js";
import { SHOWN_IMAGES, SHOWN_SOUNDS, SHOWN_VIDEOS } from "../protocol.js";
import { safeText } from "../safe-text.js";

/** Pixels of a preview. */
const MAX_WIDTH = 320;
const MAX_HEIGHT = 320;
const MIN_SIDE = 48;
/** Of a picture whose sender has not said how large it is. */
const UNKNOWN = { width: 4, height: 3 };
/** Loaded when it comes this near to the view. */
const NEAR = "800px";

/** @typedef {import("../protocol.js").FileOfMessage} FileOfMessage */
/** @typedef {HTMLImageElement | HTMLVideoElement | HTMLAudioElement} Medium */

export class MediaView {
  /**
   * @param {import("../file-links.js").FileLinks} links
   * @param {HTMLElement} log
   */
  constructor(links, log) {
    this.#links = links;
    this.#near = new IntersectionObserver((seen) => this.#seen(seen), { root: log, rootMargin: NEAR });
  }
  #links;
  #near;
  /** What was made for a file: a row that is drawn again gets the same, so that a film plays on. @type {Map<string, HTMLElement>} */
  #nodes = new Map();
  /** @type {WeakMap<Element, FileOfMessage>} */
  #files = new WeakMap();

  /** @param {FileOfMessage} file */
  nodeOf(file) {
    let node = this.#nodes.get(file.id);
    if (!node) this.#nodes.set(file.id, (node = this.#build(file)));
    return node;
  }

  /** Lets go of what is not drawn any more. */
  prune() {
    for (const [id, node] of this.#nodes) {
      if (node.isConnected) continue;
      for (const medium of node.querySelectorAll("img, video, audio")) this.#near.unobserve(medium);
      this.#nodes.delete(id);
    }
  }

  /** @param {FileOfMessage} file */
  #build(file) {
    const { mime } = file;
    if (SHOWN_IMAGES.includes(mime)) {
      const image = this.#medium(document.createElement("img"), file);
      image.alt = "";
      image.decoding = "async";
      const button = element("button.picture", { type: "button", "data-view": file.id, "aria-label": safeText(`Show ${fileText(file)}`) }, image);
      fit(button, file);
      return button;
    }
    if (!SHOWN_VIDEOS.includes(mime) && !SHOWN_SOUNDS.includes(mime)) return card(file);
    const sound = SHOWN_SOUNDS.includes(mime);
    const player = this.#medium(document.createElement(sound ? "audio" : "video"), file);
    player.controls = true;
    player.preload = "metadata";
    player.setAttribute("aria-label", safeText(file.name));
    const box = element(sound ? "div.sound" : "div.film", {}, player);
    if (!sound) fit(box, file, { width: 16, height: 9 });
    return element("div.player", {}, box, card(file));
  }

  /**
   * @template {Medium} M
   * @param {M} medium
   * @param {FileOfMessage} file
   */
  #medium(medium, file) {
    this.#files.set(medium, file);
    this.#near.observe(medium);
    let again = true;
    medium.addEventListener("error", () => {
      // The link may have ended: once, with another one, and from the same place.
      if (again) this.#load(medium, true);
      else medium.classList.add("broken");
      again = false;
    });
    medium.addEventListener(medium instanceof HTMLImageElement ? "load" : "playing", () => (again = true));
    return medium;
  }

  /** @param {IntersectionObserverEntry[]} seen */
  #seen(seen) {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      this.#near.unobserve(target);
      this.#load(/** @type {Medium} */ (target), false);
    }
  }

  /** @param {Medium} medium @param {boolean} fresh */
  async #load(medium, fresh) {
    const file = this.#files.get(medium);
    if (!file) return;
    const time = medium instanceof HTMLMediaElement ? medium.currentTime : 0;
    try {
      medium.src = await this.#links.urlOf(file.id, fresh);
      if (time) /** @type {HTMLMediaElement} */ (medium).currentTime = time;
    } catch (error) {
      medium.classList.add("broken");
      medium.title = problemOf(error);
    }
  }
}

/**
 * The room that it takes, before anything of it has arrived.
 * @param {HTMLElement} node
 * @param {FileOfMessage} file
 * @param {{width: number, height: number}} [otherwise]
 */
function fit(node, file, otherwise = UNKNOWN) {
  const known = file.width && file.height ? { width: file.width, height: file.height } : null;
  const { width, height } = known ?? { width: otherwise.width * 1000, height: otherwise.height * 1000 };
  const scale = Math.min(1, MAX_WIDTH / width, MAX_HEIGHT / height);
  const [wide, high] = [width, height].map((side) => Math.max(MIN_SIDE, Math.round(side * scale)));
  node.style.width = `${wide}px`;
  node.style.aspectRatio = `${wide} / ${high}`;
}

/** @param {FileOfMessage} file */
function card(file) {
  return element(
    "button.file",
    { type: "button", "data-file": file.id },
    icon("file"),
    element("span", {}, element("bdi.name", {}, file.name), " ", element("span.size", {}, sizeText(file.size))),
  );
}
