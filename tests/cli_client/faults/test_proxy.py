"""The fault proxy: it does its mischief once, and changes nothing else."""

import asyncio
import contextlib
from collections.abc import Iterator

from cli_client.faults import mischief
from cli_client.faults.proxy import FaultProxy, Mischief
from cli_client.faults.trial import background_loop
from tests.cli_client.sending import report


@contextlib.contextmanager
def proxy(server: str, mischief: Mischief, request: bytes) -> Iterator[str]:
    """Run a proxy in front of a server, and give its URL."""
    with background_loop() as loop:
        between = FaultProxy(server, mischief, request)
        yield asyncio.run_coroutine_threadsafe(between.start(), loop).result(10)
        asyncio.run_coroutine_threadsafe(between.stop(), loop).result(10)


def test_messages_of_any_size_pass_unchanged(server_url: str) -> None:
    with proxy(server_url, mischief.drop, b"Request 250") as url:
        done = report(url, "--corpus", "edges", "-c", 3)
    assert (done.status, done.faults) == (0, {})
    assert done.report["connections"]["opened"] == 3


def test_a_request_sent_again_is_left_alone(server_url: str) -> None:
    with proxy(server_url, mischief.cut_between_frames, b"Request 5") as url:
        done = report(url, "-n", 10, "-w", 1)
    assert (done.status, done.faults) == (0, {})
    assert done.report["attempts"] == {"reconnects": 1, "in_flight_when_lost": 1, "resent": 1}


def test_an_end_with_requests_under_way_loses_no_earlier_reply(server_url: str) -> None:
    with proxy(server_url, mischief.end_inside_a_frame, b"Request 5000") as url:
        done = report(url, "-n", "10k", "-w", 200, "--no-resend")
    assert done.report["ledger"]["missing"] <= 200
    assert done.errors.startswith("Request 5000 got no reply")


def test_stopping_it_ends_the_open_connections(server_url: str) -> None:
    with background_loop() as loop:
        between = FaultProxy(server_url, mischief.go_silent, b"Request 5")
        url = asyncio.run_coroutine_threadsafe(between.start(), loop).result(10)

        async def come_and_be_stopped() -> None:
            port = int(url.rsplit(":", 1)[1].rstrip("/"))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                await between.stop()
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""

        asyncio.run_coroutine_threadsafe(come_and_be_stopped(), loop).result(10)
