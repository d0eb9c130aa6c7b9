"""The plot of a bulk run: latency over its seconds, or how the latencies are distributed."""

import math
from collections.abc import Mapping, Sequence

import pyqtgraph
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from desktop_client.theme import current_colors

__all__ = ["LINES", "DecadeAxis", "LatencyPlot"]

LOWEST = 0.001
"""Milliseconds; a logarithm needs more than zero."""
LONGEST_GAP = 1.0
"""Seconds without a reply that are shown as a gap; shorter ones come with slow replies."""
MAX_POINTS = 4_000
FEW_POINTS = 10
"""A run with fewer points shows the distribution of its latencies instead."""

LINES = ("p50_ms", "p90_ms", "p99_ms", "max_ms")

# Told apart by their strokes too, not by colour alone.
_STROKES = {
    "p50_ms": ("accent", Qt.PenStyle.SolidLine),
    "p90_ms": ("good", Qt.PenStyle.DashDotLine),
    "p99_ms": ("busy", Qt.PenStyle.DashLine),
    "max_ms": ("bad", Qt.PenStyle.DotLine),
}


class LatencyPlot(QWidget):
    """Lines over the seconds of a run, with gaps where no reply came; bars for a short run.

    Attributes:
        gaps: The spans without a reply, in seconds of the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("Latency over time"))
        self.gaps: list[tuple[float, float]] = []
        self._seconds: list[float] = []
        self._values: dict[str, list[float]] = {name: [] for name in LINES}
        self._last = 0.0
        self._silent_since: float | None = None
        self._gap_items: list[pyqtgraph.GraphicsObject] = []
        self._bars: list[Mapping[str, float]] = []

        self._over_time = _plot({"left": DecadeAxis("left")})
        self._lines = {
            name: self._over_time.plot([], [], connect="finite") for name in reversed(LINES)
        }
        self._spread = _plot({"bottom": DecadeAxis("bottom")})
        self._bar_item = pyqtgraph.BarGraphItem(x0=[], x1=[], y0=[], y1=[])
        self._spread.addItem(self._bar_item)
        self._legend = QHBoxLayout()
        self._legend.setContentsMargins(8, 0, 8, 0)
        self._legend.addStretch()
        self._labels = []
        for name in LINES:
            label = QLabel(self.tr(name.removesuffix("_ms")))
            label.setProperty("role", "muted")
            self._legend.addWidget(_Swatch(name))
            self._legend.addWidget(label)
            self._legend.addSpacing(8)
            self._labels.append(label)
        over_time = QWidget()
        column = QVBoxLayout(over_time)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self._legend)
        column.addWidget(self._over_time, stretch=1)
        self._views = QStackedWidget()
        self._views.addWidget(over_time)
        self._views.addWidget(self._spread)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(self._views)
        self.use_current_colors()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return room for a few decades."""
        return QSize(200, 150)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the least room; the plot takes what there is."""
        return self.minimumSizeHint()

    @property
    def points(self) -> int:
        """How many moments with replies are in the plot."""
        return sum(not math.isnan(value) for value in self._values["p50_ms"])

    @property
    def gap_names(self) -> list[str]:
        """What stands at the gaps."""
        return [
            self.tr("no replies, {start} to {end} s").format(start=f"{start:.1f}", end=f"{end:.1f}")
            for start, end in self.gaps
        ]

    @property
    def is_short(self) -> bool:
        """Whether there are too few points for lines."""
        return self.points < FEW_POINTS and not self.gaps

    @property
    def shows_distribution(self) -> bool:
        """Whether it shows how the latencies are distributed."""
        return self._views.currentIndex() == 1

    def use_current_colors(self) -> None:
        """Paint in the colours of the window."""
        colors = current_colors()
        for plot, left, bottom in (
            (self._over_time, self.tr("latency, ms"), self.tr("seconds")),
            (self._spread, self.tr("replies"), self.tr("latency, ms")),
        ):
            plot.setBackground(colors.card)
            plot.setLabel("left", left, color=colors.muted)
            plot.setLabel("bottom", bottom, color=colors.muted)
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(colors.border)
                plot.getAxis(side).setTextPen(colors.muted)
        for name, line in self._lines.items():
            color = getattr(colors, _STROKES[name][0])
            line.setPen(pyqtgraph.mkPen(color, width=2, style=_STROKES[name][1]))
            line.setSymbol("o")
            line.setSymbolSize(4)
            line.setSymbolPen(None)
            line.setSymbolBrush(color)
        self._bar_item.setOpts(brush=colors.accent, pen=colors.card)
        self._draw_gaps()

    def clear(self) -> None:
        """Start an empty plot."""
        self._seconds.clear()
        for values in self._values.values():
            values.clear()
        self.gaps.clear()
        self._last = 0.0
        self._silent_since = None
        self._views.setCurrentIndex(0)
        self._draw()
        self._draw_gaps()

    def add(self, seconds: float, milliseconds: Mapping[str, float]) -> None:
        """Add the latencies of the replies that came until a moment of the run."""
        self._end_gap(seconds)
        self._append(seconds, milliseconds)
        self._last = seconds
        self._draw()

    def add_silence(self, seconds: float) -> None:
        """Say that until a moment of the run no reply came, though some were waited for."""
        if self._silent_since is None:
            self._silent_since = self._last
        if seconds - self._silent_since >= LONGEST_GAP:
            span = (self._silent_since, seconds)
            if self.gaps and self.gaps[-1][0] == self._silent_since:
                self.gaps[-1] = span
            else:
                self.gaps.append(span)
                self._append(self._silent_since, {})
            self._draw_gaps()

    def add_pause(self, seconds: float) -> None:
        """Say that at a moment of the run no reply was waited for."""
        self._end_gap(seconds)
        self._last = seconds

    def show_distribution(self, bars: Sequence[Mapping[str, float]]) -> None:
        """Show how many latencies lay in each span, where there are too few points for lines."""
        if not bars:
            return
        spans = [
            (max(bar["from_ms"], LOWEST), max(bar["to_ms"], LOWEST), bar["count"]) for bar in bars
        ]
        self._bar_item.setOpts(
            x0=[math.log10(low) for low, _, _ in spans],
            x1=[math.log10(high) for _, high, _ in spans],
            y0=[0.0] * len(spans),
            y1=[count for _, _, count in spans],
        )
        self._views.setCurrentIndex(1)
        self.setAccessibleName(self.tr("Distribution of the latencies"))

    def _end_gap(self, seconds: float) -> None:
        if self._silent_since is not None and self.gaps:
            start, _ = self.gaps[-1]
            if start == self._silent_since:
                self.gaps[-1] = (start, seconds)
                self._draw_gaps()
        self._silent_since = None

    def _append(self, seconds: float, milliseconds: Mapping[str, float]) -> None:
        self._seconds.append(seconds)
        for name, values in self._values.items():
            value = milliseconds.get(name)
            values.append(math.nan if value is None else max(value, LOWEST))
        if len(self._seconds) > MAX_POINTS:
            # Half the points show the same, so a long run is drawn as fast as a short one.
            del self._seconds[::2]
            for values in self._values.values():
                del values[::2]

    def _draw(self) -> None:
        for name, line in self._lines.items():
            line.setData(self._seconds, [_log(value) for value in self._values[name]])
        known = [
            _log(value)
            for values in self._values.values()
            for value in values
            if not math.isnan(value)
        ]
        low, high = (min(known), max(known)) if known else (-1.0, 1.0)
        self._over_time.setYRange(
            math.floor(low), max(math.floor(low) + 1, math.ceil(high)), padding=0.03
        )

    def _draw_gaps(self) -> None:
        colors = current_colors()
        for item in self._gap_items:
            self._over_time.removeItem(item)
        self._gap_items.clear()
        low, high = self._over_time.getViewBox().viewRange()[1]
        for (start, end), name in zip(self.gaps, self.gap_names, strict=True):
            region = pyqtgraph.LinearRegionItem(
                (start, end), movable=False, brush=colors.alarm, pen=colors.alarm
            )
            region.setZValue(-10)
            text = pyqtgraph.TextItem(name, color=colors.bad, anchor=(0.5, 0.5))
            for item in (region, text):
                self._over_time.addItem(item, ignoreBounds=item is text)
                self._gap_items.append(item)
            text.setPos((start + end) / 2, (low + high) / 2)


class DecadeAxis(pyqtgraph.AxisItem):  # type: ignore[misc]
    """An axis of logarithms to the base 10, with a label at each power of ten."""

    def __init__(self, side: str) -> None:
        super().__init__(side)
        self.enableAutoSIPrefix(False)

    def tickValues(  # noqa: N802
        self, lowest: float, highest: float, size: float
    ) -> list[tuple[float, list[float]]]:
        """Return where the ticks stand: at the decades, and between them at 2 to 9."""
        decades = range(math.floor(lowest), math.ceil(highest) + 1)
        labelled = [float(decade) for decade in decades if lowest <= decade <= highest]
        between = [
            decade + math.log10(times)
            for decade in decades
            for times in range(2, 10)
            if lowest <= decade + math.log10(times) <= highest
        ]
        if len(labelled) < 2:
            return [(1.0, sorted([*labelled, *between]))]
        return [(1.0, labelled), (0.1, between)]

    def tickStrings(  # noqa: N802
        self, values: Sequence[float], scale: float, spacing: float
    ) -> list[str]:
        """Return the labels: numbers as they are written."""
        return [f"{10**value:,.6g}" if spacing == 1.0 else "" for value in values]


class _Swatch(QWidget):
    """A piece of a line, for the legend."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.setFixedSize(34, 10)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the line as it is in the plot."""
        color, stroke = _STROKES[self._name]
        painter = QPainter(self)
        painter.setPen(QPen(QColor(getattr(current_colors(), color)), 2, stroke))
        middle = self.height() / 2
        painter.drawLine(QPointF(0, middle), QPointF(self.width(), middle))


def _plot(axes: dict[str, pyqtgraph.AxisItem]) -> pyqtgraph.PlotWidget:
    plot = pyqtgraph.PlotWidget(axisItems=axes)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.setMouseEnabled(x=False, y=False)
    plot.showGrid(x=True, y=True, alpha=0.15)
    plot.getViewBox().setLimits(xMin=0 if "left" in axes else None)
    for side in ("left", "bottom"):
        plot.getAxis(side).enableAutoSIPrefix(False)
    return plot


def _log(value: float) -> float:
    return value if math.isnan(value) else math.log10(value)
