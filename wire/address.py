"""Where a server is: the default address, the checking of a URL, the server's announcement."""

import functools
import ipaddress
import re
from urllib.parse import urlsplit

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_URL",
    "announcement",
    "check_url",
    "find_announced_url",
    "is_loopback",
]

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8765
DEFAULT_URL = f"ws://{DEFAULT_HOST}:{DEFAULT_PORT}/"


def check_url(text: str) -> str:
    """Return a WebSocket URL (RFC 6455, section 3) in full, with its path.

    Raises:
        ValueError: If the text is no URL to connect to; the message says why and what would be.
    """
    complaint = f"{text!r} is no WebSocket URL: "
    if not text.isprintable() or " " in text:
        raise ValueError(complaint + "it has a space or a control character in it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(complaint + str(error)) from None
    if parts.scheme not in ("ws", "wss"):
        raise ValueError(complaint + f"it must start with ws:// or wss://, as {DEFAULT_URL} does")
    if not parts.hostname:
        raise ValueError(complaint + "it names no host")
    if parts.username is not None and not parts.password:
        raise ValueError(complaint + "it has a user name without a password")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError(complaint + f"{parts.hostname!r} is no host name") from None
    if port == 0:
        raise ValueError(complaint + "its port must be from 1 to 65535")
    if "#" in text:
        raise ValueError(complaint + "it must not have a fragment (#)")
    return parts._replace(path=parts.path or "/").geturl()


def announcement(url: str, page: str | None) -> str:
    """Return the line by which a server says where it listens, once it can be connected to."""
    return f"Listening on {url}" + (f" (page: {page})" if page else "")


def find_announced_url(line: str) -> str | None:
    """Return the URL in a server's announcement, or None in any other line."""
    found = re.search(r"\bListening on (wss?://\S+)", line)
    return found[1] if found else None


# Servers are asked about the same few names at every handshake.
@functools.lru_cache(256)
def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
