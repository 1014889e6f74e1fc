// One client of the matrix, in Node and in browsers: says the corpus, checks what others say.
//
// runPeer(io, url, options, name, corpus, peers, report): `report` gets one object when
// everything that all peers say has come: {transport, wrong: [...], acks, order}.

(function (root) {
  function bytes(base64) {
    if (typeof Buffer !== "undefined") return Buffer.from(base64, "base64");
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;
  }

  function inflate(value) {
    if (Array.isArray(value)) return value.map(inflate);
    if (value && typeof value === "object") {
      if ("$base64" in value) return bytes(value.$base64);
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, inflate(v)]));
    }
    return value;
  }

  function view(value) {
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (ArrayBuffer.isView(value)) {
      return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    return null;
  }

  function same(a, b) {
    const x = view(a), y = view(b);
    if (x || y) return !!x && !!y && x.length === y.length && x.every((v, i) => v === y[i]);
    if (a && b && typeof a === "object" && typeof b === "object") {
      const keys = Object.keys(a);
      return keys.length === Object.keys(b).length && keys.every((k) => same(a[k], b[k]));
    }
    return a === b;
  }

  function brief(value) {
    return String(JSON.stringify(value)).slice(0, 200);
  }

  root.runPeer = function (io, url, options, name, corpus, peers, report) {
    const texts = corpus.map(inflate);
    const socket = io(url, Object.assign({ forceNew: true, reconnection: false }, options));
    const result = { wrong: [], acks: 0, asked: 0 };
    const heard = {};
    let myTurnIsOver = () => {};
    let missing = peers * texts.length;
    let done = false;
    const fail = (what) => { result.wrong.push(what); finish(); };

    function finish() {
      if (done) return;
      done = true;
      result.transport = socket.io.engine.transport.name;
      report(result);
    }
    function check() {
      if (missing === 0 && result.acks === texts.length && result.asked === texts.length) finish();
    }

    socket.on("connect_error", (error) => fail("connect_error " + error));
    socket.on("error", (error) => fail("error " + brief(error)));
    socket.on("disconnect", (reason) => { if (!done) fail("disconnect " + reason); });
    socket.on("your turn", (answer) => {
      myTurnIsOver = answer;
      texts.forEach((text, n) => socket.emit("say", { from: name, n, text }, (answer) => {
        if (!same(answer, text)) result.wrong.push(`ack ${n}: ${brief(answer)}`);
        result.acks += 1;
        if (result.acks === texts.length) myTurnIsOver();
        check();
      }));
    });
    socket.on("said", (message) => {
      const next = heard[message.from] || 0;
      heard[message.from] = next + 1;
      if (message.n !== next) result.wrong.push(`${message.from}: ${message.n} before ${next}`);
      if (!same(message.text, texts[message.n])) {
        result.wrong.push(`${message.from} ${message.n}: ${brief(message.text)}`);
      }
      missing -= 1;
      check();
    });
    socket.on("still there", (answer) => answer());
    socket.on("ask", (n, text, answer) => {
      if (!same(text, texts[n])) result.wrong.push(`asked ${n}: ${brief(text)}`);
      result.asked += 1;
      answer(text);
      check();
    });
    return socket;
  };
})(typeof window === "undefined" ? module.exports : window);

if (typeof window === "undefined" && require.main === module) {
  const [, , client, url, transports, name, corpusFile, peers] = process.argv;
  const library = require(client);
  const corpus = JSON.parse(require("fs").readFileSync(corpusFile, "utf8"));
  module.exports.runPeer(
    library.io || library, url, { transports: transports.split(",") }, name, corpus, Number(peers),
    (result) => process.stdout.write(JSON.stringify(result), () => process.exit(0)),
  );
}
