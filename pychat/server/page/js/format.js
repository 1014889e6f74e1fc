/** Times, days and people's status as people say them, in the browser's language. */
import { safeText } from "./safe-text.js";

/** 02:53, but 2:53 AM where the day has twice twelve hours. */
const twelve = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions().hour12;
const clock = new Intl.DateTimeFormat(undefined, { hour: twelve ? "numeric" : "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDate = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const fullDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const DAY_MS = 86_400_000;

/** 14:05 @param {Date} date */
export function timeOf(date) {
  return clock.format(date);
}

/** Everything, for a tooltip. @param {Date} date */
export function exactTime(date) {
  return exact.format(date);
}

/** A key that is equal on one calendar day. @param {Date} date */
export function dayKey(date) {
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/** How many midnights ago. @param {Date} date */
function daysAgo(date) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  return Math.round((midnight - new Date(date).setHours(0, 0, 0, 0)) / DAY_MS);
}

/** Today, Yesterday, Monday 3 November, 3 November 2024 @param {Date} date */
export function dayOf(date) {
  const days = daysAgo(date);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return days > 0 && days < 180 ? longDate.format(date) : fullDate.format(date);
}

/** 14:05, Mon, 3 Nov: as short as the list wants it. @param {Date} date */
export function listTime(date) {
  const days = daysAgo(date);
  if (days <= 0) return timeOf(date);
  if (days === 1) return "Yesterday";
  return days < 7 ? weekday.format(date) : shortDate.format(date);
}

/** last seen today at 14:05 @param {string | null} lastSeen RFC 3339 */
export function seenText(lastSeen) {
  return lastSeen ? `last seen ${ago(new Date(lastSeen))}` : "offline";
}

/** away; empty if there is none. @param {string} status */
export function statusWord(status) {
  return { away: "away", dnd: "do not disturb" }[status] ?? "";
}

/** away · back at noon; empty if there is none. @param {{status: string, statusText: string}} person */
export function statusLine({ status, statusText }) {
  return [statusWord(status), safeText(statusText)].filter(Boolean).join(" · ");
}

/** Last used 5 min ago, logged in 3 Nov at 14:05 @param {string} lastSeen @param {string} since RFC 3339 */
export function usedText(lastSeen, since) {
  return `Last used ${ago(new Date(lastSeen))}, logged in ${ago(new Date(since))}`;
}

/** just now, 5 min ago, today at 14:05, 3 Nov at 14:05 @param {Date} date */
function ago(date) {
  const minutes = Math.floor((Date.now() - date.getTime()) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const day = daysAgo(date) === 0 ? "today" : daysAgo(date) === 1 ? "yesterday" : shortDate.format(date);
  return `${day} at ${timeOf(date)}`;
}

/** cat.png (48 kB) @param {{name: string, size: number}} file */
export function fileText({ name, size }) {
  return `${name} (${sizeText(size)})`;
}

/** 48 kB @param {number} size in bytes */
export function sizeText(size) {
  let amount = Number(size) || 0;
  let unit = "B";
  for (const larger of ["kB", "MB", "GB"]) {
    if (amount < (unit === "B" ? 1000 : 999.5)) break;
    amount /= 1000;
    unit = larger;
  }
  return `${unit !== "B" && amount < 9.95 ? amount.toFixed(1) : Math.round(amount)} ${unit}`;
}

/** The text of a message, or its file if it has no text. @param {{data?: string, file?: {name: string, size: number}}} message */
export function shownText({ data, file }) {
  return data || (file ? fileText(file) : "");
}
