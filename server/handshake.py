"""The opening handshake: which request gets a WebSocket, which a page, which a refusal."""

from http import HTTPStatus
from typing import NamedTuple

from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request, Response

from server.hub import Hub
from server.protocol import ReplyProtocol
from server.site import plain_response

__all__ = ["Decision", "decide"]


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
