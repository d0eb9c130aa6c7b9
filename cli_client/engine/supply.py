"""The supply of a run: which requests go out next, and whether any are left.

What was in flight on a connection that died goes out again before anything new does. New requests
come from the source, and at a rate no earlier than they are due.
"""

from collections import deque
from collections.abc import Iterable

from cli_client.engine.clocks import StopWatch
from cli_client.engine.pacing import Pace
from cli_client.engine.source import Source, SourceError
from cli_client.ledger.ledger import Ledger, Request

__all__ = ["Supply"]


class Supply:
    """Hands out requests, over all connections of a run.

    Args:
        source: Where new requests come from.
        ledger: Where it is counted how many went out.
        pace: When each is due; None if as soon as there is room for it.
        duration: Seconds after which no new one goes out.
        stopwatch: Tells the time since the run began.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        pace: Pace | None,
        duration: float | None,
        stopwatch: StopWatch,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._pace = pace
        self._duration = duration
        self._stopwatch = stopwatch
        self._again: deque[Request] = deque()
        self.taken = 0
        """How many requests have been handed out, each counted once."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will go out any more."""
        return not self._again and (self._source.exhausted or self._time_is_up)

    @property
    def owed(self) -> int:
        """How many requests are due and have not gone out."""
        due = 0 if self._pace is None else self._pace.count(self._stopwatch.elapsed)
        return max(0, due - self.taken) + len(self._again)

    def take(self, amount: int) -> list[Request]:
        """Return the next requests to send, no more than so many."""
        now = self._stopwatch.clock()
        again = self._again
        taken = [again.popleft()._replace(sent_at=now) for _ in range(min(amount, len(again)))]
        self._ledger.note_resent(len(taken))
        if len(taken) < amount and not self._time_is_up:
            taken += self._take_new(amount - len(taken), now)
        return taken

    def send_again(self, requests: Iterable[Request]) -> None:
        """Have requests go out once more, as a further attempt."""
        self._again.extend(request._replace(attempt=request.attempt + 1) for request in requests)

    def give_up(self) -> list[Request]:
        """Return what should have gone out again, and send it no more."""
        waiting = list(self._again)
        self._again.clear()
        return waiting

    @property
    def _time_is_up(self) -> bool:
        return self._duration is not None and self._stopwatch.elapsed >= self._duration

    def _take_new(self, amount: int, now: float) -> list[Request]:
        first, pace = self.taken, self._pace
        try:
            if pace is None:
                requests = [
                    Request(number, payload, now, now)
                    for number, payload in self._source.take(amount)
                ]
            else:
                started = self._stopwatch.started
                amount = max(0, min(amount, pace.count(now - started) - first))
                requests = [
                    Request(number, payload, started + pace.due(place), now)
                    for place, (number, payload) in enumerate(self._source.take(amount), first)
                ]
        except SourceError as error:
            self._ledger.errors.note("source", str(error))
            return []
        if requests:
            self.taken += len(requests)
            self._ledger.note_sent(len(requests), requests[0].due)
        return requests
