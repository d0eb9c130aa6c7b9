"""The client's side of TLS: the servers it trusts, and the certificate it shows."""

import ssl
from pathlib import Path

__all__ = ["TLSError", "client_context"]


class TLSError(Exception):
    """A certificate or key that cannot be used; the message says which and why."""


def client_context(
    authority: Path | None, certificate: Path | None, key: Path | None, insecure: bool
) -> ssl.SSLContext:
    """Return a TLS context for connections to a server.

    Args:
        authority: Certificates to trust, in place of the system's.
        certificate: The certificate to show to a server that asks for one.
        key: Its private key, if that is not in the same file.
        insecure: Whether to trust any server.

    Raises:
        TLSError: If they cannot be read or do not belong together.
    """
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise TLSError(f"cannot use {authority}: {_reason(error)}") from None
    if certificate is not None:
        _show(context, certificate, key or certificate)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    # What OpenSSL says of these is "PEM lib" at best.
    _require(certificate, b"CERTIFICATE", "certificate")
    _require(key, b"PRIVATE KEY", "private key")
    try:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        if b"ENCRYPTED" in key.read_bytes():
            raise TLSError(f"the private key in {key} is locked by a password") from None
        raise TLSError(
            f"cannot use the certificate {certificate} with the key {key}: {_reason(error)}"
        ) from None


def _require(file: Path, label: bytes, what: str) -> None:
    try:
        found = label in file.read_bytes()
    except OSError as error:
        raise TLSError(f"cannot read {file}: {_reason(error)}") from None
    if not found:
        raise TLSError(f"there is no {what} in {file} (it must be in PEM format)")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason).replace("_", " ").lower()
