"""The conversation: every message and event, to look through, filter, copy, send again and save."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QFocusEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from desktop_client.conversation_model import Column, ConversationModel
from desktop_client.message_pane import MessagePane, whole_text
from desktop_client.questions import confirm
from desktop_client.theme import named
from desktop_client.transcript import Direction, Entry, to_csv, to_json

__all__ = ["ConversationPanel"]

ENDINGS = (".csv", ".json")


class ConversationPanel(QWidget):
    """The conversation with what can be done with it.

    Args:
        spawn: Runs a coroutine, keeps its task, and reports its exception.

    Signals:
        failed: Why the conversation was not saved.
        again: A message to be sent again.
    """

    failed = Signal(str)
    again = Signal(object)

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        super().__init__()
        named(self, "page")
        self._spawn = spawn
        self.model = ConversationModel(self)
        self.table = _Table()
        self.table.setAccessibleName(self.tr("Conversation"))
        self.table.setModel(self.model)
        self.table.setItemDelegate(_EventDelegate(self.table))
        self._lay_out_columns()
        self.pane = MessagePane()
        self.filter = QLineEdit(placeholderText=self.tr("Filter"), clearButtonEnabled=True)
        self.filter.setAccessibleName(self.tr("Filter the conversation"))
        self.filter.setMinimumWidth(60)
        self.direction = QComboBox()
        for text, direction in (
            (self.tr("all"), None),
            (self.tr("↑ sent"), Direction.OUT),
            (self.tr("↓ received"), Direction.IN),
            (self.tr("events"), Direction.EVENT),
        ):
            self.direction.addItem(text, direction)
        self.direction.setAccessibleName(self.tr("Direction"))
        self._count = QLabel()
        self._count.setProperty("role", "muted")

        save = QPushButton(self.tr("Sa&ve …"))
        clear = QPushButton(self.tr("Cl&ear"))
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.filter, stretch=1)
        row.addWidget(self.direction)
        row.addWidget(save)
        row.addWidget(clear)
        splitter = QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False)
        splitter.addWidget(self.table)
        splitter.addWidget(self.pane)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 14, 0, 0)
        column.setSpacing(8)
        column.addLayout(row)
        column.addWidget(self._count)
        column.addWidget(splitter, stretch=1)

        save.clicked.connect(self.ask_where_to_save)
        clear.clicked.connect(self.model.clear)
        self.table.opened.connect(self.open_current)
        self.table.copy_wanted.connect(self.copy)
        self.table.customContextMenuRequested.connect(self.show_menu)
        self.pane.again.connect(self.again)
        self.table.selectionModel().currentRowChanged.connect(self._on_current_changed)
        # Not at each letter, as the whole conversation is gone through.
        self._typing = QTimer(self, singleShot=True, interval=150)
        self._typing.timeout.connect(self._use_filter)
        self.filter.textChanged.connect(lambda: self._typing.start())
        self.direction.currentIndexChanged.connect(self._use_filter)
        # The table follows the newest as long as it stands there.
        self._at_end = True
        self.model.rowsAboutToBeInserted.connect(self._note_place)
        self.model.rowsAboutToBeRemoved.connect(self._note_place)
        self.model.worked.connect(self._settle)
        self.model.trimmed.connect(self._on_trimmed)
        self.model.modelReset.connect(self._on_reset)
        self._settle()

    def copy(self) -> None:
        """Copy the selected messages, exactly; several with a line break between them."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        if rows:
            QGuiApplication.clipboard().setText(
                "\n".join(whole_text(self.model.entry(row)) for row in rows)
            )

    def open_current(self) -> None:
        """Go to the selected message, below."""
        if self.pane.entry is not None:
            self.pane.body.setFocus()
            viewport = self.parentWidget()
            area = viewport and viewport.parentWidget()
            if isinstance(area, QScrollArea):
                area.ensureWidgetVisible(self.pane.body)

    def show_menu(self, place: QPoint) -> None:
        """Show what can be done with the message at a place."""
        index = self.table.indexAt(place)
        if not index.isValid():
            return
        if not self.table.selectionModel().isRowSelected(index.row()):
            self.table.selectRow(index.row())
        menu = QMenu(self.table)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("&Open"), self.open_current)
        menu.addAction(self.tr("&Copy"), self.copy)
        again = menu.addAction(self.tr("Send &again"), self.pane.again_button.click)
        again.setEnabled(self.pane.again_button.isEnabled())
        menu.popup(self.table.viewport().mapToGlobal(place))

    def ask_where_to_save(self) -> None:
        """Ask for a file, and save what is shown there."""
        dialog = QFileDialog(self, self.tr("Save the conversation"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        # Whether to overwrite is asked here, once the name has its ending, and without a loop.
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        dialog.setNameFilters([self.tr("CSV (*.csv)"), self.tr("JSON (*.json)")])
        dialog.selectFile("conversation")

        def on_selected(name: str) -> None:
            chosen = dialog.nameFilters().index(dialog.selectedNameFilter())
            self.save(with_ending(Path(name), ENDINGS[chosen]))

        dialog.fileSelected.connect(on_selected)
        dialog.open()

    def save(self, file: Path) -> None:
        """Save what is shown: as JSON if the file's name ends so, otherwise as CSV."""
        self._spawn(self._save(file, self.model.entries()))

    def change_colors(self) -> None:
        """Use the colours that are in use now."""
        self.pane.change_colors()

    async def _save(self, file: Path, entries: list[Entry]) -> None:
        if await asyncio.to_thread(file.exists) and not await confirm(
            self,
            self.tr("{file} exists already. Replace it?").format(file=file.name),
            self.tr("Replace"),
        ):
            return
        try:
            await asyncio.to_thread(_write, file, entries)
        except OSError as error:
            self.failed.emit(
                self.tr("Not saved: {file}: {why}").format(file=file, why=error.strerror)
            )

    def _lay_out_columns(self) -> None:
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setMinimumSectionSize(24)
        metrics = self.table.fontMetrics()
        for column, sample in (
            (Column.TIME, "00:00:00.000"),
            (Column.WAY, "↑↓"),
            (Column.SIZE, "1,000,000 B"),
            (Column.ROUND_TRIP, "1,000.00 ms"),
        ):
            self.table.setColumnWidth(column, metrics.horizontalAdvance(sample) + 18)
        rows = self.table.verticalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setMinimumSectionSize(metrics.height() + 8)
        rows.setDefaultSectionSize(metrics.height() + 8)
        rows.hide()

    def _use_filter(self) -> None:
        self.model.set_filter(self.filter.text(), self.direction.currentData())

    def _on_current_changed(self, current: QModelIndex) -> None:
        # What is shown stays when its row goes, to make room or by a filter.
        if current.isValid():
            self.pane.show_entry(self.model.entry(current.row()))

    def _note_place(self) -> None:
        bar = self.table.verticalScrollBar()
        self._at_end = bar.value() >= bar.maximum()

    def _on_reset(self) -> None:
        self._at_end = True

    def _on_trimmed(self, rows: int) -> None:
        """Keep the visible rows in place."""
        bar = self.table.verticalScrollBar()
        if not self._at_end:
            bar.setValue(max(0, bar.value() - rows))

    def _settle(self) -> None:
        shown, total = self.model.rowCount(), self.model.total
        self._count.setText(
            self.tr("{total} rows").format(total=f"{total:,}")
            if shown == total
            else self.tr("{shown} of {total} rows").format(shown=f"{shown:,}", total=f"{total:,}")
        )
        if self._at_end:
            self.table.scrollToBottom()


class _Table(QTableView):
    """The rows.

    Signals:
        opened: A message is to be seen whole.
        copy_wanted: The selected messages are to be copied.
    """

    opened = Signal()
    copy_wanted = Signal()

    def __init__(self) -> None:
        super().__init__(showGrid=False, wordWrap=False)
        self.setTabKeyNavigation(False)
        self.setAlternatingRowColors(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.doubleClicked.connect(lambda index: self.opened.emit())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return room for a few rows."""
        return QSize(100, 120)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Begin with the newest message, rather than leave it for the oldest."""
        if not self.currentIndex().isValid():
            self.setCurrentIndex(self.model().index(self.model().rowCount() - 1, 0))
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Open a message at Enter, copy it at Ctrl+C."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit()
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy_wanted.emit()
        else:
            super().keyPressEvent(event)


class _EventDelegate(QStyledItemDelegate):
    """Paints an event over the whole width of its row, beside the time."""

    def __init__(self, table: QTableView) -> None:
        super().__init__(table)
        self._table = table

    def initStyleOption(  # noqa: N802
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Mark the row alone, not one of its cells."""
        super().initStyleOption(option, index)
        option.state &= ~QStyle.StateFlag.State_HasFocus

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint a cell; of an event, that part of its text that lies over the cell."""
        model = self._table.model()
        assert isinstance(model, ConversationModel)
        entry = model.entry(index.row())
        if index.column() == Column.TIME or not entry.is_event:
            super().paint(painter, option, index)
            return
        styled = QStyleOptionViewItem(option)
        self.initStyleOption(styled, index)
        styled.text = ""
        style = self._table.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, styled, painter, self._table)
        palette = styled.palette
        selected = bool(styled.state & QStyle.StateFlag.State_Selected)
        rect: QRect = option.rect
        painter.save()
        painter.setClipRect(rect)
        painter.setPen(
            palette.color(palette.ColorRole.HighlightedText if selected else palette.ColorRole.Text)
        )
        over = self._over_columns(rect).adjusted(6, 0, -6, 0)
        text = option.fontMetrics.elidedText(
            model.cell(entry, Column.MESSAGE), Qt.TextElideMode.ElideRight, over.width()
        )
        side = Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(over, QStyle.visualAlignment(self._table.layoutDirection(), side), text)
        painter.restore()

    def _over_columns(self, cell: QRect) -> QRect:
        """Return the row beside the time, in the place of the cell."""
        header = self._table.horizontalHeader()
        columns = range(Column.WAY, Column.MESSAGE + 1)
        lefts = [header.sectionViewportPosition(column) for column in columns]
        rights = [
            left + header.sectionSize(column) for left, column in zip(lefts, columns, strict=True)
        ]
        return QRect(min(lefts), cell.y(), max(rights) - min(lefts), cell.height())


def with_ending(file: Path, ending: str) -> Path:
    """Return a file's name with the ending that was chosen, unless it has one that is known."""
    return file if file.suffix.lower() in ENDINGS else file.with_name(file.name + ending)


def _write(file: Path, entries: Iterable[Entry]) -> None:
    as_text = to_json if file.suffix.lower() == ".json" else to_csv
    with file.open("w", encoding="utf-8", errors="surrogatepass", newline="") as stream:
        stream.write(as_text(entries))
