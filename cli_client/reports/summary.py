"""The summary of a run: what the terminal shows at its end, the ledger first."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

import click

from cli_client.reports.wording import (
    BESIDES,
    FATES,
    FAULTS,
    LATENCIES,
    Report,
    check_line,
    close_line,
    lost,
    milliseconds,
    numbers,
    plural,
    printable,
    total,
    verdict,
)

__all__ = ["summary"]

WIDTH = 80
"""Columns of the narrowest terminal that is still common."""

INDENT = 13
"""Columns of the labels and the space behind them."""

ROWS = 10
BAR = 32
"""Rows of the histogram at most, and columns of its longest bar."""

BLOCK = "█"

PLAIN = str.maketrans({BLOCK: "#", "…": "..."})
"""What stands for signs that an encoding lacks."""

COLOURS = {"PASS": "green", "FAIL": "red", "INTERRUPTED": "yellow"}

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
    lines = [_headline(report, paint)]
    for label, content in _rows(report, paint):
        # What is painted is short; textwrap would count the colours as signs.
        for line in [content] if "\x1b" in content else _folded(content):
            lines.append(f"{paint(f'{label:>{INDENT - 2}}', dim=True)}  {line}".rstrip())
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


def _headline(report: Report, paint: Paint) -> str:
    word = verdict(report)
    return (
        f"{paint(word, fg=COLOURS[word], bold=True)} {total(report)}"
        f" in {report['elapsed_s']:.2f} s, {report['rate']:,.0f} messages/s"
    )


def _rows(report: Report, paint: Paint) -> Iterator[tuple[str, str]]:
    """Name and line of all that the report has to say, in the order of its weight."""
    yield "ledger", _counts(report, ("verified", *FATES), paint)
    yield "besides", _counts(report, BESIDES, paint)
    if lost(report):
        yield "", lost(report)
    if report["interrupted"] and verdict(report) != "INTERRUPTED":
        yield "", "interrupted before the end"
    yield from _labelled(
        "checks",
        [
            (paint("pass", fg="green") if check["passed"] else paint("FAIL", fg="red", bold=True))
            + f" {printable(check_line(check))}"
            for check in report["checks"]
        ],
    )
    yield from _latency(report, paint)
    rates = [second["answered"] for second in report["timeline"][:-1]]  # the last is not whole
    if len(rates) > 1 and any(rates):
        yield "throughput", f"from {min(rates):,} to {max(rates):,} messages in a second"
    connections = report["connections"]
    opened = [f"{connections['opened']:,} opened"] if connections["opened"] else []
    closes = [close_line(close) for close in connections["closes"]]
    yield from _labelled("connections", opened + closes)
    if report["numbers"] and report["numbers"]["replies"]:
        yield "numbers", numbers(report["numbers"])
    yield from _sender(report["sender"])


def _counts(report: Report, names: Sequence[str], paint: Paint) -> str:
    """Counts of the ledger, those that should not be in red."""
    ledger = report["ledger"]
    return ", ".join(
        paint(text, fg="red", bold=True) if name in FAULTS and ledger[name] else text
        for name in names
        for text in [f"{ledger[name]:,} {name.replace('_', ' ')}"]
    )


def _latency(report: Report, paint: Paint) -> Iterator[tuple[str, str]]:
    latency, raw = report["latency_ms"], report["raw_latency_ms"]
    if not latency["max"]:
        return  # no reply, no latency
    yield "latency, ms", "".join(f"{name:>8}" for name in LATENCIES)
    for label, values in (("corrected" if raw else "", latency), ("raw", raw)):
        if values:
            yield label, "".join(f"{milliseconds(values[name]):>8}" for name in LATENCIES)
    if raw:
        yield "", "corrected: from when a request was due; raw: from when it was sent"
    yield from _histogram(report["histogram"], paint)


def _sender(sender: Report) -> Iterator[tuple[str, str]]:
    """The sender's own health, so that its own stall is not blamed on the server."""

    def late(lag: Report) -> str:
        return f"late by {milliseconds(lag['p99'])} ms (p99), {milliseconds(lag['max'])} ms (max)"

    yield "sender", f"{sender['cpu']:.2f} of a core; event loop {late(sender['event_loop_lag_ms'])}"
    if sender["schedule_lag_ms"]:
        yield "", f"requests sent {late(sender['schedule_lag_ms'])}"


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
            f"{bounds} ms {paint(bar, fg='cyan') + ' ' if bar else ''}{count:,}",
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
        times = f" ({error['count']:,} in all)" if error["count"] > 1 else ""
        yield "error", "red", printable(error["message"]) + times
    more = report["error_count"] - sum(error["count"] for error in report["errors"])
    if more > 0:
        yield "", "", f"and {plural(more, 'more error')}"
