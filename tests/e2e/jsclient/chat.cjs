// A chat client on socket.io-client from npm, driven by lines of JSON: node chat.cjs URL ID
// In: [event, payload], emitted with an acknowledgement. Out: everything that happens.
const readline = require("node:readline");
const { io } = require("socket.io-client");

const [url, id] = process.argv.slice(2);
const socket = io(url, { reconnectionDelay: 100, reconnectionDelayMax: 500 });
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");

socket.on("connect", () => {
  const login = { id, password: `password of ${id}`, alias: id, today: "" };
  socket.emit("login", login, (answer) => tell({ login: answer.code }));
});
socket.on("disconnect", (reason) => tell({ disconnect: reason }));
socket.onAny((event, payload) => tell({ event, payload }));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [event, payload] = JSON.parse(line);
  socket.emit(event, payload, (answer) => tell({ answer }));
}).on("close", () => socket.close());
