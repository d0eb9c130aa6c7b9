"""The protocol of a connection: what happens to each frame that a client sends.

`Frames in, frames out`, without I/O: the library's ``ServerProtocol`` (RFC 6455) with one thing
added, the reply to each complete message. The reply is written down while the frame is received,
so replies, pongs and the answer to a Close frame leave in the order in which their causes came in,
and no request that was read is left without its reply.
"""

from collections.abc import Callable

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

__all__ = ["Answer", "ReplyProtocol"]

Answer = Callable[[bytes | bytearray], bytes]
"""Makes the payload of a reply from the payload of its request."""


class ReplyProtocol(ServerProtocol):
    """A server's side of a connection that answers every message.

    It rests on one method that the library does not document, ``recv_frame``, which its parser
    calls for each frame, in order. ``tests/server/test_protocol.py`` holds the library to that,
    and the project's dependencies bound its version.

    Args:
        answer: Makes the payload of a reply.
        options: Those of the library's ``ServerProtocol``.
    """

    def __init__(self, answer: Answer, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.requests = 0
        self._answer = answer
        self._message: bytearray | None = None
        self._opcode = Opcode.TEXT

    def recv_frame(self, frame: Frame) -> None:
        """Let the library act on a frame, then answer the message that the frame completes."""
        super().recv_frame(frame)
        # What the library keeps for its caller has been dealt with once this returns.
        self.events.clear()
        opcode, data = frame.opcode, frame.data
        assert not isinstance(data, memoryview), "memoryviews are for frames to send"
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if frame.fin:
                self._reply(opcode, data)
            else:
                # Joined as they come: many small fragments shall not cost an object each.
                self._message, self._opcode = bytearray(data), opcode
        elif opcode is Opcode.CONT:
            assert self._message is not None, "the library refuses a continuation of nothing"
            self._message += data
            if frame.fin:
                message, self._message = self._message, None
                self._reply(self._opcode, message)

    def _reply(self, opcode: Opcode, request: bytes | bytearray) -> None:
        if opcode is Opcode.TEXT:
            # Of an error the library's parser makes close code 1007 (section 8.1).
            request.decode()
        # Behind our own Close frame nothing may follow (section 5.5.1).
        if self.state is OPEN:
            send = self.send_text if opcode is Opcode.TEXT else self.send_binary
            send(self._answer(request))
            self.requests += 1
