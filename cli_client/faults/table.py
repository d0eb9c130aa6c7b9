"""The table of the self-test: each case, how it went, and what the sender reported."""

import textwrap
from collections.abc import Sequence

from cli_client.faults.cases import FAULTS, SOUND, Case
from cli_client.faults.judging import relevant
from cli_client.reports.schema import Report
from cli_client.reports.wording import faults, lost, milliseconds, printable, verdict

__all__ = ["head", "row"]

NAMES = max(len(case.name) for case in (*SOUND, *FAULTS)) + 2
ANSWERS = len("passed") + 2
"""Columns of the first two parts of a row; what the sender said has the rest."""


def head() -> str:
    """Return the heading of the table."""
    return _laid_out("what is broken", "answer", "what the sender reported")


def row(case: Case, report: Report, mismatches: Sequence[str], width: int) -> str:
    """Return the lines of one case.

    Args:
        case: The case.
        report: The report of its run.
        mismatches: What the report should say differently.
        width: How many columns there are.
    """
    right, wrong = ("passed", "ALARM") if case in SOUND else ("caught", "MISSED")
    room = max(20, width - NAMES - ANSWERS)
    said = [
        # The start names the fault; the rest of a long text would make the table hard to read.
        part
        for line in relevant(case, report)
        for part in textwrap.wrap(printable(line), room, max_lines=2, placeholder=" ...")
    ]
    differs = textwrap.wrap(printable("; ".join(mismatches)), room)
    came_to = textwrap.wrap(_verdict(case, report), room)
    return _laid_out(case.name, wrong if mismatches else right, *came_to, *said, *differs)


def _verdict(case: Case, report: Report) -> str:
    parts = [*faults(report), lost(report)]
    latency = report["latency_ms"]
    if case.slowest_ms and latency:
        parts.append(f"longest latency {milliseconds(latency['max'])} ms")
    said = ", ".join(part for part in parts if part)
    word = verdict(report)
    return f"{word}: {said}" if said else word


def _laid_out(name: str, answer: str, first: str, *others: str) -> str:
    lines = [f"{name:<{NAMES}}{answer:<{ANSWERS}}{first}"]
    return "\n".join([*lines, *(" " * (NAMES + ANSWERS) + line for line in others)])
