"""The fault proxy: relays between the sender and a server, and breaks the path on purpose.

What the sender sends is passed on unchanged. The server's answer to each opening handshake goes to
a doorman, which decides what the sender gets to see of it. What follows is split into frames, which
are passed on one by one until the reply comes that the mischief is meant for; the mischief then
decides what is passed on. Only the sender's window bounds what is under way here.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count
from typing import NoReturn
from urllib.parse import urlsplit

from cli_client.faults.frames import CLOSE, Frame, FrameSplitter
from wire.exchange import request_of

__all__ = ["Doorman", "FaultProxy", "Link", "Mischief", "let_in"]

CHUNK = 2**16
END_OF_HEAD = b"\r\n\r\n"
RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER: on, for zero seconds. Closing then resets the connection."""


class Link:
    """One connection on its way back: frames come from the server and go to the sender.

    Args:
        from_server: Where frames come from.
        to_sender: Where frames go to.
        number: The number of the connection, from 1, in the order in which they came.
        proxy: The proxy that the link belongs to.
    """

    def __init__(
        self,
        from_server: asyncio.StreamReader,
        to_sender: asyncio.StreamWriter,
        number: int,
        proxy: "FaultProxy",
    ) -> None:
        self.number = number
        self._from_server = from_server
        self._to_sender = to_sender
        self._proxy = proxy
        self._splitter = FrameSplitter()
        self._frames: deque[Frame] = deque()
        self._closed = False

    @property
    def neighbours(self) -> "list[Link]":
        """The other links of the same run."""
        return [link for link in self._proxy.links if link is not self]

    @property
    def mischief_began(self) -> bool:
        """Whether the mischief of this run has begun, on this link or on another."""
        return self._proxy.mischief_began

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
        """Send frames to the sender; after a Close frame, nothing."""
        for frame in frames:
            self.write(frame.encode())
            self._closed = self._closed or frame.first == CLOSE

    def write(self, data: bytes) -> None:
        """Send bytes to the sender, whatever they are."""
        if not self._closed:
            self._to_sender.write(data)

    async def swallow(self) -> NoReturn:
        """Pass nothing on any more."""
        while True:
            await self.receive()

    async def finish(self) -> NoReturn:
        """Close the connection to the sender after what it was sent (FIN)."""
        # Only this direction: closing both with requests still unread would reset the connection.
        self._to_sender.write_eof()
        await self.swallow()

    def reset(self) -> NoReturn:
        """Reset the connection to the sender (RST)."""
        connected = self._to_sender.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._to_sender.transport.abort()
        raise ConnectionAbortedError


Mischief = Callable[[Link, Frame], Awaitable[None]]
"""Decides what becomes of a reply, and may take over the link for as long as it likes."""

Doorman = Callable[[Link, bytes], Awaitable[None]]
"""Decides what the sender sees of the server's answer to its handshake."""


async def let_in(link: Link, head: bytes) -> None:
    """Pass the server's answer on unchanged."""
    link.write(head)


class FaultProxy:
    """A proxy in front of a server, for one run.

    Args:
        server: The URL of the server.
        mischief: What is done, once, to the reply to the request.
        request: That request.
        doorman: What is done to each opening handshake.
    """

    def __init__(
        self, server: str, mischief: Mischief, request: bytes, doorman: Doorman = let_in
    ) -> None:
        parts = urlsplit(server)
        self._host, self._port = parts.hostname, parts.port
        self._mischief = mischief
        self._request = request
        self._doorman = doorman
        self._numbers = count(1)
        self._relays: list[asyncio.Task[None]] = []
        self.mischief_began = False
        self.links: list[Link] = []
        """The links whose handshake the server has answered, in that order."""

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
                pass  # one of the two ends has closed, as it may

    async def _pass_back(
        self, from_server: asyncio.StreamReader, to_sender: asyncio.StreamWriter
    ) -> None:
        """Relay what the server sends, its handshake first, until it ends (EOFError)."""
        link = Link(from_server, to_sender, next(self._numbers), self)
        head = await from_server.readuntil(END_OF_HEAD)
        self.links.append(link)
        await self._doorman(link, head)
        while True:
            frame = await link.receive()
            if not self.mischief_began and request_of(frame.payload) == self._request:
                self.mischief_began = True
                await self._mischief(link, frame)
            else:
                link.send(frame)


async def _pass_on(from_sender: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
    """Relay what the sender sends, until it ends."""
    while data := await from_sender.read(CHUNK):
        to_server.write(data)
    to_server.write_eof()
