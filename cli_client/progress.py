"""How a run comes along, on standard error: a bar for people, lines of JSON for programs."""

import json
import sys
import time
from typing import Any, Protocol

from cli_client.run import Run

__all__ = ["Progress", "make_progress"]


class Progress(Protocol):
    """Shows a run while it lasts."""

    def show(self, run: Run) -> None:
        """Show the run as it stands."""

    def finish(self) -> None:
        """Take what was shown away, so that a report can follow."""


class NoProgress:
    """Shows nothing."""

    def show(self, run: Run) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Have nothing to take away."""


class Bar:
    """A progress bar with the rate and the remaining time."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        self._progress = RichProgress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f}/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=total, rate=0.0)
        self._progress.start()

    def show(self, run: Run) -> None:
        """Move the bar."""
        settled = run.ledger.settled
        rate = settled / run.elapsed if run.elapsed else 0.0
        self._progress.update(self._task, completed=settled, rate=rate, refresh=True)

    def finish(self) -> None:
        """Take the bar away."""
        self._progress.stop()


class JSONLines:
    """One object a line: progress while the run lasts, then the report or the error."""

    def __init__(self) -> None:
        self._before = 0
        self._shown_at = time.perf_counter()

    def show(self, run: Run) -> None:
        """Print where the run stands; rate and latencies are of the time since the last line."""
        now = time.perf_counter()
        ledger = run.ledger
        latency = ledger.latencies.take_interval()
        rate = (ledger.settled - self._before) / max(now - self._shown_at, 1e-9)
        self._before, self._shown_at = ledger.settled, now
        print_event(
            "progress",
            elapsed_s=run.elapsed,
            sent=ledger.sent,
            answered=ledger.settled,
            verified=ledger.verified,
            failed=ledger.error_count,
            total=ledger.total,
            rate=rate,
            p50_ms=latency["p50"],
            p99_ms=latency["p99"],
            max_ms=latency["max"],
        )

    def finish(self) -> None:
        """Have nothing to take away."""


def print_event(event: str, **fields: Any) -> None:
    """Print an event as one line of JSON on standard error."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)


def make_progress(kind: str, total: int) -> Progress:
    """Return what shows the progress in this way: auto, bar, json or none."""
    if kind == "json":
        return JSONLines()
    if kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        return Bar(total)
    return NoProgress()
