"""What can be set on a server; the options of the command are these, one to one."""

from dataclasses import dataclass
from pathlib import Path

from wire.address import DEFAULT_HOST, DEFAULT_PORT

__all__ = ["DEFAULT_HEADER_SIZE", "Settings"]

DEFAULT_HEADER_SIZE = 2**14
"""Bytes in the head of a request: what Apache and nginx take at most by default is 8 KiB a line.
The library has that limit too, and 128 lines; both go with a larger head."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a server. Times are in seconds, sizes in bytes."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    unix: Path | None = None
    workers: int = 1
    reply: str = "random"
    http: bool = True
    compress: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    origins: tuple[str, ...] = ()
    """As browsers write them."""
    subprotocols: tuple[str, ...] = ()
    """Those that the server chooses from; ``*`` stands for any."""

    max_message_size: int = 2**20
    max_header_size: int = DEFAULT_HEADER_SIZE
    max_connections: int = 10_000
    open_timeout: float = 10.0
    ping_interval: float = 20.0
    pong_timeout: float = 20.0
    stall_timeout: float = 30.0
    close_timeout: float = 10.0
    drain: float = 0.0
    grace: float = 10.0

    stop_on_eof: bool = False

    @property
    def secure(self) -> bool:
        """Whether the server speaks TLS."""
        return self.tls_cert is not None
