"""A server that is given its bytes: for what no library's server would send."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator

from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

MASKED = 0x80


class RawConnection:
    """The server's end of a connection.

    Args:
        reader: What the client sends.
        writer: What the server sends.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def shake_hands(self) -> None:
        """Open the WebSocket, as a right server does."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        (key,) = (
            line.partition(":")[2].strip()
            for line in head.splitlines()
            if line.lower().startswith("sec-websocket-key:")
        )
        self.writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode()
        )

    async def receive(self) -> bytes:
        """Return the payload of the client's next frame, which is short."""
        length = (await self.reader.readexactly(2))[1] - MASKED
        assert length < 126
        key = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(length)
        return bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))

    def send(self, opcode: Opcode, payload: bytes) -> None:
        """Send a frame."""
        self.writer.write(Frame(opcode, payload).serialize(mask=False))


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

RawHandler = Callable[[RawConnection], Awaitable[None]]


@contextlib.contextmanager
def serving_streams(serve: Serve) -> Iterator[int]:
    """Serve TCP with a function, in a thread, and give the port."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    port: list[int] = []
    ready = threading.Event()

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve_and_close, "127.0.0.1", 0) as server:
            port.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@contextlib.contextmanager
def raw_serving(handler: RawHandler) -> Iterator[str]:
    """Serve with a handler, in a thread, and give the URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await handler(RawConnection(reader, writer))

    with serving_streams(handle) as port:
        yield f"ws://127.0.0.1:{port}/"
