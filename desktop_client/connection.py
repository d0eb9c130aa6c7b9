"""The connection: a state machine that keeps one WebSocket open and sends and receives on it.

            open                 handshake done
DISCONNECTED ──→ CONNECTING ──────────────────→ CONNECTED
     ↑ ↑            │                              │   │
     │ └────────────┘ no server, bad handshake     │   │ close
     └─────────────────────────────────────────────┘   ↓
     ↑         the server or the network went       CLOSING
     └─────────────────────────────────────────────────┘

It tries again from DISCONNECTED after waits that grow, unless it was closed on purpose or the
failure cannot heal (a bad certificate, a login that is refused, a server without WebSocket).

A message that is no reply to a waiting request is passed on and changes nothing: the request waits
until its own reply comes or its time-out ends the waiting. What was not answered is never sent
again by itself.
"""

import asyncio
import enum
import random
import time
from collections import deque
from typing import NoReturn

from PySide6.QtCore import QObject, Signal
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.frames import Close

from desktop_client.pairing import (
    Check,
    Kind,
    Message,
    Pairing,
    Waiting,
    looks_like_ours,
    one_line,
)
from desktop_client.target import Target
from desktop_client.transcript import Direction, Entry
from wire.failure import Cause, Failure, explain
from wire.tls import TLSError

__all__ = ["Connection", "Refused", "State"]

OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
REPLY_TIMEOUT = 30.0
SEND_TIMEOUT = 30.0
"""Seconds after which a server that reads nothing is given up; a ping would wait behind it."""
MAX_MESSAGE = 16 * 2**20
MAX_QUEUE = 100

FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0

LONGEST_TURN = 0.01
"""Seconds that arriving messages may take from the event loop before the window has its turn."""

# RFC 6455, section 7.4.1
NORMAL_CLOSURE = 1000
INTERNAL_ERROR = 1011


class State(enum.Enum):
    """Where the connection stands."""

    DISCONNECTED = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    CLOSING = enum.auto()


class Refused(Exception):  # noqa: N818 -- an answer to the caller, no fault
    """A message that was not taken; the text says why."""


class _NotReadError(Exception):
    """The server reads nothing of what is sent to it."""


class Connection(QObject):
    """Keeps a WebSocket open to a target, and exchanges messages on it.

    Every method must be called while the event loop runs.

    Signals:
        changed: The state, its reason, the time of the next try or what waits is another.
        arrived: An ``Arrival``: a message has come, and was checked.
        logged: An ``Entry`` for the conversation: each message, opening, close and error.
        failed: A text for the user: a request that was not answered in time.

    Attributes:
        failure: Why the last attempt to connect failed, until one succeeds.
        unsolicited: How many messages came on this connection while no request waited.
        is_foreign: Whether the first message that the server sent does not look like ours.
    """

    changed = Signal()
    arrived = Signal(object)
    logged = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = State.DISCONNECTED
        self.target: Target | None = None
        self.reason = ""
        self.failure: Failure | None = None
        self.next_try: float | None = None
        self.subprotocol = ""
        self.unsolicited = 0
        self.is_foreign = False
        self._pairing = Pairing(Check.NUMBER)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsent: deque[Message] = deque()
        self._has_unsent = asyncio.Event()
        self._timers: dict[Waiting, asyncio.TimerHandle] = {}
        self._hurry = asyncio.Event()
        self._proven = False
        self._has_received = False

    @property
    def check(self) -> Check:
        """What a right reply is."""
        return self._pairing.check

    @check.setter
    def check(self, check: Check) -> None:
        if check is not self.check:
            self._pairing.check = check
            if check is Check.OFF:
                self._stop_timers()
            self.is_foreign = False
            self.changed.emit()

    @property
    def waiting(self) -> int:
        """How many messages are still to be sent, or have no reply yet."""
        return len(self._unsent) + len(self._pairing)

    @property
    def oldest(self) -> Waiting | None:
        """The request that has waited longest for its reply."""
        return self._pairing.oldest

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, so that a message is sent at once."""
        return self.state is State.CONNECTED

    @property
    def is_open(self) -> bool:
        """Whether it is to be connected, even while it waits for the next try."""
        return any(not task.cancelling() for task in self._tasks)

    @property
    def seconds_to_next_try(self) -> float | None:
        """Seconds until it connects again by itself, or None where it will not."""
        return None if self.next_try is None else max(0.0, self.next_try - time.monotonic())

    def open(self, target: Target) -> None:
        """Connect to a target and stay connected; a connection to another is closed first."""
        self._cancel()
        if self.target is None or self.target.url != target.url:
            self._has_received = False
        self.target = target
        self.failure = None
        self.is_foreign = False
        before = set(self._tasks)
        task = asyncio.get_running_loop().create_task(self._keep_open(target, before))
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        self.changed.emit()

    def close(self) -> None:
        """Close the connection and stay disconnected."""
        self._cancel()

    def try_now(self) -> None:
        """Connect at once rather than at the next try."""
        self._hurry.set()

    async def aclose(self) -> None:
        """Close the connection, and return once it is closed."""
        self._cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def send(self, message: Message) -> None:
        """Send a message; while it connects, once it is connected.

        Raises:
            Refused: If there is no connection, too many messages wait, or the text is not Unicode.
        """
        if not self.is_open:
            raise Refused(self.tr("Not sent: there is no connection."))
        if isinstance(message, str):
            try:
                message.encode()
            except UnicodeEncodeError:
                raise Refused(
                    self.tr("Not sent: the message has half of a surrogate pair in it.")
                ) from None
        if self.waiting >= MAX_QUEUE:
            raise Refused(
                self.tr("Not sent: {n} requests already wait for their replies.").format(
                    n=self.waiting
                )
            )
        self._unsent.append(message)
        self._has_unsent.set()
        if self.state is State.DISCONNECTED:
            self.try_now()
        self.changed.emit()

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.changed.emit()

    def _cancel(self) -> None:
        self._drop_unsent()
        for task in self._tasks:
            task.cancel()
        if self._tasks and self.state is State.CONNECTED:
            self._set(State.CLOSING)

    def _set(self, state: State, reason: str | None = None, *, wait: float | None = None) -> None:
        """Enter a state; the last reason stays until there is another."""
        self.state = state
        if reason is not None:
            self.reason = reason
        self.next_try = None if wait is None else time.monotonic() + wait
        self.changed.emit()

    async def _keep_open(self, target: Target, before: set[asyncio.Task[None]]) -> None:
        """Connect repeatedly, until cancelled or until a failure is final."""
        failures = 0
        was_connected = False
        reason = ""
        try:
            if before:
                await asyncio.wait(before)
            while True:
                self._hurry.clear()
                self._proven = False
                self._set(State.CONNECTING)
                try:
                    reason = await self._connect(target)
                except Exception as error:
                    self.failure = self._explain(target, error)
                    reason = self.failure.text
                    self._log(reason, is_error=True)
                    if self._drop_unsent():
                        reason = self.tr("not sent: {reason}").format(reason=reason)
                    if _is_lasting(self.failure, error, was_connected):
                        return
                else:
                    was_connected = True
                failures = 0 if self._proven else failures + 1
                # Half fixed, half random: clients that lost one server do not return all at once.
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2**failures) * random.uniform(0.5, 1.0)
                self._set(State.DISCONNECTED, reason, wait=wait)
                try:
                    async with asyncio.timeout(wait):
                        await self._hurry.wait()
                except TimeoutError:
                    pass
        except asyncio.CancelledError:
            reason = ""
            self.failure = None
            raise
        finally:
            self._set(State.DISCONNECTED, reason)

    async def _connect(self, target: Target) -> str:
        """Connect once, exchange messages until that ends, and return what ended it."""
        # Reading the system's certificates takes a while, so not on the thread of the window.
        options = await asyncio.to_thread(target.connect_options)
        websocket = await _Connect(
            target.url,
            open_timeout=OPEN_TIMEOUT,
            max_size=MAX_MESSAGE,
            compression=None,
            proxy=None,
            **options,
        )
        opened = time.monotonic()
        code = NORMAL_CLOSURE
        lost: Waiting | None = None
        try:
            self.subprotocol = websocket.subprotocol or ""
            self.failure = None
            self.unsolicited = 0
            self._set(State.CONNECTED, "")
            chosen = self.tr(", subprotocol {name}").format(name=self.subprotocol)
            self._log(
                self.tr("connected to {url}").format(url=target.public_url)
                + (chosen if self.subprotocol else "")
            )
            await self._exchange(websocket)
        except (ConnectionClosed, _NotReadError) as error:
            if isinstance(error, ConnectionClosed):
                reason = self._explain_close(error)
            else:
                reason, code = str(error), INTERNAL_ERROR
            self._log(reason, is_error=True)
            self._drop_unsent()
        except asyncio.CancelledError:
            self._log(self.tr("closed by you"))
            raise
        finally:
            self._proven |= time.monotonic() - opened > LONGEST_WAIT
            self._set(State.CLOSING)
            lost = self._give_up_requests()
            await _close(websocket, code)
        if lost is not None:
            reason = self.tr("{reason}, before the reply to “{request}” came").format(
                reason=reason, request=one_line(lost.request, 60)
            )
        return reason

    async def _exchange(self, websocket: ClientConnection) -> NoReturn:
        """Send and listen until one of the two ends, and raise what ended it."""
        halves = {
            asyncio.create_task(self._send(websocket)),
            asyncio.create_task(self._listen(websocket)),
        }
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
        for half in done:
            half.result()
        raise AssertionError("neither half returns")

    async def _send(self, websocket: ClientConnection) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            while not self._unsent:
                self._has_unsent.clear()
                await self._has_unsent.wait()
            message = self._unsent.popleft()
            waiting = self._pairing.add(message, time.perf_counter())
            if waiting is not None:
                self._timers[waiting] = loop.call_later(REPLY_TIMEOUT, self._on_timeout, waiting)
            self.logged.emit(Entry(Direction.OUT, message))
            try:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await websocket.send(message)
            except TimeoutError:
                raise _NotReadError(
                    self.tr("the server has read nothing for {n} s").format(n=int(SEND_TIMEOUT))
                ) from None
            self.changed.emit()

    async def _listen(self, websocket: ClientConnection) -> NoReturn:
        turn = time.perf_counter()
        while True:
            message = await websocket.recv()
            now = time.perf_counter()
            self._receive(message, now)
            if time.perf_counter() - turn > LONGEST_TURN:
                await asyncio.sleep(0)
                turn = time.perf_counter()

    def _receive(self, message: Message, now: float) -> None:
        arrival = self._pairing.receive(message, now)
        note = ""
        match arrival.kind:
            case Kind.REPLY:
                assert arrival.waiting is not None
                if (timer := self._timers.pop(arrival.waiting, None)) is not None:
                    timer.cancel()
                self._proven = True
                self.is_foreign = False
            case Kind.UNEXPECTED:
                note = self.tr("not as expected: {why}").format(why=arrival.why)
            case Kind.UNSOLICITED:
                self.unsolicited += 1
                note = self.tr("unsolicited")
            case Kind.MESSAGE:
                self._proven = True
        if not self._has_received:
            self._has_received = True
            self.is_foreign = arrival.kind in (Kind.UNEXPECTED, Kind.UNSOLICITED) and not (
                self.check is Check.NUMBER and looks_like_ours(message)
            )
        is_error = arrival.kind is Kind.UNEXPECTED
        self.logged.emit(Entry(Direction.IN, message, note, arrival.round_trip, is_error))
        self.arrived.emit(arrival)
        if arrival.kind is Kind.REPLY or self.is_foreign:
            self.changed.emit()

    def _on_timeout(self, waiting: Waiting) -> None:
        """End the waiting for a reply, and not the connection."""
        self._timers.pop(waiting, None)
        if waiting in self._pairing:
            self._pairing.give_up(waiting)
            text = self.tr("no reply to “{request}” in {n} s").format(
                request=one_line(waiting.request, 60), n=f"{REPLY_TIMEOUT:g}"
            )
            self._log(text, is_error=True)
            self.failed.emit(text)
            self.changed.emit()

    def _stop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _give_up_requests(self) -> Waiting | None:
        """Log the requests that stay without a reply, and return the first of them."""
        self._stop_timers()
        first = self._pairing.oldest
        while (waiting := self._pairing.oldest) is not None:
            self._pairing.give_up(waiting)
            self._log(
                self.tr("no reply to “{request}”").format(request=one_line(waiting.request, 60)),
                is_error=True,
            )
        return first

    def _drop_unsent(self) -> bool:
        """Log what was not sent, and return whether there was anything."""
        unsent, self._unsent = self._unsent, deque()
        for message in unsent:
            self._log(
                self.tr("not sent: “{message}”").format(message=one_line(message, 60)),
                is_error=True,
            )
        return bool(unsent)

    def _log(self, event: str, *, is_error: bool = False) -> None:
        self.logged.emit(Entry(Direction.EVENT, event, is_error=is_error))

    def _explain_close(self, error: ConnectionClosed) -> str:
        if error.rcvd is not None and error.rcvd_then_sent:
            return self.tr("closed by the server: {code}").format(code=error.rcvd)
        if error.sent is not None and "keepalive" in error.sent.reason:
            return self.tr("the server has not answered a ping")
        if error.sent is not None:
            return self.tr("closed by this window: {code}").format(code=error.sent)
        return self.tr("the connection was lost without a Close frame: {code}").format(
            code=Close(1006, "")
        )

    def _explain(self, target: Target, error: Exception) -> Failure:
        """Return in words why there is no connection."""
        if isinstance(error, TLSError):
            return Failure(Cause.TLS, str(error))
        failure = explain(error, host=target.host, secure=target.is_secure, timeout=OPEN_TIMEOUT)
        where = target.public_url
        match failure.cause:
            case Cause.REFUSED:
                return failure._replace(
                    text=self.tr("no server at {url}: {why}").format(url=where, why=failure.text)
                )
            case Cause.OTHER if isinstance(error, InvalidHandshake):
                return failure._replace(
                    text=self.tr("{url} is not a WebSocket server: {why}").format(
                        url=where, why=failure.text
                    )
                )
        return failure


class _Connect(connect):
    """Connects to the given address only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow no redirect: the user chooses the address."""
        return exc


def _is_lasting(failure: Failure, error: Exception, was_connected: bool) -> bool:
    """Tell whether to try again would come to the same."""
    match failure.cause:
        case Cause.CERTIFICATE:
            return True
        case Cause.STATUS if failure.status in (401, 403):
            return True
        # While a server is replaced, what stands before it may answer in its place for a moment.
        case Cause.STATUS:
            return not was_connected and (failure.status or 0) < 500 and failure.status != 429
        case Cause.TLS | Cause.NO_TLS:
            return not was_connected
        case Cause.OTHER:
            return not was_connected and isinstance(error, InvalidHandshake)
    return False


async def _close(websocket: ClientConnection, code: int) -> None:
    """Close the connection by a handshake within the time-out, else abort it."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await websocket.close(code)
    except TimeoutError:
        pass
    finally:
        # A peer that does not read holds up close() itself, hence the time-out and this.
        websocket.transport.abort()
