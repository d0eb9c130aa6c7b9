"""Text from somewhere else, made harmless for a terminal, a page or a log."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """Return text with what a terminal or a page would obey, not show, as escapes.

    These are control characters, line breaks, marks of direction, and spaces that are not " ".
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
