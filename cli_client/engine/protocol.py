"""The protocol of the sender's end: requests to frames, frames to replies, without I/O.

The library's ``ClientProtocol`` (RFC 6455) with a short way past its parser and its serializer for
the frames that nearly all are, many at a time (``wire/frames.py``). What is used of the library
without being documented: ``process_response`` (called once the handshake is read), ``recv_frame``
(called for each frame, in order), ``reader.buffer`` (what its parser has not consumed) and
``writes`` (what is to be sent). The project's dependencies bound its version.

The library looks at a frame once it is complete, and at nothing behind a Close frame. Here the
header of a frame is enough to show a breach, and so is what comes behind the Close.
"""

import io
import os

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN

from cli_client.engine.corpus import Fragmented
from cli_client.ledger.expectation import OtherKind
from cli_client.settings import LARGEST_REQUEST
from wire.frames import pack, split

__all__ = ["RequestProtocol"]

FINAL = 0x80
SHORT_LIMIT = 126
"""From this length on, a frame's header has further bytes (RFC 6455, section 5.2)."""

LARGEST_REPLY = 4 * LARGEST_REQUEST
"""Bytes of the largest reply that is taken in."""

LONGEST = 2**63 - 1
"""Bytes of the longest frame that there can be: of a length in 8 bytes "the most significant bit
MUST be 0" (section 5.2)."""

HEADER_SIZE = 10
"""Bytes of the longest header of a frame from a server: two, and eight of length."""

STATUS_LINE_SIZE = 80
"""Bytes that are kept of the first line of an answer, to show it."""

KEY_SIZE = 4

KEYS_DRAWN = 1024
"""Masking keys that are drawn at once. To draw one alone costs twenty times its part of these."""


class MaskingKeys:
    """Gives masking keys, each of them fresh and unpredictable (section 5.3), and each once."""

    def __init__(self) -> None:
        self._drawn = io.BytesIO()

    def take(self, count: int) -> bytes:
        """Return this number of keys, one behind the other."""
        size = KEY_SIZE * count
        keys = self._drawn.read(size)
        if len(keys) < size:
            self._drawn = io.BytesIO(os.urandom(max(size, KEY_SIZE * KEYS_DRAWN)))
            keys = self._drawn.read(size)
        return keys


_keys = MaskingKeys()
"""Those of all connections: for each to have its own would take 4 KiB."""


class RequestProtocol(ClientProtocol):
    """A client's side of a connection that sends messages in bulk and collects the replies.

    Args:
        binary: Whether messages are binary rather than text, both ways.
    """

    def __init__(self, *args: object, binary: bool, **options: object) -> None:
        super().__init__(*args, max_size=LARGEST_REPLY, **options)  # type: ignore[arg-type]
        self._kind = Opcode.BINARY if binary else Opcode.TEXT
        self._first_byte = FINAL | self._kind
        self._replies: list[bytes] = []
        self._between_frames = False
        self._message: bytearray | None = None
        self._opcode = self._kind
        # How the frame begins that is not complete, or what has come behind the Close frame.
        self._begun = b""
        self._pong = b""
        self._is_held = False
        self._answer = b""
        self.pongs = 0
        self.received = 0
        """How many messages are complete."""

    @property
    def status_line(self) -> str:
        """The first line of the server's answer to the handshake, or what has come of it."""
        return self._answer.partition(b"\r\n")[0].decode("latin-1")

    def hold(self) -> None:
        """Keep of the pongs only the last one, as the server takes nothing (section 5.5.3)."""
        self._is_held = True

    def release(self) -> None:
        """Send the pong that was kept, and each that is due from now on."""
        self._is_held = False
        if self._pong and self.state is OPEN:
            self.writes.append(self._pong)
        self._pong = b""

    def send_requests(self, requests: list[bytes]) -> None:
        """Send each request as a message; data_to_send() gives the frames."""
        if self.extensions or Fragmented in map(type, requests):
            for request in requests:
                self._send_at_length(request)
        else:
            self.writes.append(pack(self._first_byte, requests, _keys.take(len(requests))))

    def _send_at_length(self, request: bytes) -> None:
        first, *others = request.fragments() if isinstance(request, Fragmented) else (request,)
        send = self.send_binary if self._kind is Opcode.BINARY else self.send_text
        send(first, fin=not others)
        for place, fragment in enumerate(others, 1):
            self.send_continuation(fragment, fin=place == len(others))

    def receive(self, data: bytes) -> list[bytes]:
        """Take in what came from the network, and return the messages that it completes."""
        if self._between_frames:
            # That text is UTF-8 shows when it is checked.
            messages, taken = split(self._first_byte, data)
            self.received += len(messages)
            if taken == len(data):
                return messages
            self._replies += messages
            data = data[taken:]
        self._between_frames = False
        if self.state is CONNECTING:
            self._answer += data[: STATUS_LINE_SIZE - len(self._answer)]
        elif self.parser_exc is None:
            self._begun += data if self.close_rcvd else data[: HEADER_SIZE - len(self._begun)]
        self.receive_data(data)
        error = self.parser_exc
        if isinstance(error, PayloadTooBig) and (getattr(error, "size", None) or 0) > LONGEST:
            self.parser_exc = ProtocolError("a length whose most significant bit is not 0")
        if self.parser_exc is None:
            try:
                self._check_begun()
            except ProtocolError as error:
                self.fail(CloseCode.PROTOCOL_ERROR, str(error))
                self.parser_exc = error
        replies, self._replies = self._replies, []
        return replies

    def process_response(self, response: Response) -> None:
        """Let the library check the handshake, then look at what has come behind it."""
        super().process_response(response)
        self._begun = bytes(self.reader.buffer[:HEADER_SIZE])

    def _check_begun(self) -> None:
        """Refuse what can only be a breach, however it goes on.

        Raises:
            ProtocolError: If it is one.
        """
        self._check_length()
        while len(self._begun) >= 2:
            first, second = self._begun[:2]
            opcode = first & 0x0F
            # "The application MUST NOT send any more data frames after sending a Close frame"
            # (section 5.5.1); nor is there a use for a second Close frame.
            if self.close_rcvd is not None and opcode not in (Opcode.PING, Opcode.PONG):
                raise ProtocolError("a frame behind the Close frame")
            frame = Frame(
                Opcode(opcode),
                bytes(second & 0x7F),
                fin=bool(first & FINAL),
                rsv1=bool(first & 0x40) and not self.extensions,
                rsv2=bool(first & 0x20),
                rsv3=bool(first & 0x10),
            )
            frame.check()
            end = 2 + len(frame.data)
            if self.close_rcvd is None or len(self._begun) < end:
                return
            self._begun = self._begun[end:]

    def _check_length(self) -> None:
        """Refuse a length in more bytes than it needs (section 5.2), which the library lets pass.

        Raises:
            ProtocolError: If it is one.
        """
        for mark, size, least in ((126, 2, 126), (127, 8, 2**16)):
            length = self._begun[2 : 2 + size]
            if (
                self._begun[1:2] == bytes((mark,))
                and len(length) == size
                and int.from_bytes(length, "big") < least
            ):
                raise ProtocolError("a length in more bytes than it needs")

    def recv_frame(self, frame: Frame) -> None:
        """Let the library act on a frame, then collect the message that it completes."""
        self._check_length()
        behind = bytes(self.reader.buffer) if frame.opcode is Opcode.CLOSE else None
        super().recv_frame(frame)
        self.events.clear()
        opcode, data = frame.opcode, frame.data
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._message, self._opcode = bytearray(data), opcode
        elif opcode is Opcode.CONT:
            assert self._message is not None, "the library refuses a continuation of nothing"
            self._message += data
        elif opcode is Opcode.PONG:
            self.pongs += 1
        elif opcode is Opcode.PING and self._is_held and self.state is OPEN:
            self._pong = self.writes.pop()
        if self._message is not None and frame.fin and opcode not in _CONTROL:
            kind = bytes if self._opcode is self._kind else OtherKind
            self._replies.append(kind(self._message))
            self.received += 1
            self._message = None
        if self.state is OPEN and self._message is None and not self.extensions:
            buffer = self.reader.buffer
            # Not for a long one, since this copies the whole of the buffer.
            if len(buffer) > 1 and buffer[1] < SHORT_LIMIT:
                messages, taken = split(self._first_byte, buffer)
                self._replies += messages
                self.received += len(messages)
                del buffer[:taken]
            self._between_frames = not buffer
        self._begun = bytes(self.reader.buffer[:HEADER_SIZE]) if behind is None else behind


_CONTROL = (Opcode.CLOSE, Opcode.PING, Opcode.PONG)
