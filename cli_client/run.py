"""A run: connects, sends every request, waits for every reply, and leaves a report."""

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from cli_client.connection import Connection, describe_refusal
from cli_client.ledger import Ledger
from cli_client.settings import Settings
from wire.event_loop import new_event_loop

__all__ = ["Run", "RunError"]

WATCH_INTERVAL = 0.1
"""Seconds from one look at the run to the next."""

INTERRUPTED_CLOSE_TIMEOUT = 0.5
"""Seconds that closing may take after Ctrl-C, so that the report comes within one."""


class RunError(Exception):
    """A run that could not begin; the message says why, and what to do."""


class Run:
    """Sends the requests of one run.

    Args:
        settings: The settings.
        verified: Called with the right replies of one read, in order.
        watch: Called about ten times a second while the run lasts.
    """

    def __init__(
        self,
        settings: Settings,
        verified: Callable[[list[bytes]], None],
        watch: Callable[["Run"], None],
    ) -> None:
        self.settings = settings
        self.ledger = Ledger(settings.messages, verified)
        self.interrupted = False
        self._watch = watch
        self._started = 0.0
        self._ended = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds from the first request to the last reply, or to now."""
        if not self._started:
            return 0.0
        return (self._ended or time.perf_counter()) - self._started

    def __call__(self) -> None:
        """Do it.

        Raises:
            RunError: If there is no connection.
        """
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        connection = await self._connect()
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt instead
            loop.add_signal_handler(signal.SIGINT, self._interrupt, connection)
        self._started = time.perf_counter()
        connection.start()
        try:
            await self._wait(connection)
        except OSError:
            await connection.close()
            raise
        self._ended = time.perf_counter()
        complete = self.ledger.settled >= self.ledger.total
        await connection.close(INTERRUPTED_CLOSE_TIMEOUT if self.interrupted else None)
        if not (complete or self.interrupted or self.ledger.errors):
            self._lament(connection.how_it_closed())

    async def _connect(self) -> Connection:
        settings = self.settings
        parts = urlsplit(settings.url)
        secure = parts.scheme == "wss"
        try:
            async with asyncio.timeout(settings.connect_timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(settings, self._requests(), self.ledger, time.perf_counter),
                    parts.hostname or "",
                    parts.port or (443 if secure else 80),
                    ssl=_tls(settings) if secure else None,
                )
        except (TimeoutError, OSError) as error:
            raise RunError(f"no server at {settings.url}: {_why(error, settings)}") from None
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await connection.opened
        except TimeoutError:
            await connection.close()
            raise RunError(
                f"{settings.url} did not answer the handshake in {settings.connect_timeout:g} s; "
                "is it a WebSocket server?"
            ) from None
        except Exception as error:  # whatever it is, it is the handshake that failed
            await connection.close()
            raise RunError(f"{settings.url} gave no WebSocket: {describe_refusal(error)}") from None
        return connection

    async def _wait(self, connection: Connection) -> None:
        """Wait until the connection is done, and no longer than the time-out without a reply."""
        limit = self.settings.timeout
        while not connection.done.done():
            await asyncio.wait((connection.done,), timeout=WATCH_INTERVAL)
            self._watch(self)
            if time.perf_counter() - connection.last_progress > limit:
                self._lament(f"no reply came for {limit:g} seconds")
                return
        connection.done.result()

    def _lament(self, why: str) -> None:
        """Name the first request that got no reply, and why."""
        ledger = self.ledger
        if ledger.in_flight:
            more = ledger.in_flight - 1
            others = f", nor did {more} sent after it" if more else ""
            ledger.complain(f"{ledger.oldest} got no reply{others}: {why}")
        else:
            ledger.complain(f"{ledger.total - ledger.sent} requests were not sent: {why}")

    def _interrupt(self, connection: Connection) -> None:
        self.interrupted = True
        if not connection.done.done():
            connection.done.set_result(None)

    def _requests(self) -> Iterator[bytes]:
        template = self.settings.template
        if template.count("{i}") != 1:
            return (template.replace("{i}", str(i)).encode() for i in range(self.settings.messages))
        before, after = (part.encode() for part in template.split("{i}"))
        return (b"%b%d%b" % (before, i, after) for i in range(self.settings.messages))


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.cacert)
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key)
    except OSError as error:
        raise RunError(f"cannot use the certificates given: {error.strerror or error}") from None
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _why(error: BaseException, settings: Settings) -> str:
    if isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower():
        return "connection refused. Start one with wsroll-server."
    if isinstance(error, socket.gaierror):
        return f"the host {urlsplit(settings.url).hostname!r} is not known."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})."
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error})."
    if isinstance(error, TimeoutError):
        return f"no connection in {settings.connect_timeout:g} seconds."
    return f"{(getattr(error, 'strerror', None) or str(error)).lower()}."
