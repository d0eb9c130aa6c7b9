"""The progress of a run, on standard error: a bar for people, lines of JSON for programs."""

import contextlib
import json
import sys
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from cli_client.ledger.latency import interval_summary
from cli_client.ledger.timeline import Standing
from cli_client.reports.wording import milliseconds, plural, rate
from cli_client.spread.output import is_taken

__all__ = ["Progress", "event_line", "make_progress"]

LATELY = 10
"""The standings from which the bar's rate and latencies are: those of about a second."""


class Progress(Protocol):
    """Shows a run while it lasts."""

    def show(self, standing: Standing) -> None:
        """Show the run as it stands."""

    def finish(self) -> None:
        """Remove what was shown, so that a report can follow."""


class NoProgress:
    """Shows nothing."""

    def show(self, standing: Standing) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Remove nothing."""


class Bar:
    """A progress bar with the remaining time, and with the current rate, latency and errors."""

    def __init__(self, total: int | None, duration: float | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._duration = duration
        self._lately: deque[Standing] = deque([Standing()], maxlen=LATELY + 1)
        self._progress = RichProgress(
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}"),
            TextColumn("{task.fields[errors]}", style="red"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
            expand=True,
        )
        self._task = self._progress.add_task("", total=duration or total, text="", errors="")
        self._progress.start()

    def show(self, standing: Standing) -> None:
        """Move the bar."""
        lately, total = self._lately, standing.total
        lately.append(standing)
        recent: Counter[int] = Counter()
        for one in list(lately)[1:]:
            recent += one.recent
        latency = interval_summary(recent)
        seconds = standing.elapsed - lately[0].elapsed
        answered = max(0, standing.answered - lately[0].answered)
        speed = answered / seconds if seconds > 0 else 0.0
        self._progress.update(
            self._task,
            total=self._duration or total,
            completed=standing.elapsed if self._duration else standing.answered,
            text=f"{standing.answered:,}{f' of {total:,}' if total else ''} {rate(speed)}/s"
            f" p50 {milliseconds(latency['p50'])} p99 {milliseconds(latency['p99'])} ms",
            errors=plural(standing.errors, "error") if standing.errors else "",
            refresh=True,
        )

    def finish(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class Patient:
    """Shows a run to whoever may be slow to read, or leave: neither holds the run up.

    Args:
        progress: What shows it.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._recent: Counter[int] = Counter()
        self._is_read = True

    def show(self, standing: Standing) -> None:
        """Show the run as it stands, if that is taken at once; else it is part of the next."""
        self._recent += standing.recent
        if not self._is_read or not is_taken(sys.stderr.fileno(), 0):
            return
        shown, self._recent = replace(standing, recent=self._recent), Counter()
        with self._noting_end():
            self._progress.show(shown)

    def finish(self) -> None:
        """Remove what was shown."""
        if is_taken(sys.stderr.fileno(), 0):
            with self._noting_end():
                self._progress.finish()

    @contextlib.contextmanager
    def _noting_end(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # nobody reads it any more
            self._is_read = False


class JSONLines:
    """One object a line: progress while the run lasts, then the report or the error."""

    def __init__(self) -> None:
        self._before = Standing()

    def show(self, standing: Standing) -> None:
        """Print how far the run is; rate and latencies are of the time since the last line.

        The latencies are null if no reply came in that time.
        """
        latency = interval_summary(standing.recent)
        # It falls when a share of the run begins again.
        answered = max(0, standing.answered - self._before.answered)
        seconds = standing.elapsed - self._before.elapsed
        self._before = standing
        line = event_line(
            "progress",
            elapsed_s=standing.elapsed,
            sent=standing.sent,
            answered=standing.answered,
            verified=standing.verified,
            failed=standing.errors,
            total=standing.total,
            rate=answered / max(seconds, 1e-9),
            p50_ms=latency["p50"],
            p90_ms=latency["p90"],
            p99_ms=latency["p99"],
            max_ms=latency["max"],
        )
        print(line, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Remove nothing."""


def event_line(event: str, **fields: Any) -> str:
    """Return an event as one line of JSON."""
    return json.dumps({"event": event, **fields})


def make_progress(kind: str, total: int | None, duration: float | None) -> Progress:
    """Return what shows the progress in this way: bar, json or none."""
    if kind == "json":
        return Patient(JSONLines())
    if kind == "bar":
        return Patient(Bar(total, duration))
    return NoProgress()
