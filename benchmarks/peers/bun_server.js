// Bun's own server, which is uWebSockets (C++), all defaults.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    message(socket, text) {
      socket.send(`${text}: ${1 + Math.floor(Math.random() * 100)}`);
    },
  },
});
console.log(`ws://127.0.0.1:${server.port}/`);
