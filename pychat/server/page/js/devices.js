/** What a login was made with, in words: "Chrome on Linux", "pychat on Linux". */

/** The first that fits: most browsers name others, too. @type {Array<[RegExp, string]>} */
const PROGRAMS = [
  [/^pychat\b/, "pychat"],
  [/\bEdg(?:e|A|iOS)?\//, "Edge"],
  [/\bOPR\/|\bOpera\b/, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\bFirefox\/|\bFxiOS\//, "Firefox"],
  [/\bHeadlessChrome\/|\bChrom(?:e|ium)\/|\bCriOS\//, "Chrome"],
  [/\bSafari\//, "Safari"],
  [/\bPython\/|\baiohttp\//, "A Python program"],
  [/^node\b/i, "A Node program"],
];
/** @type {Array<[RegExp, string]>} */
const SYSTEMS = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bMacintosh\b|\bmacOS\b|\bDarwin\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b|\bX11\b/, "Linux"],
];

/** @param {string} device a User-Agent, perhaps cut */
export function deviceTitle(device) {
  const system = named(SYSTEMS, device);
  // Where it was cut before the browser's name, it still names the engine.
  const program = named(PROGRAMS, device) || (/\bAppleWebKit\/|\bGecko\//.test(device) ? "A browser" : "");
  if (program && system) return `${program} on ${system}`;
  return program || system || device || "Unknown device";
}

/** @param {Array<[RegExp, string]>} names @param {string} text */
function named(names, text) {
  return names.find(([pattern]) => pattern.test(text))?.[1] ?? "";
}
