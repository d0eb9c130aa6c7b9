// k6 as a client of a JSON-RPC service: 64 calls in flight, each reply found by its id.
import exec from "k6/execution";
import ws from "k6/ws";

const total = Number(__ENV.MESSAGES);
const WINDOW = 64;

export default function () {
  const waiting = new Set();
  let sent = 0;
  let answered = 0;

  ws.connect(__ENV.URL, null, (socket) => {
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
      const reply = JSON.parse(data);
      if (!waiting.delete(reply.id) || !("result" in reply)) {
        exec.test.abort(`this is the result of no call: ${data}`);
      }
      answered++;
      if (answered === total) socket.close();
      else send();
    });
  });
  if (answered !== total) exec.test.abort(`${answered} of ${total} answered`);
}
