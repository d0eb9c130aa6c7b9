"""The window: its parts, laid out and tied together. It holds no network code."""

import asyncio
import dataclasses
import functools
import ssl

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from desktop_client import theme
from desktop_client.address_field import AddressField
from desktop_client.bulk_panel import BulkPanel
from desktop_client.bulk_run import BulkRun
from desktop_client.connection import OPEN_TIMEOUT, Connection, State
from desktop_client.conversation_panel import ConversationPanel
from desktop_client.local_server import LocalServer
from desktop_client.options_dialog import OptionsDialog
from desktop_client.pairing import Check
from desktop_client.questions import confirm
from desktop_client.request_panel import RequestPanel
from desktop_client.settings import Settings
from desktop_client.state_line import Remedy, StateLine, Step
from desktop_client.target import Target, fingerprint_of
from desktop_client.tasks import Tasks
from desktop_client.theme import named
from wire.address import complete_url

__all__ = ["Window"]

SMALLEST = QSize(400, 300)


class Window(QWidget):
    """The main window.

    Signals:
        closing: The user has closed the window, so the program must end.
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
        self._tasks = tasks
        self._options = _remembered_options(settings)
        self.setWindowTitle(self.tr("wsroll"))
        self.setMinimumSize(SMALLEST)

        self.address = AddressField(lambda: settings.addresses)
        name = QLabel(self.tr("&Address"))
        name.setBuddy(self.address)
        self.address.setMinimumWidth(90)
        self.connect_button = QPushButton()
        self.connect_button.setAutoDefault(True)
        # Its three texts share one place, so that nothing beside it moves.
        self.connect_button.setFixedWidth(
            self.connect_button.fontMetrics().horizontalAdvance(self.tr("Disconnect")) + 34
        )
        options = QPushButton(self.tr("Optio&ns …"), flat=True)
        options.setAutoDefault(True)
        self.state_line = StateLine(connection)
        self.tabs = QTabWidget()
        self.tabs.tabBar().setExpanding(False)
        self.tabs.tabBar().setUsesScrollButtons(False)
        self.request_panel = RequestPanel(connection, settings)
        self.conversation_panel = ConversationPanel(tasks.spawn)
        self.bulk_panel = BulkPanel(bulk_run, connection, self.request_panel)
        self.tabs.addTab(_scrolled(self.request_panel), self.tr("Re&quest"))
        self.tabs.addTab(_scrolled(self.conversation_panel), self.tr("Conversat&ion"))
        self.tabs.addTab(_scrolled(self.bulk_panel), self.tr("&Bulk"))
        self._first_in_tab = (
            self.request_panel.message,
            self.conversation_panel.table,
            self.bulk_panel.start_button,
        )

        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(name)
        top.addWidget(self.address, stretch=1)
        top.addWidget(self.connect_button)
        top.addWidget(options)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 16)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.state_line)
        column.addWidget(self.tabs, stretch=1)

        self.address.submitted.connect(self.connect_to_address)
        self.address.textChanged.connect(self.state_line.note_address)
        self.state_line.note_address(self.address.text())
        self.connect_button.clicked.connect(self._on_connect_clicked)
        options.clicked.connect(self.ask_for_options)
        self.state_line.wanted.connect(self._on_remedy_wanted)
        connection.changed.connect(self._refresh)
        connection.failed.connect(self.state_line.say)
        connection.logged.connect(self.conversation_panel.model.add)
        self.request_panel.failed.connect(self.state_line.say)
        self.request_panel.connection_wanted.connect(self.connect_to_address)
        self.request_panel.server_wanted.connect(self._start_local_server)
        self.conversation_panel.failed.connect(self.state_line.say)
        self.conversation_panel.again.connect(self.request_panel.send)
        local_server.listening.connect(self._on_server_listening)
        local_server.failed.connect(self._on_server_failed)
        self.tabs.currentChanged.connect(self._on_tab_changed)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._use_colors)
        for number in range(self.tabs.count()):
            QShortcut(
                QKeySequence(f"Ctrl+{number + 1}"),
                self,
                functools.partial(self.tabs.setCurrentIndex, number),
            )
        QShortcut(QKeySequence("Ctrl+,"), self, self.ask_for_options)
        QShortcut(QKeySequence("Ctrl+L"), self, self._go_to_address)
        QShortcut(QKeySequence.StandardKey.Quit, self, self.close)
        QShortcut(QKeySequence.StandardKey.Close, self, self.close)
        self._refresh()
        self.request_panel.message.setFocus()
        if not self.restoreGeometry(settings.geometry):
            self.resize(self.sizeHint())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of the window at its first sight."""
        return QSize(760, 620)

    def connect_to_address(self) -> None:
        """Connect to what stands in the address field, with the options as they are."""
        try:
            url = complete_url(self.address.text())
        except ValueError as error:
            self.state_line.say(str(error))
            return
        self.address.show_url(url)
        check = self._settings.check_of(url)
        self.connection.check = check
        self.request_panel.use_check(check)
        self.connection.open(dataclasses.replace(self._options, url=url))

    def ask_for_options(self) -> None:
        """Ask for the options, and connect again with them if they are others."""
        dialog = OptionsDialog(
            self,
            self._options,
            self._settings.appearance,
            breaks_line_on_enter=self._settings.breaks_line_on_enter,
            keeps_queries=self._settings.keeps_queries,
        )
        dialog.accepted.connect(lambda: self._use_options(dialog))
        dialog.open()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Keep what lasts and let the program end."""
        self._settings.geometry = self.saveGeometry()
        self.closing.emit()
        event.accept()

    def _use_options(self, dialog: OptionsDialog) -> None:
        settings = self._settings
        settings.appearance = dialog.chosen_appearance
        settings.keeps_queries = dialog.queries.isChecked()
        settings.breaks_line_on_enter = bool(dialog.enter.currentData())
        self.request_panel.message.breaks_line_on_enter = settings.breaks_line_on_enter
        self._use_colors()
        if dialog.target == self._options:
            return
        self._options = dialog.target
        settings.subprotocols = self._options.subprotocols
        for name in ("ca", "certificate", "key"):
            settings.set_text(name, getattr(self._options, name))
        if self.connection.is_open or self.connection.failure is not None:
            self._connect_again()

    def _connect_again(self) -> None:
        """Connect to the address that the connection has, with the options as they are now."""
        target = self.connection.target
        if target is not None:
            self.connection.open(dataclasses.replace(self._options, url=target.url))

    def _use_colors(self) -> None:
        theme.apply(self._settings.appearance)
        self.request_panel.change_colors()
        self.conversation_panel.change_colors()
        self.bulk_panel.change_colors()

    def _go_to_address(self) -> None:
        self.address.setFocus()
        self.address.selectAll()

    def _on_tab_changed(self) -> None:
        # Whoever walks along the tabs by the arrow keys stays there.
        if not self.tabs.tabBar().hasFocus():
            self._first_in_tab[self.tabs.currentIndex()].setFocus()

    def _on_connect_clicked(self) -> None:
        if self.connection.is_open:
            self.connection.close()
        else:
            self.connect_to_address()

    def _on_remedy_wanted(self, remedy: Remedy) -> None:
        target = self.connection.target
        match remedy.step:
            case Step.START_SERVER:
                self._start_local_server()
            case Step.TRUST if target is not None:
                self._tasks.spawn(self._ask_to_trust(target))
            case Step.GO:
                self.address.show_url(remedy.url)
                self.connect_to_address()
            case Step.OPTIONS:
                self.ask_for_options()
            case Step.STOP_CHECKING if target is not None:
                self._settings.set_check(target.url, Check.OFF)
                self.request_panel.use_check(Check.OFF)
                self.connection.check = Check.OFF
            case Step.TRY_NOW:
                self.connection.try_now()

    async def _ask_to_trust(self, target: Target) -> None:
        """Show the certificate that a server shows, and trust it if the user says so."""
        try:
            certificate = await asyncio.to_thread(
                ssl.get_server_certificate, (target.host, target.port), timeout=OPEN_TIMEOUT
            )
        except OSError as error:
            self.state_line.say(self.tr("Its certificate cannot be read: {why}").format(why=error))
            return
        why = self.connection.failure.text if self.connection.failure else ""
        if await confirm(
            self,
            self.tr("Trust the certificate of {host}?").format(host=target.host),
            self.tr("Trust it"),
            self.tr(
                "{why}.\n\nIts SHA-256 fingerprint:\n{fingerprint}\n\n"
                "Compare it with the one that the owner of the server has. "
                "It is trusted until the window closes."
            ).format(
                why=why[:1].upper() + why[1:], fingerprint=_broken(fingerprint_of(certificate))
            ),
        ):
            self._options = dataclasses.replace(self._options, trusted=certificate)
            self._connect_again()

    def _refresh(self) -> None:
        state = self.connection.state
        self.connect_button.setText(
            self.tr("&Connect")
            if not self.connection.is_open
            else self.tr("Dis&connect")
            if state in (State.CONNECTED, State.CLOSING)
            else self.tr("Stop")
        )
        target = self.connection.target
        if state is State.CONNECTED and target is not None and target.url != self.local_server.url:
            self._settings.remember_address(target.url)

    def _start_local_server(self) -> None:
        self.state_line.set_starting(True)
        self.local_server.start()

    def _on_server_listening(self, url: str) -> None:
        self.state_line.set_starting(False)
        self.address.show_url(url)
        self.connect_to_address()
        self.request_panel.use_server(True)

    def _on_server_failed(self, why: str) -> None:
        self.state_line.set_starting(False)
        self.state_line.say(why)
        self.request_panel.use_server(False)


def _remembered_options(settings: Settings) -> Target:
    return Target(
        "",
        subprotocols=settings.subprotocols,
        ca=settings.text("ca"),
        certificate=settings.text("certificate"),
        key=settings.text("key"),
    )


def _scrolled(panel: QWidget) -> QScrollArea:
    """Return a panel that scrolls where the window is too small for it."""
    area = QScrollArea(widgetResizable=True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(panel)
    return area


def _broken(fingerprint: str) -> str:
    """Return a fingerprint on two lines."""
    half = len(fingerprint) // 2 + 1
    return f"{fingerprint[:half]}\n{fingerprint[half:]}"
