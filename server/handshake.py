"""The opening handshake: which request gets a WebSocket, which a page, which a refusal.

Bytes in, an outcome out, without I/O (RFC 6455, section 4.2).

Nearly every request asks for a WebSocket in the same words. For these there is a short way, at a
quarter of the cost of the library's parser of any HTTP request. Whatever is not exactly such a
plain request takes the library's way: a page, a refusal, an extension, an odd line.
"""

import functools
import hashlib
import re
from binascii import b2a_base64
from http import HTTPStatus
from typing import NamedTuple

from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request, Response
from websockets.protocol import OPEN

from server.hub import Hub
from server.protocol import ReplyProtocol
from server.site import plain_response
from wire.text import printable

__all__ = ["Accepted", "OpeningHandshake", "Outcome", "Page", "Refused"]

_END_OF_LINE = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"

PLAIN_HEAD = re.compile(
    rb"GET /[!-~]* HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ -~]*\r\n){4,64})\r\n"
)
"""A head of few and short lines, all of it printable ASCII (RFC 9112, section 2.1). No two parts of
this match the same bytes in two ways, so that it takes no longer than the head is long."""

PLAIN_SIZE = 2**12
"""The longest plain head, in bytes: what a browser sends, with room for cookies."""

KEY = re.compile(rb"\r\nSec-WebSocket-Key: ([0-9A-Za-z+/]{21}[AQgw]==)\r\n")
"""The whole line of the key: sixteen bytes in base64 (RFC 6455, section 4.1)."""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

ASKED_BY = {
    b"upgrade": (b"websocket",),
    b"connection": (b"upgrade", b"keep-alive, upgrade"),
    b"sec-websocket-version": (b"13",),
}
"""What a client must send (section 4.2.1), in the usual spellings."""

NOT_PLAIN = {
    b"transfer-encoding",
    b"content-length",
    b"sec-websocket-protocol",
    b"sec-websocket-key",  # a second one
}

UNSUPPORTED_BODY = "unsupported request body"
"""What the library says of a Content-Length above 0."""

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)


class Accepted(NamedTuple):
    """The connection becomes a WebSocket, and is counted as open."""

    response: bytes
    protocol: ReplyProtocol | None
    """None if no extension was agreed on: until it is needed there need not be one."""
    rest: bytes
    """What came after the request: the first frames."""
    notice: str | None = None
    """What an operator should know of it, for the log."""


class Page(NamedTuple):
    """A response over plain HTTP, after which the connection ends."""

    response: bytes


class Refused(NamedTuple):
    """A refusal, after which the connection ends."""

    response: bytes
    reason: str
    """One of ``counters.REFUSALS``."""
    text: str
    """What is wrong with the request, for the log."""


Outcome = Accepted | Page | Refused


_TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS client (RFC 8446, section 5.1); no HTTP request begins with it."""


class OpeningHandshake:
    """The server's side of one opening handshake.

    Args:
        hub: What all connections of the server share.
    """

    __slots__ = ("_head", "_hub")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._head = bytearray()

    def receive(self, data: bytes) -> Outcome | None:
        """Return the outcome of the request, None while its head is incomplete.

        After an outcome there is nothing more to receive.
        """
        outcome = self._receive(data)
        return None if outcome is None else self._for_method(outcome)

    def time_out(self) -> Outcome:
        """Return the refusal of a request that has not come in time."""
        refusal = _refuse(
            HTTPStatus.REQUEST_TIMEOUT,
            "timeout",
            f"No complete request came within {self._hub.settings.open_timeout:g} seconds.",
        )
        return self._for_method(refusal)

    def _for_method(self, outcome: Outcome) -> Outcome:
        if not self._head.startswith(b"HEAD "):
            return outcome
        # RFC 9110, section 9.3.2: the same without the body.
        end = outcome.response.index(_END_OF_HEAD) + len(_END_OF_HEAD)
        return outcome._replace(response=outcome.response[:end])

    def _receive(self, data: bytes) -> Outcome | None:
        head = self._head
        searched = max(0, len(head) - len(_END_OF_HEAD) + 1)
        head += data
        if head.startswith(_END_OF_LINE) and head[2:4] not in (b"", b"\r", _END_OF_LINE):
            # An empty line before a request is ignored (RFC 9112, section 2.2).
            del head[: len(_END_OF_LINE)]
            searched = 0
        found = head.find(_END_OF_HEAD, searched)
        size = len(head) if found < 0 else found + len(_END_OF_HEAD)
        limit = self._hub.settings.max_header_size
        if size > limit:
            return _refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "header size",
                f"The request's head is larger than {limit} bytes.",
            )
        if head.startswith(_TLS_HANDSHAKE):
            # The client waits for our part of it, and would wait until its time-out.
            return _refuse(
                HTTPStatus.BAD_REQUEST,
                "malformed",
                "This port does not use TLS: try ws:// or http://.",
            )
        if found < 0:
            return None
        request, rest = bytes(head[:size]), bytes(head[size:])
        response = accept_plain(self._hub, request)
        if response is not None:
            return Accepted(response, None, rest)
        return answer(self._hub, request, rest)


# The short way.


def accept_plain(hub: Hub, head: bytes) -> bytes | None:
    """Return the response to a plain request for a WebSocket that is granted, else None."""
    found = KEY.search(head)
    if found is None or hub.stopping:
        return None
    if not _is_granted(hub, head[: found.start()] + b"\r\n" + head[found.end() :]):
        return None
    if not hub.open_one():
        return None
    digest = hashlib.sha1(found[1] + GUID, usedforsecurity=False).digest()
    return ACCEPTED % b2a_base64(digest, newline=False)


# The requests of a client differ in their keys alone.
@functools.lru_cache(64)
def _is_granted(hub: Hub, head: bytes) -> bool:
    """Tell whether a head without its key is plain and asks for what is granted."""
    found = PLAIN_HEAD.fullmatch(head) if len(head) <= PLAIN_SIZE else None
    if found is None:
        return False
    lines = found[1].split(b"\r\n")[:-1]
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip(b" ")
    if len(fields) < len(lines) or not NOT_PLAIN.isdisjoint(fields):
        return False
    if hub.compresses and b"sec-websocket-extensions" in fields:
        return False
    if any(fields.get(name, b"").lower() not in values for name, values in ASKED_BY.items()):
        return False
    host, origin = fields.get(b"host"), fields.get(b"origin")
    if host is None or not hub.gate.admits_host(host.decode()):
        return False
    return origin is None or hub.gate.admits_origin(origin.decode(), host.decode())


# The library's way.

_ABSOLUTE_TARGET = re.compile(r"(?:https?|wss?)://([^/?#]+)(?:(/[^#]*)|(\?[^#]*)?)", re.I)
"""A request target with a host in it (RFC 9112, section 3.2.2), as clients send it to proxies."""

_ORIGIN_FORM = re.compile(r"/[!-~]*")
"""A path (RFC 9112, section 3.2.1). What is neither this nor the form above names no host."""

_METHOD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) [!-~]+ HTTP/1\.[01]\r\n")

_OTHER_VERSION = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/(?!1\.[01])[1-9]\.[0-9]\r\n")
"""The request line of another version of HTTP, such as the first bytes of HTTP/2."""


def answer(hub: Hub, head: bytes, rest: bytes) -> Outcome:
    """Return the outcome of any request: the library knows all their kinds."""
    protocol = hub.new_protocol()
    try:
        # Without the rest: the library's parser would take it for frames before the answer.
        protocol.receive_data(head)
        events = protocol.events_received()
        if not events:
            assert protocol.handshake_exc is not None
            return _answer_unparsed(hub, head, protocol.handshake_exc)
        request = events[0]
        assert isinstance(request, Request)
        return _decide(hub, protocol, request, rest)
    finally:
        protocol.release()


def _decide(hub: Hub, protocol: ReplyProtocol, request: Request, rest: bytes) -> Outcome:
    try:
        host, origin = (request.headers.get(name) for name in ("Host", "Origin"))
    except MultipleValuesError as error:
        return _refuse(
            HTTPStatus.BAD_REQUEST, "malformed", f"The request has two values of {error}."
        )
    absolute = _ABSOLUTE_TARGET.fullmatch(request.path)
    if absolute:
        # Section 3.2.2: its host counts, and not that of the header.
        host = absolute[1]
        request.path = absolute[2] or f"/{absolute[3] or ''}"
    elif request.method in ("GET", "HEAD") and not _ORIGIN_FORM.fullmatch(request.path):
        return _refuse(
            HTTPStatus.BAD_REQUEST, "malformed", f"The target {request.path!r} is not a path."
        )
    # Browsers always send a Host, and the gate is there because of browsers.
    if host is not None and not hub.gate.admits_host(host):
        return _refuse(
            HTTPStatus.FORBIDDEN,
            "host",
            f"The Host {host!r} is not this server's. To serve it, add an origin with that host.",
        )
    if not _asks_for_websocket(request.headers):
        return _page(hub, request)
    if hub.stopping:
        return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "The server is stopping.")
    if hub.is_full:
        return _refuse_full(hub)
    if not hub.gate.admits_origin(origin, host or ""):
        return _refuse(
            HTTPStatus.FORBIDDEN, "origin", f"The origin {origin!r} may not connect here."
        )
    if request.headers.get_all("Sec-WebSocket-Version") not in ([], ["13"]):
        # Section 4.2.2; the library leaves the header out.
        text = "Only version 13 here."
        response = plain_response(HTTPStatus.UPGRADE_REQUIRED, f"{text}\n")
        response.headers["Sec-WebSocket-Version"] = "13"
        return Refused(response.serialize(), "malformed", text)
    response = protocol.accept(request)
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        return _refuse_as(response)
    if not hub.open_one():
        return _refuse_full(hub)
    notice = None
    offered = request.headers.get_all("Sec-WebSocket-Protocol")
    if offered and protocol.subprotocol is None:
        notice = f"none of its subprotocols was chosen: {', '.join(offered)} (see --subprotocol)"
    if not protocol.extensions:
        return Accepted(response.serialize(), None, rest, notice)
    # A protocol of its own, because the library's parser would hold the request for as long as the
    # connection lives.
    opened = hub.new_protocol(OPEN)
    opened.use_extensions(protocol.extensions)
    return Accepted(response.serialize(), opened, rest, notice)


def _asks_for_websocket(headers: Headers) -> bool:
    """Tell whether a request is an opening handshake, good or bad.

    An offer of another protocol is no reason to refuse the request (RFC 9110, section 7.8).
    """
    offers = ",".join(headers.get_all("Upgrade")).lower().split(",")
    return "websocket" in map(str.strip, offers) or (
        "Upgrade" in headers and "Sec-WebSocket-Key" in headers
    )


def _page(hub: Hub, request: Request) -> Page:
    if hub.site is not None:
        return Page(hub.site.respond(request).serialize())
    response = plain_response(HTTPStatus.UPGRADE_REQUIRED, "Only WebSockets here.\n")
    response.headers["Upgrade"] = "websocket"
    return Page(response.serialize())


def _answer_unparsed(hub: Hub, head: bytes, error: Exception) -> Outcome:
    """Answer what the library does not take for a request."""
    match error:
        case RequestLineTooLong():
            return _refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "header size", f"{error}.")
        case HeaderLineTooLong() | TooManyHeaders():
            return _refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "header size", f"{error}.")
    cause = error.__cause__
    method = _METHOD.match(head)
    if method and (isinstance(cause, NotImplementedError) or str(cause) == UNSUPPORTED_BODY):
        if method[1] not in (b"GET", b"HEAD"):
            return _page(hub, Request("/", Headers(), method[1].decode()))
        return _refuse(HTTPStatus.BAD_REQUEST, "malformed", "A request here must have no body.")
    if _OTHER_VERSION.match(head):
        return _refuse(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "malformed", "Only HTTP/1.1 and HTTP/1.0 here."
        )
    # Here the library would close without a response.
    response = plain_response(HTTPStatus.BAD_REQUEST, "This is no HTTP request.\n")
    return Refused(response.serialize(), "malformed", f"{error}: {cause}")


def _refuse(status: HTTPStatus, reason: str, text: str) -> Refused:
    return Refused(plain_response(status, f"{text}\n").serialize(), reason, text)


def _refuse_full(hub: Hub) -> Refused:
    return _refuse(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "full",
        f"The server already has {hub.settings.max_connections} connections, its limit.",
    )


def _refuse_as(response: Response) -> Refused:
    """Return a refusal of the library, which repeats what the client sent, made harmless."""
    text = printable(" ".join(bytes(response.body).decode(errors="replace").split()))
    ours = plain_response(HTTPStatus(response.status_code), f"{text}\n")
    for name in ("Allow", "Upgrade"):
        if name in response.headers:
            ours.headers[name] = response.headers[name]
    return Refused(ours.serialize(), "malformed", text)
