"""The sender's own health, so that its own stall is not blamed on the server."""

import asyncio
import time

from cli_client.ledger.latency import Latencies

__all__ = ["LoopWatch", "StopWatch"]

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
    """Measures a run: seconds of the clock, and of the processor."""

    def __init__(self) -> None:
        self.started_at = 0.0
        """The start in seconds since 1970."""
        self.started = 0.0
        self.ended = 0.0
        self._cpu = 0.0
        self.cpu = 0.0

    def start(self) -> None:
        """Begin."""
        self.started_at = time.time()
        self.started = time.perf_counter()
        self._cpu = time.process_time()

    def stop(self) -> None:
        """End, if it has begun and not ended yet."""
        if self.started and not self.ended:
            self.ended = time.perf_counter()
            self.cpu = time.process_time() - self._cpu

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the end, or to now."""
        if not self.started:
            return 0.0
        return (self.ended or time.perf_counter()) - self.started
