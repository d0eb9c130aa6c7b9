"""The message: an editor of several lines, whose text is sent exactly as it stands there."""

import sys

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit

__all__ = ["MessageEditor", "raw_text"]

LONGEST_LINE = 20_000
"""Characters of a line that Qt lays out in no time; the time grows with their square."""
MAX_EDITABLE = 2_000_000
SHOWN = 2_000

_NOT_KEPT = ("\r", "\u2029", "\ufdd0", "\ufdd1")
"""Characters, other than a line feed, that end a paragraph in Qt's documents."""


class MessageEditor(QPlainTextEdit):
    """Edits a message. A text that is too long to be edited is held, and sent, as a whole.

    Signals:
        submitted: Send the message.
        edited: The message is another.
        noted: Something about the message that a person must know.
    """

    submitted = Signal()
    edited = Signal()
    noted = Signal(str)

    def __init__(self) -> None:
        super().__init__(tabChangesFocus=True)
        self.breaks_line_on_enter = False
        self._held: str | None = None
        self.setFixedHeight(self.fontMetrics().lineSpacing() * 3 + 20)
        self.textChanged.connect(self._on_text_changed)

    @property
    def message(self) -> str:
        """The message, exactly."""
        return raw_text(self) if self._held is None else self._held

    @message.setter
    def message(self, text: str) -> None:
        self._put(text)

    def beginning(self, count: int) -> str:
        """Return the first characters of the message."""
        if self._held is not None:
            return self._held[:count]
        return self.message[:count]

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Send at Enter and break the line at Shift+Enter, or the reverse."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            if control or shift == self.breaks_line_on_enter:
                self.submitted.emit()
            elif self._held is None:
                self.insertPlainText("\n")
                self.ensureCursorVisible()
            return
        if event.modifiers() == Qt.KeyboardModifier.AltModifier and sys.platform != "darwin":
            # This is a mnemonic of a control that is not visible, not a letter of the message.
            event.ignore()
            return
        if self._held is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._put("")
            return
        super().keyPressEvent(event)

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        """Paste a text in whole, however long it is."""
        text = source.text()
        if any(end in text for end in _NOT_KEPT):
            self.noted.emit(self.tr("Line breaks in the pasted text are line feeds (\\n) now."))
            for ending in ("\r\n", *_NOT_KEPT):
                text = text.replace(ending, "\n")
        cursor = self.textCursor()
        if self._held is None and _is_editable(text) and len(text) < MAX_EDITABLE:
            cursor.insertText(text)
            self.setTextCursor(cursor)
            return
        before = "" if self._held is not None else self.message
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        # Qt counts in UTF-16, as a text outside of it may have surrogate pairs.
        units = before.encode("utf-16-le", "surrogatepass")
        head = units[: 2 * start].decode("utf-16-le", "surrogatepass")
        tail = units[2 * end :].decode("utf-16-le", "surrogatepass")
        self._put(head + text + tail)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:  # noqa: N802
        """Take nothing but text."""
        return source.hasText()

    def _put(self, text: str) -> None:
        if _is_editable(text) and len(text) <= MAX_EDITABLE:
            self._held = None
            self.setReadOnly(False)
            self.setPlainText(text)
            self.moveCursor(QTextCursor.MoveOperation.End)
            return
        self._held = text
        self.setReadOnly(True)
        shown = text[:SHOWN]
        self.setPlainText(
            self.tr("{count} characters, too many to edit here. Press Del to clear.").format(
                count=f"{len(text):,}"
            )
            + f"\n{shown} …"
        )

    def _on_text_changed(self) -> None:
        self.edited.emit()


def raw_text(editor: QPlainTextEdit) -> str:
    """Return an editor's text as it is; ``toPlainText`` makes blanks of no-break spaces."""
    return editor.document().toRawText().replace("\u2029", "\n")


def _is_editable(text: str) -> bool:
    if len(text) <= LONGEST_LINE:
        return True
    return max(map(len, text.split("\n"))) <= LONGEST_LINE
