"""A client of bare sockets: it can send every byte that a well-behaved client would not."""

import base64
import itertools
import os
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self
from urllib.parse import urlsplit

__all__ = [
    "BINARY",
    "CLOSE",
    "CONT",
    "MASK",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "RawClient",
    "close_code",
    "frame",
    "handshake",
    "parse_frame",
]

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"

Address = str | tuple[str, int]
"""The path of a Unix socket, or a host and a port."""


class Frame(NamedTuple):
    """A frame from the server."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


def frame(
    opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = MASK
) -> bytes:
    """Return a client's frame (RFC 6455, section 5.2); without a mask if that is empty."""
    data = payload.encode() if isinstance(payload, str) else payload
    head = bytes([fin << 7 | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    if len(data) < 126:
        head += bytes([masked | len(data)])
    elif len(data) < 2**16:
        head += struct.pack("!BH", masked | 126, len(data))
    else:
        head += struct.pack("!BQ", masked | 127, len(data))
    if not mask:
        return head + data
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    body = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return head + mask + body.to_bytes(len(data), "big")


def parse_frame(data: bytes | bytearray, start: int = 0) -> tuple[Frame, int] | None:
    """Return the server's frame at a position and where it ends, None while it is incomplete."""
    if len(data) < start + 2:
        return None
    first, length = data[start], data[start + 1]
    assert length < 128, "a server's frames are not masked"
    at = start + 2
    for marker, width in ((126, 2), (127, 8)):
        if length == marker:
            if len(data) < at + width:
                return None
            length = int.from_bytes(data[at : at + width], "big")
            at += width
            break
    if len(data) < at + length:
        return None
    payload = bytes(data[at : at + length])
    return Frame(first & 15, payload, bool(first & 128), first >> 4 & 7), at + length


def close_code(received: Frame | None) -> int:
    """Return the code of a Close frame."""
    assert received is not None, "the connection ended without a Close frame"
    assert received.opcode == CLOSE, f"no Close frame: {received}"
    return int.from_bytes(received.payload[:2], "big")


def handshake(host: str = "localhost", *headers: str, path: str = "/") -> bytes:
    """Return a client's opening handshake, with more header lines if wanted."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class RawClient:
    """A connection to a server that sends what it is told and reads frame by frame.

    Args:
        address: The path of a Unix socket, or a host and a port, or a ``ws://`` URL.
        receive_buffer: The size of the socket's receive buffer, for a client that does not read.
        tls: A TLS context for ``wss``.
    """

    def __init__(
        self,
        address: Address,
        *,
        receive_buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 20.0,
    ) -> None:
        if isinstance(address, str) and "://" in address:
            parts = urlsplit(address)
            assert parts.hostname is not None
            assert parts.port is not None
            address = parts.hostname, parts.port
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            target: str | tuple[object, ...] = address
        else:
            info = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
            self.socket = socket.socket(info[0])
            target = info[4]
        self.socket.settimeout(timeout)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(target)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        except OSError:
            self.socket.close()
            raise
        self._buffer = bytearray()
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def open(self, *headers: str, host: str = "localhost") -> Self:
        """Make the opening handshake."""
        self.send(handshake(host, *headers))
        head = self.read_head()
        assert head.startswith("HTTP/1.1 101 "), head
        return self

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def finish(self) -> None:
        """Send no more (FIN), but go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection as a crash would (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read_head(self) -> str:
        """Return the head of an HTTP response, or what came until the end of the connection."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._fill():
                return self._buffer.decode()
        head = self._buffer[:end].decode()
        self._at = end + 4
        return head

    def read_response(self) -> tuple[int, str, bytes]:
        """Return status, head and body of an HTTP response that ends with the connection."""
        head = self.read_head()
        return int(head.split()[1]), head, self.read_body()

    def read_body(self) -> bytes:
        """Return all bytes behind the head until the connection ends."""
        while self._fill():
            pass
        return bytes(self._buffer[self._at :])

    def read_frame(self) -> Frame | None:
        """Return the next frame, None at the end of the connection.

        Raises:
            TimeoutError: If none comes.
            ConnectionResetError: If the connection was reset.
        """
        while (found := parse_frame(self._buffer, self._at)) is None:
            del self._buffer[: self._at]
            self._at = 0
            if not self._fill():
                assert not self._buffer, "the connection ended inside a frame"
                return None
        received, self._at = found
        return received

    def read_frames(self, count: int) -> Sequence[Frame | None]:
        """Return as many frames."""
        return [self.read_frame() for _ in range(count)]

    def read_to_end(self) -> Iterator[Frame]:
        """Return all frames until the connection ends."""
        return itertools.takewhile(lambda read: read is not None, iter(self.read_frame, None))

    def close_in_turn(self) -> Sequence[Frame]:
        """Return all frames until the connection ends, and answer the Close frame among them."""
        frames = []
        while (received := self.read_frame()) is not None:
            frames.append(received)
            if received.opcode == CLOSE:
                self.send(frame(CLOSE, received.payload))
        return frames

    def ask(self, request: str) -> str:
        """Send a request and return the reply."""
        self.send(frame(TEXT, request))
        reply = self.read_frame()
        assert reply is not None
        assert reply.opcode == TEXT, reply
        return reply.payload.decode()

    def _fill(self) -> bool:
        received = self.socket.recv(2**18)
        self._buffer += received
        return bool(received)
