"""The rows of the conversation: the entries that are kept, and those that match the filter.

Entries are gone through once, in turns that are too short to be felt: those that come, and all of
them again when the filter changes. So a new entry and a new filter take the same way.
"""

import bisect
import enum
import time

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor

from desktop_client.pairing import one_line
from desktop_client.theme import current_colors
from desktop_client.transcript import Direction, Entry
from desktop_client.wording import isolated, milliseconds, size

__all__ = ["ARROWS", "Column", "ConversationModel"]

MAX_ENTRIES = 100_000
MAX_CHARACTERS = 64 * 2**20
MAX_PREVIEW = 300

TURN = 0.008
"""Seconds of going through entries before the window has its turn."""
PIECE = 2**20
"""Characters of a message that are looked through at once."""
PAUSE = 50
"""Milliseconds for which entries that come are gathered."""

Index = QModelIndex | QPersistentModelIndex

ARROWS = {Direction.EVENT: "", Direction.OUT: "↑", Direction.IN: "↓"}


class Column(enum.IntEnum):
    """The columns, from the leading side."""

    TIME = 0
    WAY = 1
    SIZE = 2
    ROUND_TRIP = 3
    MESSAGE = 4


class ConversationModel(QAbstractTableModel):
    """The entries that match the filter, a row each, the newest last.

    It keeps the last 100,000 entries, or fewer when their messages are longer than 64 Mi characters
    in all.

    Signals:
        trimmed: How many of the oldest rows went to make room.
        worked: A turn is over.
    """

    trimmed = Signal(int)
    worked = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Entry] = []
        self._characters = 0
        # Entries are numbered from the first that ever came.
        self._first = 0
        self._next_to_scan = 0
        self._shown: list[Entry] = []
        self._shown_numbers: list[int] = []
        self._wanted = ""
        self._direction: Direction | None = None
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._work)
        self._headings = {
            Column.TIME: self.tr("Time"),
            Column.WAY: "↑↓",
            Column.SIZE: self.tr("Size"),
            Column.ROUND_TRIP: self.tr("Round trip"),
            Column.MESSAGE: self.tr("Message"),
        }

    @property
    def total(self) -> int:
        """How many entries there are, shown or not."""
        return len(self._entries)

    @property
    def is_settled(self) -> bool:
        """Whether every entry was gone through."""
        return self._next_to_scan == self._first + len(self._entries)

    def entries(self) -> list[Entry]:
        """Return the entries that are shown."""
        return list(self._shown)

    def entry(self, row: int) -> Entry:
        """Return the entry in a row."""
        return self._shown[row]

    def add(self, entry: Entry) -> None:
        """Add an entry at the end; it is shown a moment later."""
        self._entries.append(entry)
        self._characters += len(entry.message)
        if not self._timer.isActive():
            self._timer.start(PAUSE)

    def set_filter(self, text: str, direction: Direction | None = None) -> None:
        """Show only what has a text in it, in upper or lower case, and went a certain way."""
        self._wanted = text.lower()
        self._direction = direction
        self._show_again()

    def clear(self) -> None:
        """Forget all the entries."""
        self._first += len(self._entries)
        self._entries.clear()
        self._characters = 0
        self._show_again()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many rows there are."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(Column)

    def headerData(  # noqa: N802
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> object:
        """Return a column's heading."""
        if orientation is Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self._headings[Column(section)]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return what stands in a cell."""
        if not index.isValid():
            return None
        entry = self._shown[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.cell(entry, index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role == Qt.ItemDataRole.ForegroundRole and entry.is_error:
            return QColor(current_colors().bad)
        if role == Qt.ItemDataRole.ToolTipRole and entry.note:
            return entry.note
        return None

    def cell(self, entry: Entry, column: int) -> str:
        """Return what stands in a column for an entry, on one line and not too long."""
        match column:
            case Column.TIME:
                return entry.when.astimezone().strftime("%H:%M:%S.%f")[:-3]
            case Column.WAY:
                return ARROWS[entry.direction]
            case Column.SIZE:
                return "" if entry.is_event else size(entry.size)
            case Column.ROUND_TRIP:
                if entry.round_trip is not None:
                    return milliseconds(entry.round_trip * 1e3)
                return self.tr("unexpected") if entry.is_error and entry.note else entry.note
        return isolated(one_line(entry.message, MAX_PREVIEW))

    def _show_again(self) -> None:
        self.beginResetModel()
        self._shown.clear()
        self._shown_numbers.clear()
        self._next_to_scan = self._first
        self.endResetModel()
        self._timer.start(0)

    def _work(self) -> None:
        """Make room, and go through entries until the turn is over or all are done."""
        self._make_room()
        until = time.perf_counter() + TURN
        found, numbers = [], []
        while not self.is_settled and time.perf_counter() < until:
            entry = self._entries[self._next_to_scan - self._first]
            if self._passes(entry):
                found.append(entry)
                numbers.append(self._next_to_scan)
            self._next_to_scan += 1
        if found:
            row = len(self._shown)
            self.beginInsertRows(QModelIndex(), row, row + len(found) - 1)
            self._shown += found
            self._shown_numbers += numbers
            self.endInsertRows()
        if not self.is_settled:
            self._timer.start(0)
        self.worked.emit()

    def _make_room(self) -> None:
        """Let the oldest entries go where there are too many."""
        count = max(0, len(self._entries) - MAX_ENTRIES)
        self._characters -= sum(len(entry.message) for entry in self._entries[:count])
        while self._characters > MAX_CHARACTERS:
            self._characters -= len(self._entries[count].message)
            count += 1
        if not count:
            return
        del self._entries[:count]
        self._first += count
        self._next_to_scan = max(self._next_to_scan, self._first)
        rows = bisect.bisect_left(self._shown_numbers, self._first)
        if rows:
            self.beginRemoveRows(QModelIndex(), 0, rows - 1)
            del self._shown[:rows]
            del self._shown_numbers[:rows]
            self.endRemoveRows()
            self.trimmed.emit(rows)

    def _passes(self, entry: Entry) -> bool:
        if self._direction is not None and entry.direction is not self._direction:
            return False
        wanted, message = self._wanted, entry.message
        if not wanted or wanted in entry.note.lower():
            return True
        if isinstance(message, bytes):
            sought = wanted.encode(errors="replace")
            pieces = (
                message[at : at + PIECE + len(sought)] for at in range(0, len(message), PIECE)
            )
            return any(sought in piece.lower() for piece in pieces)
        return any(
            wanted in message[at : at + PIECE + len(wanted)].lower()
            for at in range(0, len(message), PIECE)
        )


def _alignment(column: int) -> Qt.AlignmentFlag:
    numbers = (Column.SIZE, Column.ROUND_TRIP)
    side = Qt.AlignmentFlag.AlignRight if column in numbers else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
