"""The shares of a run together: waits for all, shows how far they are, adds their results up.

The shares are mapped over a ``concurrent.futures.Executor``: one of processes on this machine
(``processes.py``) or one of a cluster (``cluster.py``). A share that is sent again from the start,
because what ran it was lost, counts once: what is added up are the results of those that ended.
"""

import contextlib
import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from types import FrameType

from cli_client.engine.run import RunError
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Standing
from cli_client.settings import Settings
from cli_client.spread.one_share import Message

__all__ = ["collect"]

LOOK_INTERVAL = 0.1
"""Seconds from one look at the messages to the next."""

SHOW_INTERVAL = 1.0
"""Seconds after which the progress is shown though some share has not told of itself."""

PATIENCE = 60.0
"""Seconds, beyond the run's own time-outs, in which some share must tell of itself."""

STOP_PATIENCE = 10.0
"""Seconds after Ctrl-C in which all shares must end."""

LATE = 1.0
LATE_PART = 0.1
"""Seconds, and part of the run, by which a share may begin later than the first."""

CLOCK_TOLERANCE = 1.0
"""Seconds by which the clock of another machine may be off and is still believed."""


def collect(
    settings: Settings,
    futures: list[Future[Result]],
    messages: Callable[[], Iterator[Message]],
    show: Callable[[Standing], None],
    stop: Callable[[], None],
    check: Callable[[], None] = lambda: None,
) -> Result:
    """Wait for all shares, show how far they are together, and return their results as one.

    Args:
        settings: The settings of the run.
        futures: The shares.
        messages: Gives the messages that have come.
        show: Shows how far the run is.
        stop: Asks all shares to end, each with what it has; may be called more than once.
        check: Called while no share tells of itself. A RunError ends the run.

    Raises:
        RunError: If a share cannot begin, is lost, or none tells of itself any more.
        OSError: If the responses or the ledger cannot be written.
    """
    course = _Course(len(futures))
    patience = settings.connect_timeout + settings.timeout + settings.linger + PATIENCE
    pending = set(futures)
    stopped_at = None
    with _interrupts() as interrupted:
        try:
            while pending:
                done, pending = wait(pending, timeout=LOOK_INTERVAL)
                for message in messages():
                    course.hear(message)
                for future in done:
                    future.result()
                running = {futures.index(future) for future in pending}
                standing = course.news(running)
                if standing is not None:
                    show(standing)
                now = time.monotonic()
                if interrupted.is_set():
                    stop()
                    stopped_at = stopped_at or now
                    if now - stopped_at > STOP_PATIENCE:
                        raise RunError(
                            f"some shares did not end within {STOP_PATIENCE:.0f} seconds"
                        )
                if now - course.heard_at > settings.connect_timeout:
                    check()
                if now - course.heard_at > patience:
                    raise RunError(f"{course.silent(running)} for {patience:.0f} seconds")
        finally:
            for future in futures:
                future.cancel()
    whole = course.add_up([future.result() for future in futures])
    whole.interrupted = whole.interrupted or interrupted.is_set()
    return whole


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C sets; the second does what it always does."""
    interrupted = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


class _Course:
    """What the shares have told: where each runs, and how far it is.

    Args:
        count: How many shares there are.
    """

    def __init__(self, count: int) -> None:
        self.heard_at = time.monotonic()
        """When a share last told of itself."""
        self._count = count
        self._places: dict[int, str] = {}
        self._standings: dict[int, Standing] = {}
        self._delays: dict[int, float] = {}
        self._warnings: list[str] = []
        self._began = math.inf
        self._shown_at = 0.0
        # Since the progress was last shown.
        self._fresh: set[int] = set()
        self._recent: Counter[int] = Counter()

    def hear(self, message: Message) -> None:
        """Take in what a share tells."""
        share, standing = message.share, message.standing
        self.heard_at = time.monotonic()
        if standing is None:
            self._begin(share, message.place)
            return
        # A message takes a while, so the one that seems to have taken least tells most of the
        # difference between the clocks.
        delay = time.time() - message.said_at
        self._delays[share] = min(delay, self._delays.get(share, delay))
        self._standings[share] = standing
        self._recent += standing.recent
        self._fresh.add(share)
        if standing.elapsed:
            self._began = min(self._began, self.heard_at - standing.elapsed)

    def _begin(self, share: int, place: str) -> None:
        lost = self._places.get(share)
        if lost is not None:
            self._warnings.append(
                f"share {share + 1} of {self._count} was sent again from the start by {place}, as "
                f"{lost} was lost; what that had sent does not count"
            )
        self._places[share] = place
        self._delays.pop(share, None)

    def news(self, running: set[int]) -> Standing | None:
        """Return how far the shares are together, once each that runs has told; None until then."""
        now = time.monotonic()
        missing = (running & self._standings.keys()) - self._fresh
        if not self._fresh or (missing and now - self._shown_at < SHOW_INTERVAL):
            return None
        standings = self._standings.values()
        totals = [standing.total for standing in standings if standing.total is not None]
        whole = Standing(
            # By one clock: what ran longest may be what was lost.
            elapsed=max(0.0, self.heard_at - self._began),
            sent=sum(standing.sent for standing in standings),
            answered=sum(standing.answered for standing in standings),
            verified=sum(standing.verified for standing in standings),
            errors=sum(standing.errors for standing in standings),
            total=sum(totals) if len(totals) == self._count else None,
            recent=self._recent,
        )
        self._shown_at, self._fresh, self._recent = now, set(), Counter()
        return whole

    def silent(self, running: set[int]) -> str:
        """Say which of the shares that run keep silent, when all do."""
        places = sorted(self._places[share] for share in running & self._places.keys())
        return f"no word from {', '.join(places)}" if places else "no share has begun"

    def add_up(self, results: list[Result]) -> Result:
        """Return the results of all shares as one."""
        for share, result in enumerate(results):
            delay = self._delays.get(share, 0.0)
            if abs(delay) > CLOCK_TOLERANCE:
                # Else the seconds of the shares would lie as far apart as the clocks.
                result.started += delay
                self._warnings.append(
                    f"the clock of {self._places[share]} differs by {abs(delay):.0f} s from the "
                    "clock here"
                )
        first, *others = sorted(results, key=lambda result: result.started)
        late = max(result.started for result in results) - first.started
        for other in others:
            first.add(other)
        if late > max(LATE, LATE_PART * first.elapsed) and not self._warnings:
            self._warnings.append(
                f"the shares did not send at the same time: the last began {late:.1f} s after the "
                "first"
            )
        first.warnings += self._warnings
        return first
