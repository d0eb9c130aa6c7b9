"""The plot of latency over the time of a bulk run."""

import pyqtgraph
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_client.theme import current_colors

__all__ = ["LatencyPlot"]

LOWEST = 0.001  # ms; a logarithm needs more than nothing


class LatencyPlot(QWidget):
    """Three lines over the seconds of a run: the latency at p50, at p99 and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("Latency over time"))
        self._plot = pyqtgraph.PlotWidget()
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._plot.setMenuEnabled(False)
        self._plot.hideButtons()
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.showGrid(x=True, y=True, alpha=0.15)
        # Room above the lines, for the legend.
        self._plot.getViewBox().setDefaultPadding(0.15)
        self._plot.getViewBox().setLimits(xMin=0)
        # The median and the worst are often a thousandfold apart.
        self._plot.setLogMode(y=True)
        for side in ("left", "bottom"):
            self._plot.getAxis(side).enableAutoSIPrefix(False)
        self._legend = self._plot.addLegend(offset=(-10, 4), colCount=3)
        self._lines = {
            name: self._plot.plot([], [], name=label)
            for name, label in (
                ("max_ms", self.tr("max")),
                ("p99_ms", self.tr("p99")),
                ("p50_ms", self.tr("p50")),
            )
        }
        self._seconds: list[float] = []
        self._values: dict[str, list[float]] = {name: [] for name in self._lines}
        self.use_current_colors()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._plot)

    def use_current_colors(self) -> None:
        """Paint in the colours of the window."""
        colors = current_colors()
        self._plot.setBackground(colors.card)
        self._plot.setLabel("left", self.tr("latency, ms"), color=colors.muted)
        self._plot.setLabel("bottom", self.tr("seconds"), color=colors.muted)
        for side in ("left", "bottom"):
            self._plot.getAxis(side).setPen(colors.border)
            self._plot.getAxis(side).setTextPen(colors.muted)
        for _, label in self._legend.items:
            label.setText(label.text, color=colors.text)
        # Told apart by their strokes too, not by colour alone.
        for name, color, stroke in (
            ("max_ms", colors.bad, Qt.PenStyle.DotLine),
            ("p99_ms", colors.busy, Qt.PenStyle.DashLine),
            ("p50_ms", colors.accent, Qt.PenStyle.SolidLine),
        ):
            line = self._lines[name]
            line.setPen(pyqtgraph.mkPen(color, width=2, style=stroke))
            line.setSymbol("o")
            line.setSymbolSize(5)
            line.setSymbolPen(None)
            line.setSymbolBrush(color)

    @property
    def points(self) -> int:
        """How many moments are in the plot."""
        return len(self._seconds)

    def clear(self) -> None:
        """Start an empty plot."""
        self._seconds.clear()
        for values in self._values.values():
            values.clear()
        self._draw()

    def add(self, seconds: float, milliseconds: dict[str, float]) -> None:
        """Add the latencies at a moment of the run."""
        self._seconds.append(seconds)
        for name, values in self._values.items():
            values.append(max(milliseconds[name], LOWEST))
        if len(self._seconds) > 4000:
            # Half the points tell the same; so the longest run draws as fast as a short one.
            del self._seconds[::2]
            for values in self._values.values():
                del values[::2]
        self._draw()

    def _draw(self) -> None:
        for name, line in self._lines.items():
            line.setData(self._seconds, self._values[name])
