"""A connection: carries bytes between a socket and the protocol, and bounds what a peer can cost.

- One read, one write: all replies to the frames of one read leave together.
- Backpressure: while the peer does not take what was written, it is not read from. The buffers
  thus hold what one read can cause, and no more.
- Turns: a peer that fills the read buffer waits for its next turn behind all the others.
- One timer, for the one thing that the connection waits for at a time: the handshake, a sign of
  life, a peer that reads again, the end of the connection. A peer that takes what was written,
  however slowly, is alive (see ``delivery.py``): while it does, the wait starts again.
"""

import asyncio
import enum
import logging
import time
from collections.abc import Callable
from typing import cast

from websockets.frames import CloseCode
from websockets.protocol import OPEN

from server.delivery import LEAST_RATE, Delivery
from server.handshake import Accepted, OpeningHandshake, Outcome, Refused
from server.hub import Hub
from server.protocol import ReplyProtocol

__all__ = ["Connection", "State", "log_refusal"]

logger = logging.getLogger("wsroll.server")

READ_SIZE = 2**14
"""Bytes read in one turn at the most: enough for hundreds of requests."""

FIRST_READ_SIZE = 2**10
"""Bytes read in the first turn: a handshake with the first few requests."""

LEAST_READ_SIZE = 2**8
"""Bytes read in one turn at the least. A read costs about as much as 20 short requests, so smaller
ones would be mostly overhead."""

TURN = 0.0003
"""Seconds that a turn of a peer that fills the read buffer should take. Bytes say little of that: a
short text is answered in 1 µs, an empty ping in 8."""

WRITE_LIMIT = 2**16
"""Above this many unsent bytes, stop reading from the peer. It is asyncio's own limit, and the
replies to a few full reads."""

# One buffer serves all connections: what a read puts into it is taken out before the next one.
_read_buffer = memoryview(bytearray(READ_SIZE))


class State(enum.Enum):
    """Where a connection is in its life.

    ::

        HANDSHAKE ──accepted──▶ OPEN ──Close sent, or received, or a failure──▶ CLOSING ──▶ LOST
            │                                                                               ▲
            └──a page, or refused──▶ ANSWERED ──────────────────────────────────────────────┘

    Every state can end in LOST at any time, when the peer or the network ends the connection.
    """

    HANDSHAKE = "waits for the head of a request"
    OPEN = "a WebSocket: requests are answered"
    CLOSING = "a WebSocket: a Close frame was sent, only its answer is waited for"
    ANSWERED = "not a WebSocket: the response was sent, what comes is discarded"
    LOST = "no connection any more"


class Connection(asyncio.BufferedProtocol):
    """The server's end of one TCP, TLS or Unix connection.

    Args:
        hub: What all connections of the server share.
        loop: The event loop, and the clock of all times.
        on_made: Called with the connection once it can be closed.
        on_lost: Called with the connection once it is gone.
    """

    __slots__ = (
        "_delivery",
        "_handshake",
        "_hub",
        "_last_read",
        "_loop",
        "_on_lost",
        "_on_made",
        "_paused",
        "_pinged_at",
        "_protocol",
        "_read_size",
        "_timer",
        "_transport",
        "state",
    )

    def __init__(
        self,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        *,
        on_made: Callable[["Connection"], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self.state = State.HANDSHAKE
        self._hub = hub
        self._loop = loop
        self._on_made = on_made
        self._on_lost = on_lost
        self._transport: asyncio.Transport
        self._delivery: Delivery
        # The one in the state HANDSHAKE, the other in OPEN and CLOSING.
        self._handshake: OpeningHandshake | None = OpeningHandshake(hub)
        self._protocol: ReplyProtocol | None = None
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._last_read = 0.0
        self._read_size = FIRST_READ_SIZE
        self._pinged_at = 0.0

    @property
    def is_websocket(self) -> bool:
        """Whether the opening handshake has succeeded and the connection is not lost."""
        return self.state is State.OPEN or self.state is State.CLOSING

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the opening handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._delivery = Delivery(self._transport)
        self._on_made(self)
        self._wait(self._hub.settings.open_timeout, self._on_handshake_timeout)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return as much of the buffer that all connections read into as makes a turn."""
        return _read_buffer[: self._read_size]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer everything that one read brought."""
        self._last_read = self._loop.time()
        self._delivery.heard()
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
            self._loop.call_soon(self._resume_reading)

    def eof_received(self) -> bool:
        """End the connection once everything is written, since the peer sends no more.

        Every request that came before has been answered: returning False closes the transport
        behind the replies.
        """
        if self._protocol is not None:
            self._protocol.receive_eof()
            self.state = State.CLOSING
        self._wait_while_it_takes(self._hub.settings.close_timeout, self.abort)
        return False

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read."""
        self._paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()
        if self.state is State.OPEN:
            self._wait_while_it_takes(self._hub.settings.stall_timeout, self._on_stall_timeout)

    def resume_writing(self) -> None:
        """Read again from a peer that reads again."""
        self._paused = False
        self._resume_reading()
        if self.state is State.OPEN:
            self._wait(self._hub.settings.ping_interval, self._check_silence)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the end of a WebSocket, and let go of everything."""
        if self._timer is not None:
            self._timer.cancel()
        if self._protocol is not None:
            close = self._protocol.close_sent or self._protocol.close_rcvd
            code = close.code if close is not None else CloseCode.ABNORMAL_CLOSURE
            self._hub.counters.count_close(code)
            logger.debug("a connection closed with code %d", code)
            self._protocol.release()
        self._handshake = self._protocol = self._timer = None
        self.state = State.LOST
        self._on_lost(self)

    # What the server calls.

    def go_away(self) -> None:
        """Start the closing handshake with code 1001. Everything that was read is answered."""
        if self.state is State.OPEN:
            assert self._protocol is not None
            self._protocol.send_close(CloseCode.GOING_AWAY, "the server is stopping")
            self._flush(self._protocol)
            self._wait_while_it_takes(self._hub.settings.close_timeout, self.abort)

    def abort(self) -> None:
        """End the connection at once, with everything that is not written yet."""
        self._transport.abort()

    # Receiving and sending.

    def _receive(self, data: bytes) -> None:
        if self._protocol is not None:
            self._receive_frames(self._protocol, data)
        elif self._handshake is not None:
            outcome = self._handshake.receive(data)
            if outcome is not None:
                self._conclude(outcome)

    def _receive_frames(self, protocol: ReplyProtocol, data: bytes) -> None:
        answered = protocol.requests
        failed = protocol.parser_exc
        protocol.receive_data(data)
        count = self._hub.counters.add
        count("received", len(data))
        count("requests", protocol.requests - answered)
        self._flush(protocol)
        if protocol.parser_exc is not failed:
            logger.info("%s: closing: %s", self._peer(), protocol.close_sent)

    def _flush(self, protocol: ReplyProtocol) -> None:
        """Write everything that the protocol has to send, at once."""
        writes = protocol.data_to_send()
        if not writes:
            return
        data = b"".join(writes)
        if data:
            self._write(data)
            self._hub.counters.add("sent", len(data))
        if protocol.state is not OPEN:
            self.state = State.CLOSING
        if protocol.eof_sent:
            self._end()

    def _write(self, data: bytes) -> None:
        self._delivery.written += len(data)
        self._transport.write(data)

    def _end(self) -> None:
        """Close the connection: our end first, so that the peer gets everything that was written.

        Closing a socket with data unread makes the kernel send a reset, which can overtake the
        last replies. So what still comes is read and discarded, until the peer closes its end or
        the close timeout is over.
        """
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
        self._wait_while_it_takes(self._hub.settings.close_timeout, self.abort)

    def _resume_reading(self) -> None:
        if not (self._paused or self._transport.is_closing()):
            self._transport.resume_reading()

    # The opening handshake.

    def _conclude(self, outcome: Outcome) -> None:
        """Act on the outcome of the opening handshake."""
        self._handshake = None
        if isinstance(outcome, Accepted):
            self.state = State.OPEN
            self._protocol = outcome.protocol
            self._hub.counters.count_opening()
            # To ask for the peer's address takes a system call.
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s: opened", self._peer())
            self._wait(self._hub.settings.ping_interval, self._check_silence)
            self._write(outcome.response)
            if outcome.rest:
                self._receive_frames(outcome.protocol, outcome.rest)
            return
        self.state = State.ANSWERED
        if isinstance(outcome, Refused):
            log_refusal(self._hub, self._transport, outcome.reason, outcome.text)
        self._write(outcome.response)
        self._end()

    # The timer.

    def _wait(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        """Call back after a time, unless something else is waited for before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, on_timeout)

    def _wait_while_it_takes(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        """Call back after a time in which the peer has not taken what it was sent."""
        is_alive = self._delivery.watch(seconds)

        def on_end() -> None:
            if is_alive():
                self._wait_while_it_takes(seconds, on_timeout)
            else:
                on_timeout()

        self._wait(seconds, on_end)

    def _on_handshake_timeout(self) -> None:
        assert self._handshake is not None
        self._conclude(self._handshake.time_out())

    def _check_silence(self) -> None:
        """Ping a peer that has been silent for long enough."""
        settings = self._hub.settings
        silent_for = self._loop.time() - self._last_read
        if silent_for < settings.ping_interval:
            self._wait(settings.ping_interval - silent_for, self._check_silence)
            return
        protocol = self._protocol
        assert protocol is not None
        self._pinged_at = self._loop.time()
        self._wait_while_it_takes(settings.pong_timeout, self._on_pong_timeout)
        protocol.send_ping(b"")
        self._flush(protocol)

    def _on_pong_timeout(self) -> None:
        """Give a peer that has everything the time to read it: the ping comes last."""
        hidden = self._delivery.hidden_time() if self._delivery.waiting() == 0 else 0.0
        self._wait(hidden, self._on_silence)

    def _on_silence(self) -> None:
        """Fail the connection when no sign of life has followed the ping."""
        if self._last_read >= self._pinged_at:
            self._check_silence()
            return
        protocol = self._protocol
        assert protocol is not None
        seconds = self._hub.settings.pong_timeout
        logger.info("%s: cut off: no pong in %g s", self._peer(), seconds)
        protocol.fail(CloseCode.INTERNAL_ERROR, "no pong in time")
        self._flush(protocol)

    def _on_stall_timeout(self) -> None:
        seconds = self._hub.settings.stall_timeout
        logger.info(
            "%s: cut off: it has not read %g bytes in %g s",
            *(self._peer(), LEAST_RATE * seconds, seconds),
        )
        self.abort()

    def _peer(self) -> str:
        return _peer(self._transport)


def log_refusal(hub: Hub, transport: asyncio.BaseTransport, reason: str, text: str) -> None:
    """Count and log that a peer is refused.

    Args:
        hub: What all connections of the server share.
        transport: The transport to the peer.
        reason: One of ``counters.REFUSALS``.
        text: What is wrong.
    """
    hub.counters.add(("refused", reason))
    logger.info("%s: refused (%s): %s", _peer(transport), reason, text)


def _peer(transport: asyncio.BaseTransport) -> str:
    address = transport.get_extra_info("peername")
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "unix socket"
