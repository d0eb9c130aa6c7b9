"""The protocol of a connection: what happens to each frame that a client sends.

Frames in, frames out, without I/O: the library's ``ServerProtocol`` (RFC 6455) with one thing
added, the reply to each complete message. The reply is written down while the frame is received,
so replies, pongs and the answer to a Close frame leave in the order in which their causes came in,
and no request that was read is left without its reply.

Most frames are alike: a whole text message in at most 120 bytes. For these, and only while the
library waits for the first byte of a frame, there is a short way past its parser, at a third of
the cost, and a shorter one for many of equal length (``runs.py``). Whatever is different in any bit
takes the library's way.

What is used here of the library without being documented: ``recv_frame`` (its parser calls it for
each frame, in order), ``reader.buffer`` (what the parser has not consumed), ``writes`` (what is to
be sent) and ``apply_mask``. The project's dependencies bound its version, and
``tests/server/test_protocol.py`` holds it to this.
"""

from collections.abc import Callable

from websockets.exceptions import PayloadTooBig
from websockets.frames import (  # type: ignore[attr-defined]
    Frame,
    Opcode,
    apply_mask,
)
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from server.runs import FINAL_TEXT, HEADER_SIZE, LEAST_RUN, MASKED, SHORT, Runs

__all__ = ["Answer", "ReplyProtocol"]

Answer = Callable[[bytes], bytes]
"""Makes the payload of a reply from the payload of its request; adds 5 bytes at the most."""

CONTROL_SIZE = 125
"""The most bytes in a control frame (section 5.5)."""

_REPLY_HEADERS = tuple(bytes([FINAL_TEXT, length]) for length in range(126))


class ReplyProtocol(ServerProtocol):
    """A server's side of a connection that answers every message.

    Args:
        answer: Makes the payload of a reply.
        runs: Makes the replies to many short texts, as ``answer`` would.
        max_size: The most bytes that a message may have.
        options: Others of those of the library's ``ServerProtocol``.
    """

    def __init__(self, answer: Answer, runs: Runs, *, max_size: int, **options: object) -> None:
        # The library counts a ping between fragments against the size of the message.
        super().__init__(max_size=max_size + CONTROL_SIZE, **options)  # type: ignore[arg-type]
        self._max_size = max_size
        self.requests = 0
        self._answer = answer
        self._runs = runs
        # Whether the library waits for the first byte of a frame, and the short way is open.
        self._between_frames = self.state is OPEN
        self._short = min(SHORT, max_size)
        self._message: bytearray | None = None
        self._opcode = Opcode.TEXT

    def receive_data(self, data: bytes | bytearray) -> None:
        """Answer what came from the network; data_to_send() gives the replies."""
        if self._between_frames and self.state is OPEN:
            answered = self._answer_short_texts(data)
            if answered == len(data):
                return
            data = data[answered:]
        self._between_frames = False
        super().receive_data(data)
        if self.state is not OPEN:
            self._message = None  # nothing will complete it

    def release(self) -> None:
        """Let go of everything, at the end of the connection.

        The library's parser is a generator that refers to its protocol, and an exception refers to
        the data that caused it. Such cycles would keep what was received until the garbage
        collector comes by.
        """
        self.parser.close()
        self.parser_exc = self.handshake_exc = None
        self._message = None

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
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._check_size(len(data))
            if frame.fin:
                self._reply(opcode, data)
            else:
                # Joined as they come: many small fragments shall not cost an object each.
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
            if buffer:
                del buffer[: self._answer_short_texts(buffer)]
            self._between_frames = not buffer
        # The library's parser holds its last frame for as long as it waits for the next one.
        frame.data = b""

    def _check_size(self, size: int) -> None:
        if size > self._max_size:
            raise PayloadTooBig(size, self._max_size)

    def _reply(self, opcode: Opcode, request: bytes | bytearray) -> None:
        if opcode is Opcode.TEXT:
            # Of an error the library's parser makes close code 1007 (section 8.1).
            request.decode()
        # Behind our own Close frame nothing may follow (section 5.5.1).
        if self.state is OPEN:
            send = self.send_text if opcode is Opcode.TEXT else self.send_binary
            send(self._answer(bytes(request)))
            self.requests += 1

    def _answer_short_texts(self, data: bytes | bytearray) -> int:
        """Answer the short text messages at the start of data, and return how many bytes they are.

        It stops at the first frame that is anything else, is not complete or is not UTF-8.
        """
        answer, write, short = self._answer, self.writes.append, self._short
        start, size = 0, len(data)
        requests = 0
        try_runs = True
        while size - start >= HEADER_SIZE and data[start] == FINAL_TEXT:
            length = data[start + 1] - MASKED
            payload = start + HEADER_SIZE
            end = payload + length
            if not 0 <= length <= short or end > size:
                break
            # A look at the last frame that a run must have spares most of what is none.
            last = start + (LEAST_RUN - 1) * (end - start)
            if try_runs and size - last >= 2 and data[last + 1] == data[start + 1]:
                count, replies = self._runs.answer(data, start)
                if count:
                    write(replies)
                    requests += count
                    start += count * (end - start)
                    continue
                try_runs = False
            request = apply_mask(data[payload:end], data[start + 2 : payload])
            try:
                request.decode()
            except UnicodeDecodeError:
                break
            reply = answer(request)
            write(_REPLY_HEADERS[len(reply)])
            write(reply)
            requests += 1
            start = end
        self.requests += requests
        return start
