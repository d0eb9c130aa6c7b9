"""TLS between a TCP transport and a connection, with a bound on the memory that it costs.

The TLS of the event loops gives each connection buffers of its own that grow to a megabyte and
never shrink, ends what a slow peer has not read, and cannot half-close. Here a read goes through a
buffer that all connections share, and a large reply waits in the clear: it is encrypted record by
record, as the peer takes it. So a connection over TLS behaves like one without it.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast

from server.connection import Connection

__all__ = ["SecureConnection"]

RECORD_SIZE = 2**14
"""The most bytes that one record carries (RFC 8446, section 5.1)."""

TCP_WRITE_LIMIT = 2**16
"""Above this many bytes that the transport has not sent, no more are encrypted."""

# One buffer serves all connections; it takes a record with what TLS adds to it.
_read_buffer = memoryview(bytearray(RECORD_SIZE + 2**9))


class SecureConnection(asyncio.BufferedProtocol, asyncio.Transport):
    """The protocol of a TCP transport, and the transport of a connection.

    Args:
        context: The TLS context.
        connection: The protocol of the connection; it begins once the TLS handshake is done.
        loop: The event loop.
        handshake_timeout: Seconds that the TLS handshake may take.
        on_made: Called with this once it can be aborted.
        on_lost: Called with this once it is gone.
        on_refused: Called with the reason when there is no TLS with this peer.
    """

    __slots__ = (
        "_connection",
        "_handshake_timeout",
        "_incoming",
        "_is_at_end",
        "_is_closing",
        "_is_finished",
        "_is_finishing",
        "_is_full",
        "_is_made",
        "_is_reading",
        "_loop",
        "_on_lost",
        "_on_made",
        "_on_refused",
        "_outgoing",
        "_paused",
        "_pieces",
        "_timer",
        "_tls",
        "_transport",
        "_unsent",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        connection: Connection,
        loop: asyncio.AbstractEventLoop,
        *,
        handshake_timeout: float,
        on_made: Callable[["SecureConnection"], None],
        on_lost: Callable[["SecureConnection"], None],
        on_refused: Callable[["SecureConnection", str], None],
    ) -> None:
        self._connection: Connection | None = connection
        self._loop = loop
        self._handshake_timeout = handshake_timeout
        self._on_made = on_made
        self._on_lost = on_lost
        self._on_refused = on_refused
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_made = False  # the TLS handshake is done
        self._is_reading = True
        self._is_at_end = False  # the peer sends no more
        self._is_full = False  # the transport has enough to send
        self._pieces: deque[memoryview] = deque()  # not encrypted yet
        self._unsent = 0  # bytes in them
        self._paused = False  # the connection
        self._is_finishing = False  # to be ended behind what is unsent
        self._is_finished = False  # ended
        self._is_closing = False

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the TLS handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=TCP_WRITE_LIMIT)
        self._timer = self._loop.call_later(self._handshake_timeout, self._on_handshake_timeout)
        self._on_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections read into."""
        return _read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what one read brought."""
        if self._is_finished or self._is_at_end:
            return
        self._incoming.write(_read_buffer[:nbytes])
        if self._is_made:
            self._read()
        else:
            self._shake_hands()

    def eof_received(self) -> bool:
        """End the connection behind what came before, and behind what is unsent."""
        if self._is_made and not self._is_finished:
            self._is_at_end = True
            self._read()
            return True  # closed once everything is sent
        return False

    def pause_writing(self) -> None:
        """Encrypt no more until the transport has sent what it has.

        The connection then stops reading, also where TLS alone answers: to a peer that asks for new
        keys again and again (RFC 8446, section 4.6.3).
        """
        self._is_full = True
        if self._is_made:
            self._pause()

    def resume_writing(self) -> None:
        """Encrypt what waits."""
        self._is_full = False
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        if self._timer is not None:
            self._timer.cancel()
        self._pieces.clear()
        connection, self._connection = self._connection, None
        if self._is_made and connection is not None:
            connection.connection_lost(exc)
        self._on_lost(self)

    def _pause(self) -> None:
        if self._connection is not None and not self._paused:
            self._paused = True
            self._connection.pause_writing()

    # What the connection calls.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write data, as fast as the transport sends it."""
        if not data or self._is_finishing or self._transport.is_closing():
            return
        self._pieces.append(memoryview(data))
        self._unsent += len(data)
        self._send()

    def can_write_eof(self) -> bool:
        """Return True: a Close Notify ends one direction (RFC 8446, section 6.1)."""
        return True

    def write_eof(self) -> None:
        """End our direction behind everything that was written."""
        self._is_finishing = True
        self._send()

    def close(self) -> None:
        """Close the connection behind everything that was written."""
        self._is_closing = True
        self.write_eof()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is closing."""
        return self._is_closing or self._transport.is_closing()

    def pause_reading(self) -> None:
        """Stop reading from the peer."""
        self._is_reading = False
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again from the peer."""
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()
            self._loop.call_soon(self._read)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the number of bytes in the transport above which the connection is paused."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that are not sent yet."""
        return self._unsent + self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return information about the connection."""
        return self._transport.get_extra_info(name, default)

    # The TLS handshake.

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._fail(str(error.reason or error).replace("_", " ").lower())
            return
        assert self._timer is not None
        self._timer.cancel()
        self._is_made = True
        assert self._connection is not None
        self._connection.connection_made(self)
        if self._is_full:
            self._pause()
        self._flush()
        self._read()

    def _on_handshake_timeout(self) -> None:
        self._fail(f"no TLS handshake within {self._handshake_timeout:g} seconds")

    def _fail(self, reason: str) -> None:
        """End the connection with the alert that TLS has for it."""
        if not self._is_made:
            self._on_refused(self, reason)
        with contextlib.suppress(ssl.SSLError):
            self._flush()
        self._is_finishing = self._is_finished = self._is_closing = True
        self._transport.close()

    # Receiving and sending.

    def _read(self) -> None:
        """Hand over what was decrypted, as long as the connection reads."""
        connection = self._connection
        while self._is_reading and not self._is_finished and connection is not None:
            if not (self._incoming.pending or self._tls.pending()):
                if self._is_at_end:
                    self._end_of_input()
                break
            try:
                data = self._tls.read(RECORD_SIZE)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                self._fail(str(error))
                return
            if not data:
                self._end_of_input()
                return
            connection.data_received(data)
        # TLS has things of its own to send: session tickets, new keys.
        self._flush()

    def _end_of_input(self) -> None:
        connection, self._is_reading, self._is_at_end = self._connection, False, True
        if connection is not None and not self._is_closing and not connection.eof_received():
            self.close()

    def _send(self) -> None:
        """Encrypt what is unsent until the transport has enough of it."""
        while self._pieces and not self._is_full:
            data = self._pieces.popleft()
            piece, rest = data[:RECORD_SIZE], data[RECORD_SIZE:]
            if rest:
                self._pieces.appendleft(rest)
            self._unsent -= len(piece)
            try:
                self._tls.write(piece)
            except ssl.SSLError as error:
                self._fail(str(error))
                return
            self._flush()
        if self._paused and not self._is_full and self._connection is not None:
            self._paused = False
            self._connection.resume_writing()
        if self._is_finishing and not self._pieces:
            self._finish()

    def _finish(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            # The Close Notify of the peer is not waited for: whatever it still sends is discarded.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()
            if not self._is_closing:
                self._transport.write_eof()
        if self._is_closing:
            self._transport.close()

    def _flush(self) -> None:
        """Send what was encrypted."""
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())
