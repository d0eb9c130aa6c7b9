"""The shares of a run together: waits for all, shows how far they are, adds their results up.

The shares are mapped over a ``concurrent.futures.Executor``: one of processes on this machine
(``processes.py``) or one of a cluster (``cluster.py``).
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from types import FrameType

from cli_client.one_share import Message
from cli_client.result import Result
from cli_client.run import RunError
from cli_client.settings import Settings
from cli_client.timeline import Standing

__all__ = ["collect"]

LOOK_INTERVAL = 0.1
"""Seconds from one look at the messages to the next."""

PATIENCE = 60.0
"""Seconds, beyond the run's own time-outs, in which some share must tell of itself."""


def collect(
    settings: Settings,
    futures: list[Future[Result]],
    messages: Callable[[], Iterator[Message]],
    show: Callable[[Standing], None],
    stop: Callable[[set[str]], None],
) -> Result:
    """Wait for all shares, show how far they are together, and return their results as one.

    Args:
        settings: The settings of the run.
        futures: The shares.
        messages: Gives the messages that have come.
        show: Shows how far the run is.
        stop: Interrupts the shares at these places, once they have begun.

    Raises:
        RunError: If a share cannot begin, is lost, or none tells of itself any more.
        OSError: If the responses or the ledger cannot be written.
    """
    standings: dict[int, Standing] = {}
    places: dict[int, str] = {}
    warnings: list[str] = []
    interrupted = False
    patience = settings.connect_timeout + settings.timeout + PATIENCE

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        pending = set(futures)
        heard_at = time.monotonic()
        while pending:
            done, pending = wait(pending, timeout=LOOK_INTERVAL)
            recent: Counter[int] = Counter()
            for message in messages():
                heard_at = time.monotonic()
                if message.standing is not None:
                    standings[message.share] = message.standing
                    recent += message.standing.recent
                    continue
                lost = places.get(message.share)
                if lost is not None:
                    warnings.append(
                        f"share {message.share + 1} of {len(futures)} was sent again from the "
                        f"start by {message.place}, as {lost} was lost; what that had sent does "
                        "not count"
                    )
                places[message.share] = message.place
            for future in done:
                future.result()
            show(_sum(standings, recent))
            if interrupted:
                stop(set(places.values()))
            if time.monotonic() - heard_at > patience:
                raise RunError(f"no share told of itself for {patience:.0f} seconds")
    finally:
        for future in futures:
            future.cancel()
        signal.signal(signal.SIGINT, before)
    first, *others = sorted((future.result() for future in futures), key=lambda r: r.started)
    for other in others:
        first.add(other)
    first.warnings += warnings
    first.interrupted = first.interrupted or interrupted
    return first


def _sum(standings: dict[int, Standing], recent: Counter[int]) -> Standing:
    totals = [standing.total for standing in standings.values()]
    known = [total for total in totals if total is not None]
    return Standing(
        elapsed=max((standing.elapsed for standing in standings.values()), default=0.0),
        sent=sum(standing.sent for standing in standings.values()),
        answered=sum(standing.answered for standing in standings.values()),
        verified=sum(standing.verified for standing in standings.values()),
        errors=sum(standing.errors for standing in standings.values()),
        total=sum(known) if len(known) == len(totals) else None,
        recent=recent,
    )
