"""The window: its parts, laid out and tied together. It holds no network code."""

import dataclasses
import functools

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from desktop_client import theme
from desktop_client.bars import NoServerNotice, StateLine, TroubleStrip
from desktop_client.bulk_panel import BulkPanel
from desktop_client.bulk_run import BulkRun
from desktop_client.connection import Connection, State
from desktop_client.history import HistoryPanel
from desktop_client.local_server import LocalServer
from desktop_client.options_dialog import OptionsDialog
from desktop_client.request_panel import RequestPanel
from desktop_client.settings import Settings
from desktop_client.target import Target
from desktop_client.tasks import Tasks
from desktop_client.theme import Appearance, named
from wire.address import check_url

__all__ = ["Window"]


class Window(QWidget):
    """The main window.

    Signals:
        closing: The user has closed the window, so the program shall end.
    """

    closing = Signal()

    def __init__(
        self,
        connection: Connection,
        local_server: LocalServer,
        bulk_run: BulkRun,
        tasks: Tasks,
        settings: Settings,
    ) -> None:
        super().__init__()
        named(self, "window")
        self.connection = connection
        self.local_server = local_server
        self._settings = settings
        self._options = Target(
            "",
            subprotocol=settings.text("subprotocol"),
            ca=settings.text("ca"),
            certificate=settings.text("certificate"),
            key=settings.text("key"),
        )
        self.setWindowTitle(self.tr("wsroll"))

        self.address = QComboBox(insertPolicy=QComboBox.InsertPolicy.NoInsert)
        field = QLineEdit()
        self.address.setLineEdit(field)
        self.address.addItems(settings.addresses)
        field.returnPressed.connect(self.connect_to_address)
        self.address.activated.connect(self.connect_to_address)
        name = QLabel(self.tr("&Address"))
        name.setBuddy(self.address)
        self.connect_button = QPushButton()
        self.connect_button.clicked.connect(self._toggle)
        self.state_line = StateLine(connection)
        self.notice = NoServerNotice()
        self.strip = TroubleStrip()
        self.tabs = QTabWidget()
        self.tabs.tabBar().setExpanding(False)
        self.request_panel = RequestPanel(connection, settings)
        self.history_panel = HistoryPanel(tasks.spawn)
        self.bulk_panel = BulkPanel(bulk_run, connection, self.request_panel.message.text)
        self.tabs.addTab(self.request_panel, self.tr("Re&quest"))
        self.tabs.addTab(self.history_panel, self.tr("H&istory"))
        self.tabs.addTab(self.bulk_panel, self.tr("&Bulk"))
        self._first_in_tab = (
            self.request_panel.message,
            self.history_panel.table,
            self.bulk_panel.start_button,
        )
        options = QPushButton(self.tr("Optio&ns …"), flat=True)
        options.clicked.connect(self.ask_for_options)

        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(name)
        top.addWidget(self.address, stretch=1)
        top.addWidget(self.connect_button)
        top.addWidget(options)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 24)
        column.setSpacing(10)
        column.addLayout(top)
        column.addWidget(self.state_line)
        column.addWidget(self.notice)
        column.addWidget(self.strip)
        column.addWidget(self.tabs, stretch=1)

        connection.changed.connect(self._refresh)
        connection.troubled.connect(self.strip.say)
        connection.logged.connect(self.history_panel.model.add)
        self.request_panel.troubled.connect(self.strip.say)
        self.history_panel.troubled.connect(self.strip.say)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._use_colors)
        for number in range(self.tabs.count()):
            QShortcut(
                QKeySequence(f"Ctrl+{number + 1}"),
                self,
                functools.partial(self.tabs.setCurrentIndex, number),
            )
        QShortcut(QKeySequence("Ctrl+,"), self, self.ask_for_options)
        self.tabs.currentChanged.connect(self._follow_tab)
        QShortcut(QKeySequence.StandardKey.Quit, self, self.close)
        QShortcut(QKeySequence.StandardKey.Close, self, self.close)
        self.notice.wanted.connect(self._start_local_server)
        local_server.listening.connect(self._use_local_server)
        local_server.failed.connect(self._lose_local_server)
        self._refresh()
        self.request_panel.message.setFocus()
        if not self.restoreGeometry(settings.geometry):
            self.resize(self.sizeHint())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of the window at its first sight."""
        return QSize(760, 600)

    def connect_to_address(self) -> None:
        """Connect to what stands in the address field, with the options as they are."""
        try:
            url = check_url(self.address.currentText().strip())
        except ValueError as error:
            self.strip.say(str(error))
            return
        self.strip.hide()
        self.address.setEditText(url)
        self.connection.open(dataclasses.replace(self._options, url=url))

    def ask_for_options(self) -> None:
        """Ask for the options of connecting, and connect anew with them if they are others."""
        dialog = OptionsDialog(
            self, self._options, Appearance(self._settings.text("appearance", "system"))
        )
        dialog.accepted.connect(lambda: self._use_options(dialog))
        dialog.open()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Keep what lasts and let the program end."""
        self._settings.geometry = self.saveGeometry()
        self.closing.emit()
        event.accept()

    def _use_options(self, dialog: OptionsDialog) -> None:
        self._settings.set_text("appearance", dialog.chosen_appearance.value)
        self._use_colors()
        if dialog.target == self._options:
            return
        self._options = dialog.target
        for name in ("subprotocol", "ca", "certificate", "key"):
            self._settings.set_text(name, getattr(self._options, name))
        if self.connection.is_open:
            self.connect_to_address()

    def _use_colors(self) -> None:
        theme.apply(Appearance(self._settings.text("appearance", "system")))
        self.request_panel.refresh()
        self.bulk_panel.change_colors()

    def _follow_tab(self) -> None:
        # Whoever walks along the tabs by the arrow keys stays there.
        if not self.tabs.tabBar().hasFocus():
            self._first_in_tab[self.tabs.currentIndex()].setFocus()

    def _toggle(self) -> None:
        if self.connection.is_open:
            self.connection.close()
        else:
            self.connect_to_address()

    def _refresh(self) -> None:
        state = self.connection.state
        self.connect_button.setText(
            self.tr("&Connect")
            if not self.connection.is_open
            else self.tr("Dis&connect")
            if state in (State.CONNECTED, State.CLOSING)
            else self.tr("Stop &connecting")
        )
        # The notice stays while the next try is under way, so that nothing jumps about.
        if state is State.CONNECTED:
            self.notice.hide()
            self._remember_address()
        elif self.connection.no_server:
            self.notice.show()
        elif state is State.DISCONNECTED:
            self.notice.hide()

    def _remember_address(self) -> None:
        target = self.connection.target
        if target is not None and target.url != self.local_server.url:
            self._settings.remember_address(target.url)

    def _start_local_server(self) -> None:
        self.notice.set_starting(True)
        self.local_server.start()

    def _use_local_server(self, url: str) -> None:
        self.notice.set_starting(False)
        self.address.setEditText(url)
        self.connect_to_address()

    def _lose_local_server(self, why: str) -> None:
        self.notice.set_starting(False)
        self.strip.say(why)
