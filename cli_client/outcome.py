"""What is done with the report of a run: shown, judged and written; and the exit status."""

import contextlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cli_client.reports.checks import Check
from cli_client.reports.wording import printable
from cli_client.settings import Settings
from cli_client.spread.output import is_taken

if TYPE_CHECKING:
    from cli_client.progress import Progress

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
    json: Path | None
    files: dict[str, Path | None]
    checks: tuple[Check, ...]
    ledger: Path | None

    @property
    def prints_report(self) -> bool:
        """Whether the report takes the place of the responses on standard output."""
        return self.json == STANDARD_OUTPUT

    def make_progress(self, settings: Settings, quiet: bool) -> "Progress":
        """Return what shows the progress of a run, whose responses may be printed meanwhile."""
        from cli_client.progress import make_progress

        kind = self.progress
        if kind == "auto":
            # A bar among responses on one terminal would be neither.
            alone = sys.stderr.isatty() and (quiet or not sys.stdout.isatty())
            kind = "bar" if alone else "none"
        return make_progress(kind, settings.messages, settings.duration)

    def fail(self, message: str) -> int:
        """Say what went wrong with the run as a whole, and return the exit status."""
        with contextlib.suppress(OSError):  # whoever would read it is gone
            if self.progress == "json":
                from cli_client.progress import print_event

                print_event("error", message=message)
            else:
                print(printable(message), file=sys.stderr)
        return SOME_WRONG

    def deliver(self, report: dict[str, Any]) -> int:
        """Judge, write and show a report, and return the exit status."""
        report["checks"] = [check.judge(report) for check in self.checks]
        if not all(check["passed"] for check in report["checks"]):
            report["verdict"] = "fail"
        status = ALL_RIGHT if report["verdict"] == "pass" else SOME_WRONG
        hurry = report["interrupted"]
        if not hurry or _is_read(sys.stderr):
            with contextlib.suppress(OSError):
                self._show(report)
        if not self._write(report):
            status = SOME_WRONG
        try:
            if not hurry or _is_read(sys.stdout):
                last = json.dumps(report) if self.prints_report else report["ledger"]["verified"]
                print(last, flush=True)
        except BrokenPipeError:
            discard_output()
            status = SOME_WRONG
        except OSError as error:
            discard_output()
            status = self.fail(f"cannot write the count: {reason(error)}")
        return INTERRUPTED if hurry else status

    def _show(self, report: dict[str, Any]) -> None:
        if self.progress == "json":
            from cli_client.progress import print_event

            print_event("report", **report)
            return
        from cli_client.reports.summary import summary

        terminal = sys.stderr.isatty()
        colour = terminal and not os.environ.get("NO_COLOR")
        encoding = sys.stderr.encoding or "ascii"
        print(summary(report, colour, encoding=encoding, wrap=terminal), file=sys.stderr)

    def _write(self, report: dict[str, Any]) -> bool:
        """Write the files that were asked for, and return whether that went well."""
        written = True
        if self.json is not None and not self.prints_report:
            written &= self._save(self.json, json.dumps(report, indent=1) + "\n")
        if self.ledger is not None and report["ledger"]["never_sent"]:
            from cli_client.ledger.file import never_sent_line

            written &= self._save(self.ledger, never_sent_line(report["ledger"]["never_sent"]), "a")
        for kind, path in self.files.items():
            if path is not None:
                written &= self._save(path, _make(kind, report))
        return written

    def _save(self, path: Path, text: str, mode: str = "w") -> bool:
        try:
            with path.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            self.fail(f"cannot write {path}: {reason(error)}")
            return False
        return True


def _make(kind: str, report: dict[str, Any]) -> str:
    """Return the report as a file of this kind."""
    if kind == "html":
        from cli_client.reports.page import page

        return page(report)
    from cli_client.reports import series

    return series.timeline(report) if kind == "csv" else series.percentiles(report)


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
