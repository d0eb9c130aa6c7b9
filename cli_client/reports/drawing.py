"""From figures to the marks of a chart: scales, ticks, and places in pixels.

``chart.svg`` makes the marks visible; the page has their colours. A chart is drawn in several
sizes, or its texts would grow and shrink with it; the page shows the one that fits.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["MARKS", "Axis", "Bars", "Drawing", "Line", "draw", "linear", "logarithmic"]

SIZES = {"wide": (720, 300), "middle": (520, 300), "narrow": (360, 240)}
"""Name, width and height in CSS pixels, at the size that the page gives them."""

LINE_HEIGHT = 20
"""Pixels from one line of text to the next: the page's labels are 13 pixels high."""

CHARACTER = 8
"""Pixels of the widest digit in the page's labels, in any font."""

LABEL_WIDTH = 72
"""Pixels between two labels of the horizontal axis, at least."""

RIGHT = 28
"""Pixels at the right, for half of the last label."""

Y_TICKS = 6
MARKS = "errors"
"""The name of the series that is drawn as dots instead of a line."""

Tick = tuple[float, str]
"""A value on an axis and its label."""


class Axis(NamedTuple):
    """An axis from one value to another."""

    title: str
    low: float
    high: float
    ticks: Callable[[int], Sequence[Tick]]
    """Returns at most this many ticks."""
    scale: Callable[[float], float] = float
    """Maps a value to its distance along the axis."""

    def share(self, value: float) -> float:
        """Return where a value lies: 0 is the low end of the axis, 1 is the high end."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(value) - low) / (high - low)


Line = Sequence[tuple[float, float | None]]
"""The points of a line; None interrupts it."""

Bars = Sequence[float]
"""The heights of bars that stand side by side: the first from 0 to 1 on the horizontal axis."""


class Place(NamedTuple):
    """A tick in pixels along its axis."""

    at: float
    label: str


class Point(NamedTuple):
    """A point of a picture, in pixels."""

    x: float
    y: float


class Bar(NamedTuple):
    """A bar of a picture, in pixels."""

    left: float
    top: float
    width: float
    height: float


class Picture(NamedTuple):
    """The marks of a chart in one size. All numbers are pixels from the upper left corner."""

    size: str
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: list[Place]
    y_ticks: list[Place]
    paths: dict[str, str]
    """Each line, by its name, as an SVG path."""
    bars: dict[str, list[Bar]]
    dots: list[Point]


class Drawing(NamedTuple):
    """A chart: its text, its titles, the names of its series, and a picture in each size."""

    text: str
    x_title: str
    y_title: str
    names: tuple[str, ...]
    pictures: tuple[Picture, ...]


def draw(
    text: str,
    x: Axis,
    y: Axis,
    *,
    lines: Mapping[str, Line] = MappingProxyType({}),
    bars: Mapping[str, Bars] = MappingProxyType({}),
    sizes: Sequence[str] = ("wide", "narrow"),
) -> Drawing:
    """Return a chart.

    Args:
        text: What the chart shows, in words.
        x: The horizontal axis.
        y: The vertical axis.
        lines: The lines by their names.
        bars: The bars by the names of their series.
        sizes: The names of its sizes.
    """
    pictures = tuple(_picture(size, x, y, lines, bars) for size in sizes)
    return Drawing(text, x.title, y.title, (*lines, *bars), pictures)


def linear(title: str, low: float, high: float, finest: float = 0.0) -> Axis:
    """Return an axis from low to high, with round ticks that are at least ``finest`` apart."""
    high = high if high > low else low + 1

    def ticks(most: int) -> list[Tick]:
        step = max(finest, _round_up((high - low) / most))
        first = math.ceil(low / step)
        values = [place * step for place in range(first, first + most + 1)]
        return [(value, _label(value)) for value in values if value <= high * (1 + 1e-9)]

    return Axis(title, low, high, ticks)


def logarithmic(title: str, values: Sequence[float]) -> Axis:
    """Return a logarithmic axis that has room for all of the values, which are above 0."""
    low, high = min(values), max(values)
    for digits in ((1, 2, 5), (1,)):
        candidates = [digit * 10.0**power for power in range(-4, 9) for digit in digits]
        below = [value for value in candidates if value <= low][-1:] or candidates[:1]
        above = [value for value in candidates if value > high][:1] or candidates[-1:]
        marks = [value for value in candidates if below[0] <= value <= above[0]]
        if len(marks) <= Y_TICKS + 2:
            break
    return Axis(
        title,
        marks[0],
        marks[-1],
        lambda most: [(value, _label(value)) for value in marks],
        math.log10,
    )


def _round_up(value: float) -> float:
    """Return the next number that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _label(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"


def _picture(
    size: str, x: Axis, y: Axis, lines: Mapping[str, Line], bars: Mapping[str, Bars]
) -> Picture:
    width, height = SIZES[size]
    top, bottom = LINE_HEIGHT / 2, height - 2 * LINE_HEIGHT - 4.0
    y_ticks = y.ticks(Y_TICKS)
    longest = max(len(label) for _, label in y_ticks)
    left, right = LINE_HEIGHT + longest * CHARACTER + 8.0, float(width - RIGHT)

    def across(value: float) -> float:
        return round(left + x.share(value) * (right - left), 1)

    def down(value: float) -> float:
        return round(bottom - y.share(min(max(value, y.low), y.high)) * (bottom - top), 1)

    def points(line: Line) -> list[Point | None]:
        return [None if high is None else Point(across(at), down(high)) for at, high in line]

    def bar(place: int, high: float) -> Bar:
        start, end, level = across(place) + 1, across(place + 1) - 1, down(high)
        return Bar(start, level, round(max(end - start, 1.0), 1), round(bottom - level, 1))

    return Picture(
        size,
        width,
        height,
        left,
        right,
        top,
        bottom,
        [Place(across(value), label) for value, label in x.ticks(width // LABEL_WIDTH)],
        [Place(down(value), label) for value, label in y_ticks],
        {name: _path(points(line)) for name, line in lines.items() if name != MARKS},
        {name: [bar(*pair) for pair in enumerate(row)] for name, row in bars.items()},
        list(filter(None, points(lines.get(MARKS, ())))),
    )


def _path(points: Sequence[Point | None]) -> str:
    """Return a line through the points as an SVG path; a point on its own is a dot."""
    path = ""
    for before, point in itertools.pairwise((None, *points)):
        if point is not None:
            # A line that ends where it begins shows its round caps alone.
            path += f"L{point.x:g} {point.y:g}" if before else f"M{point.x:g} {point.y:g}h0"
    return path
