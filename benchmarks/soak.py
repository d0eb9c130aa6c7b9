"""A soak: half an hour of mixed traffic against one server, and what is left of it.

Two workers with TLS and compression serve clients of several kinds at once: messages from one byte
to a MiB, fast readers and slow ones, silent clients, clients that vanish. At the end the memory of
every process must be flat, the server's counters must add up, and every request of a client that
waited for its reply must have been answered, and rightly.

Run it with ``python -m benchmarks.soak --minutes 30``.
"""

import asyncio
import contextlib
import math
import os
import random
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import NamedTuple

import click
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from wire.address import find_announced_url
from wire.exchange import check_reply

LARGEST = 2**20
"""Bytes in the largest message: the server's default limit."""

SAMPLES = 40
"""How often memory is looked at in a run, so that its first quarter has ten of them."""

GROWTH = 1.1
"""Memory is flat when its peak after the first half is within this factor of the one before."""

SLACK = 2**23
"""Bytes that a process may grow by all the same: a few large messages that happen to coincide."""


class Sample(NamedTuple):
    """What was seen at one moment."""

    seconds: float
    memory: dict[int, int]
    """Resident bytes by process id."""
    open: int


class Tally(Counter[str]):
    """What the clients did and saw: sent, answered, vanished, closed."""


Client = Callable[[str, ssl.SSLContext, random.Random, Tally], Coroutine[None, None, None]]


# The clients. Each lives for a while, is replaced by another of its kind, and goes on as it likes.


def payload(chance: random.Random) -> bytes:
    """Return a request: sizes are spread over all orders of magnitude."""
    size = int(2 ** chance.uniform(0, 20))
    return bytes(chance.choices(b"abcdefgh ", k=min(size, 1000))) * (size // 1000 or 1)


def client(url: str, context: ssl.SSLContext, *, compress: bool) -> connect:
    """Return a client that holds few messages itself, so that the server feels how it reads."""
    return connect(
        url,
        ssl=context,
        compression="deflate" if compress else None,
        max_size=None,
        max_queue=1,
        ping_interval=None,
        open_timeout=60,  # all of them shake hands at the start, on a machine that is busy
    )


async def exchange(connection: ClientConnection, request: bytes, tally: Tally) -> None:
    """Send a request, wait for its reply and check it."""
    tally["sent"] += 1
    await connection.send(request)
    check(request, await connection.recv(), tally)


def check(request: bytes, reply: str | bytes, tally: Tally) -> None:
    """Check a reply.

    Raises:
        WrongReplyError: If it is wrong.
    """
    check_reply(request, reply if isinstance(reply, bytes) else reply.encode())
    tally["answered"] += 1


async def steady(url: str, context: ssl.SSLContext, chance: random.Random, tally: Tally) -> None:
    """One request at a time, of all sizes."""
    async with client(url, context, compress=chance.random() < 0.5) as connection:
        for _ in range(chance.randrange(1, 60)):
            await exchange(connection, payload(chance), tally)
            await asyncio.sleep(chance.uniform(0, 0.1))


async def fast(url: str, context: ssl.SSLContext, chance: random.Random, tally: Tally) -> None:
    """Many short requests in one go."""
    async with client(url, context, compress=False) as connection:
        for _ in range(chance.randrange(1, 20)):
            requests = [b"Request %d" % number for number in range(200)]
            sending = asyncio.ensure_future(send_all(connection, requests, tally))
            for request in requests:
                check(request, await connection.recv(), tally)
            await sending
            await asyncio.sleep(chance.uniform(0, 0.2))


async def slow(url: str, context: ssl.SSLContext, chance: random.Random, tally: Tally) -> None:
    """Requests faster than their replies are read: the server has to hold back."""
    async with client(url, context, compress=chance.random() < 0.5) as connection:
        requests = [os.urandom(2**16) for _ in range(chance.randrange(5, 40))]
        sending = asyncio.ensure_future(send_all(connection, requests, tally))
        for request in requests:
            await asyncio.sleep(chance.uniform(0, 0.3))
            check(request, await connection.recv(), tally)
        await sending


async def silent(url: str, context: ssl.SSLContext, chance: random.Random, tally: Tally) -> None:
    """A large message, then silence; pings are answered."""
    async with client(url, context, compress=chance.random() < 0.5) as connection:
        await exchange(connection, os.urandom(LARGEST), tally)
        await asyncio.sleep(chance.uniform(5, 60))
        await exchange(connection, b"still there?", tally)


async def vanishing(url: str, context: ssl.SSLContext, chance: random.Random, tally: Tally) -> None:
    """Requests, and the end of the connection in the middle of them."""
    connection = await client(url, context, compress=chance.random() < 0.5)
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(chance.uniform(0, 0.5)):
            while True:
                await connection.send(payload(chance))
                await asyncio.sleep(0)  # send() alone gives the timeout no chance
    connection.transport.abort()
    await connection.wait_closed()
    tally["vanished"] += 1


async def send_all(connection: ClientConnection, requests: list[bytes], tally: Tally) -> None:
    """Send requests as fast as the server takes them."""
    for request in requests:
        tally["sent"] += 1
        await connection.send(request)


KINDS: dict[Client, int] = {steady: 12, fast: 4, slow: 12, silent: 40, vanishing: 6}
"""The clients that are there at any moment, by kind, in a run of the usual size."""


async def keep_up(kind: Client, url: str, context: ssl.SSLContext, seed: int, tally: Tally) -> None:
    """Run clients of one kind one after the other, for ever."""
    chance = random.Random(seed)
    while True:
        await kind(url, context, chance, tally)
        tally["closed"] += 1


# The server.


@contextlib.contextmanager
def server(folder: Path, workers: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a server with a certificate of its own, and give its URL."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "server", "--port", "0", "--stop-on-eof", "--quiet"),
            *("--workers", str(workers), "--compress"),
            *("--tls-cert", str(certificate), "--tls-key", str(key)),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        url = find_announced_url(process.stderr.readline())
        if url is None:
            raise click.ClickException("the server did not start")
        yield url, process
    finally:
        process.stdin.close()
        process.wait(60)


def processes(parent: int) -> list[int]:
    """Return the ids of a process and its children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def memory(process: int) -> int:
    """Return the resident memory of a process, in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def metrics(url: str, context: ssl.SSLContext) -> Counter[str]:
    """Return the server's counts by name, summed over their labels."""
    address = "http" + url.removeprefix("ws") + "metrics"
    with urllib.request.urlopen(address, context=context, timeout=60) as response:
        lines = response.read().decode().splitlines()
    counts: Counter[str] = Counter()
    for line in lines:
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            counts[name.partition("{")[0]] += int(float(value))
    return counts


# The run.


async def soak(
    url: str,
    process: int,
    context: ssl.SSLContext,
    *,
    seconds: float,
    clients: int,
    seed: int,
    tally: Tally,
) -> list[Sample]:
    """Run all clients for a time, and return what was seen meanwhile.

    Raises:
        ExceptionGroup: If a reply is wrong, or a connection ends that should not.
    """
    samples: list[Sample] = []
    started = time.monotonic()

    async def watch() -> None:
        while (elapsed := time.monotonic() - started) < seconds:
            await asyncio.sleep(seconds / SAMPLES)
            counts = await asyncio.to_thread(metrics, url, context)
            sizes = {one: memory(one) for one in processes(process)}
            samples.append(Sample(elapsed, sizes, counts["wsroll_connections"]))
            shown = ", ".join(f"{size / 2**20:.0f}" for size in sizes.values())
            click.echo(
                f"{elapsed:6.0f} s  {samples[-1].open:4} open  {tally['answered']:8,} answered"
                f"  MiB: {shown}",
                err=True,
            )
        raise _TimeIsUpError

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch())
            share = clients / sum(KINDS.values())
            kinds = [kind for kind in KINDS for _ in range(math.ceil(KINDS[kind] * share))]
            for number, kind in enumerate(kinds):
                tasks.create_task(keep_up(kind, url, context, seed + number, tally))
    except* _TimeIsUpError:
        pass
    return samples


class _TimeIsUpError(Exception):
    """Ends the clients."""


def problems(samples: list[Sample], counts: Counter[str], tally: Tally) -> list[str]:
    """Return what is wrong after a run, in words."""
    found = []
    opened, closed = counts["wsroll_connections_opened_total"], counts["wsroll_closes_total"]
    if opened != counts["wsroll_connections"] + closed:
        found.append(f"{opened} connections opened, but {closed} closed and some are open")
    if counts["wsroll_requests_total"] < tally["answered"]:
        found.append("the server counted fewer requests than were answered")
    half = len(samples) // 2
    for process in samples[-1].memory:
        before, after = (
            max(sample.memory.get(process, 0) for sample in part)
            for part in (samples[:half], samples[half:])
        )
        if after > before * GROWTH + SLACK:
            found.append(f"process {process} grew from {before:,} to {after:,} bytes")
    return found


@click.command()
@click.option("--minutes", default=30.0, show_default=True, help="How long it takes.")
@click.option("--workers", default=2, show_default=True, help="Worker processes of the server.")
@click.option("--clients", default=sum(KINDS.values()), show_default=True, help="At a time.")
@click.option("--seed", default=1, show_default=True, help="For the clients' randomness.")
def main(minutes: float, workers: int, clients: int, seed: int) -> None:
    """Serve mixed traffic for a time, and check memory, counters and replies."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        with server(Path(folder), workers) as (url, process):
            context = ssl.create_default_context(cafile=f"{folder}/cert.pem")
            samples = asyncio.run(
                soak(
                    url,
                    process.pid,
                    context,
                    seconds=minutes * 60,
                    clients=clients,
                    seed=seed,
                    tally=tally,
                )
            )
            counts = settled(url, context)
        found = problems(samples, counts, tally)
        assert process.stderr is not None
        log = process.stderr.read()
    if process.returncode != 0:
        found.append(f"the server ended with status {process.returncode}")
    if "Traceback" in log:
        found.append(f"the server's log has a traceback:\n{log}")
    click.echo(
        f"{minutes:g} minutes: {counts['wsroll_connections_opened_total']:,} connections, "
        f"{tally['vanished']:,} clients that vanished, {tally['answered']:,} replies checked"
    )
    for process_id in samples[-1].memory:
        sizes = [sample.memory.get(process_id, 0) / 2**20 for sample in samples]
        size = len(sizes) // 4
        peaks = [max(sizes[at : at + size]) for at in range(0, 4 * size, size)]
        text = ", ".join(f"{peak:.0f}" for peak in peaks)
        click.echo(f"process {process_id}: peaks of {text} MiB, quarter by quarter")
    for problem in found:
        click.echo(f"Wrong: {problem}")
    sys.exit(bool(found))


def settled(url: str, context: ssl.SSLContext) -> Counter[str]:
    """Return the server's counts once it has seen all clients leave."""
    deadline = time.monotonic() + 60
    while (counts := metrics(url, context))["wsroll_connections"]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return counts


if __name__ == "__main__":
    main()
