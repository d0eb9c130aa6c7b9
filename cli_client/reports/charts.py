"""The four charts of the page: what each shows, in marks and in words."""

import math
from collections.abc import Callable, Sequence

from cli_client.reports.distribution import MICROSECONDS, decode
from cli_client.reports.drawing import MARKS, Axis, Drawing, Line, draw, linear, logarithmic
from cli_client.reports.wording import PERCENTILES, Report, milliseconds

__all__ = ["by_percentile", "histogram", "latency_over_time", "thinned", "throughput_over_time"]

POINTS = 300
"""The points of a line at most: more of them are too close to be seen apart."""

NAMED_SECONDS = 20
"""The seconds with errors that a text names; it counts the others."""

NINES = (50, 90, 99, 99.9, 99.99, 99.999, 99.9999)
"""The percentiles at the axis."""


def by_percentile(report: Report) -> Drawing:
    """Draw the latency at each percentile; the axis stretches towards the slowest replies.

    Raises:
        ValueError: If the report's histogram cannot be decoded.
    """
    recorded = decode(report)
    end = math.log10(max(recorded.get_total_count(), 100))

    def place(percentile: float) -> float:
        return end if percentile >= 100 else min(end, -math.log10(1 - percentile / 100))

    latency, raw = report["latency_ms"], report["raw_latency_ms"]
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
    seconds = thinned(report["timeline"])
    rates = [second["answered"] for second in seconds]
    marks, errors = _errors(seconds, lambda second: float(second["answered"]))
    return draw(
        "The messages answered in a second, over the run: from"
        f" {min(rates):.0f} to {max(rates):.0f}.{errors}",
        linear("second", 0.0, seconds[-1]["second"], finest=1.0),
        linear("messages/s", 0.0, max(rates)),
        lines={
            "answered": [(second["second"], second["answered"]) for second in seconds],
            **marks,
        },
    )


def latency_over_time(report: Report) -> Drawing:
    """Draw the latencies of each second on a logarithmic scale, and mark those with errors."""
    seconds = thinned(report["timeline"])
    names = ("max_ms", "p99_ms", "p50_ms")
    # A second without a reply has no latency: the lines are interrupted there.
    series: dict[str, Line] = {
        name.removesuffix("_ms"): [(second["second"], second[name] or None) for second in seconds]
        for name in names
    }
    values = [second[name] for second in seconds for name in names if second[name]]
    axis = logarithmic("ms", values)
    marks, errors = _errors(seconds, lambda second: second["max_ms"] or axis.low)
    worst = {name: max(second[name] or 0.0 for second in seconds) for name in names}
    return draw(
        f"The latency in each second, over the run: p50 at most {_ms(worst['p50_ms'])},"
        f" p99 at most {_ms(worst['p99_ms'])}.{errors}",
        linear("second", 0.0, seconds[-1]["second"], finest=1.0),
        axis,
        lines=series | marks,
    )


def thinned(timeline: Sequence[Report]) -> list[Report]:
    """Return a timeline with at most ``POINTS`` points.

    A point that stands for several seconds has their mean rates, the sum of their errors, and the
    worst of their latencies.
    """
    step = -(-len(timeline) // POINTS) or 1
    spans = [timeline[start : start + step] for start in range(0, len(timeline), step)]
    return [
        {
            "second": span[0]["second"],
            **{name: sum(s[name] for s in span) / len(span) for name in ("sent", "answered")},
            "errors": sum(second["errors"] for second in span),
            **{name: max(s[name] for s in span) for name in ("p50_ms", "p99_ms", "max_ms")},
        }
        for span in spans
    ]


def _errors(
    seconds: Sequence[Report], height: Callable[[Report], float]
) -> tuple[dict[str, Line], str]:
    """Return the marks of the seconds with errors, if there are any, and a text that names them."""
    marked = [second for second in seconds if second["errors"]]
    if not marked:
        return {}, ""
    named = ", ".join(str(second["second"]) for second in marked[:NAMED_SECONDS])
    more = f" and {len(marked) - NAMED_SECONDS} more" if len(marked) > NAMED_SECONDS else ""
    marks = [(second["second"], height(second)) for second in marked]
    return {MARKS: marks}, f" Errors came at second {named}{more}."


def _ms(value: float) -> str:
    return f"{milliseconds(value)} ms"
