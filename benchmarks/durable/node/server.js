// The relay that keeps each message in a transaction of its own, fsynced, before it goes out.
const database = require("better-sqlite3")(process.argv[2]);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(
  "CREATE TABLE message (id INTEGER PRIMARY KEY, sender TEXT, recepient TEXT, sent_at INTEGER, data TEXT)",
);
const insert = database.prepare(
  "INSERT INTO message (sender, recepient, sent_at, data) VALUES (?, ?, ?, ?)",
);

require("../../relay/node/server.js")((message) => {
  insert.run(message.sender, message.recepient, Date.now(), message.data);
});
