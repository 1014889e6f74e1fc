// node namespace.js CLIENT URL TRANSPORTS NAMESPACE BASE64: joins it and says something, which comes back
// as the acknowledgement and as an event. Prints what happened as JSON.
const [, , client, url, transports, namespace, base64] = process.argv;
const library = require(client);
const io = library.io || library;
const options = {
  transports: transports.split(","), forceBase64: base64 === "true", forceNew: true,
  reconnection: false,
};
const heard = [];
const socket = io(url + namespace, options);
const end = (what) => process.stdout.write(JSON.stringify([...heard, what]), () => process.exit(0));

socket.on("connect", () => socket.emit("say", "한 é😀", (answer) => end(["answer", answer])));
socket.on("said", (text) => heard.push(["said", text]));
for (const event of ["error", "connect_error"]) {
  socket.on(event, (error) => end(["refused", error.message || error]));
}
