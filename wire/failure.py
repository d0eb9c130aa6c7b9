"""Why a connection did not open, in words that the sender and the window share.

Each client adds its own advice, which depends on the cause: an option of a command is no help in a
window.
"""

import enum
import errno
import socket
import ssl
from typing import NamedTuple

from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from wire.address import public_url

__all__ = ["Cause", "Failure", "explain", "first_header", "reason_of"]

LONGEST_TEXT = 200
"""Bytes of an HTTP response's text that are shown: a sentence that fits a line."""


class Cause(enum.Enum):
    """What kept a connection from opening."""

    REFUSED = enum.auto()
    UNKNOWN_HOST = enum.auto()
    TIMEOUT = enum.auto()
    CERTIFICATE = enum.auto()
    TLS = enum.auto()
    NO_TLS = enum.auto()
    STATUS = enum.auto()
    CLOSED = enum.auto()
    OTHER = enum.auto()


class Failure(NamedTuple):
    """A connection that did not open.

    Attributes:
        cause: What kept it from opening.
        text: The reason, in words, without a full stop.
        status: The status of the HTTP response, if that is the cause.
        location: Where that response points, if it does.
    """

    cause: Cause
    text: str
    status: int | None = None
    location: str | None = None


def explain(error: Exception, *, host: str | None, secure: bool, timeout: float) -> Failure:
    """Return why a connection did not open.

    Args:
        error: What connecting or the opening handshake raised.
        host: The host's name.
        secure: Whether TLS was to be used.
        timeout: Seconds that connecting was allowed to take.
    """
    if isinstance(error, InvalidStatus):
        response = error.response
        location = first_header(response, "Location") or None
        return Failure(Cause.STATUS, _described(response), response.status_code, location)
    if isinstance(error, EOFError) or isinstance(error.__cause__, EOFError):
        return Failure(Cause.CLOSED, "it closed the connection before it had answered")
    if isinstance(error, OSError) and is_refusal(error):
        return Failure(Cause.REFUSED, "connection refused")
    if isinstance(error, socket.gaierror):
        return Failure(Cause.UNKNOWN_HOST, f"the host {host!r} is not known")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(
            Cause.CERTIFICATE, f"the certificate is not trusted ({error.verify_message})"
        )
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        cause = Cause.NO_TLS if "version" in reason else Cause.TLS
        return Failure(cause, f"TLS failed ({reason})")
    if isinstance(error, TimeoutError):
        return Failure(Cause.TIMEOUT, f"no {'TLS ' if secure else ''}connection in {timeout:g} s")
    if secure and isinstance(error, ConnectionError):
        return Failure(Cause.NO_TLS, "it closed the connection before TLS was agreed on")
    return Failure(Cause.OTHER, reason_of(error))


def is_refusal(error: OSError) -> bool:
    """Tell whether the host answered that nothing listens there."""
    # An OSError for several addresses (IPv6, IPv4) has no errno, only the text of each.
    return error.errno == errno.ECONNREFUSED or "refused" in str(error).lower()


def reason_of(error: Exception) -> str:
    """Return what an error says, with its cause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    return f"{error}{cause}" or type(error).__name__


def first_header(response: Response, name: str) -> str:
    """Return the first header of this name, or an empty text; a server may send several."""
    return next(iter(response.headers.get_all(name)), "")


def _without_query(location: str) -> str:
    """Return where a response points, without the query, which may be ours with a secret in it."""
    try:
        return public_url(location)
    except ValueError:
        return "a text that is not a URL"


def _described(response: Response) -> str:
    """Return an HTTP response in a line: its status, where it points, and what it says."""
    location = first_header(response, "Location")
    said = f"it answered HTTP {response.status_code} {response.reason_phrase}"
    if location:
        said += f" to {_without_query(location)}"
    if response.body and first_header(response, "Content-Type").startswith("text/plain"):
        text = bytes(response.body[:LONGEST_TEXT]).decode(errors="replace").strip()
        said += f": {text.splitlines()[0]}" if text else ""
    return said
