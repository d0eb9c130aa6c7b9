"""The sender's own health, so that its own stall is not blamed on the server."""

import asyncio
import math
import time
from collections.abc import Callable

from cli_client.ledger.latency import Latencies

__all__ = ["STALL", "Clock", "LoopWatch", "StopWatch"]

Clock = Callable[[], float]
"""Tells the time in seconds, from a moment that means nothing, and never goes back."""

INTERVAL = 0.01
"""Seconds between two checks of the event loop."""

STALL = 0.25
"""Seconds for which a process stands still before it is called a stall: a busy machine may well
hold a process up for a tenth of a second."""

ATTENTION = 0.1
"""Seconds from one call to the next of what must not wait for a busy event loop."""


class LoopWatch:
    """Measures how late the event loop runs what is due, and notices when it stood still.

    It watches from the start of a run; only what it measures while requests are sent is kept.

    Args:
        clock: The clock of the run.
        on_stall: Called with the beginning and the end of each time in which the process stood
            still, before anything is done with what came meanwhile.
        on_starved: Called now and then while the loop is so busy that its timers do not run.
    """

    def __init__(
        self,
        clock: Clock,
        on_stall: Callable[[float, float], None],
        on_starved: Callable[[], None],
    ) -> None:
        self.lag = Latencies()
        self.now = clock
        """Tells the time."""
        self._on_stall = on_stall
        self._on_starved = on_starved
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._beaten_at = 0.0
        self._overdue_at = math.inf
        self._late = 0.0
        self._measures = True

    @property
    def is_late(self) -> bool:
        """Whether the event loop is so busy that it was late when it last ran what was due."""
        return self._late > ATTENTION

    def start(self) -> None:
        """Begin."""
        self._beaten_at = self.now()
        self._schedule()

    def start_measuring(self) -> None:
        """Forget what was measured before the first request."""
        self.lag = Latencies()
        self._late = 0.0

    def stop_measuring(self) -> None:
        """Keep what was measured until now."""
        self._measures = False

    def stop(self) -> None:
        """End."""
        self._overdue_at = math.inf
        if self._timer is not None:
            self._timer.cancel()

    def beat(self) -> float:
        """Tell the time to whoever begins to work, and note that the process is alive."""
        now = self.now()
        if now > self._overdue_at:
            self._note_overdue(now)
        self._beaten_at = now
        return now

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._overdue_at = self._beaten_at + STALL
        self._due = loop.time() + INTERVAL
        self._timer = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._late = max(0.0, asyncio.get_running_loop().time() - self._due)
        if self._measures:
            self.lag.record([self._late])
        self.beat()
        self._schedule()

    def _note_overdue(self, now: float) -> None:
        if now - self._beaten_at > STALL:
            self._on_stall(self._beaten_at, now)
        self._overdue_at = now + ATTENTION
        self._late = max(self._late, STALL)  # at least, until the loop comes to measure it
        self._on_starved()


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
        self._cpu_used = 0.0

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
            self._cpu_used = time.process_time() - self._cpu

    @property
    def cores(self) -> float:
        """How many cores this process used on average, from the start to the end."""
        return self._cpu_used / self.elapsed if self.elapsed else 0.0

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the end, or to now."""
        if self.running:
            return self.clock() - self.started
        return 0.0 if self._ended is None else self._ended - self.started
