"""The ledger of a run: every request ends with exactly one fate, and the fates add up.

A request is *verified* when its own right reply came, *wrong* when something else came in its
place, *missing* when it was sent and nothing came, and else *never sent*. Apart from these are
counted replies that came beside them: duplicate, out of order, late (to a request that had been
given up) and unsolicited.

Replies are owed in the order of the requests, on the connection of the request (a *lane*), so the
reply that comes next belongs to the oldest request in flight. One that does not is looked for among
the others, so that one lost, repeated or misplaced reply counts as that and does not make all that
follow it wrong. One that fits nothing is held until the next reply shows whether it stood in the
place of a reply or beside it.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

from cli_client.expectation import Expectation, WrongReplyError
from cli_client.latency import Latencies

__all__ = ["SHOWN_ERRORS", "Lane", "Ledger", "Request", "Settled", "name"]

REMEMBERED = 1024
"""How many requests that no reply is due to any more are kept, to name the reply that comes still.
Also how many may wait though a later one has been answered, before the oldest is given up."""

SHOWN_ERRORS = 10
"""How many different errors are reported in full; the rest is counted."""


class Request(NamedTuple):
    """A request on its way. Times are in seconds, of the run's clock."""

    number: int
    payload: bytes
    due: float
    """When it was to be sent; when it was sent, if that was not planned."""
    sent_at: float
    attempt: int = 1


Settled = Callable[[str, int, Request, bytes | None, float], None]
"""Takes the fate of a request, the number of its connection, the request, its reply, the time."""


class Ledger:
    """Counts what became of the requests of a run, over all its connections.

    Args:
        total: How many requests there shall be; None if that is not known.
        expectation: What a right reply is.
        paced: Whether each request has a time at which it is due.
        verified: Called with the right replies of one read, in order.
        settled: Called with each request that is settled: its fate, the lane, the request, the
            reply if there is one, and the time.
    """

    def __init__(
        self,
        total: int | None,
        expectation: Expectation,
        *,
        paced: bool,
        verified: Callable[[list[bytes]], None],
        settled: Settled | None = None,
    ) -> None:
        self.total = total
        self.sent = 0
        """Requests that went out, each counted once however often it was sent."""
        self.verified = 0
        self.wrong = 0
        self.missing = 0
        self.duplicate = 0
        self.out_of_order = 0
        self.unsolicited = 0
        self.late = 0
        self.resent = 0
        self.latencies = Latencies()
        """From the moment at which a request was sent."""
        self.corrected = Latencies() if paced else None
        """From the moment at which it was due."""
        self.numbers: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.error_count = 0
        self.lanes: set[Lane] = set()
        """The lanes on which requests may be in flight."""
        self.expectation = expectation
        self._verified = verified
        self._settled = settled

    @property
    def answered(self) -> int:
        """How many requests got a reply, right or wrong."""
        return self.verified + self.wrong

    @property
    def settled(self) -> int:
        """How many requests have met their fate."""
        return self.verified + self.wrong + self.missing

    def complain(self, error: str, times: int = 1) -> None:
        """Note what went wrong; what is told in the same words is counted."""
        self.error_count += times
        if error in self.errors or len(self.errors) < SHOWN_ERRORS:
            self.errors[error] += times

    def verify(
        self,
        lane: "Lane",
        requests: list[Request],
        replies: list[bytes],
        numbers: list[int],
        now: float,
    ) -> None:
        """Count requests that got their right replies, with these numbers, in one read."""
        self.verified += len(requests)
        self.latencies.record([now - request.sent_at for request in requests])
        if self.corrected is not None:
            self.corrected.record([now - request.due for request in requests])
        self.numbers.update(numbers)
        if self._settled is not None:
            for request, reply in zip(requests, replies, strict=True):
                self._settled("verified", lane.number, request, reply, now)
        self._verified(replies)

    def condemn(self, lane: "Lane", request: Request, reply: bytes, now: float) -> None:
        """Count a request as answered wrongly."""
        self.wrong += 1
        difference = self.expectation.difference(request.payload, reply)
        self.complain(f"{name(request.payload)}: {difference}")
        if self._settled is not None:
            self._settled("wrong", lane.number, request, reply, now)

    def miss(
        self, lane: int, requests: Sequence[Request], now: float, why: str | None = None
    ) -> None:
        """Count requests as never answered; why is None if that is no fault."""
        if not requests:
            return
        self.missing += len(requests)
        if why is not None:
            more = len(requests) - 1
            others = f", nor did {more:,} sent after it" if more else ""
            self.complain(f"{name(requests[0].payload)} got no reply{others}: {why}", more + 1)
        if self._settled is not None:
            for request in requests:
                self._settled("missing", lane, request, None, now)

    def fates(self, waiting: int = 0) -> dict[str, int]:
        """Return the counts of the ledger. The first is the sum of the four that follow.

        Args:
            waiting: How many requests wait to be sent again.
        """
        waiting += sum(len(lane.in_flight) + len(lane.overdue) for lane in self.lanes)
        if self.settled + waiting != self.sent:
            self.complain(
                f"the ledger does not balance: {self.sent} sent, {self.settled} settled, "
                f"{waiting} waiting. This is a fault of wsroll-send: please report it"
            )
        requests = self.sent if self.total is None else self.total
        return {
            "requests": requests,
            "verified": self.verified,
            "wrong": self.wrong,
            "missing": self.missing + waiting,
            "never_sent": requests - self.sent,
            "duplicate": self.duplicate,
            "out_of_order": self.out_of_order,
            "unsolicited": self.unsolicited,
            "late": self.late,
        }


class Lane:
    """The requests of one connection, in the order in which they went out.

    Args:
        ledger: Where they are counted.
        number: The number of the connection, from 1.
    """

    def __init__(self, ledger: Ledger, number: int) -> None:
        self.number = number
        self.in_flight: deque[Request] = deque()
        self.overdue: deque[Request] = deque()
        """Requests that a later one has been answered before."""
        self._ledger = ledger
        self._answered: deque[Request] = deque(maxlen=REMEMBERED)
        self._given_up: deque[Request] = deque(maxlen=REMEMBERED)
        # A reply that fits nothing, while some request is in flight.
        self._doubtful: bytes | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no request waits for its reply."""
        return not (self.in_flight or self.overdue)

    def send(self, requests: Sequence[Request]) -> None:
        """Take down requests that go out."""
        self._ledger.lanes.add(self)
        self.in_flight.extend(requests)

    def receive(self, replies: list[bytes], now: float) -> None:
        """Check replies that came at this time, and hand the right ones over."""
        if self._doubtful is not None or not self._receive_in_order(replies, now):
            self._receive_one_by_one(replies, now)

    def _receive_in_order(self, replies: list[bytes], now: float) -> bool:
        """Take replies that are all right and in order, as nearly all are.

        Returns:
            Whether they are. If not, nothing has been done.
        """
        in_flight = self.in_flight
        if len(replies) > len(in_flight) or set(map(type, replies)) != {bytes}:
            return False
        requests = [in_flight.popleft() for _ in replies]
        try:
            check = self._ledger.expectation.check
            numbers = list(map(check, [request.payload for request in requests], replies))
        except WrongReplyError:
            in_flight.extendleft(reversed(requests))
            return False
        self._answered.extend(requests)
        self._ledger.verify(self, requests, replies, numbers, now)
        return True

    def _receive_one_by_one(self, replies: list[bytes], now: float) -> None:
        requests: list[Request] = []
        right: list[bytes] = []
        numbers: list[int] = []
        for reply in replies:
            request = self._match(reply, now)
            if request is not None:
                self._answered.append(request)
                requests.append(request)
                right.append(reply)
                numbers.append(self._ledger.expectation.check(request.payload, reply))
        if requests:
            self._ledger.verify(self, requests, right, numbers, now)

    def _match(self, reply: bytes, now: float) -> Request | None:
        """Return the request that a reply answers; if there is none, note what the reply is."""
        if type(reply) is not bytes:
            self._doubt(reply, now)
            return None
        if self.in_flight and self._is_right(self.in_flight[0], reply):
            if self._doubtful is not None:
                self._dismiss()
            return self.in_flight.popleft()
        wanted = self._ledger.expectation.request_of(reply)
        if wanted is None:
            self._doubt(reply, now)
            return None
        for place, request in enumerate(self.in_flight):
            if request.payload == wanted:
                self._overtake(place, now)
                return self.in_flight.popleft()
        for place, request in enumerate(self.overdue):
            if request.payload == wanted:
                del self.overdue[place]
                self._ledger.out_of_order += 1
                self._ledger.complain(f"{name(wanted)}: its reply came behind that to a later one")
                return request
        if not self._is_too_many(wanted):
            self._doubt(reply, now)
        return None

    def _is_right(self, request: Request, reply: bytes) -> bool:
        try:
            self._ledger.expectation.check(request.payload, reply)
        except WrongReplyError:
            return False
        return True

    def _is_too_many(self, wanted: bytes) -> bool:
        """Note a reply that would be right to a request that is owed none here, if it would."""
        ledger = self._ledger
        if any(request.payload == wanted for request in self._given_up):
            ledger.late += 1
            ledger.complain(f"{name(wanted)}: its reply came late, after it had been given up")
            return True
        if any(request.payload == wanted for request in reversed(self._answered)):
            ledger.duplicate += 1
            ledger.complain(f"{name(wanted)}: a reply too many")
            return True
        for lane in ledger.lanes - {self}:
            if any(request.payload == wanted for request in chain(lane.overdue, lane.in_flight)):
                ledger.unsolicited += 1
                ledger.complain(
                    f"{name(wanted)}: its reply strayed to connection {self.number},"
                    f" it was sent on {lane.number}"
                )
                return True
        return False

    def settle_doubt(self, now: float) -> None:
        """Take a reply that fits nothing for the one to the oldest request, as nothing follows."""
        if self._doubtful is not None:
            reply, self._doubtful = self._doubtful, None
            request = self.in_flight.popleft()
            self._answered.append(request)
            self._ledger.condemn(self, request, reply, now)

    def give_up(self, now: float, why: str | None) -> None:
        """Wait for nothing any more."""
        self.settle_doubt(now)
        waiting = [*self.overdue, *self.in_flight]
        self.overdue.clear()
        self.in_flight.clear()
        self._miss(waiting, now, why)

    def give_up_overdue(self, now: float, limit: float) -> None:
        """Wait no more for what was sent so many seconds ago and overtaken since."""
        overdue = self.overdue
        while overdue and now - overdue[0].sent_at > limit:
            self._miss([overdue.popleft()], now, f"not in {limit:g} s, but a later one did")

    def lose(self, now: float, why: str) -> list[Request]:
        """Return what was in flight when the connection died, and wait for nothing any more.

        What had been overtaken is not among it: its reply is known to be lost.
        """
        self.settle_doubt(now)
        lost = list(self.in_flight)
        self.in_flight.clear()
        self.give_up(now, why)
        self._ledger.lanes.discard(self)
        return lost

    def _overtake(self, place: int, now: float) -> None:
        """Move the oldest requests aside: a later one has been answered."""
        if self._doubtful is not None:
            self.settle_doubt(now)
            place -= 1
        for _ in range(place):
            self.overdue.append(self.in_flight.popleft())
        while len(self.overdue) > REMEMBERED:
            self._miss([self.overdue.popleft()], now, f"{REMEMBERED:,} later ones did")

    def _doubt(self, reply: bytes, now: float) -> None:
        """Hold a reply that fits nothing, if another may follow that tells more."""
        self.settle_doubt(now)
        self._doubtful = reply
        if not self.in_flight:
            self._dismiss()
        elif len(self.in_flight) == 1:
            # Nothing else would be sent before this one is settled.
            self.settle_doubt(now)

    def _dismiss(self) -> None:
        """Take a reply that fits nothing for one that nobody asked for."""
        reply, self._doubtful = self._doubtful, None
        self._ledger.unsolicited += 1
        self._ledger.complain(f"a reply that nobody asked for: {name(reply or b'')}")

    def _miss(self, requests: Sequence[Request], now: float, why: str | None) -> None:
        self._given_up.extend(requests)
        self._ledger.miss(self.number, requests, now, why)


def name(payload: bytes) -> str:
    """Return a payload as a text that fits a line."""
    text = payload[:240].decode(errors="backslashreplace")
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) or "(an empty message)"
    return text if len(text) <= 60 else f"{text[:59]}…"
