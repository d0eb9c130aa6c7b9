"""The table of the self-test: each fault, whether it was caught, and what the sender said of it."""

import textwrap
from collections.abc import Sequence

from cli_client.faults.cases import CLEAN, FAULTS, Case
from cli_client.faults.judging import told
from cli_client.reports.wording import Report, faults, lost, milliseconds, printable

__all__ = ["head", "row"]

NAMES = max(len(case.name) for case in (CLEAN, *FAULTS)) + 2
ANSWERS = len("caught") + 2
"""Columns of the first two parts of a row; what the sender said has the rest."""


def head() -> str:
    """Return what stands above the table."""
    return _laid_out("fault", "caught", "what the sender reported")


def row(case: Case, report: Report, amiss: Sequence[str], width: int) -> str:
    """Return the lines of one fault, in so many columns.

    Args:
        case: The fault.
        report: The report of the run with it.
        amiss: What the report should be otherwise.
        width: How many columns there are.
    """
    answer = ("ALARM" if amiss else "-") if case is CLEAN else ("NO" if amiss else "yes")
    room = max(20, width - NAMES - ANSWERS)
    said = [
        # The start names the fault; the whole of a long one would make the table hard to read.
        part
        for line in told(case, report)
        for part in textwrap.wrap(printable(line), room, max_lines=2, placeholder=" ...")
    ]
    wrong = textwrap.wrap(printable("; ".join(amiss)), room)
    return _laid_out(case.name, answer, *textwrap.wrap(_verdict(case, report), room), *said, *wrong)


def _verdict(case: Case, report: Report) -> str:
    parts = [*faults(report), lost(report)]
    if case.slowest_ms:
        parts.append(f"longest latency {milliseconds(report['latency_ms']['max'])} ms")
    said = ", ".join(part for part in parts if part)
    verdict = "PASS" if report["verdict"] == "pass" else "FAIL"
    return f"{verdict}: {said}" if said else verdict


def _laid_out(name: str, answer: str, first: str, *others: str) -> str:
    lines = [f"{name:<{NAMES}}{answer:<{ANSWERS}}{first}"]
    return "\n".join([*lines, *(" " * (NAMES + ANSWERS) + line for line in others)])
