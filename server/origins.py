"""Origins, as browsers write them in the ``Origin`` header (RFC 6454, section 6.2).

A browser writes an origin in one way: lower case, the host in ASCII, without the default port of
its scheme. An origin that is told to the server in another way would never match one, so it is
rewritten, or refused where it cannot match at all.
"""

import ipaddress
import re

__all__ = ["ANY", "FILES", "parse_origins"]

ANY = "*"
"""Stands for every origin."""

FILES = ("null", "file://")
"""The origins of pages that are opened as files: browsers send the first, some programs with a
browser in them the second. The first is also that of sandboxed frames on any site."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?", re.I | re.A)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.A)
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.A)

LONGEST_LABEL = 63
"""Characters between two dots of a name (RFC 1035, section 2.3.4)."""

# Python encodes these as IDNA 2003 has it, browsers as IDNA 2008: another name.
_DEVIATIONS = "ßς\u200c\u200d"


def parse_origins(text: str) -> list[str]:
    """Return the origins in a list with commas or blanks between them.

    Raises:
        ValueError: If one of them cannot match; the message says why and what to write.
    """
    found = [origin for origin in re.split(r"[,\s]+", text) if origin]
    if not found:
        raise ValueError("an origin is missing: write one such as https://example.org")
    return [_serialize(origin) for origin in found]


def _serialize(origin: str) -> str:
    """Return an origin as browsers write it."""
    if origin == ANY or origin.lower() in FILES:
        return origin.lower()
    if re.match("file:", origin, re.I):
        raise ValueError(f"{origin!r} is no origin of a file: all have {' or '.join(FILES)}")
    scheme, separator, rest = origin.partition("://")
    complaint = f"{origin!r} is not an origin such as https://example.org"
    if not separator:
        raise ValueError(complaint)
    if scheme.lower() in ("ws", "wss"):
        raise ValueError(f"{complaint}: it names a page, which http:// or https:// serves")
    if "*" in rest:
        raise ValueError(
            f"{complaint}: wildcards are not supported; name each origin, or * for all"
        )
    if "@" in rest:
        raise ValueError(f"{complaint}: an origin has no user name")
    if re.search(r"[/?#\\]", rest.removesuffix("/")):
        raise ValueError(f"{complaint}: an origin has no path")
    matched = _ORIGIN.fullmatch(origin.removesuffix("/"))
    if not matched or not matched[2]:
        raise ValueError(complaint)
    scheme, host, port = matched[1].lower(), matched[2].lower(), int(matched[3] or -1)
    if port > 65535:
        raise ValueError(f"{complaint}: a port is at most 65535")
    if scheme in DEFAULT_PORTS:
        try:
            host = _host(host)
        except ValueError as error:
            raise ValueError(f"{complaint}: {error}") from None
    if port < 0 or port == DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


def _host(host: str) -> str:
    """Return the host of an origin over HTTP as browsers write it."""
    if host.startswith("["):
        return f"[{_compressed(ipaddress.IPv6Address(host[1:-1]))}]"
    if any(character in host for character in _DEVIATIONS):
        raise ValueError("write its host in ASCII (xn--...), as the browser shows it")
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise ValueError("its host is not a name") from None
    if not _NAME.fullmatch(name) or any(len(label) > LONGEST_LABEL for label in name.split(".")):
        raise ValueError("its host is not a name")
    # What ends in a number is an address (URL Standard, section 3.5).
    if _NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]):
        return str(ipaddress.IPv4Address(name))
    return name


def _compressed(address: ipaddress.IPv6Address) -> str:
    """Return an address as the URL Standard has it (section 3.4): in hexadecimal alone."""
    if address.scope_id is not None:
        raise ValueError("an address in it has no zone")
    # Since Python 3.13, ipaddress writes the last 32 bits of ::ffff:0:0/96 in decimal.
    if address.ipv4_mapped is not None:
        high, low = divmod(int(address.ipv4_mapped), 2**16)
        return f"::ffff:{high:x}:{low:x}"
    return address.compressed
