"""The bulk view: thousands of messages with progress, rate, latency, and a verdict."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop_client.bulk_run import BulkRun
from desktop_client.connection import Connection, State
from desktop_client.theme import named, set_property

if TYPE_CHECKING:
    from desktop_client.latency_plot import LatencyPlot

__all__ = ["BulkPanel"]

MESSAGES = 10_000
IN_FLIGHT = 64
MAX_ERRORS = 3

_PLOTTED = ("p50", "p99", "max")


class BulkPanel(QWidget):
    """Starts a bulk run to where the window is connected, shows its progress and its report.

    Args:
        template: Returns the message that the window would send.
    """

    def __init__(
        self, bulk_run: BulkRun, connection: Connection, template: Callable[[], str]
    ) -> None:
        super().__init__()
        named(self, "page")
        self._run = bulk_run
        self._connection = connection
        self._template = template
        self._stopped = False
        self.plot: LatencyPlot | None = None

        self.messages = QSpinBox(minimum=1, maximum=100_000_000, value=MESSAGES)
        self.messages.setGroupSeparatorShown(True)
        self.in_flight = QSpinBox(minimum=1, maximum=10_000, value=IN_FLIGHT)
        self.start_button = QPushButton(self.tr("Sta&rt"))
        self.start_button.setProperty("primary", True)
        self.start_button.setAutoDefault(True)
        self.stop_button = QPushButton(self.tr("St&op"))
        self.stop_button.setAutoDefault(True)
        self.progress = QProgressBar(textVisible=False)
        self.progress.setAccessibleName(self.tr("Progress"))
        self.verdict = named(QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText), "verdict")
        self.verdict.setAccessibleName(self.tr("Verdict"))

        choices = QHBoxLayout()
        choices.setSpacing(10)
        for text, field in (
            (self.tr("Messa&ges"), self.messages),
            (self.tr("In &flight"), self.in_flight),
        ):
            label = QLabel(text)
            label.setBuddy(field)
            field.setMinimumWidth(90)
            choices.addWidget(label)
            choices.addWidget(field)
            choices.addSpacing(8)
        choices.addStretch()
        choices.addWidget(self.start_button)
        choices.addWidget(self.stop_button)

        self._figures: dict[str, QLabel] = {}
        figures = QGridLayout()
        figures.setHorizontalSpacing(18)
        figures.setVerticalSpacing(2)
        for column, (name, text) in enumerate(
            (
                ("answered", self.tr("answered")),
                ("rate", self.tr("per second")),
                ("p50", self.tr("p50")),
                ("p90", self.tr("p90")),
                ("p99", self.tr("p99")),
                ("max", self.tr("max")),
                ("failed", self.tr("wrong or missing")),
            )
        ):
            figure = named(QLabel("–"), "figure")
            figure.setAccessibleName(text)
            under = QLabel(text)
            under.setProperty("role", "muted")
            figures.addWidget(figure, 0, column)
            figures.addWidget(under, 1, column)
            figures.setColumnStretch(column, 1)
            self._figures[name] = figure

        card = named(QFrame(), "card")
        self._plot_place = QVBoxLayout(card)
        self._plot_place.setContentsMargins(8, 8, 8, 8)
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(0, 18, 0, 0)
        column_layout.setSpacing(12)
        column_layout.addLayout(choices)
        column_layout.addWidget(self.progress)
        column_layout.addLayout(figures)
        column_layout.addWidget(card, stretch=1)
        column_layout.addWidget(self.verdict)

        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        connection.changed.connect(self._refresh)
        bulk_run.changed.connect(self._refresh)
        bulk_run.progressed.connect(self._show_progress)
        bulk_run.reported.connect(self._show_report)
        bulk_run.failed.connect(lambda why: self._conclude("bad", why))
        self._conclude("muted", self.tr("Every reply is checked: the right request, in order."))
        self._refresh()

    def figure(self, name: str) -> str:
        """Return a figure as it is shown."""
        return self._figures[name].text()

    def start(self) -> None:
        """Start a run, if there is a connection and none is under way."""
        target = self._connection.target
        if target is None or not self.start_button.isEnabled():
            return
        self._stopped = False
        for figure in self._figures.values():
            figure.setText("–")
        self.progress.setRange(0, self.messages.value())
        self.progress.setValue(0)
        self._conclude("muted", self.tr("Sending to {url} …").format(url=target.url))
        if self.plot is not None:
            self.plot.clear()
        self._run.start(target, self._template(), self.messages.value(), self.in_flight.value())

    def stop(self) -> None:
        """Stop the run; its report says how far it came."""
        self._stopped = True
        self._run.stop()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Make the plot when it is first looked at, as its library takes a moment to load."""
        super().showEvent(event)
        if self.plot is None:
            from desktop_client.latency_plot import LatencyPlot

            self.plot = LatencyPlot()
            self._plot_place.addWidget(self.plot)

    def change_colors(self) -> None:
        """Draw the plot anew, in the colours that are in use now."""
        if self.plot is not None:
            self.plot.use_current_colors()

    def _refresh(self) -> None:
        running = self._run.is_running
        leaving, taking = self.start_button, self.stop_button
        if not running:
            leaving, taking = taking, leaving
        passes_on = leaving.hasFocus()
        self.start_button.setEnabled(not running and self._connection.state is State.CONNECTED)
        self.stop_button.setEnabled(running)
        if passes_on:
            # Rather than wherever the focus of a disabled button would go.
            taking.setFocus()
        self.messages.setEnabled(not running)
        self.in_flight.setEnabled(not running)

    def _show_progress(self, event: dict[str, Any]) -> None:
        self.progress.setValue(int(event["answered"]))
        self._set("answered", f"{event['answered']:,}")
        self._set("rate", f"{event['rate']:,.0f}")
        self._set("failed", f"{event['failed']:,}")
        for name in _PLOTTED:
            self._set(name, _milliseconds(event.get(f"{name}_ms")))
        self._plot(event["elapsed_s"], event)

    def _show_report(self, report: dict[str, Any]) -> None:
        ledger = report["ledger"]
        latency = report.get("latency_ms") or {}
        self._set("answered", f"{ledger['verified'] + ledger['wrong']:,}")
        self._set("rate", f"{report['rate']:,.0f}")
        self._set("failed", f"{ledger['wrong'] + ledger['missing']:,}")
        for name in ("p50", "p90", "p99", "max"):
            self._set(name, _milliseconds(latency.get(name)))
        if self.plot is not None and not self.plot.points:
            # So short a run ends before it tells of any progress.
            self._plot(report["elapsed_s"], {f"{name}_ms": latency.get(name) for name in _PLOTTED})
        self.progress.setValue(ledger["verified"])
        seconds = f"{report['elapsed_s']:.2f}"
        if report["verdict"] == "pass":
            self._conclude(
                "good",
                self.tr("✔ All {n} replies are right, in {seconds} s.").format(
                    n=f"{ledger['verified']:,}", seconds=seconds
                ),
            )
            return
        faults = ", ".join(
            f"{ledger[name]:,} {label}"
            for name, label in (
                ("wrong", self.tr("wrong")),
                ("missing", self.tr("missing")),
                ("never_sent", self.tr("never sent")),
                ("duplicate", self.tr("twice")),
                ("out_of_order", self.tr("out of order")),
                ("unsolicited", self.tr("unasked")),
                ("late", self.tr("late")),
            )
            if ledger.get(name)
        )
        head = self.tr("Stopped") if self._stopped else self.tr("✘ Failed")
        lines = [
            self.tr("{head} after {seconds} s: {n} right, {faults}.").format(
                head=head, seconds=seconds, n=f"{ledger['verified']:,}", faults=faults
            )
        ]
        if not self._stopped:
            lines += [str(error["message"]) for error in report.get("errors", [])[:MAX_ERRORS]]
        self._conclude("muted" if self._stopped else "bad", "\n".join(lines))

    def _plot(self, seconds: float, latencies: dict[str, Any]) -> None:
        """Add a moment to the plot, if any reply has come until then."""
        values = {f"{name}_ms": latencies.get(f"{name}_ms") for name in _PLOTTED}
        known = {name: value for name, value in values.items() if value is not None}
        if self.plot is not None and len(known) == len(values):
            self.plot.add(seconds, known)

    def _set(self, name: str, text: str) -> None:
        self._figures[name].setText(text)

    def _conclude(self, role: str, text: str) -> None:
        set_property(self.verdict, "role", role)
        self.verdict.setText(text)


def _milliseconds(value: object) -> str:
    return f"{value:,.2f} ms" if isinstance(value, int | float) else "–"
