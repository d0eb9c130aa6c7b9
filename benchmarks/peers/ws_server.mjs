// Node.js `ws`, all defaults (it does not compress).
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 4096 });
server.on("connection", (socket) => {
  socket.on("error", () => {}); // a client that vanishes is no news here
  socket.on("message", (data) => {
    socket.send(`${data}: ${1 + Math.floor(Math.random() * 100)}`);
  });
});
server.on("listening", () => console.log(`ws://127.0.0.1:${server.address().port}/`));
