"""What the window tells about the connection: its state, what to do about it, trouble."""

import math

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from desktop_client.connection import Connection, State
from desktop_client.theme import named, set_property

__all__ = ["NoServerNotice", "StateLine", "TroubleStrip"]


class StateLine(QWidget):
    """The connection's state, in words and colour, with the reason and the next try beside it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._state = named(QLabel(), "state")
        self._state.setAccessibleName(self.tr("Connection state"))
        self._detail = QLabel(textFormat=Qt.TextFormat.PlainText)
        self._detail.setProperty("role", "muted")
        self._detail.setSizePolicy(
            self._detail.sizePolicy().Policy.Ignored, self._detail.sizePolicy().Policy.Preferred
        )
        self._unverified = QLabel(self.tr("⚠ Certificate not verified"))
        self._unverified.setProperty("role", "bad")
        self._try_now = QPushButton(self.tr("&Try now"), flat=True)
        self._try_now.clicked.connect(connection.try_now)

        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self._state)
        row.addWidget(self._detail, stretch=1)
        row.addWidget(self._unverified)
        row.addWidget(self._try_now)
        # The row keeps its height when the button comes and goes.
        self.setMinimumHeight(self._try_now.sizeHint().height())

        self._clock = QTimer(self, interval=250)
        self._clock.timeout.connect(self.refresh)
        connection.changed.connect(self.refresh)
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
        seconds = connection.seconds_to_next_try
        details = [connection.reason]
        if seconds is not None:
            details.append(self.tr("next try in {n} s").format(n=math.ceil(seconds)))
        if connection.state is State.CONNECTED and connection.subprotocol:
            details.append(self.tr("subprotocol {name}").format(name=connection.subprotocol))
        self._detail.setText(" · ".join(filter(None, details)))
        self._detail.setToolTip(connection.reason)
        self._try_now.setVisible(seconds is not None)
        target = connection.target
        self._unverified.setVisible(target is not None and target.is_unverified)
        if seconds is None:
            self._clock.stop()
        elif not self._clock.isActive():
            self._clock.start()


class NoServerNotice(QFrame):
    """Says in plain words that there is no server, and offers one.

    Signals:
        wanted: The user wants a local server.
    """

    wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        named(self, "notice")
        text = QLabel(
            self.tr("Nothing answers at this address. A server of your own is one click away."),
            wordWrap=True,
        )
        self.button = QPushButton(self.tr("Start a &local server"))
        self.button.setProperty("primary", True)
        self.button.setAutoDefault(True)
        self.button.clicked.connect(self.wanted)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 10, 10, 10)
        row.setSpacing(12)
        row.addWidget(text, stretch=1)
        row.addWidget(self.button)

    def set_starting(self, starting: bool) -> None:
        """Show that the server is on its way, or may be asked for."""
        self.button.setEnabled(not starting)
        self.button.setText(self.tr("Starting …") if starting else self.tr("Start a &local server"))


class TroubleStrip(QFrame):
    """The last trouble, until the user puts it away."""

    def __init__(self) -> None:
        super().__init__()
        named(self, "strip")
        self._text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._text.setAccessibleName(self.tr("Trouble"))
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        dismiss = QPushButton(self.tr("&Dismiss"), flat=True)
        dismiss.setAutoDefault(True)
        dismiss.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 6, 6, 6)
        row.addWidget(self._text, stretch=1)
        row.addWidget(dismiss)
        self.hide()

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def say(self, text: str) -> None:
        """Show a trouble in place of the one before."""
        self._text.setText(text)
        self.show()
