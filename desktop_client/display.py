"""Starting Qt, or saying in one line why there is no display to start it on."""

import os
import sys
from collections.abc import Callable

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

__all__ = ["start_qt"]


def start_qt() -> QApplication:
    """Return the application.

    Where there is no display, Qt ends the process by an abort; before it comes to that, this ends
    it with one line on standard error and status 1.
    """
    warnings: list[str] = []

    def on_message(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
        if kind is QtMsgType.QtFatalMsg:
            print(f"wsroll-desktop: {_why(warnings, text)}", file=sys.stderr, flush=True)
            # Qt aborts as soon as this returns, and nothing else has begun.
            os._exit(1)
        if kind not in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg):
            warnings.append(text)

    before: Callable[..., object] | None = qInstallMessageHandler(on_message)
    try:
        return QApplication([sys.argv[0]])
    finally:
        qInstallMessageHandler(before)
        for text in warnings:
            print(text, file=sys.stderr)


def _why(warnings: list[str], fatal: str) -> str:
    if any("display" in text for text in warnings):
        named = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
        place = (
            f"cannot connect to {named!r}"
            if named
            else "neither WAYLAND_DISPLAY nor DISPLAY is set"
        )
        return f"there is no display to open a window on ({place})"
    first_line = (warnings[0] if warnings else fatal).strip().splitlines()[0]
    return f"Qt cannot open a window: {first_line}"
