"""A JSON-RPC service that adds; of each two calls it answers the second first."""

import asyncio

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class Call(msgspec.Struct):
    """A call of ``add``."""

    id: int
    params: list[int]


class Result(msgspec.Struct):
    """What comes back for it."""

    id: int
    result: int
    jsonrpc: str = "2.0"


async def answer(websocket: ServerConnection) -> None:
    """Answer all calls of a connection, the last one too if it is alone."""
    decode, encode = msgspec.json.Decoder(Call).decode, msgspec.json.encode
    waiting: bytes | None = None
    while True:
        try:
            async with asyncio.timeout(None if waiting is None else 0.01):
                call = decode(await websocket.recv())
        except TimeoutError:
            assert waiting is not None
            await websocket.send(waiting, text=True)
            waiting = None
            continue
        except ConnectionClosed:
            return
        reply = encode(Result(call.id, sum(call.params)))
        if waiting is None:
            waiting = reply
        else:
            await websocket.send(reply, text=True)
            await websocket.send(waiting, text=True)
            waiting = None


async def main() -> None:
    """Serve on a free port, say which, and never end by itself."""
    async with serve(answer, "127.0.0.1", 0, compression=None) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
