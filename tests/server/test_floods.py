"""Clients that send all they can: bounded memory, and a turn for everyone else."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.raw import (
    BINARY,
    CONT,
    PING,
    TEXT,
    RawClient,
    frame,
)
from tests.server.running import Running, check_alive, running
from wire.exchange import check_reply

MIB = 2**20


FLOODS = {
    "texts": frame(TEXT, "Request 1") * 20_000,
    "larger texts": frame(TEXT, "x" * 4000) * 100,
    "binaries": frame(BINARY, b"x" * 60_000) * 10,
    "fragments": (frame(TEXT, "a" * 99, fin=False) + frame(CONT, "b" * 99)) * 500,
    "pings": frame(PING, "p" * 125) * 10_000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_client_that_sends_a_gigabyte_and_reads_nothing(flood: bytes) -> None:
    """It costs less than 2 MiB, gets rid of no more than the buffers hold, and is cut off."""
    with running("--stall-timeout", "0.7") as server:
        with server.connect() as good:  # so that what any client needs is there before
            for _ in range(3):
                good.send(flood)
                drain(good)
        with server.connect(receive_buffer=4096) as client:
            before = server.memory()
            server.forget_peak()
            taken = send_until_cut_off(client, flood, 2**30)
        growth = server.memory("VmHWM") - before
        print(f"taken: {taken / MIB:.1f} MiB, growth: {growth / MIB:.2f} MiB")
        assert taken < 64 * MIB, "it was read from all the time"
        assert growth < 2 * MIB
        server.wait_for_log("has not read")
        check_alive(server)


def send_until_cut_off(client: RawClient, flood: bytes, size: int) -> int:
    """Send this many bytes and read nothing; return how many were taken before the cut."""
    taken = 0
    with contextlib.suppress(ConnectionError):
        while taken < size:
            client.send(flood)
            taken += len(flood)
    return taken


def drain(client: RawClient) -> None:
    """Read until nothing comes for a moment."""
    client.socket.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        while client.socket.recv(2**20):
            pass
    client.socket.settimeout(20)


FLOODER = """
import sys, threading
from tests.server.raw import BINARY, CONT, PING, TEXT, RawClient, frame

client = RawClient(sys.argv[1]).open()
data = {
    "texts": frame(TEXT, "Request 1"),
    "pings": frame(PING),
    "binaries": frame(BINARY),
    "fragments": frame(TEXT, fin=False) + frame(CONT),
}[sys.argv[2]] * 5000

def read():
    while client.socket.recv(2**20):
        pass

threading.Thread(target=read, daemon=True).start()
print("flooding", flush=True)
while True:
    client.send(data)
"""


@contextlib.contextmanager
def flooding(server: Running, what: str) -> Iterator[None]:
    """Have a client in a process of its own send all that it can, and read the answers."""
    flooder = subprocess.Popen(
        [sys.executable, "-c", FLOODER, server.url, what],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    assert flooder.stdout is not None
    try:
        assert flooder.stdout.readline() == b"flooding\n"
        yield
        assert flooder.poll() is None, "it did not flood all the time"
    finally:
        flooder.kill()
        flooder.communicate()


@pytest.mark.parametrize("flood", ["texts", "pings", "binaries", "fragments"])
def test_a_flooding_client_does_not_starve_the_others(plain: Running, flood: str) -> None:
    """They get reply after reply while the flood goes on."""
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(plain.connect()) for _ in range(4)]
        with flooding(plain, flood):
            for number in range(100):
                for client in others:
                    request = f"Request {number}"
                    check_reply(request.encode(), client.ask(request).encode())
