"""The sender's own health, so that its own stall is not blamed on the server."""

import asyncio
import time
from collections.abc import Callable

from cli_client.ledger.latency import Latencies

__all__ = ["Clock", "LoopWatch", "StopWatch"]

Clock = Callable[[], float]
"""Tells the time in seconds, from a moment that means nothing, and never goes back."""

INTERVAL = 0.01
"""Seconds from one look at the event loop to the next."""


class LoopWatch:
    """Measures how late the event loop runs what is due."""

    def __init__(self) -> None:
        self.lag = Latencies()
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        self._due = self._loop.time() + INTERVAL
        self._timer = self._loop.call_at(self._due, self._look)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.lag.record([max(0.0, self._loop.time() - self._due)])
        self.start()


class StopWatch:
    """Measures a run: seconds of its clock, and of the processor.

    Args:
        clock: The clock of the run.
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self.running = False
        self.started = 0.0
        self._ended: float | None = None
        self._cpu = 0.0
        self.cpu = 0.0

    def start(self) -> None:
        """Begin."""
        self.running = True
        self.started = self.clock()
        self._cpu = time.process_time()

    def stop(self) -> None:
        """End, if it has begun and not ended yet."""
        if self.running:
            self.running = False
            self._ended = self.clock()
            self.cpu = time.process_time() - self._cpu

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the end, or to now."""
        if self.running:
            return self.clock() - self.started
        return 0.0 if self._ended is None else self._ended - self.started
