"""The wire between sender and server: an event loop that records what passes over it.

It stands outside of the engine: it sees each attempt to connect, the bytes that were handed to the
engine and the bytes that the engine wrote, in their order. What a message means it does not know.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import async_solipsism

from tests.simulation.frames import CLOSE, CONTINUATION, Messages

HOST, PORT = "localhost", 8765


@dataclass
class Written:
    """A message that the engine sent, or its Close frame."""

    order: int
    at: float
    opcode: int
    payload: bytes


@dataclass
class Attempt:
    """One attempt to connect, and the connection that came of it."""

    began: float
    order: int
    port: int = 0
    """The sender's own port; the server's books know the connection by it. 0: not connected."""
    error: BaseException | None = None
    failed_at: float | None = None
    taken: list[tuple[int, float, int]] = field(default_factory=list)
    """For each delivery to the engine: its order, its time, and the bytes so far."""
    written: list[Written] = field(default_factory=list)
    head_written: bool = False
    ended_by_engine: int | None = None
    """The order of the engine's call to close or to abort the transport."""
    aborted: bool = False
    lost: tuple[int, float, BaseException | None] | None = None
    """When the engine learned that the connection is gone."""
    eof: int | None = None


class Wire:
    """What passed between sender and server, in one order over all connections."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.next: Callable[[], int] = count(1).__next__

    def begin(self, now: float) -> Attempt:
        attempt = Attempt(now, self.next())
        self.attempts.append(attempt)
        return attempt

    def connected(self) -> Iterator[Attempt]:
        return (attempt for attempt in self.attempts if attempt.port)


class Tap(asyncio.Protocol):
    """Stands between a transport and the engine's protocol."""

    def __init__(self, inner: asyncio.Protocol, attempt: Attempt, wire: Wire) -> None:
        self.inner = inner
        self._attempt = attempt
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._attempt.port = transport.get_extra_info("sockname")[1]
        self.inner.connection_made(TappedTransport(transport, self._attempt, self._wire))

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        self._attempt.taken.append((self._wire.next(), self._loop.time(), self._size))
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        self._attempt.eof = self._wire.next()
        return self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._attempt.lost = (self._wire.next(), self._loop.time(), exc)
        self.inner.connection_lost(exc)


class TappedTransport(asyncio.Transport):
    """The transport that the engine holds."""

    def __init__(self, inner: Any, attempt: Attempt, wire: Wire) -> None:
        super().__init__()
        self._inner = inner
        self._attempt = attempt
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._messages = Messages()

    def write(self, data: Any) -> None:
        order, now, data = self._wire.next(), self._loop.time(), bytes(data)
        attempt = self._attempt
        frames = data
        if not attempt.head_written:
            self._head += data
            _, end, frames = self._head.partition(b"\r\n\r\n")
            attempt.head_written = bool(end)
        if attempt.head_written:
            for frame in self._messages.feed(frames):
                if frame.opcode == CLOSE or CONTINUATION < frame.opcode < CLOSE:
                    attempt.written.append(Written(order, now, frame.opcode, frame.payload))
        self._inner.write(data)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self._note_end()
        self._inner.close()

    def abort(self) -> None:
        self._note_end()
        self._attempt.aborted = self._attempt.lost is None
        self._inner.abort()

    def write_eof(self) -> None:
        self._note_end()
        self._inner.write_eof()

    def can_write_eof(self) -> bool:
        return bool(self._inner.can_write_eof())

    def get_write_buffer_size(self) -> int:
        return int(self._inner.get_write_buffer_size())

    def is_closing(self) -> bool:
        return bool(self._inner.is_closing())

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def is_reading(self) -> bool:
        return bool(self._inner.is_reading())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def _note_end(self) -> None:
        if self._attempt.ended_by_engine is None:
            self._attempt.ended_by_engine = self._wire.next()


class _Tapping:
    """What both loops add to asyncio's own."""

    wire: Wire

    async def create_connection(  # type: ignore[no-untyped-def]
        self, protocol_factory, host=None, port=None, **options
    ):
        attempt = self.wire.begin(self.time())  # type: ignore[attr-defined]
        taps: list[Tap] = []

        def tapped() -> Tap:
            taps.append(Tap(protocol_factory(), attempt, self.wire))
            return taps[-1]

        try:
            transport, _ = await super().create_connection(  # type: ignore[misc]
                tapped, host, port, **options
            )
        except BaseException as error:
            attempt.error = error
            attempt.failed_at = self.time()  # type: ignore[attr-defined]
            raise
        return transport, taps[0].inner


class _Ending(_Tapping):
    """Ends what the server still has open before the loop closes, so that no transport leaks."""

    on_close: Callable[[], None]

    def close(self) -> None:
        if not self.is_closed():  # type: ignore[attr-defined]
            self.on_close()
            self.run_until_complete(asyncio.sleep(0.01))  # type: ignore[attr-defined]
        super().close()  # type: ignore[misc]


class VirtualLoop(_Ending, async_solipsism.EventLoop):  # type: ignore[misc]
    """An event loop without a network and without waiting: its time jumps to the next timer."""

    def __init__(self, wire: Wire, on_close: Callable[[], None]) -> None:
        super().__init__()
        self.wire = wire
        self.on_close = on_close


class RealLoop(_Ending, asyncio.SelectorEventLoop):
    """An event loop over real sockets and the real clock."""

    def __init__(self, wire: Wire, on_close: Callable[[], None]) -> None:
        super().__init__()
        self.wire = wire
        self.on_close = on_close
