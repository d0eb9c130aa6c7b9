"""Runs: short frames of equal length, one behind the other, answered all at once.

A client that sends in bulk sends many of them in one read, and frame by frame Python takes longer
over each than the kernel takes to carry it. So a run is taken for one large number, with every
byte of the run in it, and a step of arithmetic does the same to all frames:

- the run AND a mask leaves the masking keys alone;
- shifted by four bytes, again and again, and joined by OR, the keys come to lie over the texts;
- the run XOR that, AND a mask, leaves the texts, each with six zeros where header and key were.

Zeros never join two texts to one character, so the texts are UTF-8 if all of it is. Then the six
bytes take what a reply needs besides its text: two for its own header, and before these four for
the ending of the reply in front. Endings differ in length, which bytes that UTF-8 never has (RFC
3629, section 1) make up for: one fills a shorter ending up and is taken out again, one stands in
for the last bytes of a longer one.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from random import randbytes
from typing import NamedTuple

__all__ = ["FINAL_TEXT", "HEADER_SIZE", "LEAST_RUN", "MASKED", "SHORT", "Runs"]

# A frame's first byte: the FIN bit and the opcode. Its second: the MASK bit and the length, if that
# is below 126. Four bytes of masking key follow in frames from a client (RFC 6455, section 5.2).
FINAL_TEXT = 0x81
MASKED = 0x80
HEADER_SIZE = 6

SHORT = 120
"""The longest request, in bytes, whose reply has a length below 126 as well."""

ENDING_SIZE = 4
"""What is left of six bytes behind the header of a reply, which has no key."""

_FINAL_TEXT = bytes([FINAL_TEXT])
FILLER = b"\xff"
STAND_IN = b"\xfe"

LEAST_RUN = 8
"""The fewest frames for which all this is cheaper than frame after frame."""

MOST_BYTES = 2**14
"""The longest run; from here on a longer one is no cheaper."""


class Runs:
    """Answers runs of text frames from a client with their texts and an ending each.

    Args:
        endings: What a reply may end with, each as likely as the others. They are ASCII, and those
            that are longer than four bytes are alike from their fourth byte on.
    """

    def __init__(self, endings: Sequence[bytes]) -> None:
        self._tail = b""
        cells = []
        for ending in endings:
            if len(ending) > ENDING_SIZE:
                self._tail = ending[ENDING_SIZE - 1 :]
                ending = ending[: ENDING_SIZE - 1] + STAND_IN
            cells.append(ending.ljust(ENDING_SIZE, FILLER))
        # A random byte stands for an ending; those too many for an even share are drawn again.
        count = len(endings)
        self._too_many = bytes(range(256 - 256 % count, 256))
        self._columns = [
            bytes(cells[byte % count][i] for byte in range(256)) for i in range(ENDING_SIZE)
        ]
        self._lengths = [
            bytes(length + len(endings[byte % count]) for byte in range(256))
            for length in range(SHORT + 1)
        ]

    def answer(self, data: bytes | bytearray, start: int) -> tuple[int, bytes]:
        """Return how many frames the run at this place has, and the replies to them all.

        None of them are answered if there are too few, or if they are not all valid UTF-8.
        """
        count = _count(data, start)
        if count < LEAST_RUN:
            return 0, b""
        length = data[start + 1] - MASKED
        step = HEADER_SIZE + length
        size = count * step
        masks = _masks(length)
        run = int.from_bytes(data[start : start + size], "little")
        keys = (run & masks.keys) << 32
        for shift in masks.shifts:
            keys |= keys << shift
        texts = (run ^ keys) & masks.texts
        replies = bytearray(texts.to_bytes(size + ENDING_SIZE, "little"))
        try:
            replies.decode()
        except UnicodeDecodeError:
            return 0, b""
        drawn = self._draw(count)
        for place, column in enumerate(self._columns, step):
            replies[place::step] = drawn.translate(column)
        replies[ENDING_SIZE::step] = _FINAL_TEXT * count
        replies[ENDING_SIZE + 1 :: step] = drawn.translate(self._lengths[length])
        replies = replies[ENDING_SIZE:].translate(None, FILLER).replace(STAND_IN, self._tail)
        return count, bytes(replies)

    def _draw(self, count: int) -> bytes:
        """Return random bytes, each of which stands for an ending."""
        drawn = b""
        while len(drawn) < count:
            drawn += randbytes(2 * count).translate(None, self._too_many)
        return drawn[:count]


class _Masks(NamedTuple):
    keys: int
    texts: int
    shifts: list[int]
    """By how many bits to shift the keys, each time, until they cover the texts."""


# Attackers may send every length; this many take up to a MiB.
@lru_cache(32)
def _masks(length: int) -> _Masks:
    """Return what runs of texts of this length are taken apart with."""
    count = MOST_BYTES // (HEADER_SIZE + length)
    keys = b"\x00\x00\xff\xff\xff\xff" + bytes(length)
    texts = bytes(HEADER_SIZE) + b"\xff" * length
    copies, shifts = 1, []
    while copies < length / 4:
        # The last copies may lie upon others, which are the same.
        more = min(copies, math.ceil(length / 4) - copies)
        shifts.append(32 * more)
        copies += more
    return _Masks(
        int.from_bytes(keys * count, "little"), int.from_bytes(texts * count, "little"), shifts
    )


def _count(data: bytes | bytearray, start: int) -> int:
    """Return how many frames at this place, that are all there, begin with the same two bytes."""
    length = data[start + 1]
    step = HEADER_SIZE + length - MASKED
    count = min(len(data) - start, MOST_BYTES) // step
    end = start + count * step
    others = max(
        len(data[start:end:step].lstrip(_FINAL_TEXT)),
        len(data[start + 1 : end : step].lstrip(bytes([length]))),
    )
    return count - others
