"""How a run comes along, on standard error: a bar for people, lines of JSON for programs."""

import json
import sys
from typing import Any, Protocol

from cli_client.latency import interval_summary
from cli_client.timeline import Standing

__all__ = ["Progress", "make_progress", "print_event"]


class Progress(Protocol):
    """Shows a run while it lasts."""

    def show(self, standing: Standing) -> None:
        """Show the run as it stands."""

    def finish(self) -> None:
        """Take what was shown away, so that a report can follow."""


class NoProgress:
    """Shows nothing."""

    def show(self, standing: Standing) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Have nothing to take away."""


class Bar:
    """A progress bar with the rate, the latency of the moment, errors and the remaining time."""

    def __init__(self, total: int | None, duration: float | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._duration = duration
        self._progress = RichProgress(
            BarColumn(bar_width=20),
            TextColumn("{task.fields[answered]}"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TextColumn("p50 {task.fields[p50]:.3g} p99 {task.fields[p99]:.3g} ms"),
            TextColumn("{task.fields[errors]}", style="red"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._progress.add_task(
            "", total=duration or total, answered="", rate=0.0, p50=0.0, p99=0.0, errors=""
        )
        self._progress.start()

    def show(self, standing: Standing) -> None:
        """Move the bar."""
        latency = interval_summary(standing.recent)
        answered, total = standing.answered, standing.total
        self._progress.update(
            self._task,
            completed=standing.elapsed if self._duration else answered,
            answered=f"{answered}/{total}" if total else f"{answered}",
            rate=answered / standing.elapsed if standing.elapsed else 0.0,
            p50=latency["p50"],
            p99=latency["p99"],
            errors=f"{standing.errors} errors" if standing.errors else "",
            refresh=True,
        )

    def finish(self) -> None:
        """Take the bar away."""
        self._progress.stop()


class JSONLines:
    """One object a line: progress while the run lasts, then the report or the error."""

    def __init__(self) -> None:
        self._before = Standing()

    def show(self, standing: Standing) -> None:
        """Print where the run stands; rate and latencies are of the time since the last line."""
        latency = interval_summary(standing.recent)
        # It sinks when a share of the run begins again.
        answered = max(0, standing.answered - self._before.answered)
        seconds = standing.elapsed - self._before.elapsed
        self._before = standing
        print_event(
            "progress",
            elapsed_s=standing.elapsed,
            sent=standing.sent,
            answered=standing.answered,
            verified=standing.verified,
            failed=standing.errors,
            total=standing.total,
            rate=answered / max(seconds, 1e-9),
            p50_ms=latency["p50"],
            p99_ms=latency["p99"],
            max_ms=latency["max"],
        )

    def finish(self) -> None:
        """Have nothing to take away."""


def print_event(event: str, **fields: Any) -> None:
    """Print an event as one line of JSON on standard error."""
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)


def make_progress(kind: str, total: int | None, duration: float | None) -> Progress:
    """Return what shows the progress in this way: auto, bar, json or none."""
    if kind == "json":
        return JSONLines()
    if kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        return Bar(total, duration)
    return NoProgress()
