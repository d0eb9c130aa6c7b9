"""The pace of an open loop: when each request is due, whether or not replies come.

With a ramp the rate grows evenly from nothing, so that the number of requests due by a time grows
with its square; from the end of the ramp on it is constant.
"""

import asyncio
import contextlib
import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from cli_client.engine.clocks import StopWatch
from cli_client.share import Share

__all__ = ["MakeTicker", "Pace", "ThreadTicker", "Ticker"]

FINEST = 0.0002
"""Seconds between two ticks at least: what is due in between goes out together."""

LONGEST = 0.1
"""Seconds between two ticks at most."""

LONGEST_TURN = 1.0
"""Seconds that a share waits for its turn at most, about what a process takes to start."""


@dataclass(frozen=True)
class Pace:
    """A number of requests per second, reached after some seconds of growing.

    Of a run that is spread over several processes, each sends every n-th of them, so that together
    they send at even distances.
    """

    rate: float
    """Of the whole run."""
    ramp: float = 0.0
    share: Share = Share()  # noqa: RUF009 (it cannot change)

    def until_turn(self, now: float) -> float:
        """Return the seconds until a moment at which all shares on one machine may start.

        Their monotonic clocks are the same, and from such moments on their requests alternate at
        even distances. Where these are longer than a process takes to start, none waits.
        """
        period = self.share.of / self.rate
        return -now % period if self.share.of > 1 and period <= LONGEST_TURN else 0.0

    def due(self, place: int) -> float:
        """Return when a request is due, in seconds from the start; the first has place 0."""
        place = self.share.index + place * self.share.of
        in_ramp = self.rate * self.ramp / 2
        if place < in_ramp:
            return math.sqrt(2 * place * self.ramp / self.rate)
        return self.ramp + (place - in_ramp) / self.rate

    def count(self, elapsed: float) -> int:
        """Return how many requests are due by a time, in seconds from the start."""
        return self.share.count(int(self._amount(elapsed)) + 1)

    def count_before(self, end: float) -> int:
        """Return how many requests are due before a time, in seconds from the start."""
        # Rounded, as 0.1 times 30 is a little more than 3.
        return self.share.count(math.ceil(round(self._amount(end), 6)))

    def _amount(self, elapsed: float) -> float:
        if elapsed < self.ramp:
            return self.rate * elapsed**2 / (2 * self.ramp)
        return self.rate * (elapsed - self.ramp / 2)


class Ticker(Protocol):
    """Ticks whenever a request is due."""

    async def wait(self) -> None:
        """Wait for the next tick."""


MakeTicker = Callable[[Pace, StopWatch], AbstractContextManager[Ticker]]
"""Makes a ticker that ticks for as long as its context lasts."""


class ThreadTicker:
    """Ticks whenever a request is due, for as long as the context lasts.

    In a thread: the timers of event loops are no finer than a millisecond, and what a request waits
    for them would count as the server's latency.
    """

    def __init__(self, pace: Pace, stopwatch: StopWatch) -> None:
        self._pace = pace
        self._stopwatch = stopwatch
        self._loop = asyncio.get_running_loop()
        self._ticked = asyncio.Event()
        self._heard = True
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._tick, name="ticker", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()

    async def wait(self) -> None:
        """Wait for the next tick."""
        await self._ticked.wait()
        self._ticked.clear()

    def _tick(self) -> None:
        while True:
            elapsed = self._stopwatch.elapsed
            next_due = self._pace.due(self._pace.count(elapsed))
            if self._over.wait(max(FINEST, min(next_due - elapsed, LONGEST))):
                return
            # An event loop that is held up has one tick before it, not thousands.
            if self._heard:
                self._heard = False
                with contextlib.suppress(RuntimeError):  # it has been closed
                    self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        self._heard = True
        self._ticked.set()
