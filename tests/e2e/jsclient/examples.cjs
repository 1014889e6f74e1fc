// Runs examples of docs/reference/protocol.md on socket.io-client: node examples.cjs CLIENT URL < JSON
// In: a list of {user, code}, run in order. Each user has one socket, which has to log in itself;
// code may wait for `heard(event)`. Out: for each, the requests that it made, with their answers,
// and what all sockets heard meanwhile.
const { io } = require(process.argv[2]);
const url = process.argv[3];
const people = new Map();

function person(name) {
  if (people.has(name)) return people.get(name);
  const socket = io(url, { forceNew: true });
  const one = { socket, requests: [], heard: [], wanted: [] };
  const emit = socket.emitWithAck.bind(socket);
  socket.emitWithAck = async (event, payload) => {
    const answer = await emit(event, payload);
    one.requests.push({ event, payload, answer });
    return answer;
  };
  socket.onAny((event, payload) => {
    one.heard.push({ event, payload });
    for (const wake of one.wanted.splice(0)) wake();
  });
  people.set(name, one);
  return one;
}

async function run({ user, code }) {
  const one = person(user);
  const heard = async (event) => {
    for (;;) {
      const found = one.heard.find((each) => each.event === event);
      if (found) return found.payload;
      await new Promise((resolve) => one.wanted.push(resolve));
    }
  };
  const AsyncFunction = run.constructor;
  await new AsyncFunction("socket", "io", "heard", "console", code)(one.socket, () => one.socket, heard, { log() {} });
  const done = { requests: one.requests.splice(0), heard: {} };
  for (const [name, each] of people) done.heard[name] = each.heard.splice(0);
  return done;
}

(async () => {
  let input = "";
  for await (const chunk of process.stdin) {
    input += chunk;
    for (let end; (end = input.indexOf("\n")) >= 0; input = input.slice(end + 1)) {
      let done;
      try {
        done = await run(JSON.parse(input.slice(0, end)));
      } catch (error) {
        done = { error: String(error) };
      }
      process.stdout.write(JSON.stringify(done) + "\n");
    }
  }
  for (const { socket } of people.values()) socket.close();
})();
