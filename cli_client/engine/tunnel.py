"""A tunnel through an HTTP proxy (CONNECT; RFC 9110, section 9.3.6)."""

import asyncio
from ssl import SSLContext

from websockets.asyncio.client import HTTPProxyConnection
from websockets.exceptions import InvalidProxyMessage
from websockets.proxy import Proxy
from websockets.uri import WebSocketURI

__all__ = ["open_tunnel"]


class _TunnelRequest(HTTPProxyConnection):
    """The library's request for a tunnel, which bears the end of the connection after its EOF."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that there is no answer, if that has not been said."""
        if not self.response.done():
            super().connection_lost(exc)


async def open_tunnel(proxy: Proxy, uri: WebSocketURI, ssl: SSLContext | None) -> asyncio.Transport:
    """Return a transport that leads to a server, through a proxy.

    Raises:
        OSError: If the proxy cannot be reached.
        InvalidHandshake: If it gives no tunnel.
    """
    transport, request = await asyncio.get_running_loop().create_connection(
        lambda: _TunnelRequest(uri, proxy), proxy.host, proxy.port, ssl=ssl
    )
    try:
        await request.response
        # Nothing has been sent through the tunnel that could have an answer, and what is behind the
        # proxy's own must not get lost.
        if behind := len(request.reader.buffer):
            raise InvalidProxyMessage(f"it sent more than its answer to CONNECT ({behind} B)")
    except BaseException:
        transport.abort()
        raise
    return transport
