/** Where the server is: at the root of its host, or under a path that a proxy has given it. */

/** The path of the page, with a slash at the end: `/`, or `/chat/`. */
export const ROOT = new URL("../../", import.meta.url).pathname;
