"""A run in shares: each sends its part of the requests, and the results add up exactly.

The shares are mapped over a ``concurrent.futures.Executor``: one of processes on this machine, or
one of a cluster (``cluster.py``). What a share tells on its way goes through a mailbox.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Lock
from pathlib import Path
from types import FrameType

from cli_client.ledger_file import LedgerFile, gather
from cli_client.output import Output
from cli_client.result import Result
from cli_client.run import Run, RunError
from cli_client.settings import Settings
from cli_client.source import Share
from cli_client.timeline import Standing

__all__ = ["Message", "collect", "run_in_processes", "run_share"]

LOOK_INTERVAL = 0.1
"""Seconds from one look into the mailbox to the next."""

PATIENCE = 60.0
"""Seconds, beyond the run's own time-outs, in which some share must tell of itself."""


@dataclass(frozen=True)
class Message:
    """What a share tells: where it runs, when it begins and how far it is."""

    share: int
    place: str
    """The process id, or the address of the worker."""
    standing: Standing | None = None
    """None at the beginning."""


Tell = Callable[[Message], bool]
"""Passes a message on, and returns whether the share is to go on."""


def run_share(settings: Settings, share: Share, output: Output, tell: Tell, place: str) -> Result:
    """Do one share of a run.

    Raises:
        RunError: If it cannot begin.
        OSError: If the responses or the ledger cannot be written.
    """
    tell(Message(share.index, place))

    def watch(standing: Standing) -> bool:
        return tell(Message(share.index, place, standing))

    with LedgerFile.opened(settings.ledger, share) as ledger_file:
        run = Run(settings, output.show, watch, share, ledger_file and ledger_file.note)
        result = run()
        output.flush()
        return result


def collect(
    futures: list[Future[Result]],
    messages: Callable[[], Iterator[Message]],
    show: Callable[[Standing], None],
    stop: Callable[[set[str]], None],
    patience: float,
) -> Result:
    """Wait for all shares, show how far they are together, and return their results as one.

    Args:
        futures: The shares.
        messages: Gives the messages that have come.
        show: Shows how far the run is.
        stop: Interrupts the shares at these places, once they have begun.
        patience: Seconds in which some share must tell of itself.

    Raises:
        RunError: If a share cannot begin, is lost, or none tells of itself any more.
        OSError: If the responses or the ledger cannot be written.
    """
    standings: dict[int, Standing] = {}
    places: dict[int, str] = {}
    warnings: list[str] = []
    interrupted = False

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
    except BrokenProcessPool:
        raise RunError("a process of the sender was killed") from None
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


# On this machine.


def run_in_processes(settings: Settings, quiet: bool, show: Callable[[Standing], None]) -> Result:
    """Do a run in several processes.

    Raises:
        RunError: If it cannot begin, or a process is lost.
        OSError: If the responses or the ledger cannot be written.
    """
    # A fresh interpreter for each: forking copies what this process has open.
    context = multiprocessing.get_context("spawn")
    mailbox: SimpleQueue[Message] = context.SimpleQueue()
    shares = [Share(index, settings.processes) for index in range(settings.processes)]

    def messages() -> Iterator[Message]:
        while not mailbox.empty():
            yield mailbox.get()

    def stop(places: set[str]) -> None:
        for place in places:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(place), signal.SIGINT)

    executor = ProcessPoolExecutor(len(shares), context, _begin_process, (mailbox, context.Lock()))
    with executor:
        futures = [executor.submit(_run_in_process, settings, share, quiet) for share in shares]
        result = collect(
            futures, messages, show, stop, settings.connect_timeout + settings.timeout + PATIENCE
        )
    if settings.ledger is not None:
        gather(settings.ledger, shares)
    return result


_mailbox: "SimpleQueue[Message]"
_output_lock: Lock


def _begin_process(mailbox: "SimpleQueue[Message]", lock: Lock) -> None:
    global _mailbox, _output_lock
    _mailbox, _output_lock = mailbox, lock
    # Of the terminal's Ctrl-C the parent tells, once the run can heed it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_in_process(settings: Settings, share: Share, quiet: bool) -> Result:
    def tell(message: Message) -> bool:
        _mailbox.put(message)
        return True

    try:
        return run_share(settings, share, Output(quiet, _output_lock), tell, str(os.getpid()))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
