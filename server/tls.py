"""The server's side of TLS: modern versions only, Python's own choice of ciphers."""

import ssl
from pathlib import Path

__all__ = ["TLSError", "server_context"]


class TLSError(Exception):
    """A certificate or key that cannot be used; the message says which and why."""


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return a TLS context that serves a certificate chain in PEM format.

    Args:
        certificate: The certificate, followed by those of its issuers.
        key: Its private key, if that is not in the same file.

    Raises:
        TLSError: If they cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise TLSError(f"there is no file {file}")
    try:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        pair = f"{certificate} with the key {key or 'in the same file'}"
        raise TLSError(
            f"cannot use the certificate {pair}: {str(reason).replace('_', ' ').lower()}"
        ) from None
    return context
