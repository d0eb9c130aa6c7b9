"""What the connections of one server process share: settings, counts, and each other's number."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.protocol import CONNECTING, State

from server.counters import CLOSE_CODES, Counters
from server.gate import Gate
from server.protocol import Answer, ReplyProtocol
from server.runs import Runs
from server.settings import Settings
from server.site import Site
from wire.exchange import ENDINGS, make_reply

if TYPE_CHECKING:
    from server.connection import Connection

__all__ = ["Hub"]

# The library logs each opening and closing at level INFO, and nothing of use to an operator below.
library_logger = logging.getLogger("wsroll.protocol")
library_logger.setLevel(logging.ERROR)

ANSWERS: dict[str, tuple[Answer, Sequence[bytes]]] = {
    "random": (make_reply, ENDINGS),
    "echo": (lambda request: request, (b"",)),
}
"""How a server answers, by the name that its option gives it, and what an answer may end with."""


class Hub:
    """Knows every connection of this process.

    Args:
        settings: The server's settings.
        counters: Where to count.
        local: Whether only this machine can connect.
    """

    def __init__(self, settings: Settings, counters: Counters, *, local: bool) -> None:
        self.settings = settings
        self.counters = counters
        self.gate = Gate(settings.origins, local=local)
        self.site = Site(counters, lambda: self.draining) if settings.http else None
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.draining = False
        """Whether new clients shall go elsewhere."""
        self.stopping = False
        """Whether no new client gets in."""
        self._answer, endings = ANSWERS[settings.reply]
        self._runs = Runs(endings)
        self._extensions = (
            # Windows of 4 KiB: larger ones cost more memory than they save on short messages.
            [
                ServerPerMessageDeflateFactory(
                    server_max_window_bits=12,
                    client_max_window_bits=12,
                    compress_settings={"memLevel": 5},
                )
            ]
            if settings.compress
            else None
        )
        self._someone_left = asyncio.Event()

    def new_protocol(self, state: State = CONNECTING) -> ReplyProtocol:
        """Return the protocol of a new connection."""
        return ReplyProtocol(
            self._answer,
            self._runs,
            state=state,
            max_size=self.settings.max_message_size,
            extensions=self._extensions,
            logger=library_logger,
        )

    @property
    def compresses(self) -> bool:
        """Whether compression is offered to clients that ask for it."""
        return self._extensions is not None

    @property
    def is_full(self) -> bool:
        """Whether the server, with all its workers, has as many open WebSockets as it may."""
        return self.counters.total("open") >= self.settings.max_connections

    def count_opening(self) -> None:
        """Count a WebSocket connection that opened."""
        self.counters.add("opened")
        self.counters.add("open")

    def count_close(self, code: int) -> None:
        """Count a WebSocket connection that ended, by its close code."""
        self.counters.add("open", -1)
        self.counters.add(("closed", code if code in CLOSE_CODES else 0))

    def leave(self, connection: "Connection") -> None:
        """Forget a connection that is lost."""
        self.connections.discard(connection)
        self._someone_left.set()

    async def wait_until_closed(self) -> None:
        """Wait until no WebSocket is open."""
        while any(connection.opened for connection in self.connections):
            self._someone_left.clear()
            await self._someone_left.wait()
