"""A connection: carries bytes between a socket and the protocol, and bounds what a peer can cost.

- One read, one write: all replies to the frames of one read leave together.
- Backpressure: while the peer does not take what was written, it is not read from. The buffers
  thus hold what one read can cause, and no more.
- Turns: a peer that fills the read buffer waits for its next turn behind all the others.
- One timer, for the one thing that is waited for now: the handshake, a sign of life, a peer that
  reads again, the end of the connection.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN

from server.handshake import accept_plainly, decide
from server.hub import Hub
from server.protocol import ReplyProtocol
from server.site import plain_response

__all__ = ["Connection"]

logger = logging.getLogger("wsroll.server")

READ_SIZE = 2**14
"""Bytes read in one turn at the most: enough for hundreds of requests."""

FIRST_READ_SIZE = 2**10
LEAST_READ_SIZE = 2**8

TURN = 0.0003
"""Seconds that a turn of a peer that fills the read buffer shall take. Bytes say little of that: a
short text is answered in 1 µs, an empty ping in 8."""

WRITE_LIMIT = 2**16
"""Bytes written but not taken by the peer, from which on it is not read from."""

# One buffer serves all connections: what a read puts into it is taken out before the next one.
_read_buffer = memoryview(bytearray(READ_SIZE))

_END_OF_HEAD = b"\r\n\r\n"


class Connection(asyncio.BufferedProtocol):
    """The server's end of one TCP, TLS or Unix connection.

    Args:
        hub: What all connections of the server share.
    """

    __slots__ = (
        "_head",
        "_hub",
        "_last_read",
        "_paused",
        "_pinged_at",
        "_protocol",
        "_read_size",
        "_timer",
        "_transport",
        "opened",
    )

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        # From the end of the opening handshake on.
        self._protocol: ReplyProtocol
        self._transport: asyncio.Transport
        # The request line and headers, until they are complete.
        self._head: bytearray | None = bytearray()
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._last_read = 0.0
        self._read_size = FIRST_READ_SIZE
        self._pinged_at = 0.0
        self.opened = False

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the opening handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._hub.connections.add(self)
        self._wait(self._hub.settings.open_timeout, self._handshake_timed_out)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give as much of the buffer that all connections read into as makes a turn."""
        return _read_buffer[: self._read_size]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer all that one read brought."""
        self._last_read = self._hub.loop.time()
        if nbytes < self._read_size:
            self._receive(bytes(_read_buffer[:nbytes]))
        else:
            self._take_turn()

    def _take_turn(self) -> None:
        """Answer a full read buffer, and let all the others come before the next one."""
        started = time.perf_counter()
        self._receive(bytes(_read_buffer[: self._read_size]))
        took = time.perf_counter() - started
        if took > TURN:
            self._read_size = max(LEAST_READ_SIZE, int(self._read_size * TURN / took))
        elif took < TURN / 2:
            self._read_size = min(READ_SIZE, self._read_size * 2)
        if not (self._paused or self._transport.is_closing()):
            self._transport.pause_reading()
            self._hub.loop.call_soon(self._read_on)

    def eof_received(self) -> bool:
        """End the connection once what it is owed is written, since the peer sends no more.

        Every request that came before has been answered: returning False closes the transport
        behind the replies.
        """
        if self.opened:
            self._protocol.receive_eof()
        self._wait(self._hub.settings.close_timeout, self.abort)
        return False

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read."""
        self._paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()
        if self._is_open:
            self._wait(self._hub.settings.stall_timeout, self._stalled)

    def resume_writing(self) -> None:
        """Read again from a peer that reads again."""
        self._paused = False
        self._read_on()
        if self._is_open:
            self._wait(self._hub.settings.ping_interval, self._look_for_life)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take leave of the connection."""
        if self._timer is not None:
            self._timer.cancel()
        if self.opened:
            close = self._protocol.close_sent or self._protocol.close_rcvd
            code = close.code if close is not None else CloseCode.ABNORMAL_CLOSURE
            self._hub.count_close(code)
            logger.debug("a connection closed with code %d", code)
        self._hub.leave(self)

    # What the server calls.

    def go_away(self) -> None:
        """Start the closing handshake with code 1001. All that was read has been answered."""
        if self._is_open:
            self._protocol.send_close(CloseCode.GOING_AWAY, "the server is stopping")
            self._flush()
            self._wait(self._hub.settings.close_timeout, self.abort)

    def abort(self) -> None:
        """End the connection at once, with all that is not written yet."""
        self._transport.abort()

    @property
    def _is_open(self) -> bool:
        return self.opened and self._protocol.state is OPEN

    # Receiving and sending.

    def _receive(self, data: bytes) -> None:
        if self._head is not None:
            data = self._receive_head(data)
        if not self.opened:
            return
        protocol = self._protocol
        answered = protocol.requests
        failed = protocol.parser_exc
        protocol.receive_data(data)
        count = self._hub.counters.add
        count("received", len(data))
        count("requests", protocol.requests - answered)
        self._flush()
        if protocol.parser_exc is not failed:
            logger.info("%s: closing: %s", self._peer(), protocol.close_sent)

    def _flush(self) -> None:
        """Write all that the protocol has to say, at once."""
        writes = self._protocol.data_to_send()
        if not writes:
            return
        data = b"".join(writes)
        if data:
            self._write(data)
        if self._protocol.eof_sent:
            self._end()

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        self._hub.counters.add("sent", len(data))

    def _end(self) -> None:
        """Close the connection: our end first, so that the peer gets all that was written.

        Closing a socket with data unread makes the kernel send a reset, which can overtake the
        last replies; so what still comes is read and discarded, until the peer closes its end or
        the close time-out is over.
        """
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
        self._wait(self._hub.settings.close_timeout, self.abort)

    def _read_on(self) -> None:
        if not (self._paused or self._transport.is_closing()):
            self._transport.resume_reading()

    # The opening handshake.

    def _receive_head(self, data: bytes) -> bytes:
        """Answer the request once its head is complete, and return what came behind it.

        That has to wait for the answer: the library's parser would act on it before.
        """
        assert self._head is not None
        searched = max(0, len(self._head) - len(_END_OF_HEAD) + 1)
        self._head += data
        found = self._head.find(_END_OF_HEAD, searched)
        size = len(self._head) if found < 0 else found + len(_END_OF_HEAD)
        limit = self._hub.settings.max_header_size
        if size > limit:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "header size",
                f"The request's head is larger than {limit} bytes.",
            )
        elif found >= 0:
            head, rest = bytes(self._head[:size]), bytes(self._head[size:])
            self._head = None
            response = accept_plainly(self._hub, head)
            if response is not None:
                self._open(self._hub.new_protocol(OPEN), response)
            else:
                self._answer_request(head)
            return rest
        return b""

    def _open(self, protocol: ReplyProtocol, response: bytes) -> None:
        """Accept the request: from here on this is a WebSocket."""
        self._protocol = protocol
        self.opened = True
        self._hub.count_opening()
        # To ask for the peer's address takes a call of the kernel.
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: opened", self._peer())
        self._wait(self._hub.settings.ping_interval, self._look_for_life)
        self._write(response)

    def _answer_request(self, head: bytes) -> None:
        """Answer a request that is no plain one: by the library, which knows all their kinds."""
        protocol = self._hub.new_protocol()
        protocol.receive_data(head)
        events = protocol.events_received()
        if not events:
            self._refuse_unparsed(protocol)
            return
        request = events[0]
        assert isinstance(request, Request)
        response, refusal = decide(self._hub, protocol, request)
        if refusal is not None:
            body = bytes(response.body).decode(errors="replace")
            self._log_refusal(refusal, " ".join(body.split()))
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            protocol.send_response(response)
            # The library's parser holds on to the request for as long as the connection lives.
            request.headers.clear()
            self._open(protocol, b"".join(protocol.data_to_send()))
        else:
            self._respond(response)

    def _refuse_unparsed(self, protocol: ReplyProtocol) -> None:
        error = protocol.handshake_exc
        if isinstance(error, HeaderLineTooLong | RequestLineTooLong | TooManyHeaders):
            self._log_refusal("header size", str(error))
            self._write(b"".join(protocol.data_to_send()))
            self._end()
        else:
            self._log_refusal("malformed", str(error))
            # Here the library would close without a word.
            self._respond(plain_response(HTTPStatus.BAD_REQUEST, "This is no HTTP request.\n"))

    def _refuse(self, status: HTTPStatus, reason: str, text: str) -> None:
        """Refuse a request whose head is not complete."""
        self._head = None
        self._log_refusal(reason, text)
        self._respond(plain_response(status, f"{text}\n"))

    def _respond(self, response: Response) -> None:
        """Answer a request with something else than a WebSocket, and end the connection."""
        self._write(response.serialize())
        self._end()

    def _log_refusal(self, reason: str, text: str) -> None:
        self._hub.counters.add(("refused", reason))
        logger.info("%s: refused (%s): %s", self._peer(), reason, text)

    # The timer.

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Have something done unless something else is waited for before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._hub.loop.call_later(seconds, then)

    def _handshake_timed_out(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT,
            "timeout",
            f"No complete request came within {self._hub.settings.open_timeout:g} seconds.",
        )

    def _look_for_life(self) -> None:
        """Ping a silent peer, and fail the connection when no sign of life follows."""
        now = self._hub.loop.time()
        settings = self._hub.settings
        next_ping = self._last_read + settings.ping_interval
        if self._last_read < self._pinged_at:
            logger.info("%s: cut off: no pong in %g s", self._peer(), settings.pong_timeout)
            self._protocol.fail(CloseCode.INTERNAL_ERROR, "no pong in time")
        elif now < next_ping:
            self._wait(next_ping - now, self._look_for_life)
        else:
            self._pinged_at = now
            self._wait(settings.pong_timeout, self._look_for_life)
            self._protocol.send_ping(b"")
        self._flush()

    def _stalled(self) -> None:
        logger.info(
            "%s: cut off: it has not read for %g s", self._peer(), self._hub.settings.stall_timeout
        )
        self.abort()

    def _peer(self) -> str:
        address = self._transport.get_extra_info("peername")
        return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "unix socket"
