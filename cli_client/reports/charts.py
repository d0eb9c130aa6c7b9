"""The four charts of the page: what each shows, in marks and in words."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cli_client.ledger.figures import PERCENTILES
from cli_client.reports.distribution import MICROSECONDS, decode
from cli_client.reports.drawing import MARKS, Axis, Drawing, Line, draw, linear, logarithmic
from cli_client.reports.schema import Latency, Report
from cli_client.reports.wording import milliseconds

__all__ = [
    "POINTS",
    "Point",
    "by_percentile",
    "histogram",
    "latency_over_time",
    "thinned",
    "throughput_over_time",
]

POINTS = 300
"""The points of a line at most: more of them are too close to be seen apart."""

NAMED_SECONDS = 20
"""The seconds with errors that a text names; it counts the others."""

NINES = (50, 90, 99, 99.9, 99.99, 99.999, 99.9999)
"""The percentiles at the axis."""


class Point(NamedTuple):
    """A second of the run or a few of them: rates are per second, latencies the worst."""

    second: int
    sent: float
    answered: float
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


def by_percentile(report: Report, latency: Latency) -> Drawing:
    """Draw the latency at each percentile; the axis stretches towards the slowest replies.

    Raises:
        ValueError: If the report's histogram cannot be decoded.
    """
    recorded = decode(report)
    end = math.log10(max(recorded.get_total_count(), 100))

    def place(percentile: float) -> float:
        return end if percentile >= 100 else min(end, -math.log10(1 - percentile / 100))

    raw = report["raw_latency_ms"]
    series: dict[str, Line] = {
        "corrected" if raw else "latency": [
            (place(step.percentile_level_iterated_to), step.value_iterated_to / MICROSECONDS)
            for step in recorded.get_percentile_iterator(5)
        ]
    }
    if raw:
        known = [(place(float(name[1:])), raw[name]) for name in PERCENTILES]
        between = [point for point in known if point[0] < end]
        series["raw"] = [(0.0, raw["min"]), *between, (end, raw["max"])]
    highest = max(value or 0.0 for line in series.values() for _, value in line)
    nines = [(place(nine), f"{nine:g}") for nine in NINES if place(nine) < end]
    return draw(
        f"The latency by percentile: half of the replies came within {_ms(latency['p50'])},"
        f" 90 % within {_ms(latency['p90'])}, 99 % within {_ms(latency['p99'])},"
        f" the slowest after {_ms(latency['max'])}.",
        Axis("% of the replies came within", 0.0, end, lambda most: nines),
        linear("ms", 0.0, highest),
        lines=series,
        sizes=("wide", "middle", "narrow"),
    )


def histogram(report: Report) -> Drawing:
    """Draw how many replies came within each span of latency."""
    buckets = report["histogram"]
    edges = [bucket["from_ms"] for bucket in buckets] + [buckets[-1]["to_ms"]]

    def ticks(most: int) -> list[tuple[float, str]]:
        every = -(-len(edges) // most)
        return [(place, milliseconds(edges[place])) for place in range(0, len(edges), every)]

    fullest = max(buckets, key=lambda bucket: bucket["count"])
    return draw(
        f"The number of replies by latency: most, {fullest['count']}, between"
        f" {_ms(fullest['from_ms'])} and {_ms(fullest['to_ms'])}.",
        Axis("ms", 0.0, len(buckets), ticks),
        linear("replies", 0.0, fullest["count"], finest=1.0),
        bars={"replies": [bucket["count"] for bucket in buckets]},
    )


def throughput_over_time(report: Report) -> Drawing:
    """Draw the messages answered in each second, and mark those with errors."""
    points = thinned(report)
    rates = [point.answered for point in points]
    marks, errors = _errors(points, lambda point: point.answered)
    return draw(
        "The messages answered in a second, over the run: from"
        f" {min(rates):.0f} to {max(rates):.0f}.{errors}",
        linear("second", 0.0, points[-1].second, finest=1.0),
        linear("messages/s", 0.0, max(rates)),
        lines={"answered": [(point.second, point.answered) for point in points], **marks},
    )


def latency_over_time(report: Report) -> Drawing:
    """Draw the latencies of each second on a logarithmic scale, and mark those with errors."""
    points = thinned(report)
    # A second without a reply has no latency: the lines are interrupted there.
    lines: dict[str, Line] = {
        "max": [(point.second, point.max_ms) for point in points],
        "p99": [(point.second, point.p99_ms) for point in points],
        "p50": [(point.second, point.p50_ms) for point in points],
    }
    worst = {name: max(value or 0.0 for _, value in line) for name, line in lines.items()}
    axis = logarithmic("ms", [value for line in lines.values() for _, value in line if value])
    marks, errors = _errors(points, lambda point: point.max_ms or axis.low)
    return draw(
        f"The latency in each second, over the run: p50 at most {_ms(worst['p50'])},"
        f" p99 at most {_ms(worst['p99'])}.{errors}",
        linear("second", 0.0, points[-1].second, finest=1.0),
        axis,
        lines=lines | marks,
    )


def thinned(report: Report) -> list[Point]:
    """Return the timeline of a report with at most ``POINTS`` points."""
    timeline, seconds = report["timeline"], report["timeline_step_s"]
    step = -(-len(timeline) // POINTS) or 1
    spans = [timeline[start : start + step] for start in range(0, len(timeline), step)]
    return [
        Point(
            span[0]["second"],
            sum(second["sent"] for second in span) / (len(span) * seconds),
            sum(second["answered"] for second in span) / (len(span) * seconds),
            sum(second["errors"] for second in span),
            _worst(second["p50_ms"] for second in span),
            _worst(second["p99_ms"] for second in span),
            _worst(second["max_ms"] for second in span),
        )
        for span in spans
    ]


def _worst(latencies: Iterable[float | None]) -> float | None:
    return max((latency for latency in latencies if latency), default=None)


def _errors(
    points: Sequence[Point], height: Callable[[Point], float]
) -> tuple[dict[str, Line], str]:
    """Return the marks of the seconds with errors, if there are any, and a text that names them."""
    marked = [point for point in points if point.errors]
    if not marked:
        return {}, ""
    named = ", ".join(str(point.second) for point in marked[:NAMED_SECONDS])
    more = f" and {len(marked) - NAMED_SECONDS} more" if len(marked) > NAMED_SECONDS else ""
    marks = [(point.second, height(point)) for point in marked]
    return {MARKS: marks}, f" Errors came at second {named}{more}."


def _ms(value: float) -> str:
    return f"{milliseconds(value)} ms"
