"""The ledger of a run: every request ends with one fate, and every message has one name.

A request is *verified* when its own right reply came, *wrong* when something else came in its
place, *missing* when it was sent and nothing came, and else *never sent*. A message received is
the right or the wrong reply to a request, or it is counted by itself: *duplicate*, *late* (to a
request that had been given up), *unsolicited*, a *part* of an answer, a *push*, a *greeting* or the
reply to a *hello*. Which message is which, its connection's lane finds out (``lane.py``).

Only the ledger's own methods write to it.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from cli_client.ledger.errors import Errors
from cli_client.ledger.expectation import Expectation, Key
from cli_client.ledger.latency import Latencies
from cli_client.ledger.tally import Tally

__all__ = ["Ledger", "OnSettled", "OnVerified", "Request"]


class Request(Struct, frozen=True, gc=False):
    """A request on its way. Times are in seconds, of the run's clock.

    One is made for each message: a named tuple takes four times as long.
    """

    number: int
    payload: bytes
    due: float
    """When it was to be sent; when it was sent, if that was not planned."""
    sent_at: float
    attempt: int = 1
    key: Key = None
    """What it shares with its reply, if replies are found by that alone."""


OnVerified = Callable[[list[bytes]], None]
"""Takes the right replies of one read, in order."""

OnSettled = Callable[[str, int, Request, bytes | None, float], None]
"""Takes the fate of a request, the number of its connection, the request, its reply, the time."""


class Ledger:
    """Counts what became of the requests of a run, over all its connections.

    Args:
        total: How many requests there must be; None if that is not known.
        expectation: What a right reply is.
        paced: Whether each request has a time at which it is due.
        on_verified: Called with the right replies of one read, in order.
        on_settled: Called with each request that is settled: its fate, the number of its
            connection, the request, the reply if there is one, and the time.
    """

    def __init__(
        self,
        total: int | None,
        expectation: Expectation,
        *,
        paced: bool,
        on_verified: OnVerified,
        on_settled: OnSettled | None = None,
    ) -> None:
        self.total = total
        self.sent = 0
        """Requests that went out, each counted once however often it was sent."""
        self.resent = 0
        self.verified = 0
        self.wrong = 0
        self.missing = 0
        self.messages: Counter[str] = Counter()
        """duplicate, late, unsolicited, parts, pushes, greetings, hello_replies; out_of_order
        besides: such a reply is the right one, and counted as that too."""
        self.latencies = Latencies()
        """From the moment at which a request was sent."""
        self.corrected = Latencies() if paced else None
        """From the moment at which it was due."""
        self.stalled = Latencies()
        """The latencies, corrected if there are such, of the requests that a stall touched."""
        self._numbers = Tally()
        self.errors = Errors()
        self.expectation = expectation
        self.started_at = 0.0
        """When the first request was sent, or was due."""
        self.answered_at = 0.0
        """When a request was last answered, right or wrong."""
        self.silence_max = 0.0
        """The longest time without an answer while a request was in flight or owed."""
        self._waiting_since = 0.0
        self._stalled_until = 0.0
        self._on_verified = on_verified
        self._on_settled = on_settled

    @property
    def answered(self) -> int:
        """How many requests got a reply, right or wrong."""
        return self.verified + self.wrong

    @property
    def settled(self) -> int:
        """How many requests have met their fate."""
        return self.verified + self.wrong + self.missing

    @property
    def tells_each(self) -> bool:
        """Whether somebody is told of each request that is settled, with its connection."""
        return self._on_settled is not None

    @property
    def numbers(self) -> Counter[int]:
        """How often each number occurred in a right reply."""
        return self._numbers.counts()

    # What the sender does.

    def note_sent(self, count: int, due: float) -> None:
        """Count requests that go out for the first time; the oldest was due at this time."""
        if self.sent == self.settled:
            if not self.sent:
                self.started_at = due
            self._waiting_since = max(due, self.answered_at)
        self.sent += count

    def note_resent(self, count: int) -> None:
        """Count requests that go out once more."""
        self.resent += count

    def note_stall(self, until: float) -> None:
        """Take down that the sender stood still; what was sent or due before then is touched."""
        self._stalled_until = until

    # What becomes of the requests.

    def verify(
        self,
        connection: int,
        requests: list[Request],
        replies: list[bytes],
        numbers: list[int],
        now: float,
    ) -> None:
        """Count requests that got their right replies, with these numbers, in one read."""
        self.verified += len(requests)
        self._note_answer(now)
        latencies = [now - request.sent_at for request in requests]
        self.latencies.record(latencies)
        if self.corrected is not None:
            latencies = [now - request.due for request in requests]
            self.corrected.record(latencies)
        if self._stalled_until:
            self._note_stalled(requests, latencies)
        self._numbers.add(numbers)
        if self._on_settled is not None:
            for request, reply in zip(requests, replies, strict=True):
                self._on_settled("verified", connection, request, reply, now)
        self._on_verified(replies)

    def mark_wrong(self, connection: int, request: Request, reply: bytes, now: float) -> None:
        """Count a request as answered wrongly."""
        self.wrong += 1
        self._note_answer(now)
        difference = self.expectation.difference(request.payload, reply)
        self.errors.note("wrong", f": {difference}", request.payload)
        if self._on_settled is not None:
            self._on_settled("wrong", connection, request, reply, now)

    def miss(
        self, connection: int, requests: Sequence[Request], now: float, why: str | None = None
    ) -> None:
        """Count requests as never answered; why is None if that is not a fault."""
        if not requests:
            return
        self._note_silence(now)
        self.missing += len(requests)
        if why is not None:
            about = requests[0].payload
            self.errors.note("missing", f" got no reply: {why}", about, len(requests))
        if self._on_settled is not None:
            for request in requests:
                self._on_settled("missing", connection, request, None, now)

    # What becomes of other messages.

    def note_message(self, kind: str) -> None:
        """Count a message that is not a fault: parts, pushes, greetings or hello_replies."""
        self.messages[kind] += 1

    def note_fault(self, kind: str, about: bytes, what: str) -> None:
        """Count a message that came as it must not: duplicate, late, unsolicited or out_of_order.

        Args:
            kind: Which of these.
            about: The request, or the message itself where it answers none.
            what: What is wrong, in words.
        """
        self.messages[kind] += 1
        self.errors.note(kind, f": {what}", about)

    def _note_answer(self, now: float) -> None:
        self._note_silence(now)
        self.answered_at = max(self.answered_at, now)

    def _note_silence(self, now: float) -> None:
        since = self.answered_at
        if since < self._waiting_since:
            since = self._waiting_since
        if now - since > self.silence_max:
            self.silence_max = now - since

    def _note_stalled(self, requests: list[Request], latencies: list[float]) -> None:
        self.stalled.record(
            [
                latency
                for request, latency in zip(requests, latencies, strict=True)
                if request.due < self._stalled_until
            ]
        )
