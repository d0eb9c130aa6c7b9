"""The protocol of a connection: what happens to each frame that a client sends.

Frames in, frames out, without I/O: the library's ``ServerProtocol`` (RFC 6455) with one thing
added, the reply to each complete message. The reply is written while the frame is received, so
replies, pongs and the answer to a Close frame leave in the order in which their causes came in,
and no request that was read is left without its reply.

Nearly all frames are alike: a whole text message in at most 120 bytes. Between two messages, and
only there, the frame functions (``wire/frames.py``) answer these, many at a time, at a small part
of the cost. Whatever is different in any bit is for the library. A connection on which only such
texts come needs no ``ReplyProtocol`` at all (``connection.py``).

What is used here of the library without being documented: ``recv_frame`` (its parser calls it for
each frame, in order), ``reader.buffer`` (what the parser has not consumed) and ``writes`` (what is
to be sent). The project's dependencies bound its version, and ``tests/server/test_protocol.py``
holds it to this.
"""

import sys
from collections.abc import Callable

from websockets.exceptions import PayloadTooBig
from websockets.extensions import Extension
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from server.deflate import CompressionError

__all__ = ["SHORT", "Answer", "AnswerShort", "ReplyProtocol"]

Answer = Callable[[bytes], bytes]
"""Makes the payload of a reply from the payload of its request."""

AnswerShort = Callable[[bytes | bytearray | memoryview], tuple[bytes, int, int]]
"""Answers the short texts at the start of data: see ``Answerer.answer`` in ``wire/frames.py``."""

SHORT = 120
"""Bytes of the longest request that is a short text: its reply is up to 5 bytes longer, and from
126 on a frame's header has further bytes."""

CONTROL_SIZE = 125
"""The most bytes in a control frame (section 5.5)."""

LARGEST_EXPANSION = 1 / 16
"""By how much data that does not shrink may grow in compression. A stored block adds 5 bytes (RFC
1951, section 3.2.4), and the encoders with the least memory make blocks of 128 bytes."""


class ReplyProtocol(ServerProtocol):
    """A server's side of a connection that answers every message.

    Args:
        answer: Makes the payload of a reply.
        answer_short: Answers short texts, as ``answer`` would.
        max_size: The most bytes that a message may have.
        options: Others of those of the library's ``ServerProtocol``.
    """

    def __init__(
        self, answer: Answer, answer_short: AnswerShort, *, max_size: int, **options: object
    ) -> None:
        # The library counts a ping between fragments against the size of the message.
        super().__init__(max_size=max_size + CONTROL_SIZE, **options)  # type: ignore[arg-type]
        self.requests = 0
        """Requests answered so far."""
        self._max_size = max_size
        self._answer = answer
        self._answer_short = answer_short
        # Whether the library waits for the first byte of a frame, outside of any message.
        self._is_between_messages = self.state is OPEN
        self._message: bytearray | None = None
        self._opcode = Opcode.TEXT

    @property
    def is_between_messages(self) -> bool:
        """Whether short texts that come next may be answered without the library."""
        return self._is_between_messages and self.state is OPEN and not self.extensions

    def receive_data(self, data: bytes | bytearray) -> None:
        """Answer what came from the network; data_to_send() gives the replies."""
        if self.is_between_messages:
            data = data[self._reply_to_short_texts(data) :]
        if data:
            self._is_between_messages = False
            super().receive_data(data)
        if self.state is not OPEN:
            self._message = None  # nothing will complete it

    def use_extensions(self, extensions: list[Extension]) -> None:
        """Send and receive with these extensions from now on."""
        self.extensions = extensions
        if extensions:
            # The library holds the limit against the size of a frame before it is decompressed too.
            self.max_message_size = CONTROL_SIZE + int(self._max_size * (1 + LARGEST_EXPANSION))

    def release(self) -> None:
        """Let go of everything, at the end of the connection.

        The library's parser is a generator that refers to its protocol, and an exception refers to
        the data that caused it. Such cycles would keep what was received until the garbage
        collector comes by.
        """
        self.parser.close()
        self.parser_exc = self.handshake_exc = None
        self._message = None

    def fail(self, code: int, reason: str = "") -> None:
        """Fail the connection; data that cannot be decompressed is invalid data."""
        if isinstance(sys.exception(), CompressionError):
            code = CloseCode.INVALID_DATA  # as for text that is not UTF-8; the library has 1002
        super().fail(code, reason)

    def recv_frame(self, frame: Frame) -> None:
        """Let the library act on a frame, then answer the message that the frame completes."""
        if frame.opcode is Opcode.CLOSE:
            # A Close may come inside a message (section 5.4); the library calls that an error.
            self.current_size = None
        super().recv_frame(frame)
        # What the library keeps for its caller has been dealt with once this returns.
        self.events.clear()
        opcode, data = frame.opcode, frame.data
        assert not isinstance(data, memoryview), "memoryviews are for frames to send"
        if self.state is not OPEN:
            # Behind our own Close frame nothing may follow (section 5.5.1): the rest of a message
            # gets no reply.
            self._message = None
        elif opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._check_size(len(data))
            if frame.fin:
                self._reply(opcode, data)
            else:
                # Joined as they come: many small fragments must not cost an object each.
                self._message, self._opcode = bytearray(data), opcode
        elif opcode is Opcode.CONT:
            assert self._message is not None, "the library refuses a continuation of nothing"
            self._message += data
            self._check_size(len(self._message))
            if frame.fin:
                message, self._message = self._message, None
                self._reply(self._opcode, message)
        if self.state is OPEN and self._message is None and not self.extensions:
            buffer = self.reader.buffer
            del buffer[: self._reply_to_short_texts(buffer)]
            self._is_between_messages = not buffer
        # The library's parser holds its last frame for as long as it waits for the next one.
        frame.data = b""

    def _check_size(self, size: int) -> None:
        if size > self._max_size:
            raise PayloadTooBig(size, self._max_size)

    def _reply(self, opcode: Opcode, request: bytes | bytearray) -> None:
        if opcode is Opcode.TEXT:
            # The library's parser turns the error into close code 1007 (section 8.1).
            request.decode()
        send = self.send_text if opcode is Opcode.TEXT else self.send_binary
        send(self._answer(bytes(request)))
        self.requests += 1

    def _reply_to_short_texts(self, data: bytes | bytearray) -> int:
        """Answer the short texts at the start of data, and return how many bytes they are."""
        replies, requests, used = self._answer_short(data)
        if requests:
            self.writes.append(replies)
            self.requests += requests
        return used
