"""What can be set on a run; the options of the command are these, one to one."""

import dataclasses
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from wire.address import DEFAULT_URL
from wire.exchange import REQUEST_TEMPLATE

__all__ = [
    "LARGEST_REQUEST",
    "STANDARD_INPUT",
    "Expected",
    "Settings",
    "name_of",
    "without_password",
]

Expected = Literal["number", "echo", "any"]

STANDARD_INPUT = Path("-")
"""The file that stands for standard input."""

LARGEST_REQUEST = 2**24
"""Bytes of the largest request that can be sent."""

_SECRETS = {"authorization", "cookie", "proxy-authorization"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run. Times are in seconds, sizes in bytes."""

    url: str = DEFAULT_URL
    unix: Path | None = None

    messages: int | None = 10_000
    """How many; None: as many as the duration, the file or the corpus makes."""
    duration: float | None = None
    connections: int = 1
    processes: int = 1
    window: int = 64
    rate: float | None = None
    """Requests per second, over all connections; None: as fast as the replies come."""
    ramp: float = 0.0

    template: str = REQUEST_TEMPLATE
    size: int | None = None
    file: Path | None = None
    corpus: str | None = None
    binary: bool = False
    expect: Expected = "number"

    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    basic_auth: str | None = None
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    proxy: str | None = None
    compress: bool = False

    connect_timeout: float = 10.0
    timeout: float = 10.0
    close_timeout: float = 5.0
    linger: float = 0.01
    """How long replies too many are waited for, after the last one."""
    retries: int = 10
    """How many times in a row a connection is opened again, and a request sent again."""
    resend: bool = True

    ledger: Path | None = None

    def for_report(self) -> dict[str, Any]:
        """Return the settings as plain data, without passwords."""
        shown = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self).items()
        }
        shown["headers"] = [
            [name, "***" if name.lower() in _SECRETS else value] for name, value in self.headers
        ]
        shown["subprotocols"] = list(self.subprotocols)
        shown["basic_auth"] = self.basic_auth and self.basic_auth.partition(":")[0] + ":***"
        shown["url"] = without_password(self.url)
        shown["proxy"] = self.proxy and without_password(self.proxy)
        return shown


def name_of(file: Path) -> str:
    """Return a file's name for a person."""
    return "standard input" if file == STANDARD_INPUT else str(file)


def without_password(url: str) -> str:
    """Return a URL with its password, if it has one, made illegible."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()
