/** Text of others without what would reorder or hide it: the same as pychat/client/safetext.py. */

const LINE_ENDS = /\r\n?|[\x85\u2028\u2029]/g;
// C0 but tab and newline, DEL, C1, and every control of direction (UAX #9).
const REMOVED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufeff]/g;

/** @param {string} text */
export function safeText(text) {
  return text.replace(LINE_ENDS, "\n").replace(REMOVED, "");
}
