"""The shares of a run together: waits for all, shows how far they are, adds their results up.

The shares are mapped over executors: of processes on this machine (``processes.py``) or of a
cluster (``cluster.py``). A share that is sent again from the start, because what ran it was lost,
counts once: what is added up are the results of those that ended. A share that is lost for good
ends the run: the others report what they have, and the report names what is missing. Its requests
count as missing if it had told that it sent them, and else as never sent: nobody knows better.
"""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from types import FrameType

from cli_client.engine.interrupts import handling
from cli_client.engine.pacing import Pace
from cli_client.engine.run import RunError
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Standing
from cli_client.settings import Settings
from cli_client.share import Share
from cli_client.spread.one_share import Message

__all__ = ["Heard", "collect", "not_begun", "noting_interrupts"]

LOOK_INTERVAL = 0.1
"""Seconds from one look at the messages to the next."""

SHOW_INTERVAL = 1.0
"""Seconds after which the progress is shown though some share has not reported."""

PATIENCE = 60.0
"""Seconds, beyond the run's own time-outs, in which some share must report."""

STOP_PATIENCE = 10.0
"""Seconds after an interrupt in which all shares must end."""

LATE = 1.0
LATE_PART = 0.1
"""Seconds, and part of the run, by which a share may begin later than the first."""

Heard = tuple[float, Message]
"""A message, and when it came by the monotonic clock of this process."""


def collect(
    settings: Settings,
    futures: list[Future[Result]],
    messages: Callable[[], Iterator[Heard]],
    show: Callable[[Standing], None],
    stop: Callable[[], None],
    interrupted: threading.Event,
    *,
    one_clock: bool,
    loss: Callable[[BaseException], str | None],
    check: Callable[[], None] = lambda: None,
) -> Result:
    """Wait for all shares, show how far they are together, and return their results as one.

    Args:
        settings: The settings of the run.
        futures: The shares.
        messages: Gives the messages that have come.
        show: Shows how far the run is.
        stop: Asks all shares to end, each with what it has; may be called more than once.
        interrupted: Set when the run is interrupted.
        one_clock: Whether the shares have the monotonic clock of this process.
        loss: Returns how a share was lost for good, in words, if an error says so.
        check: Called while no share reports. A RunError ends the run.

    Raises:
        RunError: If a share cannot begin, or none reports any more.
        OSError: If the ledger cannot be opened.
    """
    course = _Course(settings, len(futures), one_clock)
    patience = settings.connect_timeout + settings.timeout + settings.linger + PATIENCE
    pending = set(futures)
    stopped_at = None
    try:
        while pending:
            done, pending = wait(pending, timeout=LOOK_INTERVAL)
            for heard_at, message in messages():
                course.hear(message, heard_at)
            for future in sorted(done, key=futures.index):
                course.end(futures.index(future), future, loss)
            running = {futures.index(future) for future in pending}
            standing = course.news(running)
            if standing is not None:
                show(standing)
            now = time.monotonic()
            if interrupted.is_set() or course.is_cut_short:
                stop()
                stopped_at = stopped_at or now
                if now - stopped_at > STOP_PATIENCE:
                    course.give_up(running)
                    break
            if now - course.heard_at > settings.connect_timeout:
                check()
            if now - course.heard_at > patience:
                raise RunError(f"{course.silent(running)} for {patience:.0f} seconds")
    finally:
        for future in futures:
            future.cancel()
    whole = course.add_up()
    whole.interrupted = interrupted.is_set() or course.was_interrupted
    return whole


@contextlib.contextmanager
def noting_interrupts() -> Iterator[threading.Event]:
    """Give an event that the first interrupt sets; the second raises KeyboardInterrupt."""
    interrupted = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    with handling(interrupt):
        yield interrupted


def not_begun(settings: Settings) -> Result:
    """Return the result of a run that was interrupted before it began."""
    due = _due(settings, Share()) or 0
    return Result(
        fates=Counter(requests=due, never_sent=due),
        interrupted=True,
        unopened="It was interrupted before it began: nothing was sent.",
    )


def _due(settings: Settings, share: Share) -> int | None:
    """Return how many requests a share has to send, if the options say so."""
    due = None if settings.messages is None else share.count(settings.messages)
    if settings.rate and settings.duration is not None:
        pace = Pace(settings.rate, settings.ramp, share)
        paced = pace.count_before(settings.duration)
        due = paced if due is None else min(due, paced)
    return due


class _Course:
    """What the shares have reported: where each runs, how far it is, and what it came to.

    Args:
        settings: The settings of the run.
        count: How many shares there are.
        one_clock: Whether the shares have the monotonic clock of this process.
    """

    def __init__(self, settings: Settings, count: int, one_clock: bool) -> None:
        self.heard_at = time.monotonic()
        """When a share last reported."""
        self._settings = settings
        self._count = count
        self._one_clock = one_clock
        self._places: dict[int, str] = {}
        self._standings: dict[int, Standing] = {}
        self._offsets: dict[int, float] = {}
        self._results: dict[int, Result] = {}
        self._losses: list[str] = []
        self._lost: Counter[str] = Counter()
        self._warnings: list[str] = []
        self._began = math.inf
        self._shown_at = 0.0
        # Since the progress was last shown.
        self._fresh: set[int] = set()
        self._recent: Counter[int] = Counter()

    @property
    def is_cut_short(self) -> bool:
        """Whether the other shares are to end too."""
        return bool(self._losses) or self.was_interrupted

    @property
    def was_interrupted(self) -> bool:
        """Whether a share was interrupted, and not because another was lost."""
        shares = self._results.values()
        return not self._losses and any(result.interrupted for result in shares)

    def hear(self, message: Message, heard_at: float) -> None:
        """Take in what a share reports.

        Args:
            message: The message.
            heard_at: When it came, by the monotonic clock of this process.
        """
        share, standing = message.share, message.standing
        self.heard_at = time.monotonic()
        if standing is None:
            self._begin(share, message.place)
        # A message takes a while: the one that took least shows best how far the clocks are apart.
        offset = heard_at - message.sent_at
        self._offsets[share] = min(offset, self._offsets.get(share, offset))
        if standing is None:
            return
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
        self._offsets.pop(share, None)

    def end(
        self, share: int, future: Future[Result], loss: Callable[[BaseException], str | None]
    ) -> None:
        """Take in what a share came to.

        Raises:
            RunError: If it could not begin.
            OSError: If its ledger cannot be opened.
        """
        error = future.exception()
        why = None if error is None else loss(error)
        if why is None:
            self._results[share] = future.result()
        else:
            self._lose(share, why)

    def give_up(self, shares: set[int]) -> None:
        """Wait no longer for shares that were asked to end."""
        for share in shares:
            self._lose(share, f"did not end within {STOP_PATIENCE:.0f} seconds")

    def _lose(self, share: int, why: str) -> None:
        place, standing = self._places.get(share), self._standings.get(share)
        where = f" ({place})" if place else ""
        known, sent = "it had not begun to send", 0
        due = _due(self._settings, Share(share, self._count))
        if standing is not None:
            sent = standing.sent
            due = due if standing.total is None else standing.total
            known = (
                f"{standing.elapsed:.1f} s after its start it had sent {sent:,} requests, "
                f"{standing.verified:,} of them verified"
            )
        rest = max(0, (due or 0) - sent)
        fates = [f"{sent:,} as missing"] * bool(sent) + [f"{rest:,} as never sent"] * bool(rest)
        counted = f", and counts {' and '.join(fates)}" if fates else ""
        self._losses.append(
            f"share {share + 1} of {self._count}{where} {why}: {known}; "
            f"the report has nothing else of it{counted}"
        )
        self._lost.update(requests=sent + rest, missing=sent, never_sent=rest)

    def news(self, running: set[int]) -> Standing | None:
        """Return how far the shares are together, once each that runs has reported; else None."""
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
        """Say which of the shares that run are silent, when all are."""
        places = sorted(self._places[share] for share in running & self._places.keys())
        return f"no word from {', '.join(places)}" if places else "no share has begun"

    def add_up(self) -> Result:
        """Return the results of all shares as one."""
        for share, result in self._results.items():
            if result.started is not None and not self._one_clock:
                result.started += self._offsets.get(share, 0.0)
        results = sorted(self._results.values(), key=lambda result: result.started or math.inf)
        first = results[0] if results else Result(processes=0)
        starts = [result.started for result in results if result.started is not None]
        late = starts[-1] - starts[0] if starts else 0.0
        for other in results[1:]:
            first.add(other)
        if late > max(LATE, LATE_PART * first.elapsed) and not self._warnings:
            self._warnings.append(
                f"the shares did not send at the same time: the last began {late:.1f} s after the "
                "first"
            )
        first.warnings += self._warnings
        first.missing_shares += self._losses
        first.fates.update(self._lost)
        return first
