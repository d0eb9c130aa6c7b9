"""The sender's connection: keeps the window full, checks what comes, says how it ended."""

import asyncio
import math
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, cast

from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode
from websockets.protocol import CLOSED, CONNECTING, OPEN

from cli_client.engine.clocks import LoopWatch
from cli_client.engine.introduction import Introduction, RefusalError
from cli_client.engine.protocol import RequestProtocol
from cli_client.ledger.lanes import AnyLane
from cli_client.ledger.ledger import Request
from cli_client.ledger.result import CloseKey

__all__ = ["Brake", "Connection", "OnMessages", "Take"]

SLOWEST = 1024
"""Bytes a second from which on a message counts as moving, so that its request is not given up: a
path that is slower hardly carries anything."""

MOST_PATIENCE = 10
"""How many time-outs a request may take, at the most, while bytes move."""

MEASURED = 1.0
"""Seconds over which it is measured whether bytes move, at the most."""

MANY = 1024
"""Messages in one read, above which the event loop has its turn before the next read. uvloop reads
up to 32 times in a turn, 256 KB each time: a flood of short messages would take seconds."""

SLICE = 2**14
"""Bytes of a read that are taken in before it is asked whether the run goes on: those of a flood of
short messages take a twentieth of a second, and a whole read would take one."""

LONG = 0.01
"""Seconds that a read may take, above which it is the same: so a flood of pings or of parts of
messages, which complete none, does not hold the event loop up either."""

SHORT = 2**10
"""Bytes of a read that cannot take so long."""

IDLE = 1.0
"""Seconds without a request or a reply after which a connection that ends is called idle."""


OnMessages = Callable[["Connection", list[bytes], float], None]
"""Takes the messages of one read on a connection, and the time at which they came."""


class Take(Protocol):
    """Gives the next requests to send."""

    def __call__(self, amount: int, again: int, opened_at: float, now: float) -> list[Request]:
        """Return them: see ``Supply.take``."""


class Brake:
    """Stops all connections at once, however busy they are.

    A connection to which something comes while the brake is pulled takes nothing in any more.
    """

    def __init__(self) -> None:
        self.pulled = False


class Ending(NamedTuple):
    """Why the sender ended a connection by itself."""

    kind: Literal["over", "interrupted", "gave up"]
    words: str


class Connection(asyncio.Protocol):
    """Sends requests, never more in flight than the window, and enters replies in its lane.

    Args:
        protocol: The protocol of the connection, with its handshake before it.
        headers: Headers to send with the handshake; each replaces the library's own.
        window: How many requests may be in flight.
        lane: Where requests and replies are taken down.
        introduction: What is said before the first request.
        take: Gives the requests.
        on_messages: Called with the messages of each read and the time at which they came. Before
            the turn of the event loop is over, it has them named and the connection filled again.
        watch: Tells the time, and notices stalls.
        brake: Whether to take nothing in any more.
    """

    def __init__(
        self,
        protocol: RequestProtocol,
        headers: tuple[tuple[str, str], ...],
        *,
        window: int,
        lane: AnyLane,
        introduction: Introduction,
        take: Take,
        on_messages: OnMessages,
        watch: LoopWatch,
        brake: Brake,
    ) -> None:
        self.lane = lane
        self.introduction = introduction
        self.has_answered = False
        """Whether it brought the answer to a request, right or wrong."""
        self.opened_at = 0.0
        self._protocol = protocol
        self._headers = headers
        self._window = window
        self._take = take
        self._on_messages = on_messages
        self._watch = watch
        self._brake = brake
        self._transport: asyncio.Transport | None = None
        self._sending = False
        self._paused = False
        self._paused_at = 0.0
        self._deaf = False
        self._error: BaseException | None = None
        self._ending: Ending | None = None
        self._idle_for = 0.0
        self._kept_open = False
        self._sent_at = 0.0
        self._sent_again = 0
        # When a request was last settled by a reply.
        self._progress_at = -math.inf
        self._pongs_before_ping: int | None = None
        self._pinged_at = 0.0
        # When requests were given up first since then.
        self._gave_up_at: float | None = None
        # Whether bytes move: those that came, and those that wait to go out.
        self._bytes = 0
        self._bytes_at = 0.0
        self._measured_at = 0.0
        self._bytes_measured = 0
        self._unsent_measured = 0
        self._moved_at = -math.inf
        loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = loop.create_future()
        self.opened: asyncio.Future[None] = loop.create_future()
        """Done once the opening handshake is; its exception says why it failed."""
        self.introduced: asyncio.Future[None] = loop.create_future()
        """Done once requests may be sent; its exception says why they may not."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done once no more replies can come."""

    # What the run calls.

    @property
    def received(self) -> int:
        """How many messages came on it, as its protocol counts them."""
        return self._protocol.received

    @property
    def is_connected(self) -> bool:
        """Whether there is a transport, so that only the handshake may be lacking."""
        return self._transport is not None

    @property
    def has_room(self) -> bool:
        """Whether another request could go out now."""
        return self.room > 0

    @property
    def room(self) -> int:
        """How many requests could go out now."""
        if self._sending and not self._paused and self._protocol.state is OPEN:
            return max(0, self._window - self.lane.in_flight)
        return 0

    @property
    def compressed(self) -> bool:
        """Whether the server granted compression."""
        return bool(self._protocol.extensions)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose."""
        return self._protocol.subprotocol

    @property
    def status_line(self) -> str:
        """The first line of the server's answer to the handshake, or what has come of it."""
        return self._protocol.status_line

    def moves(self, timeout: float) -> bool:
        """Whether bytes moved within the time-out while a request was in flight."""
        return bool(self.lane.in_flight) and self._watch.now() - self._moved_at <= timeout

    def start(self) -> None:
        """Begin to send."""
        self._sending = True
        self.fill()

    def fill(self, limit: int | None = None) -> None:
        """Send requests until the window is full, or up to the limit."""
        room = self.room if limit is None else min(self.room, limit)
        now = self._watch.now()
        # One that was sent before, and one more for each of these that has been answered.
        again = 1 + self._sent_again - 2 * self.lane.resent
        self.send(self._take(room, again, self.opened_at, now) if room else [], now)

    def send(self, requests: list[Request], now: float) -> None:
        """Send requests, and whatever else waits to be sent."""
        if requests:
            lane = self.lane
            self._protocol.send_requests([request.payload for request in requests])
            self._sent_at = now
            resent = lane.resent
            lane.send(requests)
            self._sent_again += lane.resent - resent
        self._flush()

    def receive(self, messages: list[bytes], now: float) -> None:
        """Have messages named, which came at this time."""
        if self.lane.receive(messages, now):
            self.note_progress(now)

    def note_progress(self, now: float) -> None:
        """Note that requests were answered, right or wrong."""
        self._progress_at = now
        self._pongs_before_ping = None
        self._gave_up_at = None
        self.has_answered = True

    def check_timeouts(self, now: float, timeout: float, *, at_end: bool) -> None:
        """Give up requests that have waited too long, and a connection that is silent.

        Silence with a sign of life (a pong) means that the requests that have waited for so long
        have no answer; without one, that the connection is dead. It is given up too if it still
        answers nothing one more time-out later.

        Args:
            now: The time.
            timeout: How long a request may wait, in seconds.
            at_end: Whether nothing will be sent any more.
        """
        self._measure(now, timeout)
        moves = self.moves(timeout)
        patience = timeout * (MOST_PATIENCE if moves else 1)
        self.lane.time_out_overtaken(now, patience, at_end=at_end)
        if not self.lane.in_flight:
            self._check_taking(now, timeout)
            return
        silence = now - max(self._progress_at, self.lane.oldest_sent_at)
        if moves and silence <= MOST_PATIENCE * timeout:
            silence = min(silence, now - self._moved_at)
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
            self._handle_silence(now, timeout)

    def _check_taking(self, now: float, timeout: float) -> None:
        """Give up a connection that takes not even a request: what waits to go out are pongs."""
        waiting = now - self._paused_at
        moves = now - self._moved_at <= timeout
        if self._paused and waiting > timeout * (MOST_PATIENCE if moves else 1):
            self.give_up(f"the server took nothing for {timeout:g} s")

    def _handle_silence(self, now: float, timeout: float) -> None:
        alive = self._protocol.pongs != self._pongs_before_ping
        self._pongs_before_ping = None
        if self._gave_up_at is None:
            self._gave_up_at = now
        if alive and now - self._gave_up_at < timeout:
            if self.lane.time_out(now, timeout, f"no reply came for {timeout:g} s"):
                self._gave_up_at = None
            self.fill()
        else:
            sign = "though it answered a ping" if alive else "nor a pong"
            self.give_up(f"no reply came for {timeout:g} s, {sign}")

    def _measure(self, now: float, timeout: float) -> None:
        """Notice whether bytes move at a pace at which a message is worth waiting for."""
        length = now - self._measured_at
        if length < min(MEASURED, timeout / 4):
            return
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if self._bytes - self._bytes_measured >= SLOWEST * length:
            self._moved_at = self._bytes_at
        if self._unsent_measured - unsent >= SLOWEST * length:
            self._moved_at = now
        self._measured_at, self._bytes_measured, self._unsent_measured = now, self._bytes, unsent

    def give_way(self) -> None:
        """Read nothing more in this turn of the event loop."""
        transport = self._transport
        assert transport is not None
        if transport.is_closing():
            return
        transport.pause_reading()

        def resume() -> None:
            if not transport.is_closing():
                transport.resume_reading()

        asyncio.get_running_loop().call_soon(resume)

    def stop(self) -> None:
        """Send no more requests."""
        self._sending = False

    async def close(self, limit: float, *, interrupted: bool = False) -> None:
        """Close in order, so that duplicate replies still show, and in bounded time (seconds).

        The server's Close frame comes after all that it sent before.
        """
        self._sending = False
        if self._protocol.state is OPEN:
            self._ending = (
                Ending("interrupted", "interrupted")
                if interrupted
                else Ending("over", "closed in order")
            )
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        # Not asyncio.timeout(): that would cancel the future, which connection_lost() must set.
        await asyncio.wait((self._lost,), timeout=limit)
        if not self._lost.done():
            self._kept_open = self._protocol.close_rcvd is not None and not interrupted
            self.abort()
            await self._lost

    def give_up(self, why: str) -> None:
        """End the connection at once, since nothing comes of it."""
        if self._ending is None:
            self._ending = Ending("gave up", f"we gave up: {why}")
        self.abort()

    def interrupt(self) -> None:
        """End the connection at once, since the run is interrupted."""
        if self._ending is None:
            self._ending = Ending("interrupted", "interrupted")
        self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._sending = False
        if self._transport is not None:
            self._transport.abort()

    # How it ended.

    def close_key(self) -> CloseKey:
        """Return how the connection ended."""
        protocol = self._protocol
        received, sent = protocol.close_rcvd, protocol.close_sent
        if isinstance(protocol.parser_exc, PayloadTooBig):
            words = f"the server's reply is too big: {protocol.parser_exc}"
            return CloseKey("client", CloseCode.MESSAGE_TOO_BIG, "", words, False)
        if received is not None and protocol.close_rcvd_then_sent is not False:
            reason = received.reason
            if self.broke_protocol:
                breach = f"it broke the protocol: {protocol.parser_exc}"
                reason = f"{reason}; {breach}" if reason else breach
            text = f" {reason}" if reason else ""
            words = f"the server closed the connection with code {received.code}{text}"
            words += self._idle() + self._remains()
            return CloseKey("server", int(received.code), reason, words, False)
        if self.broke_protocol:
            code, reason = (int(sent.code), sent.reason) if sent is not None else (1002, "")
            words = f"the server broke the protocol: {protocol.parser_exc}"
            return CloseKey("client", code, reason, words, False)
        code = CloseCode.ABNORMAL_CLOSURE if received is None or sent is None else sent.code
        if self._ending is not None:
            over = self._ending.kind != "gave up"
            words = self._ending.words
            if self._ending.kind == "over" and self.left_close_unanswered:
                words = "the server did not answer our Close"
            reason = "" if over else words
            return CloseKey("client", int(code), reason, words + self._answer(), over)
        words = self._why_lost()
        return CloseKey("network", int(code), "", words + self._idle(), False)

    def _answer(self) -> str:
        """Return in words what the server's answer to our Close frame says, besides repeating it.

        It may be a Close frame of the server's own that met ours on the way.
        """
        received = self._protocol.close_rcvd
        if received is None:
            return ""
        code, reason = received.code, received.reason
        if code in (CloseCode.NORMAL_CLOSURE, CloseCode.NO_STATUS_RCVD) and not reason:
            return self._remains()
        said = f"code {code}{f' {reason}' if reason else ''}"
        return f"; the server answered our Close with {said}{self._remains()}"

    def _remains(self) -> str:
        """Return in words that the server did not end the TCP connection (RFC 6455, 5.5.1)."""
        return "; the server kept the TCP connection open" if self._kept_open else ""

    @property
    def left_close_unanswered(self) -> bool:
        """Whether the server did not answer the Close frame that we sent at the end of the run."""
        return (
            self._ending is not None
            and self._ending.kind != "gave up"
            and self._protocol.close_sent is not None
            and self._protocol.close_rcvd is None
            and not self.broke_protocol
            and not self._deaf
        )

    @property
    def broke_protocol(self) -> bool:
        """Whether the server sent what RFC 6455 forbids."""
        error = self._protocol.parser_exc
        return error is not None and not isinstance(error, (EOFError, PayloadTooBig))

    def _why_lost(self) -> str:
        error = self._error
        if error is None:
            return "the peer closed the connection without a Close frame"
        if isinstance(error, ConnectionResetError):
            return "the connection was reset by the peer"
        why = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
        return f"the connection was lost: {why}"

    def _idle(self) -> str:
        return f"; idle for {self._idle_for:.1f} s before" if self._idle_for >= IDLE else ""

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
        """Hand over the messages of one read."""
        now = self._watch.beat()
        if len(data) <= SLICE:
            count = self._receive(data, now)
        else:
            count = 0
            for start in range(0, len(data), SLICE):
                count += self._receive(data[start : start + SLICE], now)
                self._watch.beat()
        if count > MANY or (len(data) > SHORT and self._watch.now() - now > LONG):
            self.give_way()
        if not count:
            # A part of a message: whole ones that answer nothing must not keep the run waiting.
            self._bytes += len(data)
            self._bytes_at = now

    def eof_received(self) -> bool:
        """Take the server's end of the connection for the end of it."""
        now = self._watch.now()
        self._protocol.receive_eof()
        if not self.opened.done():
            self._finish_handshake(now)
        self._flush()
        self._end(now)  # not only once it is lost: it may take long to send what waits
        return False

    def pause_writing(self) -> None:
        """Send nothing while the server does not read."""
        self._paused = True
        self._paused_at = self._watch.now()
        self._protocol.hold()

    def resume_writing(self) -> None:
        """Send again."""
        self._paused = False
        self._protocol.release()
        self.fill()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._error = exc
        if self._protocol.state is not CLOSED:
            self._protocol.receive_eof()
        if not self.opened.done():
            self._fail_to_open(exc or self._protocol.handshake_exc or EOFError())
        self._end(self._watch.now())
        self._lost.set_result(None)

    # The rest.

    def _receive(self, data: bytes, now: float) -> int:
        """Hand over the messages of one read, or of a slice of it, and return how many there are.

        Nothing is taken in any more once the brake has been pulled.
        """
        if self._brake.pulled or self._deaf:
            self._deaf = True
            return 0
        protocol = self._protocol
        replies = protocol.receive(data)
        count = len(replies)
        if not self.opened.done():
            self._finish_handshake(now)
        if replies and not self.introduced.done():
            replies = self._introduce(replies, now)
        if replies:
            self._on_messages(self, replies, now)
        else:
            self._flush()
        if protocol.close_rcvd is not None or protocol.parser_exc is not None:
            self._end(now)
        return count

    def _finish_handshake(self, now: float) -> None:
        if self._protocol.handshake_exc is not None:
            self._fail_to_open(self._protocol.handshake_exc)
        elif self._protocol.state is not CONNECTING:
            self.opened.set_result(None)
            self._introduce([], now)

    def _introduce(self, messages: list[bytes], now: float) -> list[bytes]:
        """Go on with what is said before the first request, and return what came after it."""
        introduction = self.introduction
        try:
            rest = introduction.receive(messages)
        except RefusalError as error:
            self._fail_to_introduce(error)
            return []
        if self._protocol.state is OPEN:
            self._protocol.send_requests(introduction.to_send())
        if introduction.is_over:
            self.opened_at = self._measured_at = now
            self.introduced.set_result(None)
        return rest

    def _fail_to_open(self, error: Exception) -> None:
        self.opened.set_exception(error)
        self.opened.exception()  # whoever gave up waiting, as the run is over, does not ask for it

    def _fail_to_introduce(self, error: Exception) -> None:
        self.introduced.set_exception(error)
        self.introduced.exception()
        # Whatever still comes is not counted either.
        self._deaf = True

    def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        assert self._transport is not None
        if data:
            self._transport.write(data)
        if self._protocol.eof_sent and not self._transport.is_closing():
            self._transport.close()

    def _end(self, now: float) -> None:
        if not self.introduced.done():
            self._fail_to_introduce(EOFError())
        if not self.ended.done():
            if self.lane.is_empty and self.introduced.exception() is None:
                self._idle_for = now - max(self._progress_at, self._sent_at, self.opened_at)
            self.ended.set_result(None)
