"""Where to connect and how: an address with all that its handshake takes."""

import dataclasses
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Target", "parse_headers"]

# RFC 9110, section 5.6.2: the characters of a header's name.
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(.*)")

# RFC 6455, section 4.1: these make up the handshake itself.
_RESERVED = {"host", "upgrade", "connection"}


@dataclasses.dataclass(frozen=True)
class Target:
    """A server's address and the options of connecting to it.

    Attributes:
        url: The address, checked and in full.
        headers: Headers to add to the handshake.
        subprotocol: The one to ask for (RFC 6455, section 1.9); empty for none.
        ca: A file (PEM) with the authorities to trust in place of the system's.
        certificate: A file (PEM) with the certificate to show to the server.
        key: Its private key, if not in the same file.
        insecure: Whether any certificate is taken, which lets anyone in between read along.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocol: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False

    @property
    def is_unverified(self) -> bool:
        """Whether TLS is used without knowing whose certificate it is."""
        return self.insecure and urlsplit(self.url).scheme == "wss"

    def connect_options(self) -> dict[str, Any]:
        """Return the options for ``websockets.asyncio.client.connect``.

        Raises:
            OSError: If a certificate cannot be read (``ssl.SSLError`` is one).
        """
        options: dict[str, Any] = {}
        if self.headers:
            options["additional_headers"] = list(self.headers)
        if self.subprotocol:
            options["subprotocols"] = [self.subprotocol]
        if urlsplit(self.url).scheme == "wss":
            options["ssl"] = self._tls_context()
        return options

    def sender_options(self) -> list[str]:
        """Return the same options for the command line of ``wsroll-send``."""
        options = []
        for name, value in self.headers:
            options += ["--header", f"{name}: {value}"]
        for option, value in (
            ("--subprotocol", self.subprotocol),
            ("--cacert", self.ca),
            ("--cert", self.certificate),
            ("--key", self.key),
        ):
            if value:
                options += [option, value]
        if self.insecure:
            options.append("--insecure")
        return options

    def _tls_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse_headers(text: str) -> tuple[tuple[str, str], ...]:
    """Return the headers in a text that has one ``Name: value`` a line.

    Raises:
        ValueError: If a line is no header, or one that the handshake sets itself.
    """
    headers = []
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _HEADER.fullmatch(line)
        if found is None or not (found[2].isascii() and found[2].isprintable()):
            raise ValueError(f"{line!r} is no header: write Name: value, in ASCII")
        name = found[1].lower()
        if name in _RESERVED or name.startswith("sec-websocket-"):
            raise ValueError(f"{found[1]} is set by the WebSocket handshake itself")
        headers.append((found[1], found[2]))
    return tuple(headers)
