"""picows: a WebSocket library in Cython, on uvloop as its documentation advises."""

from random import random

import uvloop
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

ENDINGS = tuple(f": {number}".encode() for number in range(1, 101))


class Answerer(WSListener):
    """Answer each message with itself and a random number."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Send the reply while the frame's buffer is still valid."""
        if frame.msg_type == WSMsgType.TEXT:
            ending = ENDINGS[int(random() * 100)]
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes() + ending)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()


async def main() -> None:
    """Serve on a free port, say which, and never end by itself."""

    def new_listener(request: WSUpgradeRequest) -> Answerer:
        return Answerer()

    server = await ws_create_server(new_listener, "127.0.0.1", 0, backlog=4096)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
