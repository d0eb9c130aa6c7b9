"""What can be set on a run; the options of the command are these, one to one."""

from dataclasses import dataclass
from pathlib import Path

from wire.address import DEFAULT_URL
from wire.exchange import REQUEST_TEMPLATE

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run. Times are in seconds."""

    url: str = DEFAULT_URL
    messages: int = 10_000
    window: int = 64
    template: str = REQUEST_TEMPLATE
    quiet: bool = False

    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False

    connect_timeout: float = 10.0
    timeout: float = 10.0
    close_timeout: float = 5.0
