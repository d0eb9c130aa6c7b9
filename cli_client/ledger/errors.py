"""What went wrong in a run, in words: grouped, counted, and bounded however much goes wrong.

Errors that differ only in the request that they are about are one error with a count; the first of
them stands for all. Of each kind a limited number is kept, so that a thousand different wrong
replies do not hide the one line that says why the connection died.
"""

from dataclasses import dataclass

from wire.text import printable

__all__ = ["Errors", "name"]

SHOWN = 5
"""How many different errors of a kind are kept; the rest is counted."""


@dataclass
class _Group:
    first: str
    count: int


class Errors:
    """Counts errors, and keeps the first of each in words."""

    def __init__(self) -> None:
        self.count = 0
        """How many there were, those that are not kept included."""
        self._groups: dict[tuple[str, str], _Group] = {}

    def note(self, kind: str, what: str, about: str | bytes = "", times: int = 1) -> None:
        """Take down an error.

        Args:
            kind: What sort of error it is.
            what: What is wrong.
            about: What it is wrong with, before that; errors that differ in this alone are one.
                Bytes are a payload, which is made readable only if it is kept.
            times: How often.
        """
        self.count += times
        known = self._groups.get((kind, what))
        if known is not None:
            known.count += times
        elif self._has_room(kind):
            shown = name(about) if isinstance(about, bytes) else about
            self._groups[kind, what] = _Group(shown + what, times)

    def add(self, other: "Errors") -> None:
        """Take in the errors of another share of the run."""
        self.count += other.count
        for (kind, what), group in other._groups.items():
            known = self._groups.get((kind, what))
            if known is not None:
                known.count += group.count
            elif self._has_room(kind):
                self._groups[kind, what] = group

    def listed(self) -> list[tuple[str, int]]:
        """Return the errors that are kept, each with its count, the most frequent first."""
        groups = sorted(self._groups.values(), key=lambda group: -group.count)
        return [(group.first, group.count) for group in groups]

    def _has_room(self, kind: str) -> bool:
        return sum(one == kind for one, _ in self._groups) < SHOWN


def name(payload: bytes) -> str:
    """Return a payload as a text that fits a line."""
    text = printable(payload[:240].decode(errors="backslashreplace")) or "(an empty message)"
    return text if len(text) <= 60 else f"{text[:59]}…"
