// k6 as a bulk sender: keeps 64 requests in flight and checks each reply.
//
// Of its two WebSocket modules this is the older; with one connection it costs a third less.
import exec from "k6/execution";
import ws from "k6/ws";

const total = Number(__ENV.MESSAGES);
const WINDOW = 64;
const ENDING = /^: ([1-9][0-9]?|100)$/;

export default function () {
  let sent = 0;
  let answered = 0;

  ws.connect(__ENV.URL, null, (socket) => {
    function send() {
      if (sent === total) return;
      socket.send(`Request ${sent}`);
      sent++;
    }

    socket.on("open", () => {
      for (let i = 0; i < WINDOW; i++) send();
    });
    socket.on("message", (reply) => {
      const request = `Request ${answered}`;
      if (!reply.startsWith(request) || !ENDING.test(reply.slice(request.length))) {
        exec.test.abort(`the reply to ${request} is wrong: ${reply}`);
      }
      answered++;
      if (answered === total) socket.close();
      else send();
    });
  });
  if (answered !== total) exec.test.abort(`${answered} of ${total} answered`);
}
