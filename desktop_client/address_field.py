"""The address: a line to type in, with the last addresses behind an arrow.

Nothing is completed: what Enter connects to is what stands in the field.
"""

import functools
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QIcon, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QMenu

__all__ = ["AddressField"]

_ARROW = str(Path(__file__).with_name("chevron.svg"))


class AddressField(QLineEdit):
    """The address to connect to.

    Args:
        remembered: Returns the last addresses, the very last first.

    Signals:
        submitted: Connect to what stands here.
    """

    submitted = Signal()

    def __init__(self, remembered: Callable[[], list[str]]) -> None:
        super().__init__(remembered()[0], placeholderText="ws://localhost:8765/")
        # Qt would cut what is longer than 32,767 characters.
        self.setMaxLength(2**20)
        self._remembered = remembered
        self.menu = QMenu(self)
        self.returnPressed.connect(self.submitted)
        arrow = self.addAction(QIcon(_ARROW), QLineEdit.ActionPosition.TrailingPosition)
        arrow.setToolTip(self.tr("Last addresses (Down)"))
        arrow.triggered.connect(self.show_remembered)

    def show_url(self, url: str) -> None:
        """Show an address from its beginning."""
        self.setText(url)
        self.setCursorPosition(0)

    def show_remembered(self) -> None:
        """Show the last addresses to choose from."""
        self.menu.clear()
        for url in self._remembered():
            # A single & would underline the letter after it.
            action = self.menu.addAction(url.replace("&", "&&"))
            action.triggered.connect(functools.partial(self._choose, url))
        self.menu.setMinimumWidth(self.width())
        self.menu.popup(self.mapToGlobal(self.rect().bottomLeft()))
        self.menu.setActiveAction(self.menu.actions()[0])

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Show the last addresses at Down."""
        if event.key() == Qt.Key.Key_Down:
            self.show_remembered()
        else:
            super().keyPressEvent(event)

    def _choose(self, url: str) -> None:
        self.show_url(url)
        self.submitted.emit()
