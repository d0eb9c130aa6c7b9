"""Compression: permessage-deflate (RFC 7692), with messages that end a DEFLATE stream.

A message may hold blocks with the bit BFINAL set (section 7.2.3.4). Behind such a block a new
stream begins, which still refers to the window of the old one. The library's decoder stops there
for good and takes every later message for an empty one; this one goes on.

Nor does the library's decoder see that a message is incomplete: what it appends to each message
then becomes data, and the client would get a wrong reply. This one fails the connection.
"""

import zlib
from collections.abc import Sequence

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.typing import BytesLike, ExtensionParameter

__all__ = ["CompressionError", "DeflateFactory"]

END_OF_MESSAGE = b"\0\0\xff\xff"
"""All but the first byte of an empty block that is not compressed."""

FINAL_EMPTY_BLOCK = b"\1" + END_OF_MESSAGE

WINDOW_BITS = 12
"""Windows of 4 KiB: larger ones cost more memory than they save on short messages."""

MEMORY_LEVEL = 5
"""Of the encoder, from 1 to 9: this makes its tables as small as such a window is."""

MOST_STREAMS = 64
"""Streams that one frame may end. A sender needs one for each flush; to begin one costs as much as
a hundred bytes of text, and an empty one takes two bytes of a frame."""


class CompressionError(ProtocolError):
    """A compressed message that is damaged or incomplete."""


class Inflater:
    """Decompresses one side's messages.

    Args:
        window_bits: The base-2 logarithm of the window's size.
    """

    def __init__(self, window_bits: int) -> None:
        self._bits = window_bits
        self.forget()

    def decompress(self, data: BytesLike, limit: int) -> bytes:
        """Return a part of a message.

        Raises:
            CompressionError: If the data is not valid, or ends too many streams.
            PayloadTooBig: If the part has more than ``limit`` bytes.
        """
        # The byte for which there is no room shows that there are more.
        output = self._feed(data, limit + 1)
        if len(output) > limit:
            raise PayloadTooBig(None, limit)
        return output

    def end_message(self) -> None:
        """Take the end that each message has and no sender sends (section 7.2.2).

        Where that is not the end of an empty block behind the last one, it would be decoded as
        data: of this message, or of the next one.

        Raises:
            CompressionError: If the message is incomplete.
        """
        if self._feed(END_OF_MESSAGE, 1) or not self._is_between_blocks():
            raise CompressionError("a compressed message is incomplete")

    def forget(self) -> None:
        """Begin again without a window (section 7.1.1.2)."""
        self._window = b""
        self._stream = zlib.decompressobj(-self._bits)

    def _feed(self, data: BytesLike, limit: int) -> bytes:
        try:
            output = self._stream.decompress(data, limit)
            streams = 0
            while self._stream.eof:
                streams += 1
                if streams > MOST_STREAMS:
                    raise CompressionError("too many final blocks in a compressed message")
                rest = self._stream.unused_data
                self._stream = zlib.decompressobj(-self._bits, zdict=self._slide(output))
                if len(output) == limit:
                    break
                output += self._stream.decompress(rest, limit - len(output))
        except zlib.error:
            raise CompressionError("a compressed message is damaged") from None
        self._window = self._slide(output)
        return output

    def _is_between_blocks(self) -> bool:
        """Tell whether a block would begin with the next byte: then a final one ends the stream."""
        copy = self._stream.copy()
        try:
            return not copy.decompress(FINAL_EMPTY_BLOCK) and copy.eof
        except zlib.error:
            return False

    def _slide(self, output: bytes) -> bytes:
        size = 1 << self._bits
        return output[-size:] if len(output) >= size else (self._window + output)[-size:]


class Deflate(PerMessageDeflate):
    """The library's extension with another decoder."""

    def __init__(self, negotiated: PerMessageDeflate) -> None:
        super().__init__(
            # Else the library would make a decoder of its own.
            True,
            negotiated.local_no_context_takeover,
            negotiated.remote_max_window_bits,
            negotiated.local_max_window_bits,
            negotiated.compress_settings,
        )
        self._forgets = negotiated.remote_no_context_takeover
        self._inflater = Inflater(self.remote_max_window_bits)
        # Whether the fragments that follow belong to a compressed message.
        self._is_inside = False

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Decompress a frame from the client."""
        assert max_size is not None, "the size of a message has a limit"
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is Opcode.CONT:
            # The bit RSV1 belongs to the first fragment (section 6.1). On another one it stays,
            # and the library calls it an error.
            if frame.rsv1 or not self._is_inside:
                return frame
        elif not frame.rsv1:
            return frame
        self._is_inside = not frame.fin
        data = self._inflater.decompress(frame.data, max_size)
        if frame.fin:
            self._inflater.end_message()
            if self._forgets:
                self._inflater.forget()
        return Frame(frame.opcode, data, frame.fin, False, frame.rsv2, frame.rsv3)


class DeflateFactory(ServerPerMessageDeflateFactory):
    """Negotiates compression with small windows."""

    def __init__(self) -> None:
        super().__init__(
            server_max_window_bits=WINDOW_BITS,
            client_max_window_bits=WINDOW_BITS,
            compress_settings={"memLevel": MEMORY_LEVEL},
        )

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Return the parameters of the response, and the extension."""
        answer, negotiated = super().process_request_params(params, accepted_extensions)
        return answer, Deflate(negotiated)
