/** Links to files: the server signs one for some minutes, for pages cannot send a token with a picture. */

/** A link that ends sooner than this is asked for again. */
const LEFT_MS = 60_000;

export class FileLinks {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.#connection = connection;
  }
  #connection;
  /** @type {Map<string, {url: Promise<string>, until: number}>} */
  #links = new Map();

  /**
   * @param {string} id
   * @param {boolean} [fresh] the last one does not work
   * @returns {Promise<string>} an address of this server
   */
  urlOf(id, fresh = false) {
    const known = this.#links.get(id);
    if (known && !fresh && known.until > Date.now()) return known.url;
    const link = { url: this.#ask(id), until: Infinity };
    this.#links.set(id, link);
    link.url.catch(() => this.#links.get(id) === link && this.#links.delete(id));
    return link.url;
  }

  /** @param {string} id */
  async #ask(id) {
    const { url, expires } = await this.#connection.request("fileLink", { id });
    const address = new URL(url, document.baseURI);
    if (address.origin !== location.origin) throw new Error("The file is not on this server.");
    const link = this.#links.get(id);
    if (link) link.until = Date.parse(expires) - LEFT_MS;
    return address.href;
  }
}
