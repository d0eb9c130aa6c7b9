"""The load generator: a process of its own, the same for every server.

It sends frames made beforehand, each with one masking key, and counts the frames that come back,
of which it checks kind and size. What they say is the senders' and the tests' job: the servers must
be the bottleneck, so it takes as little time as it can.

Run as ``python -m benchmarks.load URL TASK …``; prints one JSON object. That is what ``load`` does.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Sequence
from typing import cast
from urllib.parse import urlsplit

from benchmarks.peers import run
from wire.event_loop import new_event_loop
from wire.frames import split

__all__ = ["Load", "burst", "exchange", "hold", "load"]

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
REQUEST = b"Request 1234"
MASK = b"\x37\xfa\x21\x3d"
FRAME = (
    bytes((0x81, 0x80 | len(REQUEST)))
    + MASK
    + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(REQUEST))
)
TEXT = 0x81
SIZES = frozenset(len(REQUEST) + len(ending) for ending in (": 1", ": 10", ": 100"))
"""Bytes that the payload of a reply may have."""
LONGEST_FRAME = 2 + max(SIZES)
TIMEOUT = 60.0
WARM_UP = 0.3


def load(url: str, task: str, *numbers: float) -> dict[str, float]:
    """Do a task in a process of its own and return its figures.

    Raises:
        RuntimeError: If it fails.
    """
    command = [sys.executable, "-m", "benchmarks.load", url, task, *numbers]
    figures: dict[str, float] = json.loads(run(command, 2 * TIMEOUT))
    return figures


class Load(asyncio.Protocol):
    """One connection that keeps a number of requests in flight until told to stop."""

    def __init__(self, host: str, in_flight: int) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.drained: asyncio.Future[None] = loop.create_future()
        self.replies = 0
        self._handshake = HANDSHAKE.format(host=host).encode()
        self._in_flight = in_flight
        self._owed = 0
        self._rest = b""
        self._sending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        # uvloop's transports have the methods of asyncio.Transport, but not its name.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._handshake)

    def start(self) -> None:
        """Send the first requests; each reply then sends the next."""
        self._sending = True
        self._send(self._in_flight)

    def stop(self) -> None:
        """Send no more; ``drained`` is done once every request has its reply."""
        self._sending = False
        if not self._owed:
            self.drained.set_result(None)

    def close(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count whole frames and answer each with a new request."""
        if self._rest:
            data = self._rest + data
        if not self.opened.done():
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self._fail(f"no WebSocket: {data[:60]!r}")
                return
            self.opened.set_result(None)
            data = data[end + 4 :]
        payloads, used = split(TEXT, data)
        if not SIZES.issuperset(map(len, payloads)):
            self._fail(f"no reply: {data[:60]!r}")
            return
        self._rest = data[used:]
        if len(self._rest) > LONGEST_FRAME:
            self._fail(f"no frame with a reply: {self._rest[:20]!r}")
            return
        frames = len(payloads)
        self.replies += frames
        self._owed -= frames
        if self._owed < 0:
            self._fail("more replies than requests")
        elif self._sending:
            self._send(frames)
        elif not self._owed and not self.drained.done():
            self.drained.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail whoever waits."""
        self._fail(f"the server closed the connection ({error})")

    def _send(self, frames: int) -> None:
        if frames:
            self._owed += frames
            self._transport.write(FRAME * frames)

    def _fail(self, reason: str) -> None:
        for future in (self.opened, self.drained):
            if not future.done():
                future.set_exception(ConnectionError(reason))
                future.exception()  # taken note of: not everybody waits for both
        self._transport.abort()


async def connect(url: str, connections: int, in_flight: int = 1) -> list[Load]:
    """Open all connections at once and wait for their handshakes."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    # Name lookups would go through a pool of threads and be timed along.
    host = "127.0.0.1" if parts.hostname == "localhost" else str(parts.hostname)
    port = parts.port or 80

    async def one() -> Load:
        _, load = await loop.create_connection(lambda: Load(parts.netloc, in_flight), host, port)
        await load.opened
        return load

    return await asyncio.gather(*(one() for _ in range(connections)))


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Return the proportional set size of a process, in bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as smaps:
        return next(int(line.split()[1]) for line in smaps if line.startswith("Pss:")) * 1024


async def exchange(
    url: str, pid: int, connections: int, in_flight: int, seconds: float
) -> dict[str, float]:
    """Measure messages a second and the server's CPU seconds per million messages."""
    loads = await connect(url, connections, in_flight)
    for load in loads:
        load.start()
    await asyncio.sleep(WARM_UP)
    replies, cpu, start = sum(load.replies for load in loads), cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(seconds)
    replies = sum(load.replies for load in loads) - replies
    cpu, elapsed = cpu_seconds(pid) - cpu, time.monotonic() - start
    for load in loads:
        load.stop()
    await asyncio.gather(*(load.drained for load in loads))
    for load in loads:
        load.close()
    return {"rate": replies / elapsed, "cpu": cpu / replies * 1e6}


async def burst(url: str, size: int, seconds: float) -> dict[str, float]:
    """Measure handshakes a second, in bursts of connections that open at once."""
    bursts, spent = 0, 0.0
    while spent < seconds:
        start = time.monotonic()
        loads = await connect(url, size)
        spent += time.monotonic() - start
        bursts += 1
        for load in loads:
            load.close()
        await asyncio.sleep(0.05)  # so that its cleaning up is not timed
    return {"handshakes": bursts * size / spent}


async def hold(url: str, pid: int, connections: int, batch: int = 200) -> dict[str, float]:
    """Measure the server's memory per connection that is open and silent."""
    # One round beforehand, so that what the server loads at its first connection is not counted.
    for load in await connect(url, batch):
        load.close()
    await asyncio.sleep(0.3)
    before = memory(pid)
    loads: list[Load] = []
    while len(loads) < connections:
        loads += await connect(url, min(batch, connections - len(loads)))
    await asyncio.sleep(0.5)
    used = memory(pid) - before
    for load in loads:
        load.close()
    return {"memory": used / connections}


def main(arguments: Sequence[str]) -> None:
    """Do one task and print its figures."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    url, task, *numbers = arguments
    values = [float(number) for number in numbers]
    work: Awaitable[dict[str, float]]
    match task, values:
        case "exchange", [pid, connections, in_flight, seconds]:
            work = exchange(url, int(pid), int(connections), int(in_flight), seconds)
        case "burst", [size, seconds]:
            work = burst(url, int(size), seconds)
        case "hold", [pid, connections]:
            work = hold(url, int(pid), int(connections))
        case _:
            raise SystemExit(f"unknown task: {arguments}")

    async def bounded() -> dict[str, float]:
        async with asyncio.timeout(TIMEOUT):
            return await work

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(runner.run(bounded())))


if __name__ == "__main__":
    main(sys.argv[1:])
