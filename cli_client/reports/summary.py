"""The summary of a run: what the terminal shows at its end, the ledger first."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

import click

from cli_client.reports.wording import (
    LATENCIES,
    Report,
    check_line,
    close_line,
    faults,
    lost,
    milliseconds,
    numbers,
    printable,
)

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

Paint = Callable[..., str]
"""Gives a text colours, or not."""


def summary(report: Report, colour: bool, *, encoding: str = "utf-8", wrap: bool = True) -> str:
    """Return a report as lines for a person.

    Args:
        report: The report.
        colour: Whether colours are shown where this goes.
        encoding: The encoding of where this goes; bars and signs keep to it.
        wrap: Whether long errors and warnings are broken at 80 columns. For a file or another
            program each had better stay one line.
    """
    paint: Paint = click.style if colour else lambda text, **style: text
    lines = [_verdict(report, paint)]
    for label, content in _rows(report, paint):
        # What is painted is short; textwrap would count the colours as signs.
        for line in [content] if "\x1b" in content else _folded(content):
            lines.append(f"{paint(f'{label:>{INDENT - 1}}', dim=True)} {line}".rstrip())
            label = ""
    for kind, style, message in _messages(report):
        text = f"{kind}: {message}" if kind else message
        first, *rest = textwrap.wrap(text, WIDTH) if wrap else [text]
        lines += [first.replace(kind, paint(kind, fg=style), 1) if kind else first, *rest]
    text = "\n".join(lines)
    return text if _encodable(text, encoding) else text.translate(PLAIN)


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - INDENT)


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _verdict(report: Report, paint: Paint) -> str:
    ledger, passed = report["ledger"], report["verdict"] == "pass"
    verdict = paint("PASS" if passed else "FAIL", fg="green" if passed else "red", bold=True)
    return (
        f"{verdict} {ledger['verified']} of {ledger['requests']} replies right"
        f" in {report['elapsed_s']:.2f} s, {report['rate']:.0f} messages/s"
    )


def _rows(report: Report, paint: Paint) -> Iterator[tuple[str, str]]:
    """Name and line of all that the report has to say, in the order of its weight."""
    # A number and its word stay together: textwrap breaks at plain spaces alone.
    kept_together = ", ".join(fault.replace(" ", "\xa0") for fault in faults(report))
    ledger = [line.replace("\xa0", " ") for line in _folded(kept_together)]
    ledger += [lost(report), "interrupted before the end" if report["interrupted"] else ""]
    yield from _labelled("ledger", [line for line in ledger if line])
    yield from _labelled(
        "checks",
        [
            (paint("pass", fg="green") if check["passed"] else paint("FAIL", fg="red", bold=True))
            + f" {printable(check_line(check))}"
            for check in report["checks"]
        ],
    )
    yield from _latency(report, paint)
    whole_seconds = report["timeline"][:-1]
    if len(whole_seconds) > 1:
        rates = [second["answered"] for second in whole_seconds]
        yield "throughput", f"from {min(rates)} to {max(rates)} messages in a second"
    connections = report["connections"]
    closes = [close_line(close) for close in connections["closes"]]
    if connections["opened"]:
        closes.insert(0, f"{connections['opened']} opened")
    yield from _labelled("connections", closes)
    if report["numbers"]:
        yield "numbers", numbers(report["numbers"])


def _latency(report: Report, paint: Paint) -> Iterator[tuple[str, str]]:
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
    yield from _histogram(report["histogram"], paint)


def _histogram(buckets: Sequence[Report], paint: Paint) -> Iterator[tuple[str, str]]:
    """A bar for each few buckets, from the first that is not empty to the last."""
    filled = [place for place, bucket in enumerate(buckets) if bucket["count"]]
    if not filled:
        return
    buckets = buckets[filled[0] : filled[-1] + 1]
    step = -(-len(buckets) // ROWS)
    groups = [buckets[start : start + step] for start in range(0, len(buckets), step)]
    counts = [sum(bucket["count"] for bucket in group) for group in groups]
    for group, count in zip(groups, counts, strict=True):
        # Few beside many are still some: no bar is shorter than a sign.
        bar = BLOCK * -(-BAR * count // max(counts))
        bounds = f"{milliseconds(group[0]['from_ms']):>7} to {milliseconds(group[-1]['to_ms']):>7}"
        yield (
            "histogram" if group is groups[0] else "",
            f"{bounds} ms {paint(bar, fg='cyan') + ' ' if bar else ''}{count}",
        )


def _labelled(label: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Put the label before the first of the lines."""
    for place, line in enumerate(lines):
        yield "" if place else label, line


def _messages(report: Report) -> Iterator[tuple[str, str, str]]:
    """Kind, colour and text of the warnings and errors, and how many errors are not listed."""
    for warning in report["warnings"]:
        yield "warning", "yellow", printable(warning)
    for error in report["errors"]:
        times = f" ({error['count']} times)" if error["count"] > 1 else ""
        yield "error", "red", printable(error["message"]) + times
    more = report["error_count"] - sum(error["count"] for error in report["errors"])
    if more > 0:
        yield "", "", f"and {more} more error{'s' * (more > 1)}"
