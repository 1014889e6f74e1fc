// The original's relay on Socket.IO 4.8: as little as it can do. `keep` gets each message before
// anybody is told of it.
module.exports = function relay(keep) {
  const http = require("http").createServer();
  const io = require("socket.io")(http, { allowEIO3: true });
  const users = new Map();

  io.on("connection", (socket) => {
    let id = null;
    socket.on("login", (login) => {
      id = login.id;
      users.set(id, socket);
      socket.emit("response", { command: "login", code: "200", message: "Login successful" });
    });
    socket.on("message", (message) => {
      if (message.recepient === "ALL") {
        keep(message);
        io.emit("message", message);
        return;
      }
      const peer = users.get(message.recepient);
      if (peer === undefined) {
        socket.emit("response", { command: "login", code: "404", message: "not found" });
        return;
      }
      keep(message);
      peer.emit("message", message);
      socket.emit("response", { command: "message", code: "200", message: "sent" });
    });
    socket.on("disconnect", () => users.delete(id));
  });

  http.listen(0, "127.0.0.1", () => console.log(http.address().port));
};

if (require.main === module) module.exports(() => {});
