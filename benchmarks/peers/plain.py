"""The peer to beat by far: the handler that the websockets documentation teaches, all defaults."""

import asyncio
import random

from websockets.asyncio.server import ServerConnection, serve


async def answer(websocket: ServerConnection) -> None:
    """Answer each message with itself and a random number."""
    async for message in websocket:
        await websocket.send(f"{message!s}: {random.randint(1, 100)}")


async def main() -> None:
    """Serve on a free port, say which, and never end by itself."""
    async with serve(answer, "127.0.0.1", 0) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
