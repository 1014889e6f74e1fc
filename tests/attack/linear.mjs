// Measures patterns and functions of the page on texts that double: see test_linear.py.
// Reads {patterns: [[where, source, flags]], pieces, cases, measured, shortest, longest, most} from standard
// input, prints one line of JSON: how many texts were tried, and what was not linear.
import { readFileSync } from "node:fs";

const element = () => ({ append() {}, setAttribute() {}, className: "" });
globalThis.document = { createElement: element, createElementNS: element };

const asked = JSON.parse(readFileSync(0, "utf8"));
const page = process.argv[2];
const { formatted, firstLine, isBigEmoji, breaksAtWords } = await import(`${page}/text.js`);
const { safeText } = await import(`${page}/safe-text.js`);
const { deviceTitle } = await import(`${page}/devices.js`);
const { Refusal } = await import(`${page}/protocol.js`);

/** @type {Array<[string, (text: string) => unknown]>} */
const targets = [
  ["formatted", formatted],
  ["firstLine", firstLine],
  ["isBigEmoji", isBigEmoji],
  ["breaksAtWords", breaksAtWords],
  ["safeText", safeText],
  ["deviceTitle", deviceTitle],
  ["Refusal", (text) => new Refusal({ code: "400", message: text })],
  ...asked.patterns.map(([where, source, flags]) => {
    const pattern = new RegExp(source, flags.includes("g") ? flags : `${flags}g`);
    return [`${where} /${source}/`, (/** @type {string} */ text) => text.replace(pattern, "")];
  }),
];

let state = 1;
const random = (/** @type {number} */ below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const piece = () => asked.pieces[random(asked.pieces.length)];

const time = (/** @type {(text: string) => unknown} */ run, /** @type {string} */ text) => {
  const start = process.cpuUsage();
  run(text);
  const { user, system } = process.cpuUsage(start);
  return user + system;
};
const least = (run, text, times) => {
  let found = Infinity;
  for (let i = 0; i < times; i++) found = Math.min(found, time(run, text));
  return found;
};

let tried = 0;
const problems = [];
for (const [name, run] of targets) {
  const units = asked.pieces.map((unit) => ["", unit, ""]);
  for (let i = 0; i < asked.cases; i++) {
    const unit = Array.from({ length: 1 + random(3) }, piece).join("");
    units.push([random(2) ? piece() : "", unit, random(2) ? piece() : ""]);
  }
  for (const [before, unit, behind] of units) {
    tried++;
    const text = (size) => before + unit.repeat(size / unit.length) + behind;
    let size = asked.shortest;
    while (size <= asked.longest && time(run, text(size)) < asked.measured * 1e6) size *= 2;
    if (size > asked.longest) continue;
    // One size may meet a limit of a cache, or other load: the square shows at every size.
    let growth = 0;
    for (const larger of [size, 2 * size, 4 * size]) {
      const once = text(larger);
      const twice = text(2 * larger);
      for (let attempt = 1; attempt < 7; attempt++) {
        growth = least(run, twice, attempt) / least(run, once, attempt);
        if (growth <= asked.most) break;
      }
      if (growth <= asked.most) break;
    }
    if (growth > asked.most) problems.push(`${name}: ${JSON.stringify([before, unit, behind])} ${growth}`);
  }
}
console.log(JSON.stringify({ tried, problems }));
