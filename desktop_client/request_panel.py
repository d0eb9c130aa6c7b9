"""The first sight: a message, one big button, the response in large type."""

import functools
import time

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop_client.connection import Connection, Refused, State
from desktop_client.message_editor import MessageEditor
from desktop_client.pairing import Arrival, Check, Kind, Message, one_line, size_of
from desktop_client.response_view import ResponseView
from desktop_client.settings import SavedMessage, Settings
from desktop_client.state_line import ElidedLabel, Step, next_step
from desktop_client.theme import named, set_property
from desktop_client.wording import left_to_right, milliseconds, size

__all__ = ["RequestPanel"]

PATIENCE = 0.3
"""Seconds of waiting for a reply that are not worth a word."""
COUNTER = "{i}"


class RequestPanel(QWidget):
    """Sends a message at each press, and shows the last response.

    Signals:
        failed: Why a press sent nothing.
        connection_wanted: A press needs a connection to the address.
        server_wanted: A press needs a server at this machine's own address.
    """

    failed = Signal(str)
    connection_wanted = Signal()
    server_wanted = Signal()

    def __init__(self, connection: Connection, settings: Settings) -> None:
        super().__init__()
        named(self, "page")
        self._connection = connection
        self._settings = settings
        self._counter = 0
        self._last: Arrival | None = None
        self._last_unsolicited: Message | None = None
        self._held: Message | None = None

        self.response = ResponseView()
        self.round_trip = ElidedLabel()
        self.round_trip.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message = MessageEditor()
        self.message.message = settings.template
        self.message.breaks_line_on_enter = settings.breaks_line_on_enter
        name = QLabel(self.tr("&Message"))
        name.setBuddy(self.message)
        self._next = ElidedLabel()
        self._next.setProperty("role", "muted")
        self._next.setAlignment(Qt.AlignmentFlag.AlignTrailing)
        self.check = QComboBox()
        for check, text in (
            (Check.NUMBER, self.tr("number")),
            (Check.ECHO, self.tr("echo")),
            (Check.OFF, self.tr("off")),
        ):
            self.check.addItem(text, check)
        self.check.setToolTip(
            self.tr("A right reply is the request and a number from 1 to 100, or the request.")
        )
        check_name = QLabel(self.tr("C&heck replies"))
        check_name.setBuddy(self.check)
        self.kind = QComboBox()
        self.kind.addItem(self.tr("text"), False)
        self.kind.addItem(self.tr("hex"), True)
        self.kind.setCurrentIndex(self.kind.findData(settings.is_hex))
        self.kind.setAccessibleName(self.tr("Type of the message"))
        self.saved = named(QPushButton(self.tr("Sa&ved")), "saved")
        self.saved.setAutoDefault(True)
        self.saved_menu = QMenu(self.saved)
        self.saved.setMenu(self.saved_menu)
        self.button = named(QPushButton(), "send")
        self.button.setProperty("primary", True)
        self.button.setAutoDefault(True)
        # A click leaves the focus in the message.
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

        card = named(QFrame(), "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(12, 8, 12, 10)
        inside.addWidget(self.response, stretch=1)
        inside.addWidget(self.round_trip)
        above = QHBoxLayout()
        above.addWidget(name)
        above.addWidget(self._next, stretch=1)
        below = QHBoxLayout()
        below.setSpacing(8)
        below.addWidget(check_name)
        below.addWidget(self.check)
        below.addStretch()
        below.addWidget(self.kind)
        below.addWidget(self.saved)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 14, 0, 0)
        column.setSpacing(8)
        column.addWidget(card, stretch=1)
        column.addSpacing(4)
        column.addLayout(above)
        column.addWidget(self.message)
        column.addLayout(below)
        column.addSpacing(4)
        column.addWidget(self.button)

        self.button.clicked.connect(self.press)
        self.message.submitted.connect(self.press)
        self.message.edited.connect(self._on_edited)
        self.message.noted.connect(self.failed)
        self.check.activated.connect(self._on_check_chosen)
        self.kind.currentIndexChanged.connect(self._on_kind_chosen)
        self.saved_menu.aboutToShow.connect(self._fill_saved_menu)
        connection.arrived.connect(self._on_arrived)
        connection.changed.connect(self.refresh)
        # A timer shows how long a request waits; another one combines messages that come together.
        self._clock = QTimer(self, interval=100)
        self._clock.timeout.connect(self._describe_button)
        self._settling = QTimer(self, singleShot=True, interval=15)
        self._settling.timeout.connect(self._show_last)
        self._show_last()
        self._describe_next()
        self.refresh()

    @property
    def is_hex(self) -> bool:
        """Whether the message is binary, written in hexadecimal."""
        return bool(self.kind.currentData())

    def press(self) -> None:
        """Send the next message; first see to what is missing for that."""
        try:
            message = self._next_message()
        except ValueError as error:
            self.failed.emit(self.tr("Not sent: {why}").format(why=error))
            return
        if self._wants_server():
            if self._held is None:
                self._held = message
                self.server_wanted.emit()
                self._describe_button()
            return
        if not self._connection.is_open:
            self.connection_wanted.emit()
            if not self._connection.is_open:
                return
        self.send(message)
        self._counter += 1
        self._describe_next()

    def send(self, message: Message) -> None:
        """Send a message as it is."""
        try:
            self._connection.send(message)
        except Refused as refusal:
            self.failed.emit(str(refusal))

    def bulk_template(self) -> tuple[str, bool]:
        """Return the message for thousands, with the mark of the counter, and whether it is binary.

        Raises:
            ValueError: If it cannot be sent so.
        """
        text = self.message.message
        if not self.is_hex:
            return text, False
        try:
            return self._from_hex(text, COUNTER).decode(), True
        except UnicodeDecodeError:
            raise ValueError(self.tr("in Bulk the bytes must be UTF-8")) from None

    def use_server(self, is_there: bool) -> None:
        """Send the message that waits for a local server, or drop it if the server failed."""
        held, self._held = self._held, None
        if held is not None and is_there:
            self.send(held)
            self._counter += 1
        self._describe_next()
        self._describe_button()

    def use_check(self, check: Check) -> None:
        """Show what a right reply is."""
        self.check.setCurrentIndex(self.check.findData(check))

    def refresh(self) -> None:
        """Show what is so now."""
        self._describe_button()
        waits = self._connection.oldest is not None
        if waits != self._clock.isActive():
            self._clock.start() if waits else self._clock.stop()

    def change_colors(self) -> None:
        """Show the response in the colours that are in use now."""
        self.response.refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Send at Ctrl+Enter, wherever the focus is."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and (
            event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            self.press()
        else:
            super().keyPressEvent(event)

    def _wants_server(self) -> bool:
        remedy = next_step(self._connection)
        return remedy is not None and remedy.step is Step.START_SERVER

    def _next_message(self) -> Message:
        """Return the message with its number in place of each ``{i}``.

        Raises:
            ValueError: If it is to be binary and is not in hexadecimal.
        """
        text, number = self.message.message, str(self._counter)
        return self._from_hex(text, number) if self.is_hex else text.replace(COUNTER, number)

    def _from_hex(self, text: str, number: str) -> bytes:
        try:
            return number.encode().join(bytes.fromhex(part) for part in text.split(COUNTER))
        except ValueError:
            raise ValueError(
                self.tr("write a binary message as pairs of hex digits, such as 48 65 6c")
            ) from None

    def _describe_button(self) -> None:
        connection = self._connection
        oldest = connection.oldest
        waited = 0.0 if oldest is None else time.perf_counter() - oldest.started
        if self._held is not None:
            text = self.tr("Starting a local server …")
        elif self._wants_server():
            text = self.tr("&Start a local server and send")
        elif oldest is not None and waited > PATIENCE and connection.state is State.CONNECTED:
            text = (
                self.tr("Waiting for {request} · {seconds}")
                .format(
                    request=one_line(oldest.request, 30), seconds=left_to_right(f"{waited:.1f} s")
                )
                .replace("&", "&&")
            )
        else:
            text = self.tr("&Send request")
        if self.button.text() != text:
            self.button.setText(text)

    def _describe_next(self) -> None:
        beginning = self.message.beginning(200)
        if self.is_hex:
            try:
                count = size_of(self._next_message())
            except ValueError as error:
                set_property(self._next, "role", "bad")
                self._next.say(str(error))
                return
            set_property(self._next, "role", "muted")
            self._next.say(self.tr("next: {count} bytes").format(count=f"{count:,}"))
            return
        set_property(self._next, "role", "muted")
        following = one_line(beginning.replace(COUNTER, str(self._counter)), 40)
        self._next.say(
            self.tr("{i} counts · next: {request}").replace("{request}", following)
            if COUNTER in beginning
            else self.tr("{i} stands for the number of the request")
        )

    def _on_edited(self) -> None:
        self._settings.template = self.message.message
        self._describe_next()

    def _on_kind_chosen(self) -> None:
        self._settings.is_hex = self.is_hex
        self._describe_next()

    def _on_check_chosen(self) -> None:
        check = self.check.currentData()
        self._connection.check = check
        if self._connection.target is not None:
            self._settings.set_check(self._connection.target.url, check)
        self._show_last()

    def _on_arrived(self, arrival: Arrival) -> None:
        if arrival.kind is Kind.UNSOLICITED:
            self._last_unsolicited = arrival.message
        else:
            self._last = arrival
        if not self._settling.isActive():
            self._settling.start()

    def _show_last(self) -> None:
        last = self._last
        details = []
        if last is not None:
            if self.response.arrival is not last:
                self.response.show_arrival(last)
            if last.kind is Kind.REPLY:
                details.append(
                    self.tr("Round trip {ms}").format(
                        ms=milliseconds((last.round_trip or 0.0) * 1e3)
                    )
                )
            elif last.kind is Kind.UNEXPECTED:
                details.append(self.tr("not as expected: {why}").format(why=last.why))
            else:
                details.append(self._described(last.message))
        set_property(
            self.round_trip,
            "role",
            "bad" if last is not None and last.kind is Kind.UNEXPECTED else "muted",
        )
        if self._connection.unsolicited and self._last_unsolicited is not None:
            details.append(
                self.tr("{count} unsolicited, latest: {message}").format(
                    count=f"{self._connection.unsolicited:,}",
                    message=one_line(self._last_unsolicited, 60),
                )
            )
        self.round_trip.say(" · ".join(details) or " ")

    def _described(self, message: Message) -> str:
        kind = self.tr("binary") if isinstance(message, bytes) else self.tr("text")
        return self.tr("Message, {kind}, {size}").format(kind=kind, size=size(size_of(message)))

    def _fill_saved_menu(self) -> None:
        menu = self.saved_menu
        menu.clear()
        menu.addAction(self.tr("&Save this message …"), self.ask_for_name)
        messages = self._settings.saved_messages
        if messages:
            menu.addSeparator()
            for saved in messages:
                menu.addAction(_escaped(saved["name"]), functools.partial(self.load, saved))
            menu.addSeparator()
            forget = menu.addMenu(self.tr("&Delete"))
            for saved in messages:
                forget.addAction(
                    _escaped(saved["name"]), functools.partial(self.forget, saved["name"])
                )

    def ask_for_name(self) -> None:
        """Ask for a name, and save the message under it."""
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(self.tr("Save this message"))
        dialog.setLabelText(self.tr("Name"))
        dialog.setTextValue(one_line(self.message.beginning(40), 40))
        dialog.textValueSelected.connect(self.save)
        dialog.open()

    def save(self, name: str) -> None:
        """Save the message under a name, in place of one that has it."""
        name = " ".join(name.split())
        if name:
            kind = "hex" if self.is_hex else "text"
            others = [saved for saved in self._settings.saved_messages if saved["name"] != name]
            saved = {"name": name, "kind": kind, "message": self.message.message}
            self._settings.saved_messages = sorted(
                [*others, saved], key=lambda saved: saved["name"].casefold()
            )

    def load(self, saved: SavedMessage) -> None:
        """Put a saved message into the editor."""
        self.kind.setCurrentIndex(self.kind.findData(saved["kind"] == "hex"))
        self.message.message = saved["message"]
        self.message.setFocus()

    def forget(self, name: str) -> None:
        """Delete a saved message."""
        self._settings.saved_messages = [
            saved for saved in self._settings.saved_messages if saved["name"] != name
        ]


def _escaped(text: str) -> str:
    """Return a text for a menu, where a single & underlines the letter after it."""
    return text.replace("&", "&&")
