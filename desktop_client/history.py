"""The history: a table of what has happened, to look through, filter, copy and save."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from desktop_client.theme import named
from desktop_client.transcript import Direction, Entry, to_csv, to_json

__all__ = ["HistoryModel", "HistoryPanel"]

MAX_ENTRIES = 50_000
MAX_BYTES = 64 * 2**20
MAX_CELL = 300

Index = QModelIndex | QPersistentModelIndex

_ARROWS = {Direction.NONE: "", Direction.OUT: "→", Direction.IN: "←", Direction.BOTH: "⇄"}
_NUMBERS = {3, 4, 5}  # columns whose figures stand under each other


class HistoryModel(QAbstractTableModel):
    """The entries that a filter lets through, a row each, the newest last.

    It keeps the last 50,000 entries, or fewer when their messages are longer than 64 MiB in all.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: deque[Entry] = deque()
        self._shown: list[Entry] = []
        self._bytes = 0
        self._filter = ""
        self._headings = (
            self.tr("Time"),
            self.tr("Way"),
            self.tr("Event"),
            self.tr("Round trip"),
            self.tr("Bytes out"),
            self.tr("Bytes in"),
            self.tr("Request"),
            self.tr("Reply"),
        )

    @property
    def total(self) -> int:
        """How many entries there are, shown or not."""
        return len(self._entries)

    def entries(self) -> list[Entry]:
        """Return the entries that are shown."""
        return list(self._shown)

    def add(self, entry: Entry) -> None:
        """Add an entry at the end; the oldest give way to it when there are too many."""
        self._entries.append(entry)
        self._bytes += _size(entry)
        if len(self._entries) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self._make_room()
        elif self._passes(entry):
            row = len(self._shown)
            self.beginInsertRows(QModelIndex(), row, row)
            self._shown.append(entry)
            self.endInsertRows()

    def set_filter(self, text: str) -> None:
        """Show only entries with a text in them, in upper or lower case."""
        self._filter = text.casefold()
        self._show_again()

    def clear(self) -> None:
        """Forget all the entries."""
        self._entries.clear()
        self._bytes = 0
        self._show_again()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many rows there are."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self._headings)

    def headerData(  # noqa: N802
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> object:
        """Return a column's heading."""
        if orientation is Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self._headings[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return what stands in a cell."""
        if not index.isValid():
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self.cell(self._shown[index.row()], index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        return None

    def cell(self, entry: Entry, column: int) -> str:
        """Return what stands in a column for an entry, on one line and not too long."""
        match column:
            case 0:
                return entry.when.astimezone().strftime("%H:%M:%S.%f")[:-3]
            case 1:
                return _ARROWS[entry.direction]
            case 2:
                return entry.event
            case 3:
                return "" if entry.round_trip is None else f"{entry.round_trip * 1e3:.2f} ms"
            case 4:
                return "" if entry.bytes_out is None else str(entry.bytes_out)
            case 5:
                return "" if entry.bytes_in is None else str(entry.bytes_in)
        text = (entry.request if column == 6 else entry.reply)[: MAX_CELL + 1]
        text = text.replace("\r\n", "⏎").replace("\n", "⏎")
        return text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…"

    def _make_room(self) -> None:
        # A tenth at a time, since each time the whole table is shown again.
        while len(self._entries) > MAX_ENTRIES * 9 // 10 or self._bytes > MAX_BYTES * 9 // 10:
            self._bytes -= _size(self._entries.popleft())
        self._show_again()

    def _show_again(self) -> None:
        self.beginResetModel()
        self._shown = [entry for entry in self._entries if self._passes(entry)]
        self.endResetModel()

    def _passes(self, entry: Entry) -> bool:
        wanted = self._filter
        return (
            not wanted
            or wanted in entry.reply.casefold()
            or wanted in entry.request.casefold()
            or wanted in entry.event.casefold()
        )


class HistoryPanel(QWidget):
    """The history with what can be done with it.

    Args:
        spawn: Runs a coroutine, keeps its task, and reports its exception.

    Signals:
        troubled: Why the history was not saved.
    """

    troubled = Signal(str)

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        super().__init__()
        named(self, "page")
        self._spawn = spawn
        self.model = HistoryModel(self)
        self.table = QTableView(showGrid=False, wordWrap=False)
        self.table.setAlternatingRowColors(True)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.table.setTabKeyNavigation(False)
        self.table.setAccessibleName(self.tr("History"))
        self.table.setModel(self.model)
        self._lay_out_columns()
        self.filter = QLineEdit(placeholderText=self.tr("Filter"), clearButtonEnabled=True)
        self.filter.setAccessibleName(self.tr("Filter the history"))
        self._count = QLabel()
        self._count.setProperty("role", "muted")

        copy = QPushButton(self.tr("Co&py"))
        copy.setToolTip(self.tr("Copy the selected rows, or all that are shown"))
        save = QPushButton(self.tr("Sa&ve …"))
        clear = QPushButton(self.tr("Cl&ear"))
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.filter, stretch=1)
        row.addWidget(self._count)
        row.addWidget(copy)
        row.addWidget(save)
        row.addWidget(clear)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 18, 0, 0)
        column.setSpacing(10)
        column.addLayout(row)
        column.addWidget(self.table, stretch=1)

        copy.clicked.connect(self.copy)
        save.clicked.connect(self.ask_where_to_save)
        clear.clicked.connect(self.model.clear)
        QShortcut(QKeySequence.StandardKey.Copy, self.table, self.copy).setContext(
            Qt.ShortcutContext.WidgetShortcut
        )
        # Not at each letter, as the whole history is gone through.
        self._typing = QTimer(self, singleShot=True, interval=150)
        self._typing.timeout.connect(lambda: self.model.set_filter(self.filter.text()))
        self.filter.textChanged.connect(lambda: self._typing.start())
        # Once for all the entries of a moment; the table follows the newest if it stood there.
        self._settling = QTimer(self, singleShot=True, interval=50)
        self._settling.timeout.connect(self._settle)
        self.model.rowsAboutToBeInserted.connect(self._note_place)
        self.model.rowsInserted.connect(lambda: self._settling.start())
        self.model.modelReset.connect(lambda: self._settling.start())
        self._at_end = True
        self._settle()

    def copy(self) -> None:
        """Copy the selected rows, or all when none is, as lines with tabs between the columns."""
        chosen = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        entries = self.model.entries()
        if chosen:
            entries = [entries[row] for row in chosen]
        columns = range(self.model.columnCount())
        QGuiApplication.clipboard().setText(
            "\n".join("\t".join(self.model.cell(entry, i) for i in columns) for entry in entries)
        )

    def ask_where_to_save(self) -> None:
        """Ask for a file, and save what is shown there."""
        dialog = QFileDialog(self, self.tr("Save the history"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([self.tr("CSV (*.csv)"), self.tr("JSON (*.json)")])
        dialog.selectFile("history.csv")
        dialog.fileSelected.connect(lambda name: self.save(Path(name)))
        dialog.open()

    def save(self, file: Path) -> None:
        """Save what is shown: as JSON if the file's name ends so, otherwise as CSV."""
        self._spawn(self._save(file, self.model.entries()))

    async def _save(self, file: Path, entries: list[Entry]) -> None:
        try:
            await asyncio.to_thread(_write, file, entries)
        except OSError as error:
            self.troubled.emit(
                self.tr("Not saved: {file}: {why}").format(file=file, why=error.strerror)
            )

    def _lay_out_columns(self) -> None:
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        metrics = self.table.fontMetrics()
        samples = ("00:00:00.000", "Way", "wrong reply", "Round trip", "Bytes out", "Bytes in")
        for column, sample in enumerate(samples):
            self.table.setColumnWidth(column, metrics.horizontalAdvance(sample) + 20)
        self.table.setColumnWidth(len(samples), metrics.horizontalAdvance("Request 10000") + 20)
        rows = self.table.verticalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(metrics.height() + 10)
        rows.hide()

    def _note_place(self) -> None:
        if not self._settling.isActive():
            bar = self.table.verticalScrollBar()
            self._at_end = bar.value() >= bar.maximum()

    def _settle(self) -> None:
        shown, total = self.model.rowCount(), self.model.total
        self._count.setText(
            self.tr("{total} entries").format(total=f"{total:,}")
            if shown == total
            else self.tr("{shown} of {total} entries").format(
                shown=f"{shown:,}", total=f"{total:,}"
            )
        )
        if self._at_end:
            self.table.scrollToBottom()


def _write(file: Path, entries: Iterable[Entry]) -> None:
    as_text = to_json if file.suffix.lower() == ".json" else to_csv
    with file.open("w", encoding="utf-8", newline="") as stream:
        stream.write(as_text(entries))


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _size(entry: Entry) -> int:
    return len(entry.request) + len(entry.reply)
