"""The summary of a run: what the terminal shows at its end, the verdict and its reasons first."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat

import click

from cli_client.ledger.figures import FAULTS, LATENCIES
from cli_client.reports.schema import Bucket, Equation, Lag, Report, Sender
from cli_client.reports.wording import (
    check_line,
    close_line,
    equation_parts,
    failure_line,
    gaps,
    lost,
    milliseconds,
    numbers,
    plural,
    printable,
    rate,
    stall_line,
    total,
    unfinished,
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

STALLS = 5
"""The stalls that are named; the others are counted."""

BLOCK = "█"

PLAIN = str.maketrans({BLOCK: "#", "…": "...", "≠": "!=", "–": "-"})
"""What stands for signs that an encoding lacks."""

COLOURS = {"PASS": "green", "RECOVERED": "yellow", "FAIL": "red", "INTERRUPTED": "yellow"}

Paint = Callable[..., str]
"""Gives a text colours, or not."""


def summary(report: Report, colour: bool, *, encoding: str = "utf-8", wrap: bool = True) -> str:
    """Return a report as lines for a person.

    Args:
        report: The report.
        colour: Whether colours are shown where this goes.
        encoding: The encoding of where this goes; bars and signs keep to it.
        wrap: Whether long errors and warnings are broken at 80 columns. For a file or another
            program each is one line.
    """
    paint: Paint = click.style if colour else lambda text, **style: text
    lines = [_headline(report, paint)]
    for label, content in _rows(report, paint):
        # What is painted is short; textwrap would count the colours as signs.
        for line in [content] if "\x1b" in content else textwrap.wrap(content, WIDTH - INDENT):
            lines.append(f"{paint(f'{label:>{INDENT - 2}}', dim=True)}  {line}".rstrip())
            label = ""
    for kind, style, message in _messages(report):
        text = f"{kind}: {message}" if kind else message
        first, *rest = textwrap.wrap(text, WIDTH) if wrap else [text]
        lines += [first.replace(kind, paint(kind, fg=style), 1) if kind else first, *rest]
    text = "\n".join(lines)
    return text if _encodable(text, encoding) else text.translate(PLAIN)


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
        f" in {report['elapsed_s']:.2f} s, {rate(report['rate'])} messages/s"
    )


def _rows(report: Report, paint: Paint) -> Iterator[tuple[str, str]]:
    """Yield label and line of what the report has to say, the weightiest first."""
    if report["reasons"]:
        yield "because", printable("; ".join(report["reasons"]))
    yield from _labelled("unverified", map(printable, report["unverified"]))
    for found in report["equations"]:
        yield from _labelled(found["name"], _equation(found, paint))
    if report["ledger"]["out_of_order"]:
        yield "", paint(f"{report['ledger']['out_of_order']:,} out of order", fg="red", bold=True)
    if lost(report):
        yield "", lost(report)
    yield from _labelled("missing", map(printable, report["missing_shares"]))
    yield from _labelled(
        "checks",
        [
            (paint("pass", fg="green") if check["passed"] else paint("FAIL", fg="red", bold=True))
            + f" {printable(check_line(check))}"
            for check in report["checks"]
        ],
    )
    yield from _latency(report, paint)
    step = report["timeline_step_s"]
    rates = [span["answered"] / step for span in report["timeline"][:-1]]  # the last is not whole
    if len(rates) > 1 and any(rates):
        yield "throughput", f"from {rate(min(rates))} to {rate(max(rates))} messages in a second"
    yield from _labelled("connections", _connections(report))
    if report["numbers"] and report["numbers"]["replies"]:
        yield "numbers", numbers(report["numbers"])
    yield from _labelled("sender", _sender(report["sender"]))
    yield from _labelled("", _stalls(report))


def _equation(found: Equation, paint: Paint) -> Iterator[str]:
    """Yield the lines of an equation, with what should be zero in red."""
    line, width = "", 0
    for name, text in equation_parts(found):
        if width + len(text) > WIDTH - INDENT:
            yield line
            line, width = " ", 1
        fault = name in FAULTS and found["terms"][name]
        line += paint(text, fg="red", bold=True) if fault else text
        width += len(text)
    yield line


def _latency(report: Report, paint: Paint) -> Iterator[tuple[str, str]]:
    latency, raw = report["latency_ms"], report["raw_latency_ms"]
    if latency is None:
        return
    yield "latency, ms", "".join(f"{name:>8}" for name in LATENCIES)
    rows = (
        ("corrected" if raw else "", latency),
        ("raw", raw),
        ("no stalls", report["latency_without_stalls_ms"]),
    )
    for label, values in rows:
        if values:
            yield label, "".join(f"{milliseconds(values[name]):>8}" for name in LATENCIES)
    if raw:
        yield "", "corrected: from when a request was due; raw: from when it was sent"
    if report["latency_without_stalls_ms"]:
        yield "", "no stalls: without the requests that a stall of the sender touched"
    yield from _histogram(report["histogram"], paint)


def _connections(report: Report) -> Iterator[str]:
    connections, handshakes = report["connections"], report["handshakes"]
    counts = [
        f"{connections['opened']:,} opened" if connections["opened"] else "",
        plural(handshakes["failed"], "handshake") + " failed" if handshakes["failed"] else "",
        unfinished(handshakes),
        f"{connections['given_up']:,} given up" if connections["given_up"] else "",
    ]
    if any(counts):
        yield ", ".join(filter(None, counts))
    yield from map(failure_line, handshakes["failures"])
    yield from map(close_line, connections["closes"])
    yield from gaps(report)


def _sender(sender: Sender) -> Iterator[str]:
    """The sender's own health, so that its own delay is not blamed on the server."""

    def late(lag: Lag) -> str:
        return f"late by {milliseconds(lag['p99'])} ms (p99), {milliseconds(lag['max'])} ms (max)"

    yield f"{sender['cpu']:.2f} of a core; event loop {late(sender['event_loop_lag_ms'])}"
    if sender["schedule_lag_ms"]:
        yield f"requests sent {late(sender['schedule_lag_ms'])}"


def _stalls(report: Report) -> Iterator[str]:
    stalls = report["stalls"]
    yield from map(stall_line, stalls[:STALLS])
    if len(stalls) > STALLS:
        yield f"and {plural(len(stalls) - STALLS, 'more stall')}"


def _histogram(buckets: Sequence[Bucket], paint: Paint) -> Iterator[tuple[str, str]]:
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


def _labelled(label: str, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Put the label before the first of the lines."""
    return zip(chain([label], repeat("")), lines, strict=False)


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
