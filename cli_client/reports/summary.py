"""The summary of a run: what the terminal shows at its end, the ledger first."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cli_client.reports.wording import (
    LATENCIES,
    Report,
    check_line,
    closer,
    faults,
    lost,
    milliseconds,
    numbers,
    printable,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["summary"]


WIDTH = 80
"""Columns of the narrowest terminal that is still common."""

INDENT = 12
"""Columns of the labels and the space behind them."""

ROWS = 10
BAR = 34
"""Rows of the histogram at most, and columns of its longest bar."""

BLOCK = "█"

PLAIN = str.maketrans({BLOCK: "#", "…": "..."})
"""What stands for signs that an encoding lacks."""


def summary(report: Report, colour: bool, *, encoding: str = "utf-8", wrap: bool = True) -> str:
    """Return a report as lines for a person.

    Args:
        report: The report.
        colour: Whether colours are shown where this goes.
        encoding: The encoding of where this goes; bars and signs keep to it.
        wrap: Whether long errors and warnings are broken at 80 columns. For a file or another
            program each had better stay one line.
    """
    from rich.console import Console  # costly to import, and not needed for --help
    from rich.table import Table

    console = Console(
        file=io.StringIO(),
        width=WIDTH,
        color_system="standard" if colour else None,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    _print_verdict(console, report)
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, line in _rows(report):
        table.add_row(label, line)
    console.print(table)
    for line in _messages(report):
        console.print(line, soft_wrap=not wrap, overflow="fold" if wrap else "ignore")
    assert isinstance(console.file, io.StringIO)
    # Rich fills the cells of a table up with spaces.
    text = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())
    return text if _encodable(text, encoding) else text.translate(PLAIN)


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _print_verdict(console: "Console", report: Report) -> None:
    from rich.text import Text

    ledger, passed = report["ledger"], report["verdict"] == "pass"
    verdict = Text("PASS" if passed else "FAIL", style="bold green" if passed else "bold red")
    verdict.append(
        f" {ledger['verified']} of {ledger['requests']} replies right"
        f" in {report['elapsed_s']:.2f} s, {report['rate']:.0f} messages/s",
        style="not bold default",
    )
    console.print(verdict, soft_wrap=True)


def _rows(report: Report) -> Iterator[tuple[str, "Text | str"]]:
    """Name and line of all that the report has to say, in the order of its weight."""
    from rich.text import Text

    # A number and its word stay together: textwrap breaks at plain spaces alone.
    kept_together = ", ".join(fault.replace(" ", "\xa0") for fault in faults(report))
    ledger = [line.replace("\xa0", " ") for line in textwrap.wrap(kept_together, WIDTH - INDENT)]
    ledger += [lost(report), "interrupted before the end" if report["interrupted"] else ""]
    yield from _labelled("ledger", [Text(line) for line in ledger if line])
    yield from _labelled(
        "checks",
        [
            Text.assemble(
                ("pass", "green") if check["passed"] else ("FAIL", "bold red"),
                f" {printable(check_line(check))}",
            )
            for check in report["checks"]
        ],
    )
    yield from _latency(report)
    whole_seconds = report["timeline"][:-1]
    if len(whole_seconds) > 1:
        rates = [second["answered"] for second in whole_seconds]
        yield "throughput", f"from {min(rates)} to {max(rates)} messages in a second"
    connections = report["connections"]
    closes = [
        f"{close['count']} closed by {closer(close)}"
        + (f", code {close['code']}" if close["code"] is not None else "")
        + (f": {printable(close['reason'])}" if close["reason"] else "")
        for close in connections["closes"]
    ]
    if connections["opened"]:
        closes.insert(0, f"{connections['opened']} opened")
    yield from _labelled("connections", [Text(line) for line in closes])
    if report["numbers"]:
        yield "numbers", numbers(report["numbers"])


def _latency(report: Report) -> Iterator[tuple[str, "Text | str"]]:
    latency, raw = report["latency_ms"], report["raw_latency_ms"]
    if not latency["max"]:
        return  # no reply, no latency

    def line(names: Sequence[str]) -> str:
        return ", ".join(f"{name} {milliseconds(latency[name])} ms" for name in names)

    yield "latency", line(("p50", "p90", "p99", "max"))
    if raw:
        yield "ms", "".join(f"{name:>8}" for name in LATENCIES)
        for label, values in (("corrected", latency), ("raw", raw)):
            yield label, "".join(f"{milliseconds(values[name]):>8}" for name in LATENCIES)
        yield "", "corrected: from when a request was due; raw: from when it was sent"
    else:
        yield "", line(("min", "mean", "p95", "p99.9"))
    yield from _histogram(report["histogram"])


def _histogram(buckets: Sequence[Report]) -> Iterator[tuple[str, "Text"]]:
    """A bar for each few buckets, from the first that is not empty to the last."""
    from rich.text import Text

    filled = [place for place, bucket in enumerate(buckets) if bucket["count"]]
    if not filled:
        return
    buckets = buckets[filled[0] : filled[-1] + 1]
    step = -(-len(buckets) // ROWS)
    groups = [buckets[start : start + step] for start in range(0, len(buckets), step)]
    counts = [sum(bucket["count"] for bucket in group) for group in groups]
    for group, count in zip(groups, counts, strict=True):
        # Few beside many are still some: no bar is shorter than a sign.
        length = -(-BAR * count // max(counts))
        bounds = f"{milliseconds(group[0]['from_ms']):>7} to {milliseconds(group[-1]['to_ms']):>7}"
        yield (
            "histogram" if group is groups[0] else "",
            Text.assemble(
                f"{bounds} ms ", (BLOCK * length, "cyan"), " " * bool(length), f"{count}"
            ),
        )


def _labelled(label: str, lines: Sequence["Text"]) -> Iterator[tuple[str, "Text"]]:
    """Put the label before the first of the lines."""
    for place, line in enumerate(lines):
        yield "" if place else label, line


def _messages(report: Report) -> Iterator["Text"]:
    """Warnings and errors, one each, and how many errors are not listed."""
    from rich.text import Text

    for warning in report["warnings"]:
        yield Text.assemble(("warning: ", "yellow"), printable(warning))
    for error in report["errors"]:
        times = f" ({error['count']} times)" if error["count"] > 1 else ""
        yield Text.assemble(("error: ", "red"), printable(error["message"]), times)
    more = report["error_count"] - sum(error["count"] for error in report["errors"])
    if more > 0:
        yield Text(f"and {more} more error{'s' * (more > 1)}")
