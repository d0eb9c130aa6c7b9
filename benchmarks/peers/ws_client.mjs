// Node.js `ws` as a bulk sender: keeps requests in flight and checks each reply.
//
// Run as `node ws_client.mjs URL MESSAGES check|print CONNECTIONS IN_FLIGHT [corked]`.
import { writeSync } from "node:fs";
import net from "node:net";
import WebSocket from "ws";

const [url, messages, job, connections, inFlight, corked] = process.argv.slice(2);
const total = Number(messages);
const WINDOW = Number(inFlight);
const WRITE_SIZE = 65536;
const ENDING = /^: ([1-9][0-9]?|100)$/;

let sent = 0;
let answered = 0;
let open = 0;
let lines = "";

function print(size) {
  if (lines.length > size) {
    writeSync(1, lines);
    lines = "";
  }
}

function connect() {
  let connection;
  // What is compared with valid UTF-8 as a whole need not be validated before.
  const options = { perMessageDeflate: false, skipUTF8Validation: true };
  if (corked) {
    options.createConnection = ({ host, port }) => (connection = net.connect(port, host));
  }
  const socket = new WebSocket(url, options);
  // The requests in flight, in a ring: replies come in their order.
  const requests = new Array(WINDOW);
  let first = 0;
  let next = 0;

  function send() {
    if (sent === total) return;
    if (corked && !connection.writableCorked) {
      // `ws` writes each frame by itself; so those of one read go out in one write.
      connection.cork();
      process.nextTick(() => connection.uncork());
    }
    const request = `Request ${sent}`;
    requests[next % WINDOW] = request;
    socket.send(request);
    next++;
    sent++;
  }

  socket.on("open", () => {
    open++;
    for (let i = 0; i < WINDOW; i++) send();
    if (next === 0) socket.close();
  });
  socket.on("message", (data) => {
    const reply = data.toString();
    const request = requests[first % WINDOW];
    if (!reply.startsWith(request) || !ENDING.test(reply.slice(request.length))) {
      throw new Error(`the reply to ${request} is wrong: ${reply}`);
    }
    if (job === "print") {
      lines += `Response for ${reply}\n`;
      print(WRITE_SIZE);
    }
    first++;
    answered++;
    if (sent < total) send();
    else if (first === next) socket.close();
  });
  socket.on("close", () => {
    if (--open > 0) return;
    print(0);
    if (answered !== total) throw new Error(`${answered} of ${total} answered`);
  });
}

for (let i = 0; i < Number(connections); i++) connect();
