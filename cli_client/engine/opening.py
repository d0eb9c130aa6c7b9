"""Opening a connection: TCP, TLS, Unix socket or proxy; the handshake; and why it failed, in words.

What is used of the library without being documented is ``websockets.proxy`` and the two functions
of ``websockets.asyncio.client`` that connect through a proxy.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHeader, InvalidStatus, NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from cli_client.engine.connection import Connection
from cli_client.engine.introduction import RefusalError
from cli_client.engine.protocol import RequestProtocol
from cli_client.engine.proxy import ProxyError, find_proxy
from cli_client.ledger.result import Phase
from cli_client.secrets import mask_url
from cli_client.settings import Settings
from wire.failure import Cause, Failure, explain, first_header, reason_of
from wire.tls import TLSError, client_context

__all__ = ["Opener", "OpeningError"]

PASSING = {408, 425, 429}
"""Statuses below 500 with which a server asks to try again later."""

PHASES: dict[Cause, Phase] = {
    Cause.UNKNOWN_HOST: "name",
    Cause.CERTIFICATE: "tls",
    Cause.TLS: "tls",
    Cause.NO_TLS: "tls",
}
"""The step that fails, by the cause; for the others it is known how far the attempt came."""

MakeConnection = Callable[[RequestProtocol, tuple[tuple[str, str], ...]], Connection]
"""Makes a connection of its protocol and of the headers to send."""


class OpeningError(Exception):
    """No connection; the message says why, and what to do.

    Args:
        message: The message.
        phase: The step that failed.
        reason: Why, in a few words.
        lasting: Whether trying again would come to the same.
        breach: Whether the server broke the protocol.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: Phase = "",
        reason: str = "",
        lasting: bool = False,
        breach: bool = False,
    ) -> None:
        super().__init__(message)
        self.phase = phase
        self.reason = reason
        self.lasting = lasting
        self.breach = breach


@dataclass
class _Way:
    """How far an attempt to connect has come."""

    step: Phase


class _Waiting(asyncio.Protocol):
    """Reads nothing, until another protocol takes the connection over."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).pause_reading()


class Opener:
    """Opens connections to one server.

    Args:
        settings: The settings of the run.

    Raises:
        OpeningError: If the certificates or the proxy cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._where = mask_url(settings.url)
        if settings.unix:
            self._where += f" (socket {settings.unix})"
        self._settings = settings = settings.expanded()
        self._uri: WebSocketURI = parse_uri(settings.url)
        self._tls = _tls(settings) if self._uri.secure else None
        try:
            self._proxy = None if settings.unix else find_proxy(settings.proxy, self._uri)
        except ProxyError as error:
            raise OpeningError(f"{error}.", phase="proxy") from None
        self._through_tls = (self._proxy or "").startswith("https:")
        self._proxy_shown = f"the proxy {mask_url(self._proxy or '')}"
        headers = settings.headers
        if settings.basic_auth is not None:
            credentials = base64.b64encode(settings.basic_auth.encode()).decode()
            headers = (("Authorization", f"Basic {credentials}"), *headers)
        self._headers = headers

    async def open(self, make: MakeConnection) -> Connection:
        """Return a connection on which requests may be sent.

        Raises:
            OpeningError: If there is none within the time for it.
        """
        connection = make(self._protocol(), self._headers)
        way = _Way("tcp" if self._proxy is None else "proxy")
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._connect(connection, way)
                await asyncio.shield(connection.opened)
        except Exception as error:  # among others, the library's many ways to say that it failed
            connection.abort()
            if connection.is_connected:
                raise self._in_handshake(error, connection.status_line) from None
            raise self._before_handshake(error, way.step) from None
        except BaseException:
            connection.abort()
            raise
        await self._introduce(connection)
        return connection

    async def _introduce(self, connection: Connection) -> None:
        """Wait for the end of what is said before the first request."""
        limit = self._settings.connect_timeout
        try:
            async with asyncio.timeout(limit):
                await asyncio.shield(connection.introduced)
        except BaseException as error:
            awaited = connection.introduction.awaited
            lasting = isinstance(error, RefusalError)
            close = connection.close_key()
            connection.abort()
            if isinstance(error, TimeoutError):
                why = f"{awaited} did not come in {limit:g} s"
            elif isinstance(error, EOFError):
                why = f"{awaited} did not come: {close.words}"
                lasting = close.by == "server" and _refuses(close.code)
            elif lasting:
                why = str(error)
            else:
                raise
            raise OpeningError(
                f"{self._where} does not let us begin: {why}",
                phase="hello",
                reason=why,
                lasting=lasting,
            ) from None

    def _before_handshake(self, error: Exception, step: Phase) -> OpeningError:
        """Return why there is no connection to ask for a WebSocket on.

        Args:
            error: What was raised.
            step: The step in which that was.
        """
        through = step == "proxy"
        secure = self._through_tls if through else self._tls is not None
        failure = self._explain(error, secure=secure)
        phase = PHASES.get(failure.cause, step)
        if failure.cause is Cause.CERTIFICATE:
            whose = self._proxy_shown if through else self._where
            text = failure.text.replace("the certificate", f"the certificate of {whose}")
            # Neither option is about the proxy.
            advice = "" if through else " Trust its issuer with --cacert, or any with -k."
            return OpeningError(f"{text}.{advice}", phase=phase, reason=failure.text, lasting=True)
        if through and not isinstance(error, OSError):
            message = f"no way through {self._proxy_shown}: {reason_of(error)}."
            return OpeningError(message, phase="proxy", reason=reason_of(error))
        target = f"way through {self._proxy_shown}" if through else f"server at {self._where}"
        return OpeningError(
            f"no {target}: {self._advise(failure, error)}",
            phase=phase,
            reason=failure.text,
            lasting=failure.cause is Cause.UNKNOWN_HOST,
        )

    def _in_handshake(self, error: Exception, status_line: str) -> OpeningError:
        """Return why there is no WebSocket on a connection."""
        timeout = self._settings.connect_timeout
        if isinstance(error, TimeoutError) and status_line:
            reason = f"its answer did not end in {timeout:g} s: {status_line}"
            return OpeningError(
                f"{self._where} gave no WebSocket: {reason}", phase="handshake", reason=reason
            )
        if isinstance(error, TimeoutError):
            return OpeningError(
                f"{self._where} did not answer the handshake in {timeout:g} s; "
                "is it a WebSocket server?",
                phase="handshake",
                reason=f"no answer in {timeout:g} s",
            )
        failure = self._explain(error, secure=False)
        reason = failure.text
        if isinstance(error, InvalidStatus):
            response = error.response
            server = first_header(response, "Server")
            reason = f"HTTP {response.status_code}{f' from {server}' if server else ''}"
        return OpeningError(
            f"{self._where} gave no WebSocket: {self._advise(failure, error)}",
            phase="handshake",
            reason=reason,
            lasting=failure.status is not None
            and failure.status < 500
            and failure.status not in PASSING,
            breach=isinstance(error, InvalidHeader | NegotiationError),
        )

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

    async def _connect(self, connection: Connection, way: "_Way") -> None:
        """Make the connection, and note each step on the way as it begins."""
        if self._tls is None and self._proxy is None:
            await self._reach(lambda: connection)
            return
        if self._proxy is None:
            transport = await self._reach(_Waiting)
        else:
            transport = await self._reach_through(self._proxy)
        way.step = "tls"
        if self._tls is None:
            transport.set_protocol(connection)
        else:
            # Apart from the step before, so that it is known which of the two takes too long.
            secured = await asyncio.get_running_loop().start_tls(
                transport, connection, self._tls, server_hostname=self._uri.host
            )
            assert secured is not None
            transport = secured
        connection.connection_made(transport)
        transport.resume_reading()

    async def _reach(self, protocol: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """Connect to the server itself."""
        loop = asyncio.get_running_loop()
        if self._settings.unix is not None:
            path = str(self._settings.unix)
            transport, _ = await loop.create_unix_connection(protocol, path)
        else:
            transport, _ = await loop.create_connection(protocol, self._uri.host, self._uri.port)
        return transport

    async def _reach_through(self, proxy_url: str) -> asyncio.Transport:
        """Connect to the server through a proxy."""
        # Only here, as it takes a while to import.
        from websockets.asyncio.client import connect_socks_proxy
        from websockets.proxy import parse_proxy

        from cli_client.engine.tunnel import open_tunnel

        proxy = parse_proxy(proxy_url)
        if proxy.scheme.startswith("socks"):
            connected = await connect_socks_proxy(proxy, self._uri)
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(_Waiting, sock=connected)
            return transport
        tls = ssl.create_default_context() if proxy.scheme == "https" else None
        return await open_tunnel(proxy, self._uri, tls)

    def _explain(self, error: Exception, *, secure: bool) -> Failure:
        return explain(
            error,
            host=urlsplit(self._settings.url).hostname,
            secure=secure,
            timeout=self._settings.connect_timeout,
        )

    def _advise(self, failure: Failure, error: Exception) -> str:
        """Return the reason as a sentence, with advice where there is some."""
        if failure.cause is Cause.REFUSED:
            advice = "" if self._proxy else "Start one with wsroll-server."
        elif failure.cause is Cause.NO_TLS:
            advice = "Is it http://?" if self._through_tls else "Is it ws://?"
        elif failure.cause is Cause.CLOSED:
            # What a server may do that misses a client's certificate, or TLS.
            advice = "Does it want a certificate (--cert)?" if self._tls else "Is it wss://?"
        elif failure.cause in (Cause.STATUS, Cause.OTHER) and not isinstance(error, OSError):
            return failure.text
        else:
            advice = ""
        return f"{failure.text}. {advice}".rstrip()


def _refuses(code: int) -> bool:
    """Tell whether a server that closes with this code would do so again.

    The codes of applications (RFC 6455, section 7.4.2) are, before the first request, about the
    login.
    """
    return code == CloseCode.POLICY_VIOLATION or 4000 <= code < 5000


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        return client_context(
            settings.cacert, settings.cert, settings.key, insecure=settings.insecure
        )
    except TLSError as error:
        raise OpeningError(f"{error}.") from None
