"""Frames as a server sends them (RFC 6455, section 5.2): split from a stream, and encoded again.

Only what the fault proxy needs: a server's frames are not masked, and those of the private server
are valid and of the shortest form, so splitting and encoding them gives the same bytes.
"""

from typing import NamedTuple

__all__ = ["BINARY", "CLOSE", "TEXT", "Frame", "FrameSplitter"]

FINAL = 0x80
TEXT = FINAL | 0x1
BINARY = FINAL | 0x2
CLOSE = FINAL | 0x8
"""First bytes of frames that are whole messages."""

TWO_MORE, EIGHT_MORE = 126, 127
"""Lengths that mean that the length itself is in the next two or eight bytes."""


class Frame(NamedTuple):
    """A frame: its first byte (flags and opcode) and its payload."""

    first: int
    payload: bytes

    def encode(self) -> bytes:
        """Return the bytes of the frame."""
        size = len(self.payload)
        if size < TWO_MORE:
            length = bytes([size])
        elif size < 2**16:
            length = bytes([TWO_MORE]) + size.to_bytes(2, "big")
        else:
            length = bytes([EIGHT_MORE]) + size.to_bytes(8, "big")
        return bytes([self.first]) + length + self.payload


class FrameSplitter:
    """Splits a stream that arrives in chunks of any size into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete with these bytes."""
        data = self._rest + data
        frames = []
        start = 0
        while (found := _frame_at(data, start)) is not None:
            frame, start = found
            frames.append(frame)
        self._rest = data[start:]
        return frames


def _frame_at(data: bytes, start: int) -> tuple[Frame, int] | None:
    """Return the frame that starts there and where it ends, or None if it is incomplete."""
    if len(data) < start + 2:
        return None
    size, payload = data[start + 1], start + 2
    if size >= TWO_MORE:
        more = 2 if size == TWO_MORE else 8
        size, payload = int.from_bytes(data[payload : payload + more], "big"), payload + more
    end = payload + size
    # Also true where the length itself is cut off: the payload would start after the data.
    if len(data) < end:
        return None
    return Frame(data[start], data[payload:end]), end
