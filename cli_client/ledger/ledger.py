"""The ledger of a run: every request ends with exactly one fate, and the fates add up.

A request is *verified* when its own right reply came, *wrong* when something else came in its
place, *missing* when it was sent and nothing came, and else *never sent*. Apart from these are
counted replies that came beside them: duplicate, out of order, late (to a request that had been
given up) and unsolicited. Which reply is which, its connection's lane finds out (``lane.py``).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cli_client.ledger.errors import Errors, name
from cli_client.ledger.expectation import Expectation
from cli_client.ledger.latency import Latencies

__all__ = ["Ledger", "Request", "Settled"]


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
        self.errors = Errors()
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

    def verify(
        self,
        lane: int,
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
                self._settled("verified", lane, request, reply, now)
        self._verified(replies)

    def condemn(self, lane: int, request: Request, reply: bytes, now: float) -> None:
        """Count a request as answered wrongly."""
        self.wrong += 1
        difference = self.expectation.difference(request.payload, reply)
        self.errors.note("wrong", f": {difference}", name(request.payload))
        if self._settled is not None:
            self._settled("wrong", lane, request, reply, now)

    def miss(
        self, lane: int, requests: Sequence[Request], now: float, why: str | None = None
    ) -> None:
        """Count requests as never answered; why is None if that is no fault."""
        if not requests:
            return
        self.missing += len(requests)
        if why is not None:
            about = name(requests[0].payload)
            self.errors.note("missing", f" got no reply: {why}", about, len(requests))
        if self._settled is not None:
            for request in requests:
                self._settled("missing", lane, request, None, now)

    def fates(self) -> dict[str, int]:
        """Return the counts, once nothing is waited for. The first is the sum of the next four."""
        if self.settled != self.sent:
            self.errors.note(
                "balance",
                f"the ledger does not balance: {self.sent} sent, {self.settled} settled. "
                "This is a fault of wsroll-send: please report it",
            )
        requests = self.sent if self.total is None else self.total
        return {
            "requests": requests,
            "verified": self.verified,
            "wrong": self.wrong,
            "missing": self.missing,
            "never_sent": requests - self.sent,
            "duplicate": self.duplicate,
            "out_of_order": self.out_of_order,
            "unsolicited": self.unsolicited,
            "late": self.late,
        }
