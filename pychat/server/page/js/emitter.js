/** The smallest publisher: named events, handlers called in the order they came. */
export class Emitter {
  /** @type {Map<string, Array<(...values: any[]) => void>>} */
  #handlers = new Map();

  /**
   * @param {string} event
   * @param {(...values: any[]) => void} handler
   */
  on(event, handler) {
    const handlers = this.#handlers.get(event) ?? [];
    handlers.push(handler);
    this.#handlers.set(event, handlers);
  }

  /**
   * @param {string} event
   * @param {...any} values
   */
  emit(event, ...values) {
    for (const handler of this.#handlers.get(event) ?? []) handler(...values);
  }
}
