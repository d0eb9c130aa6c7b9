"""Servers that lie: each answers the requests in a way that no right server would."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.contextmanager
def serving(handler: Handler, tls: ssl.SSLContext | None = None, **more: Any) -> Iterator[str]:
    """Serve with a handler, in a thread, and give the URL. There are more options of serve()."""
    loop = asyncio.new_event_loop()
    port: list[int] = []
    ready = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        options = {"compression": None, "close_timeout": 1, "ssl": tls, **more}
        async with serve(handler, "localhost", 0, **options) as server:
            port.append(next(iter(server.sockets)).getsockname()[1])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port[0]}/"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def reply_to(request: str | bytes, number: int = 7) -> str:
    """Return a right reply."""
    assert isinstance(request, str)
    return f"{request}: {number}"


def at(request: str, lie: Callable[[ServerConnection, str], Awaitable[None]]) -> Handler:
    """Return a handler that is right but for one request."""

    async def handle(websocket: ServerConnection) -> None:
        async for message in websocket:
            assert isinstance(message, str)
            if message == request:
                await lie(websocket, message)
            else:
                await websocket.send(reply_to(message))

    return handle


async def wrong_number(websocket: ServerConnection, request: str) -> None:
    await websocket.send(reply_to(request, 101))


async def echo(websocket: ServerConnection, request: str) -> None:
    await websocket.send(request)


async def binary(websocket: ServerConnection, request: str) -> None:
    await websocket.send(reply_to(request).encode())


async def another_request(websocket: ServerConnection, request: str) -> None:
    await websocket.send("Request 99999: 7")


async def twice(websocket: ServerConnection, request: str) -> None:
    await websocket.send(reply_to(request))
    await websocket.send(reply_to(request))


async def nothing(websocket: ServerConnection, request: str) -> None:
    pass


async def after_the_next(websocket: ServerConnection, request: str) -> None:
    following = await websocket.recv()
    await websocket.send(reply_to(following))
    await websocket.send(reply_to(request))


async def close(websocket: ServerConnection, request: str) -> None:
    await websocket.close(1011, "out of numbers")


async def cut(websocket: ServerConnection, request: str) -> None:
    websocket.transport.abort()


async def broken_frame(websocket: ServerConnection, request: str) -> None:
    websocket.transport.write(b"\xff\x00")
