"""Delivery: how much of what was written a peer has taken. A peer that takes bytes is alive.

A write ends in the buffer of the transport, and from there in that of the kernel, which may hold
megabytes. So a write says nothing about the peer; what TCP has seen acknowledged does.

- Linux counts the acknowledged bytes of a TCP connection (``TCP_INFO``).
- For a Unix socket, and where there is no such count, bytes that have left both buffers are taken
  (``SIOCOUTQ``).
- Where the kernel does not tell either, its buffer is kept small: then it hides little.
"""

import array
import asyncio
import socket
import struct
import sys
from collections.abc import Callable

if sys.platform == "linux":
    import fcntl
    import termios

__all__ = ["LEAST_RATE", "Delivery"]

LEAST_RATE = 1024
"""Bytes per second that a peer must take to count as alive. The slowest links in use, GPRS and
satellite telephones, carry more; a peer that trickles does not hold a connection for long."""

HIDDEN_SIZE = 2**18
"""Bytes that may be acknowledged and not yet read by the peer: they wait in its kernel, or in that
of a proxy. Linux starts with 128 KiB for a socket."""

KERNEL_BUFFER_SIZE = 2**16
"""Bytes of the kernel's buffer where the kernel does not tell what it holds."""

# The field tcpi_bytes_acked of the struct tcp_info (linux/tcp.h, since Linux 4.1).
_BYTES_ACKED = struct.Struct("=Q")
_BYTES_ACKED_AT = 120

_IS_LINUX = sys.platform == "linux"


class Delivery:
    """Counts what is written to a peer, and finds out what the peer has taken.

    Args:
        transport: The transport of the connection.
    """

    __slots__ = ("_transport", "heard_at", "written")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written = 0
        """Bytes written so far; whoever writes adds to it."""
        self.heard_at = 0
        """Bytes written before the peer last sent something, so it has kept up with these; whoever
        reads sets it."""
        if not _IS_LINUX:
            self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_SIZE)

    def hidden_time(self) -> float:
        """Return the seconds in which a live peer reads what may wait for it unseen."""
        return min(self.written - self.heard_at, HIDDEN_SIZE) / LEAST_RATE

    def taken(self) -> int:
        """Return how many bytes the peer has taken, counted from any one point on."""
        if _IS_LINUX:
            try:
                return self._acknowledged()
            except (OSError, ValueError, struct.error):  # not TCP, closed, or an old kernel
                pass
        return self.written - self.waiting()

    def waiting(self) -> int:
        """Return how many bytes wait for the peer to take them."""
        return self._transport.get_write_buffer_size() + self._in_kernel()

    def watch(self, seconds: float) -> Callable[[], bool]:
        """Start to watch the peer for a time.

        Returns:
            A function that tells, at the end of that time, whether the peer has taken enough in it,
            or everything that had piled up.
        """
        taken, waiting = self.taken(), self.waiting()

        def is_alive() -> bool:
            if self.taken() - taken >= LEAST_RATE * seconds:
                return True
            return waiting >= LEAST_RATE and self.waiting() == 0

        return is_alive

    def _socket(self) -> socket.socket:
        # Not kept: once the transport is closed, the number of its file may be another's.
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    def _acknowledged(self) -> int:
        size = _BYTES_ACKED_AT + _BYTES_ACKED.size
        information = self._socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
        acknowledged: int = _BYTES_ACKED.unpack_from(information, _BYTES_ACKED_AT)[0]
        return acknowledged

    def _in_kernel(self) -> int:
        if not _IS_LINUX:
            return 0
        size = array.array("i", [0])
        try:
            # TIOCOUTQ has the number of SIOCOUTQ (linux/sockios.h).
            fcntl.ioctl(self._socket().fileno(), termios.TIOCOUTQ, size)
        except (OSError, ValueError):  # closed
            return 0
        return size[0]
