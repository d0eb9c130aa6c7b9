"""One server process: listens, serves, and stops in bounded time."""

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Collection, Sequence

from server.connection import Connection, log_refusal
from server.counters import Counters
from server.descriptors import call_at_end_of_file
from server.hub import Hub
from server.listening import BACKLOG
from server.secure import SecureConnection
from server.settings import Settings

__all__ = ["serve"]

logger = logging.getLogger("wsroll.server")

HANGUP = getattr(signal, "SIGHUP", None)


async def serve(
    settings: Settings,
    counters: Counters,
    sockets: Sequence[socket.socket],
    *,
    local: bool,
    tls: ssl.SSLContext | None,
    stop_signals: Collection[signal.Signals],
    stop_fd: int | None,
    on_started: Callable[[], None],
    on_stopping: Callable[[], None],
) -> None:
    """Serve until a signal comes or a file reaches its end.

    Args:
        settings: The server's settings.
        counters: Where to count.
        sockets: Bound sockets.
        local: Whether only this machine can connect.
        tls: The TLS context, or None to serve without TLS.
        stop_signals: Signals that stop the server. A second one ends it at once, but for SIGHUP:
            of a terminal that closes, several may come.
        stop_fd: A file descriptor whose end of file stops the server as well.
        on_started: Called once clients can connect.
        on_stopping: Called before they no longer can.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_ExceptionHandler())
    hub = Hub(settings, counters, local=local)
    register = _Register()
    secured: set[SecureConnection] = set()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def new_connection() -> asyncio.BaseProtocol:
        connection = Connection(hub, loop, on_made=register.add, on_lost=register.remove)
        if tls is None:
            return connection
        return SecureConnection(
            tls,
            connection,
            loop,
            handshake_timeout=settings.open_timeout,
            on_made=secured.add,
            on_lost=secured.discard,
            on_refused=lambda secure, reason: log_refusal(hub, secure, "tls", reason),
        )

    def ask_to_stop(number: signal.Signals) -> None:
        if not stop.is_set():
            stop.set()
        elif number != HANGUP:
            hurry.set()

    _on_signals(loop, stop_signals, ask_to_stop)
    if stop_fd is not None:
        call_at_end_of_file(stop_fd, lambda: loop.call_soon_threadsafe(stop.set))
    listeners = [
        await loop.create_server(
            new_connection,
            sock=listener,
            backlog=BACKLOG,
        )
        for listener in sockets
    ]
    on_started()
    await stop.wait()
    await _drain(hub, hurry)
    on_stopping()
    for listener in listeners:
        listener.close()
    hub.stopping = True
    await _close(register, settings.grace, hurry)
    for secure in list(secured):
        secure.abort()
    # The transports close in the next turn of the event loop.
    await asyncio.sleep(0)


class _Register:
    """The connections of this process."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._someone_left = asyncio.Event()

    def add(self, connection: Connection) -> None:
        self._connections.add(connection)

    def remove(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._someone_left.set()

    def connections(self) -> list[Connection]:
        """Return those that there are now."""
        return list(self._connections)

    def websockets(self) -> list[Connection]:
        """Return those that are WebSockets now."""
        return [connection for connection in self._connections if connection.is_websocket]

    async def wait_until_closed(self) -> None:
        """Wait until no WebSocket is open."""
        while any(connection.is_websocket for connection in self._connections):
            self._someone_left.clear()
            await self._someone_left.wait()


async def _drain(hub: Hub, hurry: asyncio.Event) -> None:
    """Go on serving for a while. Only the health tells new clients to go elsewhere."""
    hub.draining = True
    seconds = hub.settings.drain
    if seconds:
        logger.info("draining for %g s", seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await hurry.wait()


async def _close(register: _Register, grace: float, hurry: asyncio.Event) -> None:
    """Close every connection in order, or by force once the grace is over."""
    for connection in register.connections():
        connection.go_away()
    closed = asyncio.ensure_future(register.wait_until_closed())
    hurried = asyncio.ensure_future(hurry.wait())
    await asyncio.wait((closed, hurried), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    for waiting in (closed, hurried):
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    left = register.websockets()
    if left:
        logger.warning("%d connections did not close in time and were cut off", len(left))
    for connection in register.connections():
        connection.abort()


def _on_signals(
    loop: asyncio.AbstractEventLoop,
    signals: Collection[signal.Signals],
    on_signal: Callable[[signal.Signals], None],
) -> None:
    for number in signals:
        try:
            loop.add_signal_handler(number, on_signal, number)
        except NotImplementedError:
            # Windows: the handler runs in the main thread, between two steps of the loop.
            call = functools.partial(loop.call_soon_threadsafe, on_signal, number)
            signal.signal(number, lambda *_, call=call: call())


class _ExceptionHandler:
    """Logs errors of the event loop, the same one at most once a second.

    Out of file descriptors, asyncio's own loop reports each connection that it cannot accept
    (uvloop closes them and reports nothing). Serving goes on.
    """

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        message = str(context.get("message"))
        now = loop.time()
        if now - self._last.get(message, -1.0) >= 1.0:
            self._last[message] = now
            error = context.get("exception")
            traceback = error if isinstance(error, Exception) else None
            is_ours = traceback is not None and not isinstance(error, OSError)
            logger.error("%s: %s", message, error, exc_info=traceback if is_ours else None)
