"""What is done with the result of a run: judged, shown and written; and the exit status."""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cli_client.reports.checks import Check
from cli_client.reports.wording import printable
from cli_client.secrets import conceal, hide
from cli_client.settings import Settings
from cli_client.spread.output import is_taken

if TYPE_CHECKING:
    from cli_client.ledger.result import Result
    from cli_client.progress import Progress
    from cli_client.reports.schema import Report

__all__ = ["INTERRUPTED", "SOME_WRONG", "Outcome", "discard_output", "reason"]

PATIENCE = 0.2
"""Seconds that a reader has, after Ctrl-C, for the report and for the count."""

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

    def fail(self, message: str, report: "Report | None" = None) -> int:
        """Say what went wrong with the run as a whole, and return the exit status."""
        with contextlib.suppress(OSError):  # whoever would read it is gone
            if self.progress == "json":
                from cli_client.progress import print_event

                extra = {} if report is None else {"report": report}
                print_event("error", message=message, **extra)
            else:
                print(printable(message), file=sys.stderr)
        return SOME_WRONG

    def deliver(self, settings: Settings, result: "Result", started_at: str) -> int:
        """Judge, show and write what a run left, and return the exit status.

        Args:
            settings: The settings of the run.
            result: What it left.
            started_at: The date and time of its start (ISO 8601).
        """
        from cli_client.reports.make import make_report

        report = make_report(settings, result, started_at, self.checks)
        status = ALL_RIGHT if report["verdict"] in ("pass", "recovered") else SOME_WRONG
        hurry = result.interrupted
        connected = result.opened or not result.unopened
        if not connected:
            # Nothing else happened than what this says.
            unopened = hide(result.unopened, settings.variables)
            self.fail(conceal(unopened, settings.given_secrets()), report)
        elif not hurry or _is_read(sys.stderr):
            with contextlib.suppress(OSError):
                self._show(report)
        for message in result.unwritten:
            status = self.fail(message)
        if not self._write(report):
            status = SOME_WRONG
        if (connected or self.prints_report) and (not hurry or _is_read(sys.stdout)):
            status = self._print_last(report) or status
        return INTERRUPTED if hurry else status

    def _print_last(self, report: "Report") -> int:
        """Print the last line of standard output, and return the exit status of that."""
        try:
            print(
                json.dumps(report) if self.prints_report else report["ledger"]["verified"],
                flush=True,
            )
        except BrokenPipeError:
            discard_output()
            return SOME_WRONG
        except OSError as error:
            discard_output()
            return self.fail(f"cannot write the count: {reason(error)}")
        return ALL_RIGHT

    def _show(self, report: "Report") -> None:
        if self.progress == "json":
            from cli_client.progress import print_event

            print_event("report", **report)
            return
        from cli_client.reports.summary import summary

        terminal = sys.stderr.isatty()
        colour = _has_control(sys.stderr) and not os.environ.get("NO_COLOR")
        encoding = sys.stderr.encoding or "ascii"
        print(summary(report, colour, encoding=encoding, wrap=terminal), file=sys.stderr)

    def _write(self, report: "Report") -> bool:
        """Write the files that were asked for, and return whether that went well."""
        written = True
        if self.ledger is not None and report["ledger"]["never_sent"]:
            from cli_client.ledger.file import never_sent_line

            written &= self._save(self.ledger, never_sent_line(report["ledger"]["never_sent"]), "a")
        for kind, path in self.files.items():
            if path is not None and path != STANDARD_OUTPUT:
                written &= self._save(path, _maker(kind)(report))
        return written

    def _save(self, path: Path, text: str, mode: str = "w") -> bool:
        try:
            with path.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            self.fail(f"cannot write {path}: {reason(error)}")
            return False
        return True


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


def _is_read(file: TextIO) -> bool:
    """Return whether somebody reads a file: after Ctrl-C nobody is waited for."""
    return sys.platform == "win32" or is_taken(file.fileno(), PATIENCE)


def reason(error: OSError) -> str:
    """Return why something could not be written."""
    return error.strerror or str(error)


def discard_output() -> None:
    """Let what standard output does not take go nowhere, or the interpreter complains at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
