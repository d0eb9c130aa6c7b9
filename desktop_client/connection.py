"""The connection: a state machine that keeps one WebSocket open and asks one thing at a time.

            open                 handshake done
DISCONNECTED ──→ CONNECTING ──────────────────→ CONNECTED
     ↑ ↑            │                              │   │
     │ └────────────┘ no server, bad handshake     │   │ close
     └─────────────────────────────────────────────┘   ↓
     ↑         the server or the network went       CLOSING
     └─────────────────────────────────────────────────┘

Unless closed on purpose it tries again from DISCONNECTED by itself, after waits that grow.

Requests are strictly one at a time: the next leaves the queue when the reply to the one before
was checked. A message that is no right reply to the one request that is due ends the connection,
since nothing that follows it could be told apart; so no reply is ever taken for another's. What
was not answered is never sent again by itself.
"""

import asyncio
import enum
import errno
import random
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from PySide6.QtCore import QObject, Signal
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
)
from websockets.frames import Close

from desktop_client.target import Target
from desktop_client.transcript import Direction, Entry
from wire.exchange import WrongReplyError, check_reply

__all__ = ["Connection", "Exchange", "Refused", "State"]

OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
REPLY_TIMEOUT = 30.0
MAX_REPLY = 16 * 2**20
MAX_QUEUE = 100

FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0

# RFC 6455, section 7.4.1
NORMAL_CLOSURE = 1000
PROTOCOL_ERROR = 1002


class State(enum.Enum):
    """Where the connection stands."""

    DISCONNECTED = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    CLOSING = enum.auto()


@dataclass(frozen=True)
class Exchange:
    """A request with its right reply.

    Attributes:
        request: What was sent.
        number: The number at the end of the reply.
        round_trip: Seconds from sending the one to having the other.
    """

    request: str
    number: int
    round_trip: float


class Refused(Exception):  # noqa: N818 -- an answer to the caller, no fault
    """A request that was not taken; the text says why."""


class _BreachError(Exception):
    """The peer broke the exchange, so the connection has to go."""


@dataclass
class _Due:
    """The one request whose reply is awaited."""

    text: str
    payload: bytes
    when: datetime
    started: float


class Connection(QObject):
    """Keeps a WebSocket open to a target and exchanges requests for replies.

    Every method must be called while the event loop runs.

    Signals:
        changed: The state, its reason, the time of the next try or the queue is another.
        replied: An ``Exchange`` is complete: the reply has been checked.
        logged: An ``Entry`` for the transcript: each exchange, close and error.
        troubled: A text for the user: a reply that is wrong, or will never come.
    """

    changed = Signal()
    replied = Signal(object)
    logged = Signal(object)
    troubled = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = State.DISCONNECTED
        self.target: Target | None = None
        self.reason = ""
        self.no_server = False
        self.next_try: float | None = None
        self.subprotocol = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_QUEUE)
        self._due: _Due | None = None
        self._answered = asyncio.Event()
        self._hurry = asyncio.Event()
        self._proven = False

    @property
    def waiting(self) -> int:
        """How many requests have no reply yet."""
        return self._queue.qsize() + (self._due is not None)

    @property
    def is_open(self) -> bool:
        """Whether it is to be connected, be it that it waits for the next try."""
        return any(not task.cancelling() for task in self._tasks)

    @property
    def seconds_to_next_try(self) -> float | None:
        """Seconds until it connects again by itself, or None where it will not."""
        return None if self.next_try is None else max(0.0, self.next_try - time.monotonic())

    def open(self, target: Target) -> None:
        """Connect to a target and stay connected; a connection to another is closed first."""
        self._cancel()
        self.target = target
        before = set(self._tasks)
        task = asyncio.get_running_loop().create_task(self._keep_open(target, before))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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

    def send(self, text: str) -> None:
        """Send a request; behind others that wait for their replies it queues.

        Raises:
            Refused: If there is no connection, the queue is full, or the text is no Unicode.
        """
        if self.state is not State.CONNECTED:
            raise Refused(self.tr("Not sent: there is no connection."))
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refused(
                self.tr("Not sent: the message has half of a surrogate pair in it.")
            ) from None
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            raise Refused(
                self.tr("Not sent: {n} requests already wait for their replies.").format(
                    n=self.waiting
                )
            ) from None
        self.changed.emit()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks and self.state is State.CONNECTED:
            self._set(State.CLOSING)

    def _set(self, state: State, reason: str = "", *, wait: float | None = None) -> None:
        self.state = state
        self.reason = reason
        self.next_try = None if wait is None else time.monotonic() + wait
        self.changed.emit()

    async def _keep_open(self, target: Target, before: set[asyncio.Task[None]]) -> None:
        """Connect again and again, until cancelled."""
        failures = 0
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
                    reason = self._explain(error)
                    self.no_server = _is_refusal(error)
                    self._log(reason)
                else:
                    self.no_server = False
                failures = 0 if self._proven else failures + 1
                # Half fixed, half random: clients that lost one server do not return all at once.
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2**failures) * random.uniform(0.5, 1.0)
                self._set(State.DISCONNECTED, reason, wait=wait)
                try:
                    async with asyncio.timeout(wait):
                        await self._hurry.wait()
                except TimeoutError:
                    pass
        finally:
            self.no_server = False
            self._set(State.DISCONNECTED)

    async def _connect(self, target: Target) -> str:
        """Connect once, exchange until that ends, and return what ended it."""
        # Reading the system's certificates takes a while, so not on the thread of the window.
        options = await asyncio.to_thread(target.connect_options)
        websocket = await connect(
            target.url,
            open_timeout=OPEN_TIMEOUT,
            max_size=MAX_REPLY,
            compression=None,
            proxy=None,
            **options,
        )
        opened = time.monotonic()
        code = NORMAL_CLOSURE
        try:
            self.subprotocol = websocket.subprotocol or ""
            self._set(State.CONNECTED)
            self._log(self.tr("connected to {url}").format(url=target.url))
            await self._exchange(websocket)
        except ConnectionClosed as error:
            reason = self._explain_close(error)
        except _BreachError as error:
            reason = str(error)
            code = PROTOCOL_ERROR
            self.troubled.emit(reason)
        except asyncio.CancelledError:
            self._log(self.tr("disconnected"))
            raise
        finally:
            self._proven |= time.monotonic() - opened > LONGEST_WAIT
            self._set(State.CLOSING)
            self._give_up_requests()
            await _close(websocket, code)
        self._log(reason)
        return reason

    async def _exchange(self, websocket: ClientConnection) -> NoReturn:
        """Ask and listen until one of the two ends, and raise what ended it."""
        halves = {
            asyncio.create_task(self._ask(websocket)),
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

    async def _ask(self, websocket: ClientConnection) -> None:
        while True:
            text = await self._queue.get()
            self._answered.clear()
            self._due = _Due(text, text.encode(), datetime.now(UTC), time.perf_counter())
            try:
                async with asyncio.timeout(REPLY_TIMEOUT):
                    await websocket.send(text)
                    await self._answered.wait()
            except TimeoutError:
                raise _BreachError(
                    self.tr("no reply within {n} seconds").format(n=int(REPLY_TIMEOUT))
                ) from None

    async def _listen(self, websocket: ClientConnection) -> None:
        while True:
            message = await websocket.recv()
            now = time.perf_counter()
            is_binary = isinstance(message, bytes)
            payload = message if isinstance(message, bytes) else message.encode()
            message = payload.decode(errors="backslashreplace")
            due, self._due = self._due, None
            if due is None:
                self._log(
                    self.tr("unasked message"),
                    direction=Direction.IN,
                    reply=message,
                    bytes_in=len(payload),
                )
                raise _BreachError(self.tr("a message came that no request had asked for"))
            entry = {
                "when": due.when,
                "direction": Direction.BOTH,
                "request": due.text,
                "reply": message,
                "bytes_out": len(due.payload),
                "bytes_in": len(payload),
                "round_trip": now - due.started,
            }
            try:
                if is_binary:
                    raise WrongReplyError(self.tr("expected text, got binary"))
                number = check_reply(due.payload, payload)
            except WrongReplyError as error:
                self._log(self.tr("wrong reply"), **entry)
                raise _BreachError(self.tr("wrong reply: {error}").format(error=error)) from None
            self._proven = True
            self._log(self.tr("reply"), **entry)
            self.replied.emit(Exchange(due.text, number, now - due.started))
            self._answered.set()
            self.changed.emit()

    def _give_up_requests(self) -> None:
        """Account for what will not be answered any more."""
        due, self._due = self._due, None
        unsent = 0
        if due is not None:
            self._log(
                self.tr("no reply"),
                when=due.when,
                direction=Direction.OUT,
                request=due.text,
                bytes_out=len(due.payload),
            )
        while not self._queue.empty():
            unsent += 1
            self._log(self.tr("not sent"), request=self._queue.get_nowait())
        if due is not None:
            self.troubled.emit(
                self.tr("The connection ended before the reply to “{request}” came.").format(
                    request=due.text[:60]
                )
            )
        elif unsent:
            self.troubled.emit(
                self.tr("The connection ended with {n} requests unsent.").format(n=unsent)
            )

    def _log(self, event: str, **details: object) -> None:
        self.logged.emit(Entry(event=event, **details))  # type: ignore[arg-type]

    def _explain_close(self, error: ConnectionClosed) -> str:
        if error.rcvd is not None:
            return self.tr("the server closed the connection: {code}").format(code=error.rcvd)
        if error.sent is not None:
            return self.tr("the connection was closed: {code}").format(code=error.sent)
        return self.tr("the connection broke off without a goodbye: {code}").format(
            code=Close(1006, "")
        )

    def _explain(self, error: Exception) -> str:
        """Return in plain words why there is no connection."""
        assert self.target is not None
        if _is_refusal(error):
            return self.tr("There is no server at {url}").format(url=self.target.url)
        if isinstance(error, socket.gaierror):
            return self.tr("No host has the name in {url}").format(url=self.target.url)
        if isinstance(error, TimeoutError):
            return self.tr("No answer within {n} seconds").format(n=int(OPEN_TIMEOUT))
        if isinstance(error, InvalidStatus):
            status = error.response.status_code
            return self.tr("It answers, but with HTTP status {n} in place of a WebSocket").format(
                n=status
            )
        if isinstance(error, InvalidHandshake):
            return self.tr("It answers, but not as a WebSocket server: {error}").format(error=error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return self.tr("Its certificate cannot be trusted: {error}").format(
                error=error.verify_message
            )
        return " ".join(str(error).split()) or type(error).__name__


async def _close(websocket: ClientConnection, code: int) -> None:
    """Close in order if the peer lets us within the time-out, and in any case."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await websocket.close(code)
    except TimeoutError:
        pass
    finally:
        # A peer that does not read holds up close() itself, hence the time-out and this.
        websocket.transport.abort()


def _is_refusal(error: Exception) -> bool:
    """Whether the host answered that nothing listens there."""
    # An OSError for several addresses (IPv6, IPv4) has no errno, only the text of each.
    return isinstance(error, OSError) and (
        error.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(error)
    )
