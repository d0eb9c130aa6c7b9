"""Where to connect and how: an address with all that its handshake takes."""

import dataclasses
import hashlib
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from wire.address import is_loopback, public_url
from wire.tls import TLSError, client_context
from wire.values import Header, Token

__all__ = ["Target", "check_tls_files", "fingerprint_of", "parse_headers", "parse_subprotocols"]

# RFC 6455, section 4.1: these make up the handshake itself.
_RESERVED = {"host", "upgrade", "connection"}


@dataclasses.dataclass(frozen=True)
class Target:
    """A server's address and the options of connecting to it.

    Attributes:
        url: The address, checked and in full.
        headers: Headers to add to the handshake.
        subprotocols: Those to ask for, the preferred one first (RFC 6455, section 1.9).
        ca: A file (PEM) with the authorities to trust in place of the system's.
        certificate: A file (PEM) with the certificate to show to the server.
        key: Its private key, if not in the same file.
        insecure: Whether any certificate is taken, so that anyone on the path can read the traffic.
        trusted: The one certificate (PEM) to trust, whoever signed it; empty if there is none.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False
    trusted: str = ""

    @property
    def public_url(self) -> str:
        """The address without user, password and query, to be shown and kept."""
        return public_url(self.url)

    @property
    def host(self) -> str:
        """The host's name."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, given or implied."""
        return urlsplit(self.url).port or (443 if self.is_secure else 80)

    @property
    def is_secure(self) -> bool:
        """Whether TLS is used."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine's own."""
        return is_loopback(self.host)

    @property
    def is_unverified(self) -> bool:
        """Whether TLS is used without knowing whose certificate it is."""
        return self.insecure and self.is_secure

    def connect_options(self) -> dict[str, Any]:
        """Return the options for ``websockets.asyncio.client.connect``.

        Raises:
            TLSError: If a certificate or a key cannot be used.
        """
        options: dict[str, Any] = {}
        if self.headers:
            options["additional_headers"] = list(self.headers)
        if self.subprotocols:
            options["subprotocols"] = list(self.subprotocols)
        if self.is_secure:
            options["ssl"] = self._tls_context()
        return options

    def _tls_context(self) -> ssl.SSLContext:
        context = client_context(
            _path(self.ca),
            _path(self.certificate),
            _path(self.key),
            insecure=self.insecure or bool(self.trusted),
        )
        if self.trusted and not self.insecure:
            context.sslobject_class = _pinned(fingerprint_of(self.trusted))
        return context


def fingerprint_of(certificate: str) -> str:
    """Return the SHA-256 fingerprint of a certificate (PEM), as browsers show it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def check_tls_files(ca: str, certificate: str, key: str) -> None:
    """Read the files that TLS needs.

    Raises:
        TLSError: If one cannot be used; the message says which and why.
    """
    if key and not certificate:
        raise TLSError("a key needs its certificate")
    client_context(_path(ca), _path(certificate), _path(key), insecure=False)


def parse_headers(text: str) -> tuple[tuple[str, str], ...]:
    """Return the headers in a text that has one ``Name: value`` a line.

    Raises:
        ValueError: If a line is not a header, or one that the handshake sets itself.
    """
    headers: list[tuple[str, str]] = []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line:
            continue
        name, value = _converted(Header(), line, f"line {number}")
        if name.lower() in _RESERVED or name.lower().startswith("sec-websocket-"):
            raise ValueError(f"{name} is set by the WebSocket handshake itself")
        headers.append((name, value))
    return tuple(headers)


def parse_subprotocols(text: str) -> tuple[str, ...]:
    """Return the subprotocols in a text, with commas or blanks between them.

    Raises:
        ValueError: If one is not a token (RFC 6455, section 4.1), or is there twice.
    """
    names = tuple(
        _converted(Token(), name, repr(name)) for name in filter(None, re.split(r"[\s,]+", text))
    )
    if len(set(names)) < len(names):
        raise ValueError("a subprotocol is there twice")
    return names


def _converted(kind: click.ParamType[Any], text: str, place: str) -> Any:
    """Return what a text means as an option of the commands.

    Raises:
        ValueError: If it is not such an option; the message has its place, and is that of the
            commands, which quote nothing that may be secret.
    """
    try:
        return kind.convert(text, None, None)
    except click.BadParameter as error:
        raise ValueError(f"{place}: {error.message}") from None


def _pinned(fingerprint: str) -> type[ssl.SSLObject]:
    """Return TLS connections that accept one certificate, before anything is sent over them."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown = self.getpeercert(binary_form=True)
            if shown is None or fingerprint_of(ssl.DER_cert_to_PEM_cert(shown)) != fingerprint:
                error = ssl.SSLCertVerificationError(1, "another certificate than the trusted one")
                error.verify_message = "it is not the one that you trusted"
                raise error

    return Pinned


def _path(name: str) -> Path | None:
    return Path(name) if name else None
