"""Which reply belongs to which request: no network, no clock, no Qt.

==================  =======================  ===================  =========
what came           a request waits for it   others wait          none wait
==================  =======================  ===================  =========
number, echo        REPLY                    UNEXPECTED           UNSOLICITED
off                 MESSAGE                  MESSAGE              MESSAGE
==================  =======================  ===================  =========

A reply is found by the request in it, so it is never taken for the reply to another request, in
whatever order replies come. Of equal requests the oldest gets the reply.

A message is ``str`` if it is text and ``bytes`` if it is binary, as in ``websockets``. Since these
are never equal, a text request has no binary reply.
"""

import enum
from collections import deque
from dataclasses import dataclass

from wire.exchange import HIGHEST, LOWEST, check_reply, request_of

__all__ = [
    "Arrival",
    "Check",
    "Kind",
    "Message",
    "Pairing",
    "Waiting",
    "looks_like_ours",
    "one_line",
    "size_of",
]

Message = str | bytes


class Check(enum.Enum):
    """What a right reply is: the request with a number, the request itself, or nothing to say."""

    NUMBER = "number"
    ECHO = "echo"
    OFF = "off"


class Kind(enum.Enum):
    """What a message that came is to the requests that wait."""

    REPLY = enum.auto()
    UNEXPECTED = enum.auto()
    UNSOLICITED = enum.auto()
    MESSAGE = enum.auto()


@dataclass(eq=False)
class Waiting:
    """A request that waits for its reply.

    Attributes:
        request: The message that was sent.
        started: When it was sent, in seconds of the caller's monotonic clock.
    """

    request: Message
    started: float


@dataclass(frozen=True)
class Arrival:
    """A message that came, and what it is.

    Attributes:
        message: The message.
        kind: What it is to the requests that wait.
        waiting: The request that it answers, if it is a reply.
        number: The number at the end of a reply that has one.
        round_trip: Seconds from sending the request to having the reply.
        why: Why it is not as expected.
    """

    message: Message
    kind: Kind
    waiting: Waiting | None = None
    number: int | None = None
    round_trip: float | None = None
    why: str = ""


class Pairing:
    """The requests that wait for replies, and the check that finds the request of a reply."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._by_request: dict[Message, deque[Waiting]] = {}
        self._in_order: dict[Waiting, None] = {}

    @property
    def check(self) -> Check:
        """What a right reply is."""
        return self._check

    @check.setter
    def check(self, check: Check) -> None:
        self._check = check
        if check is Check.OFF:
            self._by_request.clear()
            self._in_order.clear()

    def __len__(self) -> int:
        return len(self._in_order)

    def __contains__(self, waiting: Waiting) -> bool:
        return waiting in self._in_order

    @property
    def oldest(self) -> Waiting | None:
        """The request that has waited longest."""
        return next(iter(self._in_order), None)

    def add(self, request: Message, now: float) -> Waiting | None:
        """Wait for the reply to a request; without checking there is nothing to wait for."""
        if self._check is Check.OFF:
            return None
        waiting = Waiting(request, now)
        self._by_request.setdefault(request, deque()).append(waiting)
        self._in_order[waiting] = None
        return waiting

    def give_up(self, waiting: Waiting) -> None:
        """Wait no longer for the reply to a request."""
        if waiting in self._in_order:
            del self._in_order[waiting]
            same = self._by_request[waiting.request]
            same.remove(waiting)
            if not same:
                del self._by_request[waiting.request]

    def receive(self, message: Message, now: float) -> Arrival:
        """Return what a message is; a request whose reply it is waits no longer."""
        if self._check is Check.OFF:
            return Arrival(message, Kind.MESSAGE)
        request = message if self._check is Check.ECHO else _request_in(message)
        same = None if request is None else self._by_request.get(request)
        if same:
            waiting = same[0]
            self.give_up(waiting)
            return Arrival(
                message,
                Kind.REPLY,
                waiting,
                _number_in(waiting.request, message) if self._check is Check.NUMBER else None,
                now - waiting.started,
            )
        if self.oldest is None:
            return Arrival(message, Kind.UNSOLICITED)
        return Arrival(message, Kind.UNEXPECTED, why=self._expected(self.oldest.request))

    def _expected(self, request: Message) -> str:
        """Say what the right reply to a request is."""
        shown = one_line(request, 60)
        kind = "binary" if isinstance(request, bytes) else "text"
        if self._check is Check.ECHO:
            return f"the reply to “{shown}” is “{shown}” itself, as {kind}"
        return f"the reply to “{shown}” is “{shown}: N”, as {kind}, N from {LOWEST} to {HIGHEST}"


def looks_like_ours(message: Message) -> bool:
    """Tell whether a message could be a reply of this project's server."""
    return _request_in(message) is not None


def one_line(message: Message, limit: int) -> str:
    """Return a message on one line, with its middle left out if it is longer than a limit.

    Line breaks and other control characters are shown by symbols; bytes in hexadecimal.
    """
    half = limit // 2
    if isinstance(message, bytes):
        if len(message) * 3 <= limit:
            return message.hex(" ")
        return f"{message[: half // 3].hex(' ')} … {message[-(half // 3) :].hex(' ')}"
    text = message if len(message) <= limit else f"{message[:half]} … {message[-half:]}"
    return text.replace("\r\n", "⏎").translate(_SYMBOLS)


def size_of(message: Message) -> int:
    """Return how many bytes of payload a message has."""
    if isinstance(message, bytes):
        return len(message)
    return len(message) if message.isascii() else len(message.encode(errors="surrogatepass"))


# Unicode has a picture for each control character (U+2400 to U+2421).
_SYMBOLS = {
    **{code: chr(0x2400 + code) for code in range(32)},
    ord("\n"): "⏎",
    ord("\r"): "⏎",
    ord("\t"): "⇥",
    0x7F: "\u2421",
    0x2028: "⏎",
    0x2029: "⏎",
}


def _payload(message: Message) -> bytes:
    return message if isinstance(message, bytes) else message.encode()


def _request_in(message: Message) -> Message | None:
    request = request_of(_payload(message))
    return request if request is None or isinstance(message, bytes) else request.decode()


def _number_in(request: Message, reply: Message) -> int:
    return check_reply(_payload(request), _payload(reply))
