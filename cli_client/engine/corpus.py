"""The corpus of edge cases: payloads at the borders of the frame format and of UTF-8.

A frame states its length in 7, 16 or 64 bits, with the borders at 125 and 65,535 bytes (RFC 6455,
section 5.2). Text may be cut into fragments anywhere, in the middle of a character too (section
5.4). All are valid text, so each can be sent as text and as binary.
"""

from collections.abc import Iterator

__all__ = ["Fragmented", "edges"]

SIZES = (0, 1, 2, 124, 125, 126, 127, 65_534, 65_535, 65_536)

CHARACTERS = (
    "\x00",  # NUL
    "\x7f",
    "\x80",  # the first and the last of two bytes
    "\u07ff",
    "\u0800",  # of three
    "\ud7ff",
    "\ue000",
    "\ufffd",
    "\ufffe",  # a noncharacter, and valid
    "\uffff",
    "\U00010000",  # of four
    "\U0010ffff",
    "\ufeff",  # a byte order mark, which nobody may take away
    "e\u0301",  # a combining accent, which nobody may compose
    "\u202e",  # right-to-left override
    "🎲",
)

TEXTS = (
    "a: 42",
    ": 42",
    "a: 42: 7",
    ": ",
    ":",
    " ",
    "\n",
    "\r\n",
    "two\nlines",
    '{"json": "\\u0000"}',
    "zwölf 🎲\x00",
)
"""Requests that end like a reply, or that something on the way might trim or split."""


class Fragmented(bytes):
    """A payload to send in fragments."""

    cuts: tuple[int, ...]
    """Where to cut; two cuts at one place make an empty fragment."""

    def __new__(cls, payload: bytes, *cuts: int) -> "Fragmented":
        """Make a payload that is cut at these places."""
        fragmented = super().__new__(cls, payload)
        fragmented.cuts = cuts
        return fragmented

    def fragments(self) -> Iterator[bytes]:
        """Return the fragments in order; together they are the payload."""
        start = 0
        for cut in (*self.cuts, len(self)):
            yield self[start:cut]
            start = cut


def edges() -> list[bytes]:
    """Return the corpus, once."""
    characters = [character.encode() for character in CHARACTERS]
    # A character of two, three and four bytes across each border of the length field.
    borders = [
        b"x" * (border - 1) + character.encode() for border in (125, 65_535) for character in "é€🎲"
    ]
    # Each character of several bytes cut between each two of them.
    cut = [
        Fragmented(character, *range(1, len(character)))
        for character in characters
        if len(character) > 1
    ]
    fragmented = [
        Fragmented(b"", 0),
        Fragmented(b"in two", 3),
        Fragmented(b"with empty fragments", 0, 4, 4, 4),
        Fragmented(b"x" * 300, *range(1, 300)),
        Fragmented(b"x" * 65_536, 125, 251, 65_535),
        Fragmented("🎲".encode() * 100, *range(1, 400, 3)),
        Fragmented(b"cut before its end: 42", 18, 20),
    ]
    return [
        *(b"x" * size for size in SIZES),
        *characters,
        *(text.encode() for text in TEXTS),
        *borders,
        *cut,
        *fragmented,
    ]
