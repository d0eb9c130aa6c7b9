"""What the server answers over plain HTTP: the page, its health, its metrics, its version."""

import html
import json
import re
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from server.counters import Counters
from wire import frames

__all__ = ["Site", "plain_response"]

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class Site:
    """Answers requests that are not opening handshakes.

    Args:
        counters: What ``/metrics`` shows.
        is_draining: Whether new clients should go elsewhere, for ``/healthz``.
    """

    def __init__(self, counters: Counters, is_draining: Callable[[], bool]) -> None:
        # Costly to import, and not needed by a server without HTTP.
        from server import metrics

        page = files("web").joinpath("index.html").read_bytes()
        page_headers = _page_headers(page)
        collected = metrics.Metrics(counters)
        versions = json.dumps(
            {
                "wsroll": version("wsroll"),
                "websockets": version("websockets"),
                "frames": frames.LANGUAGE,
            }
        )

        def health() -> Response:
            if is_draining():
                return plain_response(HTTPStatus.SERVICE_UNAVAILABLE, "stopping\n")
            return plain_response(HTTPStatus.OK, "ok\n")

        self._routes: dict[str, Callable[[], Response]] = {
            "/": lambda: _response(HTTPStatus.OK, page, HTML, page_headers),
            "/healthz": health,
            "/metrics": lambda: _response(
                HTTPStatus.OK, collected.render(), metrics.CONTENT_TYPE, {}
            ),
            "/version": lambda: _response(HTTPStatus.OK, f"{versions}\n".encode(), JSON, {}),
        }

    def respond(self, request: Request) -> Response:
        """Return the response to a GET or HEAD request."""
        if request.method not in ("GET", "HEAD"):
            response = plain_response(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD here.\n")
            response.headers["Allow"] = "GET, HEAD"
            return response
        path = request.path.partition("?")[0]
        route = self._routes.get(path)
        response = route() if route is not None else _nothing_here()
        if request.method == "HEAD":
            response.body = b""
        return response


def _nothing_here() -> Response:
    return plain_response(
        HTTPStatus.NOT_FOUND, "Nothing here. The page is at /, the WebSocket as well.\n"
    )


def plain_response(status: HTTPStatus, text: str) -> Response:
    """Return a response of plain text."""
    return _response(status, text.encode(), TEXT, {})


def _response(status: HTTPStatus, body: bytes, kind: str, more: dict[str, str]) -> Response:
    headers = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Content-Type": kind,
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            **more,
        }
    )
    return Response(status.value, status.phrase, headers, body)


def _page_headers(page: bytes) -> dict[str, str]:
    """Return the security headers of the page.

    The page has its policy in itself, so that it holds for a page opened as a file too. Only as a
    header can a policy say that no other page may frame this one.
    """
    found = re.search(
        rb'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page, re.IGNORECASE
    )
    policies = [" ".join(html.unescape(found[1].decode()).split())] if found else []
    return {
        "Content-Security-Policy": "; ".join([*policies, "frame-ancestors 'none'"]),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
