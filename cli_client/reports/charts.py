"""The charts of the page: plain SVG without script, which takes its colours from the page.

pygal draws. Its charts bring a style sheet and a script of their own; both are taken out here,
since the page has one sheet for light and dark, and runs nothing. Each chart is drawn for a wide
and for a narrow screen, or its texts would shrink with it; the page shows the one that fits.
"""

import bisect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pygal
from pygal.etree import etree
from pygal.style import Style

from cli_client.reports.distribution import MICROSECONDS, decode
from cli_client.reports.wording import PERCENTILES, Report, milliseconds

# pygal adds a finder for maps, by a protocol that Python gave up: each import later would warn.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

__all__ = [
    "Drawing",
    "by_percentile",
    "histogram",
    "latency_over_time",
    "thinned",
    "throughput_over_time",
]

Point = tuple[float, float | None]
Label = Mapping[str, Any]

SIZES = {"wide": (720, 300), "narrow": (360, 240)}
"""Class, width and height, in CSS pixels at the size that the page gives them."""

FONT_SIZE = 13
"""Of the labels; the page's style sheet says the same."""

POINTS = 300
"""A line has no more points than this: what is longer is thinned, or no point could be seen."""

NINES = (50, 90, 99, 99.9, 99.99, 99.999, 99.9999)
"""The percentiles at the axis."""

UNWANTED = ("defs", "desc", "title")


class Drawing(NamedTuple):
    """A chart: the names of its lines, for the legend, and its SVG in each size."""

    names: tuple[str, ...]
    pictures: tuple[str, ...]


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
    curve: list[Point] = [
        (place(step.percentile_level_iterated_to), step.value_iterated_to / MICROSECONDS)
        for step in recorded.get_percentile_iterator(5)
    ]
    series = {"corrected" if raw else "latency": curve}
    if raw:
        kept = [(place(float(name[1:])), raw[name]) for name in PERCENTILES]
        series["raw"] = [
            (0.0, raw["min"]),
            *(point for point in kept if point[0] < end),
            (end, raw["max"]),
        ]
    nines = [{"value": place(nine), "label": f"{nine:g}"} for nine in NINES if place(nine) < end]
    return _draw(
        pygal.XY,
        series,
        f"The latency by percentile: half of the replies came within {_ms(latency['p50'])},"
        f" 90 % within {_ms(latency['p90'])}, 99 % within {_ms(latency['p99'])},"
        f" the slowest after {_ms(latency['max'])}.",
        lambda most: nines,
        x_title="% of the replies came within",
        y_title="ms",
        include_x_axis=True,
    )


def histogram(report: Report) -> Drawing:
    """Draw how many replies came within each span of latency."""
    buckets = report["histogram"]

    def labels(most: int) -> list[str]:
        every = -(-len(buckets) // most)
        return [
            milliseconds(bucket["from_ms"]) if place % every == 0 else ""
            for place, bucket in enumerate(buckets)
        ]

    fullest = max(buckets, key=lambda bucket: bucket["count"])
    return _draw(
        pygal.Bar,
        {"replies": [bucket["count"] for bucket in buckets]},
        f"How many replies came with which latency: most, {fullest['count']}, between"
        f" {_ms(fullest['from_ms'])} and {_ms(fullest['to_ms'])}.",
        labels,
        x_title="from, in ms",
        y_title="replies",
    )


def throughput_over_time(report: Report) -> Drawing:
    """Draw the messages answered in each second, and mark those with errors."""
    seconds = thinned(report["timeline"])
    rates = [second["answered"] for second in seconds]
    series: dict[str, list[Point]] = {
        "answered": [(second["second"], second["answered"]) for second in seconds]
    }
    errors, said = _errors(seconds, lambda second: float(second["answered"]))
    return _draw(
        pygal.XY,
        series | errors,
        "The messages answered in a second, over the run: from"
        f" {min(rates):.0f} to {max(rates):.0f}.{said}",
        lambda most: _ticks(seconds[-1]["second"], most),
        x_title="second",
        y_title="messages/s",
        include_x_axis=True,
    )


def latency_over_time(report: Report) -> Drawing:
    """Draw the latencies of each second on a logarithmic scale, and mark those with errors."""
    seconds = thinned(report["timeline"])
    # A second without a reply has no latency: the lines are broken there.
    series: dict[str, list[Point]] = {
        name.removesuffix("_ms"): [
            (second["second"], math.log10(second[name]) if second[name] else None)
            for second in seconds
        ]
        for name in ("max_ms", "p99_ms", "p50_ms")
    }
    values = [second[name] for second in seconds for name in ("p50_ms", "max_ms") if second[name]]
    scale = _scale(min(values), max(values))
    errors, said = _errors(seconds, lambda second: math.log10(second["max_ms"] or scale[0]))
    worst = {name: max(second[name] for second in seconds) for name in ("p50_ms", "p99_ms")}
    return _draw(
        pygal.XY,
        series | errors,
        f"The latency in each second, over the run: p50 at most {_ms(worst['p50_ms'])},"
        f" p99 at most {_ms(worst['p99_ms'])}.{said}",
        lambda most: _ticks(seconds[-1]["second"], most),
        x_title="second",
        y_title="ms",
        allow_interruptions=True,
        # pygal's own logarithmic scale would take in both axes.
        y_labels=[{"value": math.log10(value), "label": f"{value:g}"} for value in scale],
        range=(math.log10(scale[0]), math.log10(scale[-1])),
    )


def thinned(timeline: Sequence[Report]) -> list[Report]:
    """Return a timeline with few enough points.

    A point that stands for several seconds has their mean rates, their errors together, and the
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
) -> tuple[dict[str, list[Point]], str]:
    """Return the marks of the seconds with errors, if there are any, and a text that says so."""
    marked = [second for second in seconds if second["errors"]]
    if not marked:
        return {}, ""
    said = ", ".join(str(second["second"]) for second in marked[:20])
    more = f" and {len(marked) - 20} more" if len(marked) > 20 else ""
    marks: list[Point] = [(second["second"], height(second)) for second in marked]
    return {"errors": marks}, f" Errors came at second {said}{more}."


def _ticks(last: int, most: int) -> list[Label]:
    """Return the labels of round seconds from 0 to the last."""
    steps = (base * 10**power for power in range(12) for base in (1, 2, 5))
    step = next(step for step in steps if last // step < most)
    return [{"value": second, "label": str(second)} for second in range(0, last + 1, step)]


def _scale(low: float, high: float) -> list[float]:
    """Return the round values of a logarithmic scale, from below low to above high."""
    for bases in ((1, 2, 5), (1,)):
        values = [float(f"{base}e{power}") for power in range(-4, 9) for base in bases]
        start = bisect.bisect_right(values, low) - 1
        end = bisect.bisect_right(values, high) + 1
        scale = values[max(start, 0) : end]
        if len(scale) <= 8:
            break
    return scale


def _ms(value: float) -> str:
    return f"{milliseconds(value)} ms"


def _axis_value(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"


def _draw(
    kind: Callable[..., Any],
    series: Mapping[str, Sequence[Any]],
    says: str,
    labels: Callable[[int], Sequence[Label | str]],
    **options: Any,
) -> Drawing:
    """Return a chart with a text that says the same.

    Args:
        kind: The class of the chart.
        series: The values by the name of their line.
        says: The text.
        labels: Gives the labels of the x axis, this many at most.
        options: More options of the chart.
    """
    pictures = []
    for size, (width, height) in SIZES.items():
        chart = kind(
            width=width,
            height=height,
            margin=4,
            margin_right=28,
            spacing=8,
            show_dots=False,
            show_legend=False,
            min_scale=3,
            max_scale=6,
            truncate_label=-1,
            x_labels=labels(width // 72),
            js=[],
            # The sizes are for the room that texts take; how they look is the page's affair.
            style=Style(
                label_font_size=FONT_SIZE,
                major_label_font_size=FONT_SIZE,
                title_font_size=FONT_SIZE,
            ),
            value_formatter=_axis_value,
            x_value_formatter=_axis_value,
            **options,
        )
        for name, values in series.items():
            marks = {"stroke": False, "show_dots": True, "dots_size": 4} if name == "errors" else {}
            chart.add(name, values, **marks)
        pictures.append(_bare(chart.render_tree(), size, tuple(series), says))
    return Drawing(tuple(series), tuple(pictures))


def _bare(root: Any, size: str, names: Sequence[str], says: str) -> str:
    """Return a chart of pygal's as SVG without style, script, tooltips and ids.

    What belongs to a line is of the class 'of-' and its name.
    """
    for parent in list(root.iter()):
        for child in list(parent):
            tooltips = "tooltip-overlay" in child.get("class", "")
            if child.tag in UNWANTED or child.tag is etree.Comment or tooltips:
                parent.remove(child)
    colours = {f"color-{place}": f"of-{name}" for place, name in enumerate(names)}
    for element in root.iter():
        element.attrib.pop("id", None)  # the same in every chart
        classes = element.get("class", "").split()
        element.set("class", " ".join(colours.get(name, name) for name in classes))
    root.attrib.update({"class": f"chart {size}", "role": "img", "aria-label": says})
    svg: str = etree.tostring(root, encoding="unicode")
    return svg
