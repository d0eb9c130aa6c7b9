"""How figures read in the window, in either direction of writing."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

__all__ = ["isolated", "left_to_right", "milliseconds", "size"]


def left_to_right(text: str) -> str:
    """Return a text that stays as it is within a line that runs from right to left.

    Without the isolates (Unicode Annex 9) "2.44 ms" would read "ms 2.44" there.
    """
    if QGuiApplication.layoutDirection() is Qt.LayoutDirection.RightToLeft:
        return f"\u2066{text}\u2069"
    return text


def isolated(text: str) -> str:
    """Return a text that runs in its own direction, that of its first letter, in any line."""
    if QGuiApplication.layoutDirection() is Qt.LayoutDirection.RightToLeft:
        return f"\u2068{text}\u2069"
    return text


def milliseconds(value: object) -> str:
    """Return a latency in milliseconds, or a dash if it is unknown."""
    return left_to_right(f"{value:,.2f} ms") if isinstance(value, int | float) else "–"


def size(count: int) -> str:
    """Return a number of bytes."""
    return left_to_right(f"{count:,} B")
