"""Questions to the user, asked without a nested event loop: the answer is awaited."""

import asyncio

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

__all__ = ["confirm"]


async def confirm(parent: QWidget, text: str, yes: str, details: str = "") -> bool:
    """Ask whether to do something, and return the answer.

    Args:
        parent: The widget that the question belongs to.
        text: The question.
        yes: What the button says that does it.
        details: Further information.
    """
    box = QMessageBox(QMessageBox.Icon.Question, yes, text, parent=parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setInformativeText(details)
    button = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_finished() -> None:
        if not answered.done():
            answered.set_result(box.clickedButton() is button)

    box.finished.connect(on_finished)
    box.open()
    try:
        return await answered
    finally:
        box.finished.disconnect(on_finished)
        box.close()
        box.deleteLater()
