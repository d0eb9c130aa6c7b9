"""The fault proxy: relays between the sender and a server, and does mischief to one reply.

What the sender sends goes on as it is. What the server sends is split into frames, which go on one
by one until the reply comes that the mischief is meant for; the mischief then decides what goes on.
Nothing here bounds what is on its way, as the window of the sender does.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NoReturn
from urllib.parse import urlsplit

from cli_client.faults.frames import Frame, FrameSplitter
from wire.exchange import request_of

__all__ = ["FaultProxy", "Link", "Mischief"]

CHUNK = 2**16
END_OF_HEAD = b"\r\n\r\n"
RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER: on, for no time at all. Closing then resets the connection."""


class Link:
    """One connection on its way back: frames come from the server and go to the sender.

    Args:
        from_server: Where frames come from.
        to_sender: Where frames go to.
        links: The links of the same run, in the order in which they were made.
    """

    def __init__(
        self,
        from_server: asyncio.StreamReader,
        to_sender: asyncio.StreamWriter,
        links: "list[Link]",
    ) -> None:
        self._from_server = from_server
        self._to_sender = to_sender
        self._links = links
        self._splitter = FrameSplitter()
        self._frames: deque[Frame] = deque()

    @property
    def neighbour(self) -> "Link":
        """Another link of the same run."""
        return next(link for link in self._links if link is not self)

    async def receive(self) -> Frame:
        """Return the next frame from the server.

        Raises:
            EOFError: If there is none.
        """
        while not self._frames:
            data = await self._from_server.read(CHUNK)
            if not data:
                raise EOFError
            self._frames.extend(self._splitter.feed(data))
        return self._frames.popleft()

    def send(self, *frames: Frame) -> None:
        """Send frames to the sender."""
        self.write(b"".join(frame.encode() for frame in frames))

    def write(self, data: bytes) -> None:
        """Send bytes to the sender, whatever they are."""
        self._to_sender.write(data)

    async def swallow(self) -> NoReturn:
        """Let nothing more through."""
        while True:
            await self.receive()

    async def finish(self) -> NoReturn:
        """Close the connection to the sender behind what it was sent (FIN)."""
        # Half of it: to close the whole, with requests still to be read, would be to reset it.
        self._to_sender.write_eof()
        await self.swallow()

    def reset(self) -> NoReturn:
        """Cut the connection to the sender at once (RST)."""
        connected = self._to_sender.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._to_sender.transport.abort()
        raise ConnectionAbortedError


Mischief = Callable[[Link, Frame], Awaitable[None]]
"""Decides what becomes of a reply, and may take over the link for as long as it likes."""


class FaultProxy:
    """A proxy in front of a server, for one run.

    Args:
        server: The URL of the server.
        mischief: What is done, once, to the reply to the request.
        request: That request.
    """

    def __init__(self, server: str, mischief: Mischief, request: bytes) -> None:
        parts = urlsplit(server)
        self._host, self._port = parts.hostname, parts.port
        self._mischief = mischief
        self._request = request
        self._done = False
        self._links: list[Link] = []
        self._relays: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        """Listen on a free port, and return the URL."""
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"ws://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}/"

    async def stop(self) -> None:
        """End all connections."""
        self._listening.close()
        for relay in self._relays:
            relay.cancel()
        outcomes = await asyncio.gather(*self._relays, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _accept(self, from_sender: asyncio.StreamReader, to_sender: asyncio.StreamWriter) -> None:
        self._relays.append(asyncio.create_task(self._relay(from_sender, to_sender)))

    async def _relay(
        self, from_sender: asyncio.StreamReader, to_sender: asyncio.StreamWriter
    ) -> None:
        with contextlib.closing(to_sender):
            try:
                from_server, to_server = await asyncio.open_connection(self._host, self._port)
                with contextlib.closing(to_server):
                    async with asyncio.TaskGroup() as ways:
                        ways.create_task(_pass_on(from_sender, to_server))
                        ways.create_task(self._pass_back(from_server, to_sender))
            except* (ConnectionError, EOFError):
                pass  # one of the ends has gone, as it may

    async def _pass_back(
        self, from_server: asyncio.StreamReader, to_sender: asyncio.StreamWriter
    ) -> None:
        """Relay what the server says, first its handshake, until there is no more (EOFError)."""
        to_sender.write(await from_server.readuntil(END_OF_HEAD))
        link = Link(from_server, to_sender, self._links)
        self._links.append(link)
        while True:
            frame = await link.receive()
            if not self._done and request_of(frame.payload) == self._request:
                self._done = True
                await self._mischief(link, frame)
            else:
                link.send(frame)


async def _pass_on(from_sender: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
    """Relay what the sender says, until it has no more to say."""
    while data := await from_sender.read(CHUNK):
        to_server.write(data)
    to_server.write_eof()
