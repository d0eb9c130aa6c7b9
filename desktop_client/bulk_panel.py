"""The bulk view: thousands of messages with progress, rate, latency, and a verdict."""

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop_client.bulk_run import BulkRun
from desktop_client.connection import Connection
from desktop_client.request_panel import RequestPanel
from desktop_client.theme import named, set_property
from desktop_client.wording import left_to_right, milliseconds

if TYPE_CHECKING:
    from desktop_client.latency_plot import LatencyPlot

__all__ = ["BulkPanel"]

MESSAGES = 10_000
IN_FLIGHT = 64
SILENCE = 1.0
"""Seconds without a reply after which the verdict says what is waited for."""

ONE_ROW = 640
"""Pixels that all the figures need side by side."""

PERCENTILES = ("p50", "p90", "p99", "max")


class BulkPanel(QWidget):
    """Starts a bulk run to where the window is connected, shows its progress and its report.

    Args:
        bulk_run: The run.
        connection: Where to send to, and what a right reply is.
        request_panel: What to send.
    """

    def __init__(
        self, bulk_run: BulkRun, connection: Connection, request_panel: RequestPanel
    ) -> None:
        super().__init__()
        named(self, "page")
        self._run = bulk_run
        self._connection = connection
        self._request_panel = request_panel
        self._is_stopped = False
        self._answered = 0
        self._last_reply = 0.0
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
        self.errors = QListWidget()
        self.errors.setWordWrap(True)
        self.errors.setAccessibleName(self.tr("Reasons and errors"))
        self.errors.setMinimumHeight(60)
        self.errors.setMaximumHeight(110)
        self.errors.hide()

        choices = QHBoxLayout()
        choices.setSpacing(8)
        for text, field, width in (
            (self.tr("Messa&ges"), self.messages, 104),
            (self.tr("In &flight"), self.in_flight, 72),
        ):
            label = QLabel(text)
            label.setBuddy(field)
            field.setMinimumWidth(width)
            field.lineEdit().setTextMargins(4, 0, 4, 0)
            choices.addWidget(label)
            choices.addWidget(field)
            choices.addSpacing(6)
        choices.addStretch()
        running = QHBoxLayout()
        running.setSpacing(8)
        running.addWidget(self.progress, stretch=1)
        running.addWidget(self.start_button)
        running.addWidget(self.stop_button)

        self._figures: dict[str, QLabel] = {}
        self._figure_grid = QGridLayout()
        self._figure_grid.setHorizontalSpacing(12)
        self._figure_grid.setVerticalSpacing(4)
        self._cells: list[QWidget] = []
        for name, text in (
            ("answered", self.tr("answered")),
            ("rate", self.tr("per second")),
            ("failed", self.tr("failed")),
            ("p50", self.tr("p50")),
            ("p90", self.tr("p90")),
            ("p99", self.tr("p99")),
            ("max", self.tr("max")),
        ):
            figure = named(QLabel("–"), "figure")
            figure.setAccessibleName(text)
            under = QLabel(text)
            under.setProperty("role", "muted")
            cell = QWidget()
            stacked = QVBoxLayout(cell)
            stacked.setContentsMargins(0, 0, 0, 0)
            stacked.setSpacing(0)
            stacked.addWidget(figure)
            stacked.addWidget(under)
            self._cells.append(cell)
            self._figures[name] = figure
        self._lay_out_figures()

        card = named(QFrame(), "card")
        card.setMinimumHeight(170)
        self._plot_place = QVBoxLayout(card)
        self._plot_place.setContentsMargins(8, 8, 8, 8)
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(0, 14, 0, 0)
        column_layout.setSpacing(10)
        column_layout.addLayout(choices)
        column_layout.addLayout(running)
        column_layout.addLayout(self._figure_grid)
        column_layout.addWidget(card, stretch=1)
        column_layout.addWidget(self.verdict)
        column_layout.addWidget(self.errors)

        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        bulk_run.changed.connect(self._refresh)
        bulk_run.progressed.connect(self._on_progress)
        bulk_run.reported.connect(self._on_report)
        bulk_run.failed.connect(lambda why: self._conclude("bad", why))
        self._conclude("muted", self.tr("Every reply is checked: the right request, in order."))
        self._refresh()

    def figure(self, name: str) -> str:
        """Return a figure as it is shown."""
        return self._figures[name].text()

    def start(self) -> None:
        """Start a run to the window's target, unless one is running."""
        target = self._connection.target
        if target is None or not self.start_button.isEnabled():
            return
        try:
            template, binary = self._request_panel.bulk_template()
        except ValueError as error:
            self._conclude("bad", self.tr("Not sent: {why}").format(why=error))
            return
        self._is_stopped = False
        self._answered = 0
        self._last_reply = 0.0
        for figure in self._figures.values():
            figure.setText("–")
        self.progress.setRange(0, self.messages.value())
        self.progress.setValue(0)
        self._conclude("muted", self.tr("Sending to {url} …").format(url=target.public_url))
        if self.plot is not None:
            self.plot.clear()
        self._run.start(
            target,
            template,
            self.messages.value(),
            self.in_flight.value(),
            check=self._connection.check,
            binary=binary,
        )

    def stop(self) -> None:
        """Stop the run; its report says how far it came."""
        self._is_stopped = True
        self._run.stop()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Make the plot when it is first looked at, as its library takes a moment to load."""
        super().showEvent(event)
        if self.plot is None:
            from desktop_client.latency_plot import LatencyPlot

            self.plot = LatencyPlot()
            self._plot_place.addWidget(self.plot)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Put the figures on two rows where they do not fit on one."""
        super().resizeEvent(event)
        self._lay_out_figures()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the least room: the figures find theirs on more rows."""
        return QSize(300, super().minimumSizeHint().height())

    def change_colors(self) -> None:
        """Draw the plot again, in the colours that are in use now."""
        if self.plot is not None:
            self.plot.use_current_colors()

    def _refresh(self) -> None:
        running = self._run.is_running
        leaving, taking = self.start_button, self.stop_button
        if not running:
            leaving, taking = taking, leaving
        passes_on = leaving.hasFocus()
        self.start_button.setEnabled(not running)
        self.stop_button.setEnabled(running)
        if passes_on:
            # Rather than wherever the focus of a disabled button would go.
            taking.setFocus()
        self.messages.setEnabled(not running)
        self.in_flight.setEnabled(not running)

    def _on_progress(self, event: dict[str, Any]) -> None:
        seconds, answered = float(event["elapsed_s"]), int(event["answered"])
        self.progress.setValue(answered)
        self._set("answered", f"{answered:,}")
        self._set("rate", f"{event['rate']:,.0f}")
        self._set("failed", f"{event['failed']:,}")
        latencies = {name: event.get(f"{name}_ms") for name in PERCENTILES}
        for name, value in latencies.items():
            self._set(name, milliseconds(value))
        in_flight = int(event["sent"]) - answered
        if latencies["max"] is not None:
            if self._last_reply < seconds - SILENCE:
                self._say_sending()
            self._last_reply = seconds
            if self.plot is not None:
                self.plot.add(seconds, _plotted(latencies))
        elif answered < self.progress.maximum():
            if self.plot is not None:
                self.plot.add_silence(seconds)
            silent = seconds - self._last_reply
            if silent >= SILENCE:
                self._conclude(
                    "busy",
                    self.tr("Waiting for replies: none for {seconds}, {count} in flight.").format(
                        seconds=left_to_right(f"{silent:.1f} s"), count=f"{max(0, in_flight):,}"
                    ),
                )
        else:
            # Nothing is waited for, so nothing is missing.
            self._last_reply = seconds
            if self.plot is not None:
                self.plot.add_pause(seconds)

    def _say_sending(self) -> None:
        target = self._connection.target
        self._conclude(
            "muted",
            self.tr("Sending to {url} …").format(url=target.public_url if target else ""),
        )

    def _on_report(self, report: dict[str, Any]) -> None:
        ledger = report["ledger"]
        latency = report.get("latency_ms") or {}
        answered = ledger["verified"] + ledger["wrong"]
        self._set("answered", f"{answered:,}")
        self._set("rate", f"{report['rate']:,.0f}")
        self._set("failed", f"{ledger['wrong'] + ledger['missing']:,}")
        for name in PERCENTILES:
            self._set(name, milliseconds(latency.get(name)) if answered else "–")
        if self.plot is not None and self.plot.is_short:
            self.plot.show_distribution(report.get("histogram") or [])
        self.progress.setValue(ledger["verified"])
        seconds = left_to_right(f"{report['elapsed_s']:.2f} s")
        count = f"{ledger['verified']:,}"
        verdict = "interrupted" if self._is_stopped else report["verdict"]
        if verdict == "pass":
            text = self.tr("✔ All {n} replies are right, in {seconds}.")
        elif verdict == "recovered":
            text = self.tr("✔ Recovered: all {n} replies are right, in {seconds}.")
        elif verdict == "interrupted":
            text = self.tr("Stopped after {seconds}: {n} right{faults}.")
        else:
            text = self.tr("✘ Failed after {seconds}: {n} right{faults}.")
        role = {"pass": "good", "recovered": "busy", "interrupted": "muted"}.get(verdict, "bad")
        faults = "".join(f", {fault}" for fault in self._faults(ledger))
        self._conclude(role, text.format(n=count, seconds=seconds, faults=faults))
        reasons = [str(reason) for reason in report.get("reasons", [])]
        errors = [
            str(error["message"])
            + (f" (× {error['count']:,})" if error.get("count", 1) > 1 else "")
            for error in report.get("errors", [])
        ]
        self._list([*reasons, *errors])

    def _faults(self, ledger: dict[str, Any]) -> list[str]:
        names = (
            ("wrong", self.tr("wrong")),
            ("missing", self.tr("missing")),
            ("never_sent", self.tr("never sent")),
            ("duplicate", self.tr("duplicate")),
            ("out_of_order", self.tr("out of order")),
            ("unsolicited", self.tr("unsolicited")),
            ("late", self.tr("late")),
        )
        return [f"{ledger[name]:,} {label}" for name, label in names if ledger.get(name)]

    def _lay_out_figures(self) -> None:
        columns = len(self._cells) if self.width() >= ONE_ROW else 3
        for number, cell in enumerate(self._cells):
            self._figure_grid.addWidget(cell, number // columns, number % columns)
        for column in range(len(self._cells)):
            self._figure_grid.setColumnStretch(column, int(column < columns))

    def _set(self, name: str, text: str) -> None:
        self._figures[name].setText(text)

    def _conclude(self, role: str, text: str) -> None:
        set_property(self.verdict, "role", role)
        self.verdict.setText(text)
        self._list([])

    def _list(self, lines: list[str]) -> None:
        self.errors.clear()
        self.errors.addItems(lines)
        self.errors.setVisible(bool(lines))


def _plotted(latencies: dict[str, Any]) -> dict[str, float]:
    return {f"{name}_ms": value for name, value in latencies.items() if value is not None}
