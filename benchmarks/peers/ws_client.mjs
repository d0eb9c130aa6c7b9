// Node.js `ws` as a bulk sender: keeps 64 requests in flight and checks each reply.
//
// Run as `node ws_client.mjs URL MESSAGES check|print [corked]`.
import { writeSync } from "node:fs";
import net from "node:net";
import WebSocket from "ws";

const [url, messages, job, corked] = process.argv.slice(2);
const total = Number(messages);
const WINDOW = 64;
const WRITE_SIZE = 65536;
const ENDING = /^: ([1-9][0-9]?|100)$/;

let sent = 0;
let answered = 0;
let lines = "";
let connection;

function connect({ host, port }) {
  connection = net.connect(port, host);
  return connection;
}

// What is compared with valid UTF-8 as a whole need not be validated before.
const options = { perMessageDeflate: false, skipUTF8Validation: true };
const socket = new WebSocket(url, corked ? { ...options, createConnection: connect } : options);

function send() {
  if (sent === total) return;
  if (corked && !connection.writableCorked) {
    // `ws` writes each frame by itself; so those of one read go out in one write.
    connection.cork();
    process.nextTick(() => connection.uncork());
  }
  socket.send(`Request ${sent}`);
  sent++;
}

function print(size) {
  if (lines.length > size) {
    writeSync(1, lines);
    lines = "";
  }
}

socket.on("open", () => {
  for (let i = 0; i < WINDOW; i++) send();
});
socket.on("message", (data) => {
  const reply = data.toString();
  const request = `Request ${answered}`;
  if (!reply.startsWith(request) || !ENDING.test(reply.slice(request.length))) {
    throw new Error(`the reply to ${request} is wrong: ${reply}`);
  }
  if (job === "print") {
    lines += `Response for ${reply}\n`;
    print(WRITE_SIZE);
  }
  answered++;
  if (answered === total) socket.close();
  else send();
});
socket.on("close", () => {
  print(0);
  if (answered !== total) throw new Error(`${answered} of ${total} answered`);
});
