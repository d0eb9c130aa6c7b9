"""The sender's connection: keeps the window full, checks what comes, says how it ended."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from typing import cast

from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode
from websockets.protocol import CLOSED, CONNECTING, OPEN
from websockets.uri import parse_uri

from cli_client.ledger import Ledger
from cli_client.protocol import RequestProtocol
from cli_client.settings import Settings

__all__ = ["Connection"]


class Connection(asyncio.Protocol):
    """Sends requests, never more in flight than the window, and enters replies in the ledger.

    Args:
        settings: The settings of the run.
        requests: The payloads to send.
        ledger: Where requests and replies are taken down.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        requests: Iterator[bytes],
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._requests = requests
        self._ledger = ledger
        self._clock = clock
        self._protocol = RequestProtocol(
            parse_uri(settings.url),
            subprotocols=settings.subprotocols or None,
            max_size=None,
        )
        self._transport: asyncio.Transport
        self._paused = False
        self._closing = False
        self._error: Exception | None = None
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        """Done once the opening handshake is; its exception says why it failed."""
        self.done: asyncio.Future[None] = loop.create_future()
        """Done once all requests have met their fate, or no more can."""
        self.last_progress = 0.0
        """When the last reply came, or the first request went out."""

    # What the run calls.

    def start(self) -> None:
        """Send the first requests."""
        self.last_progress = self._clock()
        self._fill()

    async def close(self, limit: float | None = None) -> None:
        """Close in order, so that replies too many still show, and in bounded time.

        Args:
            limit: Seconds that it may take; those of the settings by default.

        The server's Close frame comes behind all that it sent before.
        """
        self._closing = True
        if self._protocol.state is OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        # Not asyncio.timeout(): that would cancel the future, which connection_lost() must set.
        limit = self._settings.close_timeout if limit is None else limit
        await asyncio.wait((self._lost,), timeout=limit)
        if not self._lost.done():
            self._transport.abort()
            await self._lost

    def how_it_closed(self) -> str:
        """Return how the connection ended, in words."""
        received = self._protocol.close_rcvd
        if received is not None:
            reason = f" {received.reason}" if received.reason else ""
            return f"the server closed the connection with code {received.code}{reason}"
        if self._protocol.close_sent is not None and self._protocol.parser_exc is not None:
            return f"the server broke the protocol: {self._protocol.parser_exc}"
        return f"the connection was lost{f': {self._error}' if self._error else ''}"

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast(asyncio.Transport, transport)
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = self._protocol.connect()
        # A header given replaces the library's own, such as Host; setting one adds to it.
        for name in {name for name, _ in self._settings.headers}:
            request.headers.pop(name, None)
        for name, value in self._settings.headers:
            request.headers[name] = value
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Enter the replies of one read, and send as many requests, in one write."""
        protocol = self._protocol
        protocol.receive_data(data)
        if not self.opened.done():
            self._finish_handshake()
        replies = protocol.take_replies()
        if replies:
            now = self._clock()
            self.last_progress = now
            try:
                self._ledger.receive(replies, now)
            except OSError as error:  # whoever takes the responses cannot
                self._fail(error)
            self._fill()
        else:
            self._flush()
        if protocol.close_rcvd is not None:
            self._end()

    def eof_received(self) -> bool:
        """Take the server's end of the connection for the end of it."""
        self._protocol.receive_eof()
        if not self.opened.done():
            self._finish_handshake()
        self._flush()
        return False

    def pause_writing(self) -> None:
        """Send nothing while the server does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """Send again."""
        self._paused = False
        self._fill()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._error = exc
        if self._protocol.state is not CLOSED:
            self._protocol.receive_eof()
        if not self.opened.done():
            self.opened.set_exception(
                exc or ConnectionError("the connection was closed before the handshake was done")
            )
        self._end()
        self._lost.set_result(None)

    # The rest.

    def _finish_handshake(self) -> None:
        if self._protocol.handshake_exc is not None:
            self.opened.set_exception(self._protocol.handshake_exc)
        elif self._protocol.state is not CONNECTING:
            self.opened.set_result(None)

    def _fill(self) -> None:
        """Send requests until the window is full."""
        ledger = self._ledger
        room = self._settings.window - ledger.in_flight
        if room > 0 and not (self._paused or self._closing) and self._protocol.state is OPEN:
            batch = list(islice(self._requests, room))
            if batch:
                self._protocol.send_texts(batch)
                ledger.send(batch, self._clock())
        self._flush()
        if ledger.settled >= ledger.total:
            self._end()

    def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._transport.write(data)
        if self._protocol.eof_sent and not self._transport.is_closing():
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        self._closing = True
        if not self.done.done():
            self.done.set_exception(error)

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def describe_refusal(error: Exception) -> str:
    """Return in words why a handshake failed."""
    if isinstance(error, InvalidStatus):
        response = error.response
        location = response.headers.get("Location")
        to = f" to {location}" if location else ""
        return f"it answered HTTP {response.status_code} {response.reason_phrase}{to}"
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    return f"{error}{cause}"
