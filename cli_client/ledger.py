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
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cli_client.expectation import Expectation, WrongReplyError
from cli_client.latency import Latencies

__all__ = ["SHOWN_ERRORS", "Answer", "Lane", "Ledger", "Request", "Settled", "name"]

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


class Answer(NamedTuple):
    """A request, its right reply, and the number in it."""

    request: Request
    reply: bytes
    number: int


Settled = Callable[[str, int, Request, bytes | None, float], None]
"""Takes the fate of a request, the number of its connection, the request, its reply, the time."""


class Ledger:
    """Counts what became of the requests of a run, over all its connections.

    Args:
        total: How many requests there shall be; None if that is not known.
        expectation: What a right reply is.
        paced: Whether each request has a time at which it is due.
        verified: Called with the answers of one read, in order.
        settled: Called with each request that is settled: its fate, the lane, the request, the
            reply if there is one, and the time.
    """

    def __init__(
        self,
        total: int | None,
        expectation: Expectation,
        *,
        paced: bool,
        verified: Callable[[list[Answer]], None],
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

    def verify(self, lane: "Lane", answers: list[Answer], now: float) -> None:
        """Count answers of one read."""
        self.verified += len(answers)
        self.latencies.record([now - request.sent_at for request, _, _ in answers])
        if self.corrected is not None:
            self.corrected.record([now - request.due for request, _, _ in answers])
        self.numbers.update([number for _, _, number in answers])
        if self._settled is not None:
            for request, reply, _ in answers:
                self._settled("verified", lane.number, request, reply, now)
        self._verified(answers)

    def condemn(self, lane: "Lane", request: Request, reply: bytes, why: str, now: float) -> None:
        """Count a request as answered wrongly."""
        self.wrong += 1
        self.complain(f"{name(request.payload)}: {why}")
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
        self._check, self._request_of = ledger.expectation
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
        first = sum(request.attempt == 1 for request in requests)
        self._ledger.sent += first
        self._ledger.resent += len(requests) - first

    def receive(self, replies: Iterable[bytes], now: float) -> None:
        """Check replies that came at this time, and hand the right ones over."""
        in_flight, check = self.in_flight, self._check
        answers: list[Answer] = []
        for reply in replies:
            if in_flight and type(reply) is bytes:
                request = in_flight[0]
                try:
                    number = check(request.payload, reply)
                except WrongReplyError:
                    self._place(reply, now, answers)
                    continue
                if self._doubtful is not None:
                    self._dismiss()
                del in_flight[0]
                self._answered.append(request)
                answers.append(Answer(request, reply, number))
            else:
                self._place(reply, now, answers)
        if answers:
            self._ledger.verify(self, answers, now)

    def settle_doubt(self, now: float) -> None:
        """Take a reply that fits nothing for the one to the oldest request, as nothing follows."""
        if self._doubtful is not None:
            reply, self._doubtful = self._doubtful, None
            request = self.in_flight.popleft()
            self._answered.append(request)
            self._ledger.condemn(self, request, reply, self._difference(request, reply), now)

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
            self._miss([overdue.popleft()], now, f"not in {limit:g} seconds, but a later one did")

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

    def _place(self, reply: bytes, now: float, answers: list[Answer]) -> None:
        """Find out what a reply is that does not answer the oldest request in flight."""
        wanted = self._request_of(reply) if type(reply) is bytes else None
        if wanted is None or not self._recognize(wanted, reply, now, answers):
            self._doubt(reply, now)

    def _recognize(self, wanted: bytes, reply: bytes, now: float, answers: list[Answer]) -> bool:
        """Deal with a reply that would be right to some request of the run, if it would."""
        ledger = self._ledger
        for place, request in enumerate(self.in_flight):
            if request.payload == wanted:
                self._overtake(place, now)
                del self.in_flight[0]
                self._accept(request, reply, answers)
                return True
        for place, request in enumerate(self.overdue):
            if request.payload == wanted:
                del self.overdue[place]
                ledger.out_of_order += 1
                ledger.complain(f"{name(wanted)}: its reply came behind that to a later one")
                self._accept(request, reply, answers)
                return True
        if any(request.payload == wanted for request in self._given_up):
            ledger.late += 1
            ledger.complain(f"{name(wanted)}: its reply came late, after it had been given up")
            return True
        if any(request.payload == wanted for request in reversed(self._answered)):
            ledger.duplicate += 1
            ledger.complain(f"{name(wanted)}: a reply too many")
            return True
        for lane in ledger.lanes - {self}:
            if any(request.payload == wanted for request in lane.in_flight):
                ledger.unsolicited += 1
                ledger.complain(
                    f"{name(wanted)}: its reply strayed to connection {self.number},"
                    f" it was sent on {lane.number}"
                )
                return True
        return False

    def _accept(self, request: Request, reply: bytes, answers: list[Answer]) -> None:
        self._answered.append(request)
        answers.append(Answer(request, reply, self._check(request.payload, reply)))

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

    def _difference(self, request: Request, reply: bytes) -> str:
        if type(reply) is bytes:
            try:
                self._check(request.payload, reply)
            except WrongReplyError as error:
                return str(error)
        return "the reply is of the other kind: binary for text, or text for binary"

    def _miss(self, requests: Sequence[Request], now: float, why: str | None) -> None:
        self._given_up.extend(requests)
        self._ledger.miss(self.number, requests, now, why)


def name(payload: bytes) -> str:
    """Return a payload as a text that fits a line."""
    text = payload[:240].decode(errors="backslashreplace")
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) or "(an empty message)"
    return text if len(text) <= 60 else f"{text[:59]}…"
