// One client of the original protocol: node reader.js CLIENT URL TRANSPORTS ID NOTE
//
// Logs in and writes NOTE to itself. Standard output is a file: "in" once it is logged in, then the
// text of each message that its handler was given. Standard input tells it how to leave.

const fs = require("fs");
const [, , client, url, transports, id, note] = process.argv;
const library = require(client);
const io = library.io || library;
const tell = (line) => fs.writeSync(1, line + "\n");

const socket = io(url, { transports: transports.split(","), forceNew: true, reconnection: false });
socket.on("connect", () => {
  socket.emit("login", { id, password: "secret", alias: "", today: "" });
  socket.emit("message", { sender: id, recepient: id, command: "chat", type: "text", data: note });
});
socket.on("response", (response) => {
  if (response.command === "login" && response.code === "200") tell("in");
});
socket.on("message", (message) => tell(message.data));

process.stdin.on("data", (order) => {
  if (String(order) === "disconnect\n") socket.disconnect();
  else if (String(order) === "close\n") socket.io.engine.close();
  else throw new Error("unknown order " + order);
});
process.stdin.on("end", () => process.exit(0));
