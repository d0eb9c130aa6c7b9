"""What the connections of one server process share: its settings, counts and rules."""

import logging
from collections.abc import Sequence

from websockets import http11
from websockets.protocol import CONNECTING, State
from websockets.typing import Subprotocol

from server.counters import Counters
from server.deflate import DeflateFactory
from server.gate import Gate
from server.protocol import SHORT, Answer, AnswerShort, ReplyProtocol
from server.settings import DEFAULT_HEADER_SIZE, Settings
from server.site import Site
from wire.exchange import ENDINGS, make_reply
from wire.frames import Answerer

__all__ = ["Hub"]

# The library logs each opening and closing at level INFO, and nothing of use to an operator below.
library_logger = logging.getLogger("wsroll.protocol")
library_logger.setLevel(logging.ERROR)

ANSWERS: dict[str, tuple[Answer, tuple[bytes, ...]]] = {
    "random": (make_reply, ENDINGS),
    "echo": (lambda request: request, (b"",)),
}
"""How a server answers, by the name that its option gives it, and what an answer may end with."""


class Hub:
    """What every connection of this process reads, and none of them changes but the counts.

    Args:
        settings: The server's settings.
        counters: Where to count.
        local: Whether only this machine can connect.
    """

    def __init__(self, settings: Settings, counters: Counters, *, local: bool) -> None:
        self.settings = settings
        self.counters = counters
        self.gate = Gate(settings.origins, local=local)
        if settings.max_header_size > DEFAULT_HEADER_SIZE:
            # Else the library's own limits, of a line and of the number of headers, come first.
            http11.MAX_LINE_LENGTH = http11.MAX_NUM_HEADERS = settings.max_header_size
        self.site = Site(counters, lambda: self.draining) if settings.http else None
        self.draining = False
        """Whether new clients should go elsewhere."""
        self.stopping = False
        """Whether no new client gets in."""
        self._answer, endings = ANSWERS[settings.reply]
        longest = min(SHORT, settings.max_message_size)
        self.answer_short: AnswerShort = Answerer(endings, longest, counters.exchange).answer
        """Answers short texts and counts them, for connections between two messages."""
        # A protocol counts its own requests: they are part of a slice, which is counted as a whole.
        self._answer_short_uncounted: AnswerShort = Answerer(endings, longest).answer
        self._extensions = [DeflateFactory()] if settings.compress else None

    def new_protocol(self, state: State = CONNECTING) -> ReplyProtocol:
        """Return the protocol of a connection in this state, between two messages."""
        protocol = ReplyProtocol(
            self._answer,
            self._answer_short_uncounted,
            state=state,
            max_size=self.settings.max_message_size,
            extensions=self._extensions,
            logger=library_logger,
        )
        # As an argument, the library would bind it to the protocol, in a cycle.
        protocol.select_subprotocol = self._select_subprotocol  # type: ignore[method-assign]
        return protocol

    def _select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the first subprotocol of the client that is one of ours (section 4.2.2)."""
        ours = self.settings.subprotocols
        return next((name for name in subprotocols if name in ours or "*" in ours), None)

    @property
    def compresses(self) -> bool:
        """Whether compression is offered to clients that ask for it."""
        return self._extensions is not None

    def open_one(self) -> bool:
        """Count a WebSocket that opens, unless there are as many as there may be."""
        return self.counters.open_one(self.settings.max_connections)

    @property
    def is_full(self) -> bool:
        """Whether the server, with all its workers, has as many open WebSockets as it may."""
        return self.counters.total("open") >= self.settings.max_connections
