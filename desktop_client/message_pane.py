"""One message, whole: as text, as JSON, as bytes; to search in, to copy, to send again."""

import bisect
import functools
import re
from collections.abc import Callable, Iterator
from itertools import islice

from PySide6.QtCore import QMimeData, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFontDatabase,
    QGuiApplication,
    QKeyEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from desktop_client.conversation_model import ARROWS
from desktop_client.message_views import Line, as_hex, as_json, as_text, is_json
from desktop_client.state_line import ElidedLabel
from desktop_client.theme import current_colors, named, set_property
from desktop_client.transcript import Entry
from desktop_client.wording import milliseconds, size

__all__ = ["MessagePane", "whole_text"]

LINES_A_TURN = 300
CHARACTERS_A_TURN = 60_000
AHEAD = 5_000
"""Lines that are loaded below the visible ones."""

_NOT_KEPT = {ord("\r"): "␍", 0x2029: "⏎", 0xFDD0: "\ufffd", 0xFDD1: "\ufffd"}
"""Characters that end a line in Qt's documents, and the character that is shown instead."""


class MessagePane(QWidget):
    """Shows a message of the conversation.

    Signals:
        again: The message is to be sent again, as it is.
    """

    again = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        named(self, "page")
        self.entry: Entry | None = None
        self.details = ElidedLabel()
        self.details.setProperty("role", "muted")
        self.views = QTabBar(drawBase=False, expanding=False)
        for text in (self.tr("Text"), self.tr("JSON"), self.tr("Hex")):
            self.views.addTab(text)
        self.views.setAccessibleName(self.tr("View of the message"))
        self.search = QLineEdit(placeholderText=self.tr("Search"), clearButtonEnabled=True)
        self.search.setAccessibleName(self.tr("Search in the message"))
        self.search.setMinimumWidth(50)
        self.copy_button = QPushButton(self.tr("Co&py"))
        self.again_button = QPushButton(self.tr("Send a&gain"))
        self.body = _Body()
        self.body.setAccessibleName(self.tr("The message"))
        self._highlighter = _JsonHighlighter(self.body.document())

        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.views)
        row.addWidget(self.search, stretch=1)
        row.addWidget(self.copy_button)
        row.addWidget(self.again_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self.details)
        column.addWidget(self.body, stretch=1)

        self.views.currentChanged.connect(self._show_view)
        self.search.textEdited.connect(self._on_search_edited)
        self.search.returnPressed.connect(self._on_search_submitted)
        self.copy_button.clicked.connect(self.copy)
        self.again_button.clicked.connect(self._on_again)
        self.body.filled.connect(self._on_filled)
        self._search_on: Callable[[], object] | None = None
        self.show_entry(None)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return room for a few lines."""
        return QSize(super().minimumSizeHint().width(), 130)

    def show_entry(self, entry: Entry | None) -> None:
        """Show an entry whole, in the view that suits it."""
        self.entry = entry
        is_message = entry is not None and not entry.is_event
        has_json = entry is not None and is_message and is_json(entry.message)
        self.views.setTabEnabled(1, has_json)
        self.again_button.setEnabled(is_message)
        self.copy_button.setEnabled(entry is not None)
        self.views.blockSignals(True)
        if entry is not None:
            wanted = 1 if has_json else 2 if isinstance(entry.message, bytes) else 0
            self.views.setCurrentIndex(wanted)
        self.views.blockSignals(False)
        self.details.say(self._described(entry))
        set_property(self.details, "role", "bad" if entry and entry.is_error else "muted")
        self._show_view()

    def change_colors(self) -> None:
        """Use the colours that are in use now."""
        self._highlighter.rehighlight()

    def copy(self) -> None:
        """Copy the message, exactly; bytes in hexadecimal."""
        if self.entry is not None:
            QGuiApplication.clipboard().setText(whole_text(self.entry))

    def find_text(self, text: str, *, backward: bool = False, again: bool = True) -> bool:
        """Select the next place with a text, from the start again after the last."""
        document, cursor = self.body.document(), self.body.textCursor()
        flags = QTextDocument.FindFlag.FindBackward if backward else QTextDocument.FindFlag(0)
        if not again:
            cursor.setPosition(cursor.selectionStart())
        found = document.find(text, cursor, flags) if text else QTextCursor()
        if text and found.isNull() and not self.body.is_filled:
            self._search_on = functools.partial(
                self.find_text, text, backward=backward, again=again
            )
            self.body.fill_all()
            return False
        if text and found.isNull():
            edge = QTextCursor(document)
            if backward:
                edge.movePosition(QTextCursor.MoveOperation.End)
            found = document.find(text, edge, flags)
        self._search_on = None
        set_property(self.search, "missing", bool(text) and found.isNull())
        if found.isNull():
            cursor.clearSelection()
            self.body.setTextCursor(cursor)
            return False
        self.body.setTextCursor(found)
        return True

    def _described(self, entry: Entry | None) -> str:
        if entry is None:
            return self.tr("Select a message to see all of it.")
        parts = [ARROWS[entry.direction], entry.when.astimezone().strftime("%H:%M:%S.%f")[:-3]]
        if not entry.is_event:
            parts.append(self.tr("binary") if isinstance(entry.message, bytes) else self.tr("text"))
            parts.append(size(entry.size))
        if entry.round_trip is not None:
            parts.append(milliseconds(entry.round_trip * 1e3))
        return " · ".join(filter(None, [*parts, entry.note]))

    def _show_view(self) -> None:
        entry = self.entry
        view = self.views.currentIndex()
        self._highlighter.is_on = view == 1
        if entry is None:
            self.body.fill(iter(()))
        else:
            self.body.fill((as_text, as_json, as_hex)[view](entry.message))
        message = entry.message if entry is not None and view == 0 else None
        self.body.whole = message if isinstance(message, str) else None
        self.body.set_fixed_pitch(view != 0)
        self._search_on = None

    def _on_search_edited(self, text: str) -> None:
        self.find_text(text, again=False)

    def _on_search_submitted(self) -> None:
        shift = QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier
        self.find_text(self.search.text(), backward=bool(shift))

    def _on_filled(self) -> None:
        if self._search_on is not None:
            self._search_on()

    def _on_again(self) -> None:
        if self.entry is not None and not self.entry.is_event:
            self.again.emit(self.entry.message)


class _Body(QPlainTextEdit):
    """Shows lines, as many as are looked at; what is copied has no breaks but the message's own.

    Signals:
        filled: The last line is there.
    """

    filled = Signal()

    def __init__(self) -> None:
        super().__init__(readOnly=True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.whole: str | None = None
        """The text that is shown, if that is the message itself."""
        self._lines: Iterator[Line] = iter(())
        self._breaks: list[int] = []
        self._is_all_wanted = False
        self.is_filled = True
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._fill_on)
        self.verticalScrollBar().valueChanged.connect(self._fill_if_near)

    def fill(self, lines: Iterator[Line]) -> None:
        """Show lines in place of those before."""
        self.clear()
        self._breaks.clear()
        self._lines = lines
        self._is_all_wanted = False
        self.is_filled = False
        self._is_empty = True
        self._fill_on()
        self.moveCursor(QTextCursor.MoveOperation.Start)

    def fill_all(self) -> None:
        """Bring all of the lines, in turns."""
        self._is_all_wanted = True
        self._timer.start()

    def set_fixed_pitch(self, fixed: bool) -> None:
        """Use a font whose characters stand under each other, or that of the window."""
        kind = QFontDatabase.SystemFont.FixedFont if fixed else QFontDatabase.SystemFont.GeneralFont
        self.setFont(QFontDatabase.systemFont(kind))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Leave Tab to the window."""
        if event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def createMimeDataFromSelection(self) -> QMimeData:  # noqa: N802
        """Return what is selected, with the line breaks that the message has."""
        cursor, data = self.textCursor(), QMimeData()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        text = cursor.selection().toRawText().replace("\u2029", "\n")
        # Positions count in UTF-16.
        units = text.encode("utf-16-le", "surrogatepass")
        if self.whole is not None:
            units = self.whole.encode("utf-16-le", "surrogatepass")
            # The breaks of the screen are not in the message.
            start -= bisect.bisect_left(self._breaks, start)
            end -= bisect.bisect_left(self._breaks, end)
            units = units[2 * start : 2 * end]
        data.setText(units.decode("utf-16-le", "surrogatepass"))
        return data

    def _fill_if_near(self) -> None:
        bar = self.verticalScrollBar()
        if not self.is_filled and bar.value() + AHEAD > bar.maximum():
            self._timer.start()

    def _fill_on(self) -> None:
        """Bring the next lines."""
        lines, characters = [], 0
        for line in islice(self._lines, LINES_A_TURN):
            lines.append(line)
            characters += len(line.text)
            if characters > CHARACTERS_A_TURN:
                break
        else:
            self.is_filled = len(lines) < LINES_A_TURN
        if lines:
            self._append(lines)
        if self.is_filled:
            self.filled.emit()
            return
        bar = self.verticalScrollBar()
        if self._is_all_wanted or bar.value() + AHEAD > bar.maximum():
            self._timer.start()

    def _append(self, lines: list[Line]) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        text = "\n".join(line.text for line in lines).translate(_NOT_KEPT)
        first = self.document().blockCount() - (1 if self._is_empty else 0)
        cursor.insertText(text if self._is_empty else "\n" + text)
        self._is_empty = False
        for offset, line in enumerate(lines):
            if line.goes_on:
                block = self.document().findBlockByNumber(first + offset)
                self._breaks.append(block.position() + block.length() - 1)


class _JsonHighlighter(QSyntaxHighlighter):
    """Colours the parts of JSON."""

    _TOKEN = re.compile(
        r'(?P<key>"[^"\\]*(?:\\.[^"\\]*)*"(?=\s*:))|(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")'
        r"|(?P<word>-?\d[\d.eE+-]*|true|false|null)"
    )

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self.is_on = False

    def highlightBlock(self, text: str) -> None:  # noqa: N802
        """Colour a line."""
        if not self.is_on:
            return
        colors = current_colors()
        names = {"key": colors.accent, "string": colors.good, "word": colors.busy}
        astral = not text.isascii() and any(ord(character) > 0xFFFF for character in text)
        for found in self._TOKEN.finditer(text):
            form = QTextCharFormat()
            form.setForeground(QColor(names[found.lastgroup or "word"]))
            start, end = found.span()
            if astral:
                start, end = (len(text[:at].encode("utf-16-le")) // 2 for at in (start, end))
            self.setFormat(start, end - start, form)


def whole_text(entry: Entry) -> str:
    """Return a message as it is copied: exactly, or in hexadecimal if it is binary."""
    message = entry.message
    return message.hex(" ") if isinstance(message, bytes) else message
