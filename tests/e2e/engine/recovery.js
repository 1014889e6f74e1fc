// node recovery.js CLIENT URL TRANSPORTS: tells its connections, its events and what it has
// recovered, a line of JSON each; breaks its connection at each line on standard input.
const [, , client, url, transports] = process.argv;
const socket = require(client).io(url, {
  transports: transports.split(","), reconnectionDelay: 10, reconnectionDelayMax: 20,
});
const tell = (...what) => console.log(JSON.stringify(what));

socket.on("connect", () => tell("connect", socket.id, socket.recovered));
socket.on("disconnect", (reason) => tell("disconnect", reason));
socket.on("news", (text) => tell("news", text));
process.stdin.on("data", () => socket.io.engine.close());
