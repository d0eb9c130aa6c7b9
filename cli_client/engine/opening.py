"""Opening a connection: TCP, TLS, Unix socket or proxy; the handshake; and why it failed, in words.

What is used of the library without being documented is ``websockets.proxy`` and the two functions
of ``websockets.asyncio.client`` that connect through a proxy.
"""

import asyncio
import base64
import importlib.util
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from cli_client.engine.connection import Connection
from cli_client.engine.protocol import RequestProtocol
from cli_client.secrets import mask_url
from cli_client.settings import Settings
from wire.address import is_loopback
from wire.failure import Cause, explain, reason_of
from wire.tls import TLSError, client_context

__all__ = ["Opener", "OpeningError"]

MakeConnection = Callable[[RequestProtocol, tuple[tuple[str, str], ...]], Connection]
"""Makes a connection of its protocol and of the headers to send."""


class OpeningError(Exception):
    """No connection; the message says why, and what to do."""

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting
        """Whether trying again would come to the same."""


class Opener:
    """Opens connections to one server.

    Args:
        settings: The settings of the run.

    Raises:
        OpeningError: If the certificates or the proxy cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._shown = mask_url(settings.url)
        self._settings = settings = settings.expanded()
        self._uri: WebSocketURI = parse_uri(settings.url)
        self._tls = _tls(settings) if self._uri.secure else None
        self._proxy = None if settings.unix else _proxy(settings, self._uri)
        self._proxy_shown = f"the proxy {mask_url(self._proxy or '')}"
        headers = settings.headers
        if settings.basic_auth is not None:
            credentials = base64.b64encode(settings.basic_auth.encode()).decode()
            headers = (("Authorization", f"Basic {credentials}"), *headers)
        self._headers = headers

    async def open(self, make: MakeConnection) -> Connection:
        """Return a connection whose opening handshake is done.

        Raises:
            OpeningError: If there is none within the time for it.
        """
        settings = self._settings
        where = f"{self._shown}{f' (socket {settings.unix})' if settings.unix else ''}"
        connection = make(self._protocol(), self._headers)
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await self._connect(connection)
        except ssl.SSLCertVerificationError as error:
            raise OpeningError(
                f"the certificate of {where} is not trusted ({error.verify_message}). "
                "Trust its issuer with --cacert, or any with -k.",
                lasting=True,
            ) from None
        except (TimeoutError, OSError) as error:
            target = f"way through {self._proxy_shown}" if self._proxy else f"server at {where}"
            raise OpeningError(
                f"no {target}: {self._why(error)}", lasting=isinstance(error, socket.gaierror)
            ) from None
        except Exception as error:  # the library's many ways to say that a proxy failed
            raise OpeningError(f"no way through {self._proxy_shown}: {reason_of(error)}.") from None
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await asyncio.shield(connection.opened)
        except TimeoutError:
            connection.abort()
            raise OpeningError(
                f"{where} did not answer the handshake in {settings.connect_timeout:g} s; "
                "is it a WebSocket server?"
            ) from None
        except Exception as error:  # whatever it is, it is the handshake that failed
            connection.abort()
            raise OpeningError(
                f"{where} gave no WebSocket: {self._why(error)}",
                lasting=isinstance(error, InvalidStatus) and error.response.status_code < 500,
            ) from None
        return connection

    def _protocol(self) -> RequestProtocol:
        settings = self._settings
        return RequestProtocol(
            self._uri,
            binary=settings.binary,
            origin=None if settings.origin is None else Origin(settings.origin),
            subprotocols=[Subprotocol(name) for name in settings.subprotocols] or None,
            extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=True)]
            if settings.compress
            else None,
        )

    async def _connect(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        uri = self._uri
        if self._settings.unix is not None:
            await loop.create_unix_connection(
                lambda: connection,
                str(self._settings.unix),
                ssl=self._tls,
                server_hostname=uri.host if self._tls else None,
            )
        elif self._proxy is None:
            await loop.create_connection(lambda: connection, uri.host, uri.port, ssl=self._tls)
        else:
            await self._connect_through(self._proxy, connection)

    async def _connect_through(self, proxy_url: str, connection: Connection) -> None:
        # Only here, as it takes a while to import.
        from websockets.asyncio.client import connect_http_proxy, connect_socks_proxy
        from websockets.proxy import parse_proxy

        loop = asyncio.get_running_loop()
        proxy = parse_proxy(proxy_url)
        if proxy.scheme.startswith("socks"):
            connected = await connect_socks_proxy(proxy, self._uri)
            await loop.create_connection(
                lambda: connection,
                sock=connected,
                ssl=self._tls,
                server_hostname=self._uri.host if self._tls else None,
            )
            return
        tls = ssl.create_default_context() if proxy.scheme == "https" else None
        transport = await connect_http_proxy(proxy, self._uri, ssl=tls)
        transport.set_protocol(connection)
        if self._tls is not None:
            secured = await loop.start_tls(
                transport, connection, self._tls, server_hostname=self._uri.host
            )
            assert secured is not None
            connection.connection_made(secured)
        else:
            connection.connection_made(transport)

    def _why(self, error: Exception) -> str:
        """Return the reason as a sentence, with advice where there is some."""
        failure = explain(
            error,
            host=urlsplit(self._settings.url).hostname,
            secure=self._tls is not None,
            timeout=self._settings.connect_timeout,
        )
        if failure.cause is Cause.REFUSED:
            advice = "" if self._proxy else "Start one with wsroll-server."
        elif failure.cause is Cause.NO_TLS:
            advice = "Is it ws://?"
        elif failure.cause is Cause.CLOSED:
            # What a server may do that misses a client's certificate, or TLS.
            advice = "Does it want a certificate (--cert)?" if self._tls else "Is it wss://?"
        elif failure.cause in (Cause.STATUS, Cause.OTHER) and not isinstance(error, OSError):
            return failure.text
        else:
            advice = ""
        return f"{failure.text}. {advice}".rstrip()


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        return client_context(
            settings.cacert, settings.cert, settings.key, insecure=settings.insecure
        )
    except TLSError as error:
        raise OpeningError(f"{error}.") from None


def _proxy(settings: Settings, uri: WebSocketURI) -> str | None:
    """Return the proxy of the settings or the environment, if there is one."""
    # A proxy elsewhere has no way to this machine's own loopback.
    if settings.proxy == "" or (settings.proxy is None and is_loopback(uri.host)):
        return None
    # Only here, as it takes a while to import.
    from websockets.exceptions import InvalidProxy
    from websockets.proxy import get_proxy, parse_proxy

    proxy = settings.proxy or get_proxy(uri)
    if proxy is None:
        return None
    try:
        scheme = parse_proxy(proxy).scheme
    except InvalidProxy as error:
        raise OpeningError(str(error)) from None
    if scheme.startswith("socks") and importlib.util.find_spec("python_socks") is None:
        raise OpeningError(
            "a SOCKS proxy needs the package python-socks: pip install 'wsroll[socks]'"
        )
    return proxy
