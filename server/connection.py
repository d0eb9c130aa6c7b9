"""A connection: carries bytes between a socket and the protocol, and bounds what a peer can cost.

- Short texts are answered on the spot: one read, one write, and neither the library nor the clock
  between them.
- Turns: everything else is for the library, which takes up to a hundred times longer. It gets what
  is left of a read in slices, and all other connections come between two of them.
- Backpressure: while the peer does not take what was written, or slices of a read are left, it is
  not read from. The buffers thus hold what one read can cause, and no more.
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

from websockets import protocol as library
from websockets.frames import CloseCode, Frame, Opcode

from server.delivery import LEAST_RATE, Delivery
from server.handshake import Accepted, OpeningHandshake, Outcome, Refused
from server.hub import Hub
from server.protocol import ReplyProtocol

__all__ = ["Connection", "State", "log_refusal"]

logger = logging.getLogger("wsroll.server")

TURN = 0.0003
"""Seconds that the library should take for a slice. Bytes say little of that: it takes 8 µs for an
empty ping of 6 bytes, and no longer for 10 KiB of a large message."""

FIRST_SLICE, SMALLEST_SLICE, LARGEST_SLICE = 2**10, 2**8, 2**14
"""Bytes of a slice: doubled or cut until it takes about a turn. The smallest is about what that is
in empty pings; from the largest on a larger one is no cheaper."""

WRITE_LIMIT = 2**16
"""Above this many unsent bytes, stop reading from the peer. It is asyncio's own limit."""


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


# Made once: to look up a member of an enumeration takes longer than many a read.
HANDSHAKE, OPEN, CLOSING, ANSWERED, LOST = State

_PING = Frame(Opcode.PING, b"").serialize(mask=False)


class Connection(asyncio.Protocol):
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
        "_is_alive",
        "_loop",
        "_on_lost",
        "_on_made",
        "_paused",
        "_protocol",
        "_rest",
        "_slice",
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
        self.state = HANDSHAKE
        self._hub = hub
        self._loop = loop
        self._on_made = on_made
        self._on_lost = on_lost
        self._transport: asyncio.Transport
        self._delivery: Delivery
        # In the state HANDSHAKE.
        self._handshake: OpeningHandshake | None = OpeningHandshake(hub)
        # In OPEN and CLOSING, from the first frame on that is not a short text.
        self._protocol: ReplyProtocol | None = None
        # What is left of a read.
        self._rest: bytes | memoryview = b""
        self._slice = FIRST_SLICE
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        # Whether anything came since the last look at it.
        self._is_alive = False

    @property
    def is_websocket(self) -> bool:
        """Whether the opening handshake has succeeded and the connection is not lost."""
        return self.state is OPEN or self.state is CLOSING

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the opening handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._delivery = Delivery(self._transport)
        self._on_made(self)
        self._wait(self._hub.settings.open_timeout, self._on_handshake_timeout)

    def data_received(self, data: bytes) -> None:
        """Answer everything that one read brought."""
        self._is_alive = True
        delivery = self._delivery
        delivery.heard_at = delivery.written
        if self.state is OPEN or self.state is CLOSING:
            protocol = self._protocol
            if protocol is None or protocol.is_between_messages:
                used = self._answer_short(data)
                if used == len(data):
                    return
                self._rest = memoryview(data)[used:]
            else:
                self._rest = data
            self._take_turn()
        elif self.state is HANDSHAKE:
            assert self._handshake is not None
            outcome = self._handshake.receive(data)
            if outcome is not None:
                self._conclude(outcome)

    def eof_received(self) -> bool:
        """End the connection once everything is written, since the peer sends no more.

        Every request that came before has been answered: returning False closes the transport
        behind the replies.
        """
        if self.state is OPEN:
            self.state = CLOSING
        self._wait_while_it_takes(self._hub.settings.close_timeout, self.abort)
        return False

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read."""
        self._paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()
        if self.state is OPEN:
            self._wait_while_it_takes(self._hub.settings.stall_timeout, self._on_stall_timeout)

    def resume_writing(self) -> None:
        """Read again from a peer that reads again."""
        self._paused = False
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._read_on()
        if self.state is OPEN:
            self._wait(self._hub.settings.ping_interval, self._check_silence)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the end of a WebSocket, and let go of everything."""
        if self._timer is not None:
            self._timer.cancel()
        if self.is_websocket:
            code: int = CloseCode.ABNORMAL_CLOSURE
            if self._protocol is not None:
                close = self._protocol.close_sent or self._protocol.close_rcvd
                code = close.code if close is not None else code
                self._protocol.release()
            self._rest = b""
            self._hub.counters.count_close(code)
            logger.debug("a connection closed with code %d", code)
        self._handshake = self._protocol = self._timer = None
        self.state = LOST
        self._on_lost(self)

    # What the server calls.

    def go_away(self) -> None:
        """Start the closing handshake with code 1001. Everything that was read is answered."""
        if self.state is OPEN and not self._rest:  # else the last turn comes back here
            protocol = self._need_protocol()
            protocol.send_close(CloseCode.GOING_AWAY, "the server is stopping")
            self._flush(protocol)
            self._wait_while_it_takes(self._hub.settings.close_timeout, self.abort)

    def abort(self) -> None:
        """End the connection at once, with everything that is not written yet."""
        self._transport.abort()

    # Receiving and sending.

    def _answer_short(self, data: bytes | memoryview) -> int:
        """Answer the short texts at the start of data, and return how many bytes they are."""
        replies, requests, used = self._hub.answer_short(data)
        if requests:
            self._transport.write(replies)
            self._delivery.written += len(replies)
        return used

    def _take_turn(self) -> None:
        """Act on a slice of what is left of a read; all others come before the next one."""
        if self._paused or not self._rest:
            return
        protocol = self._need_protocol()
        used = self._answer_short(self._rest) if protocol.is_between_messages else 0
        if used:
            self._rest = self._rest[used:]
        else:
            self._take_slice(protocol)
        if self._rest:
            if not self._transport.is_closing():
                self._transport.pause_reading()
        else:
            self._rest = b""
            if self._hub.stopping:
                self.go_away()
        self._read_on()

    def _take_slice(self, protocol: ReplyProtocol) -> None:
        """Let the library act on as much as it gets done in about a turn."""
        started = time.perf_counter()
        data, self._rest = bytes(self._rest[: self._slice]), self._rest[self._slice :]
        answered, failed = protocol.requests, protocol.parser_exc
        protocol.receive_data(data)
        self._hub.counters.add("received", len(data))
        self._hub.counters.add("requests", protocol.requests - answered)
        self._flush(protocol)
        if protocol.parser_exc is not failed:
            logger.info("%s: closing: %s", self._peer(), protocol.close_sent)
        took = time.perf_counter() - started
        if took > TURN:
            self._slice = max(SMALLEST_SLICE, int(self._slice * TURN / took))
        elif took < TURN / 2 and self._rest:
            self._slice = min(LARGEST_SLICE, self._slice * 2)

    def _need_protocol(self) -> ReplyProtocol:
        """Return the protocol, which a connection has once it needs it."""
        if self._protocol is None:
            self._protocol = self._hub.new_protocol(library.OPEN)
        return self._protocol

    def _flush(self, protocol: ReplyProtocol) -> None:
        """Write everything that the protocol has to send, at once."""
        writes = protocol.data_to_send()
        if not writes:
            return
        data = b"".join(writes)
        if data:
            self._write(data)
            self._hub.counters.add("sent", len(data))
        if protocol.state is not library.OPEN:
            self.state = CLOSING
        if protocol.eof_sent:
            self._rest = b""
            self._end()

    def _write(self, data: bytes) -> None:
        self._delivery.written += len(data)
        if len(data) <= WRITE_LIMIT:
            self._transport.write(data)
            return
        # The transport holds all of it for as long as the last byte is unsent. Until then nothing
        # more may come, or it would hold two messages.
        self._transport.set_write_buffer_limits(high=0)
        self._transport.write(data)
        if not self._paused:
            self._transport.set_write_buffer_limits(high=WRITE_LIMIT)

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

    def _read_on(self) -> None:
        """Read again, once the peer reads and what was read is dealt with."""
        if not (self._paused or self._transport.is_closing()):
            if self._rest:
                self._loop.call_soon(self._take_turn)
            else:
                self._transport.resume_reading()

    # The opening handshake.

    def _conclude(self, outcome: Outcome) -> None:
        """Act on the outcome of the opening handshake."""
        self._handshake = None
        if isinstance(outcome, Accepted):
            self.state = OPEN
            self._protocol = outcome.protocol
            # To ask for the peer's address takes a system call.
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s: opened", self._peer())
            if outcome.notice is not None:
                logger.info("%s: %s", self._peer(), outcome.notice)
            self._wait(self._hub.settings.ping_interval, self._check_silence)
            self._write(outcome.response)
            if outcome.rest:
                self.data_received(outcome.rest)
            # The peer's time to be silent begins here.
            self._is_alive = False
            return
        self.state = ANSWERED
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
        """Ping a peer that has been silent since the last look."""
        settings = self._hub.settings
        if self._is_alive:
            self._is_alive = False
            self._wait(settings.ping_interval, self._check_silence)
            return
        if self._protocol is not None and self._protocol.is_between_messages:
            # It has nothing to remember, and takes a third of an idle connection's memory.
            self._protocol.release()
            self._protocol = None
        self._wait_while_it_takes(settings.pong_timeout, self._on_pong_timeout)
        self._write(_PING)
        self._hub.counters.add("sent", len(_PING))

    def _on_pong_timeout(self) -> None:
        """Give a peer that has everything the time to read it: the ping comes last."""
        hidden = self._delivery.hidden_time() if self._delivery.waiting() == 0 else 0.0
        self._wait(hidden, self._on_silence)

    def _on_silence(self) -> None:
        """Fail the connection when no sign of life has followed the ping."""
        if self._is_alive:
            self._check_silence()
            return
        protocol = self._need_protocol()
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
