"""The protocol of the sender's end: requests to frames, frames to replies, without I/O.

The library's ``ClientProtocol`` (RFC 6455) with a short way past its parser and its serializer for
the frames that nearly all are: whole text messages of less than 126 bytes. What is used of the
library without being documented: ``recv_frame`` (called for each frame, in order),
``reader.buffer`` (what its parser has not consumed), ``writes`` (what is to be sent) and
``apply_mask``. The project's dependencies bound its version.
"""

import os
from collections.abc import Sequence

from websockets.client import ClientProtocol
from websockets.frames import (  # type: ignore[attr-defined]
    Frame,
    Opcode,
    apply_mask,
)
from websockets.protocol import OPEN

from cli_client.ledger import BinaryReply

__all__ = ["RequestProtocol"]

FINAL_TEXT = 0x81
MASKED = 0x80
LIMIT = 126
"""From this length on, a frame's header has further bytes (RFC 6455, section 5.2)."""

_REQUEST_HEADERS = tuple(bytes([FINAL_TEXT, MASKED | length]) for length in range(LIMIT))


class RequestProtocol(ClientProtocol):
    """A client's side of a connection that sends texts in bulk and collects the replies."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._replies: list[bytes] = []
        self._between_frames = False
        self._message: bytearray | None = None
        self._opcode = Opcode.TEXT

    def take_replies(self) -> list[bytes]:
        """Return the messages that are complete since this was called before."""
        replies, self._replies = self._replies, []
        return replies

    def send_texts(self, requests: Sequence[bytes]) -> None:
        """Send each request as a text message; data_to_send() gives the frames."""
        write = self.writes.append
        # One call for the keys of all frames; each is fresh and unpredictable (section 5.3).
        keys = os.urandom(4 * len(requests))
        for place, request in enumerate(requests):
            if len(request) < LIMIT:
                key = keys[4 * place : 4 * place + 4]
                write(_REQUEST_HEADERS[len(request)])
                write(key)
                write(apply_mask(request, key))
            else:
                self.send_text(request)

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take in what came from the network."""
        if self._between_frames and self.state is OPEN:
            taken = self._take_short_texts(data)
            if taken == len(data):
                return
            data = data[taken:]
        self._between_frames = False
        super().receive_data(data)

    def recv_frame(self, frame: Frame) -> None:
        """Let the library act on a frame, then collect the message that it completes."""
        super().recv_frame(frame)
        self.events.clear()
        opcode, data = frame.opcode, frame.data
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._message, self._opcode = bytearray(data), opcode
        elif opcode is Opcode.CONT:
            assert self._message is not None, "the library refuses a continuation of nothing"
            self._message += data
        if self._message is not None and frame.fin and opcode not in _CONTROL:
            kind = bytes if self._opcode is Opcode.TEXT else BinaryReply
            self._replies.append(kind(self._message))
            self._message = None
        if self.state is OPEN and self._message is None and not self.extensions:
            buffer = self.reader.buffer
            if buffer:
                del buffer[: self._take_short_texts(buffer)]
            self._between_frames = not buffer

    def _take_short_texts(self, data: bytes | bytearray) -> int:
        """Collect the short text messages at the start of data, and return how many bytes they are.

        That they are UTF-8 shows when they are compared with what is expected.
        """
        collect = self._replies.append
        data = bytes(data)
        start, size = 0, len(data)
        while size - start >= 2 and data[start] == FINAL_TEXT:
            end = start + 2 + data[start + 1]
            if data[start + 1] >= LIMIT or end > size:
                break
            collect(data[start + 2 : end])
            start = end
        return start


_CONTROL = (Opcode.CLOSE, Opcode.PING, Opcode.PONG)
