"""What can be set on a server; the options of the command are these, one to one."""

from dataclasses import dataclass
from pathlib import Path

from wire.address import DEFAULT_HOST, DEFAULT_PORT

__all__ = ["Settings"]


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

    max_message_size: int = 2**20
    max_header_size: int = 2**14
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
