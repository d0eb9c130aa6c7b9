"""The line that says how things stand: the state, the last reason, and what to do next."""

import enum
import math
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from desktop_client.connection import Connection, State
from desktop_client.pairing import Check
from desktop_client.theme import named, set_property
from desktop_client.wording import isolated
from wire.address import complete_url
from wire.failure import Cause

__all__ = ["ElidedLabel", "Remedy", "StateLine", "Step", "next_step"]


class Step(enum.Enum):
    """What a person can do next."""

    START_SERVER = enum.auto()
    TRUST = enum.auto()
    GO = enum.auto()
    OPTIONS = enum.auto()
    STOP_CHECKING = enum.auto()
    TRY_NOW = enum.auto()


@dataclass(frozen=True)
class Remedy:
    """What to do next.

    Attributes:
        step: What it is.
        url: Where to go, if that is the step.
    """

    step: Step
    url: str = ""


def next_step(connection: Connection) -> Remedy | None:
    """Return what helps as things stand, or None if nothing is wrong."""
    target, failure = connection.target, connection.failure
    if connection.state is State.CONNECTED:
        foreign = connection.is_foreign and connection.check is not Check.OFF
        return Remedy(Step.STOP_CHECKING) if foreign else None
    if target is not None and failure is not None:
        parts = urlsplit(target.url)
        match failure.cause:
            case Cause.REFUSED if target.is_loopback:
                return Remedy(Step.START_SERVER)
            case Cause.CERTIFICATE:
                return Remedy(Step.TRUST)
            case Cause.NO_TLS:
                return Remedy(Step.GO, parts._replace(scheme="ws").geturl())
            case Cause.CLOSED if not target.is_secure:
                return Remedy(Step.GO, parts._replace(scheme="wss").geturl())
            case Cause.STATUS if failure.location is not None:
                try:
                    return Remedy(Step.GO, complete_url(urljoin(target.url, failure.location)))
                except ValueError:
                    return Remedy(Step.OPTIONS)
            case Cause.STATUS if failure.status == 400 and not target.is_secure:
                # The usual answer of a server that wants TLS.
                return Remedy(Step.GO, parts._replace(scheme="wss").geturl())
            case Cause.TLS:
                return Remedy(Step.OPTIONS)
            case Cause.STATUS if failure.status in (401, 403):
                return Remedy(Step.OPTIONS)
    if connection.seconds_to_next_try is not None:
        return Remedy(Step.TRY_NOW)
    return None


class ElidedLabel(QLabel):
    """A text on one line that never asks for more room; what does not fit is in its tooltip."""

    def __init__(self) -> None:
        super().__init__(textFormat=Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.full = ""
        """The whole text."""

    def say(self, text: str) -> None:
        """Show a text, as much of it as fits."""
        if text != self.full:
            self.full = text
            self.setToolTip(text if text.strip() else "")
            self.setAccessibleName(text)
            self._fit()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return no width, and the height of a line."""
        return QSize(0, self.fontMetrics().height())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return no width, and the height of a line."""
        return self.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Fit the text to the width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        mode = Qt.TextElideMode.ElideRight
        text = self.fontMetrics().elidedText(" ".join(self.full.split()), mode, self.width())
        self.setText(isolated(text))


class StateLine(QWidget):
    """The connection's state, the last reason, and what to do next as a link: one line, always.

    Signals:
        wanted: The ``Remedy`` that the user chose.
    """

    wanted = Signal(object)

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._note = ""
        self._typed = ""
        self._remedy: Remedy | None = None
        self._starting = False
        self._state = named(QLabel(), "state")
        self._state.setAccessibleName(self.tr("Connection state"))
        self._detail = ElidedLabel()
        self._detail.setProperty("role", "muted")
        self._unverified = QLabel(self.tr("⚠ Not verified"))
        self._unverified.setToolTip(self.tr("The server's certificate is not verified"))
        self._unverified.setProperty("role", "bad")
        self.link = named(QPushButton(flat=True), "link")
        self.link.setAutoDefault(True)
        self.link.setCursor(Qt.CursorShape.PointingHandCursor)
        self.link.clicked.connect(self._choose)

        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._state)
        row.addWidget(self._detail, stretch=1)
        row.addWidget(self._unverified)
        row.addWidget(self.link)

        self._clock = QTimer(self, interval=250)
        self._clock.timeout.connect(self.refresh)
        self._last_reason = ""
        connection.changed.connect(self.refresh)
        self.refresh()

    def note_address(self, text: str) -> None:
        """Take note of what stands in the address field: the connection may be to another one."""
        try:
            self._typed = complete_url(text)
        except ValueError:
            self._typed = text
        self.refresh()

    @property
    def text(self) -> str:
        """The reason that it shows, in full."""
        return self._detail.full

    def say(self, text: str) -> None:
        """Show a text in place of the last reason, until there is another reason."""
        self._note = text
        self.refresh()

    def set_starting(self, starting: bool) -> None:
        """Show that a local server is on its way."""
        self._starting = starting
        self._note = self.tr("Starting a local server …") if starting else ""
        self.refresh()

    def refresh(self) -> None:
        """Show what is so now."""
        connection = self._connection
        name = {
            State.DISCONNECTED: self.tr("● Not connected"),
            State.CONNECTING: self.tr("● Connecting …"),
            State.CONNECTED: self.tr("● Connected"),
            State.CLOSING: self.tr("● Closing …"),
        }[connection.state]
        if self._state.text() != name:
            self._state.setText(name)
            set_property(self._state, "state", connection.state.name)
        if connection.reason != self._last_reason:
            self._last_reason = connection.reason
            self._note = ""
        self._remedy = None if self._starting else next_step(connection)
        self._detail.say(" · ".join(filter(None, self._details())))
        self._unverified.setVisible(
            connection.target is not None and connection.target.is_unverified
        )
        self._show_remedy()
        waits = connection.seconds_to_next_try is not None
        if waits != self._clock.isActive():
            self._clock.start() if waits else self._clock.stop()

    def _details(self) -> list[str]:
        connection = self._connection
        details = [self._note or connection.reason]
        target = connection.target
        if target is not None and connection.is_open and self._typed != target.url:
            details.insert(0, self.tr("to {url}").format(url=target.public_url))
        seconds = connection.seconds_to_next_try
        if seconds is not None:
            details.append(self.tr("next try in {n} s").format(n=math.ceil(seconds)))
        if self._remedy is not None and self._remedy.step is Step.STOP_CHECKING:
            details.append(self.tr("This server answers in its own way."))
        elif connection.state is State.CONNECTED and connection.subprotocol:
            details.append(self.tr("subprotocol {name}").format(name=connection.subprotocol))
        return details

    def _show_remedy(self) -> None:
        remedy = self._remedy
        self.link.setVisible(remedy is not None)
        if remedy is not None:
            scheme = urlsplit(remedy.url).scheme
            host = urlsplit(self._connection.target.url).hostname if self._connection.target else ""
            self.link.setText(
                {
                    Step.START_SERVER: self.tr("Start a &local server"),
                    Step.TRUST: self.tr("&Trust this certificate …"),
                    Step.GO: self.tr("&Try {where}").format(
                        where=f"{scheme}://"
                        if urlsplit(remedy.url).hostname == host
                        else urlsplit(remedy.url).netloc
                    ),
                    Step.OPTIONS: self.tr("Change the &options …"),
                    Step.STOP_CHECKING: self.tr("S&top checking replies?"),
                    Step.TRY_NOW: self.tr("&Try now"),
                }[remedy.step]
            )
        # The row keeps its height when the link comes and goes.
        self.setFixedHeight(self.link.sizeHint().height())

    def _choose(self) -> None:
        if self._remedy is not None:
            self.wanted.emit(self._remedy)
