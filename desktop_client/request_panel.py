"""The first sight: a message, one big button, the response in large type."""

import html
import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_client.connection import Connection, Exchange, Refused, State
from desktop_client.settings import Settings
from desktop_client.theme import current_colors, named, set_property

__all__ = ["RequestPanel"]

MAX_SHOWN = 400


class RequestPanel(QWidget):
    """Sends a request at each press, and shows the last response.

    Signals:
        troubled: Why a press sent nothing.
    """

    troubled = Signal(str)

    def __init__(self, connection: Connection, settings: Settings) -> None:
        super().__init__()
        named(self, "page")
        self._connection = connection
        self._settings = settings
        self._counter = 0
        self._last: Exchange | None = None

        self.response = named(QLabel(wordWrap=True), "response")
        self.response.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.response.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.response.setMinimumHeight(110)
        self.round_trip = QLabel()
        self.round_trip.setProperty("role", "muted")
        self.round_trip.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.round_trip.setAccessibleName(self.tr("Round-trip time"))

        self.message = QLineEdit(settings.template)
        self.message.returnPressed.connect(self.press)
        self.message.textEdited.connect(self._edit)
        name = QLabel(self.tr("&Message"))
        name.setBuddy(self.message)
        self._next = QLabel()
        self._next.setProperty("role", "muted")
        self.button = named(QPushButton(), "send")
        self.button.setProperty("primary", True)
        self.button.setAutoDefault(True)
        self.button.clicked.connect(self.press)

        card = named(QFrame(), "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(24, 20, 24, 18)
        inside.addWidget(self.response, stretch=1)
        inside.addWidget(self.round_trip)
        above = QHBoxLayout()
        above.addWidget(name)
        above.addStretch()
        above.addWidget(self._next)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 18, 0, 0)
        column.setSpacing(8)
        column.addWidget(card, stretch=1)
        column.addSpacing(10)
        column.addLayout(above)
        column.addWidget(self.message)
        column.addSpacing(6)
        column.addWidget(self.button)

        connection.replied.connect(self._show)
        connection.changed.connect(self.refresh)
        self.refresh()

    def press(self) -> None:
        """Send the next request."""
        if not self.button.isEnabled():
            # Enter in the message comes here too.
            self.troubled.emit(self.tr("Not sent: there is no connection."))
            return
        try:
            self._connection.send(self._next_request())
        except Refused as refusal:
            self.troubled.emit(str(refusal))
            return
        self._counter += 1
        self.refresh()

    def refresh(self) -> None:
        """Show what is so now."""
        connected = self._connection.state is State.CONNECTED
        waiting = self._connection.waiting
        self.button.setEnabled(connected)
        # One reply that is due is the rule and gone in a moment: no flicker for it.
        self.button.setText(
            self.tr("&Send request ({n} waiting for replies)").format(n=waiting)
            if connected and waiting > 1
            else self.tr("&Send request")
        )
        self._next.setText(
            self.tr("{count} counts · next: {request}").format(
                count="{i}", request=_shorten(self._next_request(), 40)
            )
            if "{i}" in self.message.text()
            else self.tr("{count} in it counts the requests").format(count="{i}")
        )
        self._show_last()

    def _next_request(self) -> str:
        return self.message.text().replace("{i}", str(self._counter))

    def _edit(self, template: str) -> None:
        self._settings.template = template
        self.refresh()

    def _show(self, exchange: Exchange) -> None:
        self._last = exchange
        self._show_last()

    def _show_last(self) -> None:
        last = self._last
        if last is None:
            self.response.setText(self.tr("No response yet"))
            self.response.setAccessibleName(self.response.text())
            set_property(self.response, "empty", True)
            self.round_trip.setText(" ")
            return
        text = _breakable(_shorten(last.request, MAX_SHOWN))
        html_text = (
            f'<span style="white-space: pre-wrap">{html.escape(text)}: '
            f'<b style="color: {current_colors().accent}; font-size: 40pt">{last.number}</b></span>'
        )
        if self.response.text() != html_text:
            self.response.setText(html_text)
            self.response.setAccessibleName(
                self.tr("Response: {reply}").format(reply=f"{last.request}: {last.number}")
            )
            set_property(self.response, "empty", False)
        self.round_trip.setText(
            self.tr("Round trip {ms} ms").format(ms=f"{last.round_trip * 1e3:.2f}")
        )


def _shorten(text: str, limit: int) -> str:
    """Return a text with its middle left out if it is longer than a limit."""
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]} … {text[-half:]}"


def _breakable(text: str) -> str:
    """Return a text with places to break a line (U+200B) in words that are long."""
    return re.sub(r"(\S{24})(?=\S)", "\\1\u200b", text)
