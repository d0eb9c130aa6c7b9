"""Where a server is: the default address, the checking of a URL, the server's announcement."""

import functools
import ipaddress
import re
from urllib.parse import unquote, urlsplit

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_URL",
    "announcement",
    "check_url",
    "complete_url",
    "find_announced_url",
    "is_loopback",
    "public_url",
]

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 8765
DEFAULT_URL = f"ws://{DEFAULT_HOST}:{DEFAULT_PORT}/"


def check_url(text: str) -> str:
    """Return a WebSocket URL (RFC 6455, section 3) in full, with its path.

    Raises:
        ValueError: If the text is no URL to connect to; the message says why and what would be.
    """
    complaint = f"{_without_secrets(text)!r} is not a WebSocket URL: "
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
        user, _ = (
            unquote(text or "", errors="strict") for text in (parts.username, parts.password)
        )
    except UnicodeDecodeError:
        raise ValueError(complaint + "its user name or password is not UTF-8") from None
    if ":" in user:
        # RFC 7617, section 2: Basic authentication cannot send one.
        raise ValueError(complaint + "its user name must not have a colon (%3A) in it")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError(complaint + f"{parts.hostname!r} is no host name") from None
    if port == 0:
        raise ValueError(complaint + "its port must be from 1 to 65535")
    if "#" in text:
        raise ValueError(complaint + "it must not have a fragment (#)")
    return parts._replace(path=parts.path or "/").geturl()


def _without_secrets(text: str) -> str:
    """Return what to show of a text that is not a URL, but may have a password or a query."""
    text = re.sub(r"(//[^/?#]*?:)[^/?#]*@", r"\1***@", text)
    return re.sub(r"([?&][^=&#]*=)[^&#]+", r"\1***", text)


def complete_url(text: str) -> str:
    """Return what a person typed as a WebSocket URL in full.

    Without a scheme it gets ``ws://``, or ``wss://`` on port 443; ``http(s)://`` becomes
    ``ws(s)://``, since a WebSocket is opened by an HTTP request to the same place.

    Raises:
        ValueError: If the text is no URL to connect to; the message says why and what would be.
    """
    text = text.strip()
    if found := re.match(r"([a-z][a-z0-9+.-]*)://", text, re.IGNORECASE):
        scheme = {"http": "ws", "https": "wss"}.get(found[1].lower(), found[1])
        return check_url(f"{scheme}://{text[found.end() :]}")
    rest = text.removeprefix("//")
    if not rest:
        return check_url(text)
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return check_url(f"{'wss' if host.endswith(':443') else 'ws'}://{rest}")


def public_url(url: str, *, query: bool = False) -> str:
    """Return a URL without what may be secret: user name, password and, unless wanted, query."""
    parts = urlsplit(url)
    return parts._replace(
        netloc=parts.netloc.rpartition("@")[2], query=parts.query if query else ""
    ).geturl()


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
