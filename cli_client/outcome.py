"""What is done with the result of a run: judged, shown and written; and the exit status."""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cli_client.reports.checks import Check
from cli_client.reports.wording import printable
from cli_client.secrets import conceal, hide
from cli_client.settings import Settings
from cli_client.spread.output import write

if TYPE_CHECKING:
    from cli_client.ledger.result import Result
    from cli_client.progress import Progress
    from cli_client.reports.schema import Report

__all__ = ["INTERRUPTED", "SOME_WRONG", "Outcome", "discard_output", "reason"]

PATIENCE = 0.2
"""Seconds for which a reader may take nothing, after Ctrl-C, before it is told no more."""

PATIENCE_AT_END = 2.0
"""The same after a run that --max-time bounds."""

STANDARD_OUTPUT = Path("-")

ALL_RIGHT = 0
SOME_WRONG = 1
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was asked for to be shown and written, and what must hold."""

    progress: str
    files: dict[str, Path | None]
    """Where the report goes, by kind: json, html, csv, hdr."""
    checks: tuple[Check, ...]
    ledger: Path | None

    @property
    def prints_report(self) -> bool:
        """Whether the report takes the place of the responses on standard output."""
        return self.files.get("json") == STANDARD_OUTPUT

    def make_progress(self, settings: Settings, quiet: bool) -> "Progress":
        """Return what shows the progress of a run, whose responses may be printed meanwhile."""
        from cli_client.progress import make_progress

        kind = self.progress
        if kind == "auto":
            # A bar among responses on one terminal would be neither.
            alone = _has_control(sys.stderr) and (quiet or not sys.stdout.isatty())
            kind = "bar" if alone else "none"
        return make_progress(kind, settings.messages, settings.duration)

    def fail(self, message: str, report: "Report | None" = None, patience: float = math.inf) -> int:
        """Say what went wrong with the run as a whole, and return the exit status."""
        line = printable(message)
        if self.progress == "json":
            from cli_client.progress import event_line

            line = event_line("error", message=message, **({"report": report} if report else {}))
        with contextlib.suppress(OSError):  # whoever would read it is gone
            _say(sys.stderr, line, patience)
        return SOME_WRONG

    def deliver(self, settings: Settings, result: "Result", started_at: str) -> int:
        """Judge, write and show what a run left, and return the exit status.

        Args:
            settings: The settings of the run.
            result: What it left.
            started_at: The date and time of its start (ISO 8601).
        """
        from cli_client.reports.make import make_report

        report = make_report(settings, result, started_at, self.checks)
        status = ALL_RIGHT if report["verdict"] in ("pass", "recovered") else SOME_WRONG
        patience = math.inf if settings.max_time is None else PATIENCE_AT_END
        if result.interrupted:
            patience = PATIENCE
        # First, since whoever reads what is shown may take none of it.
        troubles = [*result.unwritten, *self._write(report)]
        connected = result.opened or not result.unopened
        if not connected:
            # Nothing else happened than what this says.
            unopened = hide(result.unopened, settings.variables)
            self.fail(conceal(unopened, settings.given_secrets()), report, patience)
        else:
            with contextlib.suppress(OSError):
                self._show(report, patience)
        for message in troubles:
            status = self.fail(message, patience=patience)
        if connected or self.prints_report:
            status = self._print_last(report, patience) or status
        return INTERRUPTED if result.interrupted else status

    def _print_last(self, report: "Report", patience: float) -> int:
        """Print the last line of standard output, and return the exit status of that."""
        line = json.dumps(report) if self.prints_report else str(report["ledger"]["verified"])
        try:
            taken = _say(sys.stdout, line, patience)
        except BrokenPipeError:
            discard_output()
            return SOME_WRONG
        except OSError as error:
            discard_output()
            return self.fail(f"cannot write the count: {reason(error)}", patience=patience)
        return ALL_RIGHT if taken else SOME_WRONG

    def _show(self, report: "Report", patience: float) -> None:
        if self.progress == "json":
            from cli_client.progress import event_line

            _say(sys.stderr, event_line("report", **report), patience)
            return
        from cli_client.reports.summary import summary

        terminal = sys.stderr.isatty()
        colour = _has_control(sys.stderr) and not os.environ.get("NO_COLOR")
        encoding = sys.stderr.encoding or "ascii"
        text = summary(report, colour, encoding=encoding, wrap=terminal)
        _say(sys.stderr, text, patience)

    def _write(self, report: "Report") -> Iterator[str]:
        """Write the files that were asked for, and yield what went wrong with that."""
        if self.ledger is not None and report["ledger"]["never_sent"]:
            from cli_client.ledger.file import never_sent_line

            yield from _save(self.ledger, never_sent_line(report["ledger"]["never_sent"]), "a")
        for kind, path in self.files.items():
            if path is not None and path != STANDARD_OUTPUT:
                yield from _save(path, _maker(kind)(report), "w")


def _save(path: Path, text: str, mode: str) -> Iterator[str]:
    """Write a file, and yield why it could not be written if so."""
    from cli_client.ledger.file import at_once

    try:
        with open(path, mode, encoding="utf-8", opener=at_once) as file:
            file.write(text)
    except OSError as error:
        yield f"cannot write {path}: {reason(error)}"


def _maker(kind: str) -> "Callable[[Report], str]":
    """Return what makes a file of this kind from a report."""
    if kind == "json":
        return lambda report: json.dumps(report, indent=1) + "\n"
    if kind == "html":
        from cli_client.reports.page import page

        return page
    from cli_client.reports import series

    return {"csv": series.timeline, "hdr": series.percentiles}[kind]


def _has_control(file: TextIO) -> bool:
    """Return whether a file is a terminal that understands more than lines of text."""
    return file.isatty() and os.environ.get("TERM") != "dumb"


def _say(file: TextIO, text: str, patience: float) -> bool:
    """Print a text, and return whether all of it was taken.

    Args:
        file: Standard output, or standard error.
        text: The text.
        patience: Seconds for which its reader may take nothing.

    Raises:
        OSError: If it cannot be written.
    """
    file.flush()
    until = time.monotonic() + patience
    data = f"{text}\n".encode(file.encoding, file.errors or "strict")
    return write(file.fileno(), data, lambda: time.monotonic() < until)


def reason(error: OSError) -> str:
    """Return why something could not be written."""
    return error.strerror or str(error)


def discard_output() -> None:
    """Let what standard output does not take go nowhere, or the interpreter complains at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
