"""The supply of a run: which requests go out next, and whether any are left.

What was in flight on a connection that died goes out again before anything new does. New requests
come from the source, and at a rate no earlier than they are due.
"""

from collections.abc import Sequence
from itertools import repeat

from cli_client.engine.clocks import StopWatch
from cli_client.engine.pacing import Pace
from cli_client.engine.resending import Resending
from cli_client.engine.source import Source, SourceError
from cli_client.ledger.errors import name
from cli_client.ledger.expectation import Key
from cli_client.ledger.keyed import Memory
from cli_client.ledger.keyed_lane import KeyedLane
from cli_client.ledger.lanes import AnyLane
from cli_client.ledger.ledger import Ledger, Request

__all__ = ["Supply", "amount_due"]

REMEMBERED = 65_536
"""Of how many requests it is known whether the next is like one of them."""

MOST_REFUSED = 1000
"""How many requests are refused before no more are taken: their source has no use."""

REFUSED = object()
"""Stands for the key of a request that must not be sent."""


class Supply:
    """Hands out requests, over all connections of a run.

    Args:
        source: Where new requests come from.
        ledger: Where it is counted how many went out.
        pace: When each is due; None if as soon as there is room for it.
        duration: Seconds after which no more are due.
        stopwatch: Tells the time since the run began.
        resending: What goes out once more.
        may_be_equal: Whether the source may give equal requests.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        pace: Pace | None,
        duration: float | None,
        stopwatch: StopWatch,
        resending: Resending,
        *,
        may_be_equal: bool,
    ) -> None:
        self.taken = 0
        """How many requests have been handed out, each counted once."""
        self.refused = 0
        """How many must not be sent, since no reply could be told to be theirs."""
        self.gave_equal = False
        """Whether two of them were equal, as far as is known."""
        self._total = ledger.total
        self._source = source
        self._ledger = ledger
        self._pace = pace
        self._duration = duration
        self._stopwatch = stopwatch
        self._resending = resending
        self._payloads = Memory(REMEMBERED) if may_be_equal else None
        self._closed = False

    @property
    def is_over(self) -> bool:
        """Whether nothing will go out any more."""
        return self._closed or (
            not self._resending
            and (
                self._source.exhausted
                or self.refused >= MOST_REFUSED
                or self._drawn == self._total
                or self._time_is_up
            )
        )

    @property
    def is_settled(self) -> bool:
        """Whether each request has met its fate, so that the run has nothing left to do."""
        ledger = self._ledger
        return ledger.settled == ledger.total or (self.is_over and ledger.settled == ledger.sent)

    @property
    def is_shared(self) -> bool:
        """Whether each of the next requests may go out on any connection."""
        return (
            self._source.is_shared and not self._ledger.expectation.by_key and not self._resending
        )

    @property
    def owed(self) -> int:
        """How many requests are due and have not gone out."""
        return max(0, self._due(self._stopwatch.elapsed) - self._drawn) + len(self._resending)

    @property
    def _drawn(self) -> int:
        """How many requests have been drawn from the source."""
        return self.taken + self.refused

    def take(
        self,
        lane: AnyLane,
        connection: int,
        amount: int,
        again: int,
        opened_at: float,
        now: float,
    ) -> list[Request]:
        """Return the next requests to send on a connection; those sent before come first.

        Args:
            lane: What is in flight on the connection.
            connection: The number of the connection, for the fields of a template.
            amount: How many at the most.
            again: How many of them may have been sent before.
            opened_at: When the connection opened.
            now: The time.
        """
        if self._closed:
            return []
        taken: list[Request] = []
        if self._resending and again > 0:
            taken = self._resending.take(lane, min(amount, again), opened_at, now)
            self._ledger.note_resent(len(taken))
        if len(taken) < amount and self.refused < MOST_REFUSED and not self._time_is_up:
            taken += self._take_new(lane, connection, amount - len(taken), now, taken)
        return taken

    def close(self) -> list[Request]:
        """Hand out nothing any more, and return what should have gone out again."""
        self._closed = True
        return self._resending.clear()

    @property
    def _time_is_up(self) -> bool:
        # At a rate, what was due before the time was up is owed still.
        return (
            self._pace is None
            and self._duration is not None
            and self._stopwatch.elapsed >= self._duration
        )

    def _due(self, elapsed: float) -> int:
        due = 0 if self._pace is None else self._pace.count(elapsed)
        return due if self._total is None else min(due, self._total)

    def _take_new(
        self,
        lane: AnyLane,
        connection: int,
        amount: int,
        now: float,
        others: Sequence[Request],
    ) -> list[Request]:
        """Return new requests, to go out after the others; none if none is there yet."""
        requests: list[Request] = []
        while not requests:
            first, started = self._drawn, self._stopwatch.started
            if self._pace is not None:
                amount = max(0, min(amount, self._due(now - started) - first))
            try:
                new = self._source.take(amount, connection)
            except SourceError as error:
                self._ledger.errors.note("source", str(error))
                break
            if not new:
                break
            pace = self._pace
            if pace is None and not isinstance(lane, KeyedLane):
                # As in most runs: none has a time or a key of its own.
                requests = [Request(number, payload, now, now) for number, payload in new]
                break
            places = range(first, first + len(new))
            dues = repeat(now) if pace is None else [started + pace.due(place) for place in places]
            keys = self._keys(new, lane, others) if isinstance(lane, KeyedLane) else repeat(None)
            requests = [
                Request(number, payload, due, now, 1, key)
                for (number, payload), due, key in zip(new, dues, keys, strict=False)
                if key is not REFUSED
            ]
            if self.refused >= MOST_REFUSED:
                break
        if requests:
            self.taken += len(requests)
            self._ledger.note_sent(len(requests), requests[0].due)
            if self._payloads is not None and not self.gave_equal:
                self._compare(self._payloads, requests)
        return requests

    def _keys(
        self, new: list[tuple[int, bytes]], lane: KeyedLane, others: Sequence[Request]
    ) -> list[Key]:
        """Return the keys of new requests, with REFUSED for those that must not be sent."""
        key_of = self._ledger.expectation.request_key
        keys: list[Key] = []
        fresh = {request.key for request in others}
        for number, payload in new:
            key = key_of(payload)
            if key is None:
                why = "it has no key, a string or a number where --id says"
                key = self._refuse(number, payload, why)
            elif key in fresh or key in lane:
                why = f"its key {key!r} is in flight on the same connection"
                key = self._refuse(number, payload, why)
            else:
                fresh.add(key)
            keys.append(key)
        return keys

    def _refuse(self, number: int, payload: bytes, why: str) -> Key:
        self.refused += 1
        about = f"request {number:,}, {name(payload)}, was refused"
        self._ledger.errors.note("refused", f": {why}", about)
        return REFUSED

    def _compare(self, payloads: Memory, requests: list[Request]) -> None:
        for request in requests:
            self.gave_equal = self.gave_equal or request.payload in payloads
            payloads.extend((request.payload,))


def amount_due(source: Source, pace: Pace | None, duration: float | None) -> int | None:
    """Return how many requests there must be; None if that is not known."""
    if pace is None or duration is None:
        return source.total
    due = pace.count_before(duration)
    return due if source.total is None else min(due, source.total)
