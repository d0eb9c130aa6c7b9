"""Compression: permessage-deflate (RFC 7692), with messages that end a DEFLATE stream.

A message may hold blocks with the bit BFINAL set (section 7.2.3.4). Behind such a block a new
stream begins, which still refers to the window of the old one. The library's decoder stops there
for good and takes every later message for an empty one; this one goes on.
"""

import zlib
from collections.abc import Sequence

from websockets.exceptions import ProtocolError
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.typing import ExtensionParameter

__all__ = ["DeflateFactory"]

WINDOW_BITS = 12
"""Windows of 4 KiB: larger ones cost more memory than they save on short messages."""

MEMORY_LEVEL = 5
"""Of the encoder, from 1 to 9: this makes its tables as small as such a window is."""

MOST_STREAMS = 64
"""Streams that one frame may end. A sender needs one for each flush; to begin one costs as much as
a hundred bytes of text, and an empty one takes two bytes of a frame."""


class Inflater:
    """Decompresses one side's messages; a drop-in for ``zlib.decompressobj``.

    Args:
        window_bits: The base-2 logarithm of the window's size.
    """

    def __init__(self, window_bits: int) -> None:
        self.unconsumed_tail = b""
        """Input that is left because the output reached its limit."""
        self._bits = window_bits
        self._window = b""
        self._stream = zlib.decompressobj(-window_bits)

    def decompress(self, data: bytes | bytearray, limit: int) -> bytes:
        """Return decompressed data, of at most ``limit`` bytes if that is not 0.

        Raises:
            zlib.error: If the data is not valid.
            ProtocolError: If it ends too many streams.
        """
        output = self._stream.decompress(data, limit)
        streams = 0
        while self._stream.eof:
            streams += 1
            if streams > MOST_STREAMS:
                raise ProtocolError("too many final blocks in a compressed message")
            rest = self._stream.unused_data
            left = limit - len(output) if limit else 0
            self._stream = zlib.decompressobj(-self._bits, zdict=self._slide(output))
            if limit and not left:
                # One byte more than there is room for shows whether the rest is empty.
                self.unconsumed_tail = rest if self._stream.decompress(rest, 1) else b""
                break
            output += self._stream.decompress(rest, left)
        else:
            self.unconsumed_tail = self._stream.unconsumed_tail
        self._window = self._slide(output)
        return output

    def forget(self) -> None:
        """Begin again without a window (section 7.1.1.2)."""
        self._window = b""
        self._stream = zlib.decompressobj(-self._bits)

    def _slide(self, output: bytes) -> bytes:
        size = 1 << self._bits
        return output[-size:] if len(output) >= size else (self._window + output)[-size:]


class Deflate(PerMessageDeflate):
    """The library's extension with another decoder."""

    def __init__(self, negotiated: PerMessageDeflate) -> None:
        super().__init__(
            # Else the library would make a decoder of its own for each message.
            False,
            negotiated.local_no_context_takeover,
            negotiated.remote_max_window_bits,
            negotiated.local_max_window_bits,
            negotiated.compress_settings,
        )
        self._forgets = negotiated.remote_no_context_takeover
        self._inflater = Inflater(self.remote_max_window_bits)
        self.decoder = self._inflater  # type: ignore[assignment]

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Decompress a frame from the client."""
        decoded = super().decode(frame, max_size=max_size)
        if self._forgets and frame.fin and decoded is not frame:
            self._inflater.forget()
        return decoded


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
