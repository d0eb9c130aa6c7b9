"""The supply of a run: which requests go out next, and whether any are left.

What was in flight on a connection that died goes out again before anything new does. New requests
come from the source, and at a rate no earlier than they are due.
"""

from collections import deque
from collections.abc import Iterable
from itertools import repeat

from cli_client.engine.clocks import StopWatch
from cli_client.engine.pacing import Pace
from cli_client.engine.source import Source, SourceError
from cli_client.ledger.errors import name
from cli_client.ledger.expectation import Key
from cli_client.ledger.keyed_lane import KeyedLane
from cli_client.ledger.lanes import AnyLane
from cli_client.ledger.ledger import Ledger, Request

__all__ = ["Supply"]

_new = tuple.__new__


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
        self.refused = 0
        """How many cannot be sent, as no reply could be told to be theirs: none or one."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will go out any more."""
        is_exhausted = self._source.exhausted or self.refused > 0 or self._time_is_up
        return not self._again and is_exhausted

    @property
    def owed(self) -> int:
        """How many requests are due and have not gone out."""
        due = 0 if self._pace is None else self._pace.count(self._stopwatch.elapsed)
        return max(0, due - self.taken) + len(self._again)

    def take(self, lane: AnyLane, amount: int) -> list[Request]:
        """Return the next requests to send on a connection, no more than so many."""
        now = self._stopwatch.clock()
        taken = self._take_again(lane, amount, now) if self._again else []
        if len(taken) < amount and not self.refused and not self._time_is_up:
            taken += self._take_new(lane, amount - len(taken), now)
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

    def _take_again(self, lane: AnyLane, amount: int, now: float) -> list[Request]:
        again = self._again
        taken = []
        for _ in range(min(amount, len(again))):
            request = again.popleft()
            if isinstance(lane, KeyedLane) and request.key in lane:
                # Another connection can send it, or this one once that is answered.
                again.append(request)
            else:
                taken.append(request._replace(sent_at=now))
        self._ledger.note_resent(len(taken))
        return taken

    def _take_new(self, lane: AnyLane, amount: int, now: float) -> list[Request]:
        first, pace, started = self.taken, self._pace, self._stopwatch.started
        if pace is not None:
            amount = max(0, min(amount, pace.count(now - started) - first))
        try:
            new = self._source.take(amount, lane.number)
        except SourceError as error:
            self._ledger.errors.note("source", str(error))
            return []
        keys = self._keys(new, lane) if isinstance(lane, KeyedLane) else repeat(None)
        places = range(first, first + len(new))
        dues = repeat(now) if pace is None else [started + pace.due(place) for place in places]
        requests = [
            # What Request(…) does besides costs twice as much as this.
            _new(Request, (number, payload, due, now, 1, key))
            for (number, payload), due, key in zip(new, dues, keys, strict=False)
        ]
        if requests:
            self.taken += len(requests)
            self._ledger.note_sent(len(requests), requests[0].due)
        return requests

    def _keys(self, new: list[tuple[int, bytes]], lane: KeyedLane) -> list[Key]:
        """Return the keys of new requests, up to the first that must be refused."""
        key_of = self._ledger.expectation.request_key
        keys: dict[Key, None] = {}
        for number, payload in new:
            key = key_of(payload)
            why = None
            if key is None:
                why = "it has no key, a string or a number where --id says"
            elif key in keys or key in lane:
                why = f"its key {key!r} is in flight on the same connection"
            if why is not None:
                self.refused = 1
                about = f"request {number:,}, {name(payload)}, was refused"
                self._ledger.errors.note("refused", f": {why}", about)
                break
            keys[key] = None
        return list(keys)
