"""The response in large type: to be read, reached by keyboard, and copied exactly."""

import html

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QResizeEvent, QTextOption
from PySide6.QtWidgets import QTextEdit

from desktop_client.pairing import Arrival, Kind, Message
from desktop_client.theme import current_colors, named, set_property

__all__ = ["ResponseView"]

LARGE = 40
"""Characters up to which a response is in large type."""
MAX_SHOWN = 600
MAX_SPOKEN = 100_000
"""Characters that are passed to a screen reader; Qt copies them several times."""


class ResponseView(QTextEdit):
    """Shows one message in the middle; what is copied is the message itself."""

    def __init__(self) -> None:
        super().__init__(readOnly=True, tabChangesFocus=True)
        named(self, "response")
        self.arrival: Arrival | None = None
        """What it shows."""
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setMinimumHeight(90)
        self.refresh()

    @property
    def shown(self) -> str:
        """What it shows, as text."""
        return self.toPlainText()

    def show_arrival(self, arrival: Arrival) -> None:
        """Show a message that came."""
        self.arrival = arrival
        self.refresh()

    def refresh(self) -> None:
        """Show the message in the colours that are in use now."""
        arrival = self.arrival
        set_property(self, "empty", arrival is None)
        if arrival is None:
            text = self.tr("No response yet")
            self._put(text, 16, f'<span style="color: {current_colors().muted}">{text}</span>')
            self.setAccessibleName(text)
            return
        message = arrival.message
        if arrival.kind is Kind.REPLY and arrival.number is not None:
            assert arrival.waiting is not None
            number = str(arrival.number)
            text = _shorten(arrival.waiting.request)
            body = (
                f"{html.escape(text)}: "
                f'<b style="color: {current_colors().accent}; font-size: 40pt">{number}</b>'
            )
            spoken = f"{_whole(arrival.waiting.request)[:MAX_SPOKEN]}: {number}"
            self.setAccessibleName(self.tr("Response: {reply}").format(reply=spoken))
        else:
            text = _shorten(message)
            body = html.escape(text)
            name = (
                self.tr("Response: {reply}")
                if arrival.kind is Kind.REPLY
                else self.tr("Message: {reply}")
            )
            self.setAccessibleName(name.format(reply=_whole(message)[:MAX_SPOKEN]))
        # An empty message has a place too.
        self._put(text, 24 if len(text) <= LARGE else 13, body or "&nbsp;")

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Copy the whole message where nothing is selected."""
        if event.matches(QKeySequence.StandardKey.Copy) and not self.textCursor().hasSelection():
            if self.arrival is not None:
                QGuiApplication.clipboard().setText(_whole(self.arrival.message))
            return
        super().keyPressEvent(event)

    def createMimeDataFromSelection(self) -> QMimeData:  # noqa: N802
        """Return what is selected as plain text; if that is all, the whole message."""
        cursor = self.textCursor()
        everything = cursor.selectionEnd() - cursor.selectionStart() >= (
            self.document().characterCount() - 1
        )
        data = QMimeData()
        if everything and self.arrival is not None:
            data.setText(_whole(self.arrival.message))
        else:
            data.setText(cursor.selection().toRawText().replace("\u2029", "\n"))
        return data

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Keep the message in the middle."""
        super().resizeEvent(event)
        self._center()

    def _put(self, text: str, points: int, body: str) -> None:
        body = body.replace("\n", "<br>")
        self.setHtml(
            f'<div align="center" style="white-space: pre-wrap; font-size: {points}pt">{body}</div>'
        )
        self._center()

    def _center(self) -> None:
        # The height of the whole widget: the margins below change that of the viewport.
        room = self.contentsRect().height()
        spare = int(room - self.document().size().height()) // 2
        self.setViewportMargins(0, max(0, spare), 0, 0)


def _whole(message: Message) -> str:
    return message.hex(" ") if isinstance(message, bytes) else message


def _shorten(message: Message) -> str:
    """Return a message with its middle left out if it is too long for large type."""
    if isinstance(message, bytes):
        if len(message) * 3 <= MAX_SHOWN:
            return message.hex(" ")
        part = MAX_SHOWN // 6
        return f"{message[:part].hex(' ')} … {message[-part:].hex(' ')}"
    half = MAX_SHOWN // 2
    return message if len(message) <= MAX_SHOWN else f"{message[:half]} … {message[-half:]}"
