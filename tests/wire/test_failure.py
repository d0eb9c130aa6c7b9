"""Why a connection did not open, in words."""

import errno
import socket
import ssl

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.http11 import Response

from wire.failure import Cause, explain


def answered(status: int, reason: str, body: bytes = b"", **headers: str) -> InvalidStatus:
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return InvalidStatus(Response(status, reason, fields, body))


def closed() -> Exception:
    error = InvalidMessage("did not receive a valid HTTP response")
    error.__cause__ = EOFError("connection closed")
    return error


def version() -> ssl.SSLError:
    error = ssl.SSLError(1, "wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


@pytest.mark.parametrize(
    ("error", "secure", "cause", "text"),
    [
        (OSError(errno.ECONNREFUSED, "no"), False, Cause.REFUSED, "connection refused"),
        (OSError("[Errno 111] refused, [Errno 111] refused"), False, Cause.REFUSED, "refused"),
        (socket.gaierror(-2, "x"), False, Cause.UNKNOWN_HOST, "the host 'a.example' is not known"),
        (TimeoutError(), False, Cause.TIMEOUT, "no connection in 10 s"),
        (TimeoutError(), True, Cause.TIMEOUT, "no TLS connection in 10 s"),
        (version(), True, Cause.NO_TLS, "TLS failed (wrong version number)"),
        (ConnectionResetError(), True, Cause.NO_TLS, "before TLS was agreed on"),
        (closed(), False, Cause.CLOSED, "it closed the connection before it had answered"),
        (
            answered(503, "Busy", b"come back\nlater", Content_Type="text/plain"),
            False,
            Cause.STATUS,
            "it answered HTTP 503 Busy: come back",
        ),
        (
            answered(301, "Moved", Location="wss://b.example/"),
            False,
            Cause.STATUS,
            "it answered HTTP 301 Moved to wss://b.example/",
        ),
        (ValueError("what"), False, Cause.OTHER, "what"),
    ],
)
def test_a_failure_has_a_cause_and_a_reason(
    error: Exception, secure: bool, cause: Cause, text: str
) -> None:
    failure = explain(error, host="a.example", secure=secure, timeout=10.0)
    assert failure.cause is cause
    assert text in failure.text


def test_the_status_of_a_response_is_known() -> None:
    error = answered(401, "Unauthorized")
    assert explain(error, host="a", secure=False, timeout=1.0).status == 401


def test_of_several_headers_of_one_name_the_first_is_told() -> None:
    error = answered(302, "Found")
    for location in ("https://a.example/", "https://b.example/"):
        error.response.headers["Location"] = location
        error.response.headers["Content-Type"] = "text/plain"
    failure = explain(error, host="a.example", secure=False, timeout=10.0)
    assert failure.text == "it answered HTTP 302 Found to https://a.example/"
    assert failure.location == "https://a.example/"
