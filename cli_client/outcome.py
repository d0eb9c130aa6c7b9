"""What is done with the report of a run: shown, judged and written; and the exit status."""

import contextlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli_client.reports.checks import Check
from cli_client.settings import Settings

if TYPE_CHECKING:
    from cli_client.progress import Progress

__all__ = ["SOME_WRONG", "Outcome", "discard_output", "reason"]

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

    def make_progress(self, settings: Settings) -> "Progress":
        """Return what shows the progress of a run."""
        from cli_client.progress import make_progress

        return make_progress(self.progress, settings.messages, settings.duration)

    def fail(self, message: str) -> int:
        """Say why there is no report, and return the exit status."""
        if self.progress == "json":
            from cli_client.progress import print_event

            print_event("error", message=message)
        else:
            print(message, file=sys.stderr)
        return SOME_WRONG

    def deliver(self, report: dict[str, Any]) -> int:
        """Judge, write and show a report, and return the exit status."""
        report["checks"] = [check.judge(report) for check in self.checks]
        passed = report["verdict"] == "pass" and all(c["passed"] for c in report["checks"])
        status = ALL_RIGHT if passed else SOME_WRONG
        self._show(report)
        try:
            self._write(report)
        except OSError as error:
            status = SOME_WRONG
            print(f"cannot write {error.filename}: {reason(error)}", file=sys.stderr)
        try:
            last = json.dumps(report) if self.prints_report else report["ledger"]["verified"]
            print(last, flush=True)
        except BrokenPipeError:
            discard_output()
            return SOME_WRONG
        except OSError as error:
            discard_output()
            # The report is out, so this is no event of its own.
            print(f"cannot write the count: {reason(error)}", file=sys.stderr)
            return SOME_WRONG
        return INTERRUPTED if report["interrupted"] else status

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

    def _write(self, report: dict[str, Any]) -> None:
        if self.json is not None and not self.prints_report:
            self.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        if self.ledger is not None:
            from cli_client.ledger_file import note_never_sent

            note_never_sent(self.ledger, report["ledger"]["never_sent"])
        for kind, path in self.files.items():
            if path is not None:
                path.write_text(_make(kind, report), encoding="utf-8")


def _make(kind: str, report: dict[str, Any]) -> str:
    """Return the report as a file of this kind."""
    if kind == "html":
        from cli_client.reports.page import page

        return page(report)
    from cli_client.reports import series

    return series.timeline(report) if kind == "csv" else series.percentiles(report)


def reason(error: OSError) -> str:
    """Return why something could not be written."""
    return error.strerror or str(error)


def discard_output() -> None:
    """Let what standard output does not take go nowhere, or the interpreter complains at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
