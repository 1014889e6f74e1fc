/** Which conversation was spoken in last: not by the messages' times, for a clock may be set back. */

export class Recency {
  /** @type {Map<string, number>} */
  #ranks = new Map();
  /** The highest rank given so far. */
  top = 0;

  /** Something was said there: it is the newest now. @param {string} name */
  raise(name) {
    this.#ranks.set(name, ++this.top);
  }

  /** Higher is newer; 0 where nothing was said. @param {string} name */
  of(name) {
    return this.#ranks.get(name) ?? 0;
  }

  /**
   * The server's order, newest first.
   * @param {Iterable<string>} names
   * @param {string[]} later what was said there the list does not know yet: they stay above it
   */
  list(names, later) {
    const above = later.sort((a, b) => this.of(a) - this.of(b));
    for (const name of [...names].reverse()) this.raise(name);
    for (const name of above) this.raise(name);
  }
}
