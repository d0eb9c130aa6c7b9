"""The sender's connection: keeps the window full, checks what comes, says how it ended."""

import asyncio
from collections.abc import Callable
from typing import Literal, NamedTuple, cast

from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode
from websockets.protocol import CLOSED, CONNECTING, OPEN

from cli_client.engine.clocks import Clock
from cli_client.engine.protocol import RequestProtocol
from cli_client.ledger.lanes import AnyLane
from cli_client.ledger.ledger import Request

__all__ = ["Closing", "Connection", "Take"]

Take = Callable[[int], list[Request]]
"""Gives the next requests to send, no more than so many."""


class Closing(NamedTuple):
    """How a connection ended."""

    by: Literal["server", "client", "network"]
    code: int
    """The close code (RFC 6455, section 7.4); 1006 if there was no Close frame."""
    reason: str
    in_words: str


class Connection(asyncio.Protocol):
    """Sends requests, never more in flight than the window, and enters replies in its lane.

    Args:
        protocol: The protocol of the connection, with its handshake before it.
        headers: Headers to send with the handshake; each replaces the library's own.
        window: How many requests may be in flight.
        lane: Where requests and replies are taken down.
        take: Gives the requests.
        settled: Called when replies have come, with the error if they cannot be handed over.
        clock: Tells the time.
    """

    def __init__(
        self,
        protocol: RequestProtocol,
        headers: tuple[tuple[str, str], ...],
        *,
        window: int,
        lane: AnyLane,
        take: Take,
        settled: Callable[[OSError | None], None],
        clock: Clock,
    ) -> None:
        self.lane = lane
        self.has_answered = False
        """Whether any reply came on it."""
        self._protocol = protocol
        self._headers = headers
        self._window = window
        self._take = take
        self._settled = settled
        self._clock = clock
        self._transport: asyncio.Transport
        self._sending = False
        self._paused = False
        self._error: BaseException | None = None
        # When the last reply came, or the first request after a time with none in flight went out.
        self._last_reply = 0.0
        self._pongs_before_ping: int | None = None
        self._pinged_at = 0.0
        self._silences = 0
        self._abort_reason = ""
        loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = loop.create_future()
        self.opened: asyncio.Future[None] = loop.create_future()
        """Done once the opening handshake is; its exception says why it failed."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done once no more replies can come."""

    @property
    def received(self) -> int:
        """How many messages came on it, as its protocol counts them."""
        return self._protocol.received

    # What the run calls.

    def start(self) -> None:
        """Begin to send."""
        self._sending = True
        self.fill()

    def fill(self, limit: int | None = None) -> None:
        """Send requests until the window is full, or so many."""
        room = self._window - self.lane.in_flight
        if limit is not None:
            room = min(room, limit)
        if room > 0 and self._sending and not self._paused and self._protocol.state is OPEN:
            idle = self.lane.is_empty
            requests = self._take(room)
            if requests:
                self._protocol.send_requests([request.payload for request in requests])
                self.lane.send(requests)
                if idle:
                    self._last_reply = requests[0].sent_at
        self._flush()

    def look(self, now: float, timeout: float) -> None:
        """Give up requests that have waited too long, and a connection that is silent.

        Silence with a sign of life (a pong) means that these requests have no answer; without one
        that the connection is dead.
        """
        self.lane.time_out_overtaken(now, timeout)
        if not self.lane.in_flight:
            return
        silence = now - self._last_reply
        if silence <= timeout / 2:
            return
        if self._pongs_before_ping is None:
            self._pongs_before_ping = self._protocol.pongs
            self._pinged_at = now
            if self._protocol.state is OPEN:
                self._protocol.send_ping(b"")
                self._flush()
        elif silence > timeout and now - self._pinged_at > timeout / 2:
            # The ping has had its time too: where this process itself was held up, the silence may
            # be long and yet nobody's but its own.
            alive = self._protocol.pongs != self._pongs_before_ping
            self._pongs_before_ping = None
            self._silences += 1
            if alive and self._silences == 1:
                self.lane.time_out(now, f"no reply came for {timeout:g} s")
                self._last_reply = now
                self.fill()
            else:
                sign = "though it answered a ping" if alive else "nor a pong"
                self._abort_reason = f"no reply came for {timeout:g} s, {sign}"
                self.abort()

    def stop(self) -> None:
        """Send no more requests."""
        self._sending = False

    async def close(self, limit: float) -> None:
        """Close in order, so that replies too many still show, and in bounded time (seconds).

        The server's Close frame comes behind all that it sent before.
        """
        self._sending = False
        if self._protocol.state is OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        # Not asyncio.timeout(): that would cancel the future, which connection_lost() must set.
        await asyncio.wait((self._lost,), timeout=limit)
        if not self._lost.done():
            self.abort()
            await self._lost

    def abort(self) -> None:
        """End the connection at once."""
        self._sending = False
        self._transport.abort()

    def closing(self) -> Closing:
        """Return how the connection ended."""
        protocol = self._protocol
        received, sent = protocol.close_rcvd, protocol.close_sent
        if isinstance(protocol.parser_exc, PayloadTooBig):
            return Closing("client", CloseCode.MESSAGE_TOO_BIG, "", "the server's reply is too big")
        if received is not None and protocol.close_rcvd_then_sent is not False:
            text = f" {received.reason}" if received.reason else ""
            words = f"the server closed the connection with code {received.code}{text}"
            return Closing("server", received.code, received.reason, words)
        if self.broke_protocol:
            assert sent is not None
            words = f"the server broke the protocol: {protocol.parser_exc}"
            return Closing("client", sent.code, sent.reason, words)
        if received is not None and sent is not None:
            return Closing("client", sent.code, sent.reason, "it was closed in order")
        error = self._error
        why = "" if error is None else (getattr(error, "strerror", None) or str(error)).lower()
        words = self._abort_reason or f"the connection was lost{f': {why}' if why else ''}"
        return Closing("network", CloseCode.ABNORMAL_CLOSURE, self._abort_reason or why, words)

    @property
    def broke_protocol(self) -> bool:
        """Whether the server sent what RFC 6455 forbids."""
        error = self._protocol.parser_exc
        return error is not None and not isinstance(error, EOFError)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast(asyncio.Transport, transport)
        request = self._protocol.connect()
        # A header given replaces the library's own, such as Host; setting one adds to it.
        for name in {name for name, _ in self._headers}:
            request.headers.pop(name, None)
        for name, value in self._headers:
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
            self._last_reply = now
            self._pongs_before_ping = None
            self._silences = 0
            self.has_answered = True
            try:
                self.lane.receive(replies, now)
            except OSError as error:  # whoever takes the responses cannot
                self._sending = False
                self._settled(error)
            self.fill()
            if self.lane.is_empty:  # else the run waits for this one at least
                self._settled(None)
        else:
            self._flush()
        if protocol.close_rcvd is not None or protocol.parser_exc is not None:
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
        self.fill()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._error = exc
        if self._protocol.state is not CLOSED:
            self._protocol.receive_eof()
        if not self.opened.done():
            self._fail_to_open(exc or self._protocol.handshake_exc or EOFError())
        self._end()
        self._lost.set_result(None)

    # The rest.

    def _finish_handshake(self) -> None:
        if self._protocol.handshake_exc is not None:
            self._fail_to_open(self._protocol.handshake_exc)
        elif self._protocol.state is not CONNECTING:
            self.opened.set_result(None)

    def _fail_to_open(self, error: Exception) -> None:
        self.opened.set_exception(error)
        self.opened.exception()  # whoever gave up waiting, as the run is over, does not ask for it

    def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._transport.write(data)
        if self._protocol.eof_sent and not self._transport.is_closing():
            self._transport.close()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
