// Node.js `ws` as a client of a JSON-RPC service: 64 calls in flight, each reply found by its id.
//
// Run as `node jsonrpc_client.mjs URL CALLS`.
import WebSocket from "ws";

const [url, calls] = process.argv.slice(2);
const total = Number(calls);
const WINDOW = 64;

const waiting = new Set();
let sent = 0;
let answered = 0;
const socket = new WebSocket(url, { perMessageDeflate: false });

function send() {
  if (sent === total) return;
  socket.send(`{"jsonrpc":"2.0","id":${sent},"method":"add","params":[${sent},1]}`);
  waiting.add(sent);
  sent++;
}

socket.on("open", () => {
  for (let i = 0; i < WINDOW; i++) send();
});
socket.on("message", (data) => {
  const reply = JSON.parse(data.toString());
  if (!waiting.delete(reply.id) || !("result" in reply)) {
    throw new Error(`this is the result of no call: ${data}`);
  }
  answered++;
  if (answered === total) socket.close();
  else send();
});
socket.on("close", () => {
  if (answered !== total) throw new Error(`${answered} of ${total} answered`);
});
