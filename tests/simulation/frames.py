"""Frames for the simulated server (RFC 6455, section 5.2), written apart from the sender's own."""

import base64
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

FINAL = 0x80
RESERVED = 0x40
MASKED = 0x80


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    final: bool = True


def encode(opcode: int, payload: bytes, *, final: bool = True, reserved: bool = False) -> bytes:
    """Return a frame as a server sends it, without a mask."""
    first = opcode | (FINAL if final else 0) | (RESERVED if reserved else 0)
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 2**16:
        return bytes([first, 126]) + size.to_bytes(2, "big") + payload
    return bytes([first, 127]) + size.to_bytes(8, "big") + payload


class Messages:
    """Turns a client's stream of frames into whole messages and control frames.

    The opcode of a message is that of its first frame.
    """

    def __init__(self) -> None:
        self._stream = bytearray()
        self._parts: list[Frame] = []

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Give what is complete with these bytes."""
        self._stream += data
        while (frame := self._next()) is not None:
            if frame.opcode >= CLOSE:
                yield frame
                continue
            self._parts.append(frame)
            if frame.final:
                whole = b"".join(part.payload for part in self._parts)
                opcode = self._parts[0].opcode
                self._parts.clear()
                yield Frame(opcode, whole)

    def _next(self) -> Frame | None:
        stream = self._stream
        if len(stream) < 2:
            return None
        size, start = stream[1] & 0x7F, 2
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(stream[2:start], "big")
        masked = bool(stream[1] & MASKED)
        mask = bytes(stream[start : start + 4]) if masked else b""
        start += len(mask)
        if len(stream) < start + size or (masked and len(mask) < 4):
            return None
        payload = bytes(stream[start : start + size])
        if masked:
            key = (mask * (size // 4 + 1))[:size]
            mixed = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
            payload = mixed.to_bytes(size, "big")
        frame = Frame(stream[0] & 0x0F, payload, bool(stream[0] & FINAL))
        del stream[: start + size]
        return frame


def accept(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers a key (RFC 6455, section 4.2.2)."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()
