"""The opening handshake: which request gets a WebSocket, which a page, which a refusal.

Nearly every request asks for a WebSocket in the same words. For these there is a short way, at a
quarter of the cost of the library's parser of any HTTP request. Whatever is unusual or to be
refused takes the library's way, and so do a page and an extension.
"""

import functools
import hashlib
import re
from binascii import b2a_base64
from http import HTTPStatus
from typing import NamedTuple

from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request, Response

from server.hub import Hub
from server.protocol import ReplyProtocol
from server.site import plain_response

__all__ = ["Decision", "accept_plainly", "decide"]

PLAIN_HEAD = re.compile(
    rb"GET [!-~]+ HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ -~]*\r\n){4,64})\r\n"
)
"""A head of few and short lines, all of it printable ASCII (RFC 9112, section 2.1). No two parts of
this match the same bytes in two ways, so that it takes no longer than the head is long."""
PLAIN_SIZE = 2**12

KEY_NAME = b"\r\nSec-WebSocket-Key:"
KEY = re.compile(rb" [0-9A-Za-z+/]{21}[AQgw]==")
"""Sixteen bytes in base64 (RFC 6455, section 4.1)."""
KEY_SIZE = 25
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

ASKED_BY = {
    b"upgrade": (b"websocket",),
    b"connection": (b"upgrade", b"keep-alive, upgrade"),
    b"sec-websocket-version": (b"13",),
}
"""What a client has to say (section 4.2.1), and how it does."""

NOT_PLAIN = {
    b"transfer-encoding",
    b"content-length",
    b"sec-websocket-protocol",
    b"sec-websocket-key",  # a second one
}

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)


def accept_plainly(hub: Hub, head: bytes) -> bytes | None:
    """Return the response to a plain request for a WebSocket that is granted, else None."""
    before, _, after = head.partition(KEY_NAME)
    key, others = after[:KEY_SIZE], before + after[KEY_SIZE:]
    if hub.stopping or hub.is_full or not (KEY.fullmatch(key) and _grants(hub, others)):
        return None
    digest = hashlib.sha1(key[1:] + GUID, usedforsecurity=False).digest()
    return ACCEPTED % b2a_base64(digest, newline=False)


# The requests of a client differ in their keys alone.
@functools.lru_cache(64)
def _grants(hub: Hub, head: bytes) -> bool:
    """Tell whether a head is plain and asks for what is granted, the key apart."""
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


class Decision(NamedTuple):
    """A response, and why it is a refusal (one of ``counters.REFUSALS``), if it is one."""

    response: Response
    refusal: str | None = None


def decide(hub: Hub, protocol: ReplyProtocol, request: Request) -> Decision:
    """Return the response to a request, which the caller sends."""
    try:
        host, origin = (request.headers.get(name) for name in ("Host", "Origin"))
    except MultipleValuesError as error:
        return _refuse(
            HTTPStatus.BAD_REQUEST, "malformed", f"The request has two values of {error}."
        )
    # Browsers always send a Host, and it is them that the gate is about.
    if host is not None and not hub.gate.admits_host(host):
        return _refuse(
            HTTPStatus.FORBIDDEN,
            "host",
            f"The Host {host!r} is not this server's. To serve it, add an origin with that host.",
        )
    if "Upgrade" not in request.headers:
        if hub.site is not None:
            return Decision(hub.site.respond(request))
        return Decision(plain_response(HTTPStatus.UPGRADE_REQUIRED, "Only WebSockets here.\n"))
    if hub.stopping:
        return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "The server is stopping.")
    if hub.is_full:
        return _refuse(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "full",
            f"The server has all the {hub.settings.max_connections} connections that it takes.",
        )
    if not hub.gate.admits_origin(origin, host or ""):
        return _refuse(
            HTTPStatus.FORBIDDEN, "origin", f"The origin {origin!r} may not connect here."
        )
    if request.headers.get_all("Sec-WebSocket-Version") not in ([], ["13"]):
        # Section 4.2.2; the library leaves the header out.
        decision = _refuse(HTTPStatus.UPGRADE_REQUIRED, "malformed", "Only version 13 here.")
        decision.response.headers["Sec-WebSocket-Version"] = "13"
        return decision
    response = protocol.accept(request)
    accepted = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
    return Decision(response, None if accepted else "malformed")


def _refuse(status: HTTPStatus, reason: str, text: str) -> Decision:
    return Decision(plain_response(status, f"{text}\n"), reason)
