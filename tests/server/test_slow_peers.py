"""Slow is not dead: a peer that takes what it gets, however slowly, keeps its connection.

All the slow peers run at once, each in a thread, because each of them takes seconds.
"""

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.certificates import Pair
from tests.deploy.hosts import network
from tests.server.raw import CLOSE, PING, PONG, TEXT, Frame, RawClient, close_code, frame
from tests.server.running import Running, running
from wire.exchange import check_reply

TIMEOUT = "1.5"
"""Seconds for each of the server's limits: far less than a slow peer needs for its reply."""

RATE = 2**20
"""Bytes per second that a slow peer reads."""

REQUESTS = [bytes([letter]) * 2**20 for letter in b"abcdef"]
"""Together more than the kernel's buffers hold, so that the server has to keep some of the
replies; a slow peer takes seconds for them."""


class SlowClient(RawClient):
    """A client with a small receive buffer, who reads slowly from the first frame on."""

    slow_rate = 0
    """Bytes per second; 0 is as fast as can be."""
    sender: threading.Thread | None = None

    def _fill(self) -> bool:
        if not self.slow_rate:
            return super()._fill()
        time.sleep(0.05)
        received = self.socket.recv(self.slow_rate // 20)
        self._buffer += received
        return bool(received)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # then the test sees what has not come
            super().send(data)

    def read_message(self) -> Frame | None:
        """Return the next frame that is not a ping, and answer those that are."""
        while (received := self.read_frame()) is not None and received.opcode == PING:
            # A pong would come in the middle of a request that is on its way.
            if self.sender is None or not self.sender.is_alive():
                self.send(frame(PONG, received.payload))
        return received


def check_reply_to(request: bytes, reply: Frame | None) -> None:
    assert reply is not None, "the connection ended before the reply"
    assert reply.opcode == TEXT, reply
    check_reply(request, reply.payload)


def send_requests(client: SlowClient, last: bytes = b"") -> threading.Thread:
    """Send them all from a thread, because the server reads no faster than the client does."""
    data = b"".join(frame(TEXT, request) for request in REQUESTS) + last
    sender = threading.Thread(target=client.send, args=(data,), daemon=True)
    sender.start()
    client.sender = sender
    return sender


def check_replies(client: SlowClient) -> None:
    for request in REQUESTS:
        check_reply_to(request, client.read_message())


def goes_on(client: SlowClient) -> None:
    send_requests(client).join()
    check_replies(client)
    client.send(frame(TEXT, "still there?"))
    check_reply_to(b"still there?", client.read_message())


def reads_one_reply(client: SlowClient) -> None:
    client.slow_rate = RATE // 8
    client.send(frame(TEXT, REQUESTS[0]))
    check_reply_to(REQUESTS[0], client.read_message())
    client.send(frame(TEXT, "still there?"))
    check_reply_to(b"still there?", client.read_message())


def closes(client: SlowClient) -> None:
    send_requests(client, frame(CLOSE, b"\x03\xe8"))
    check_replies(client)
    assert close_code(client.read_message()) == 1000
    assert client.read_frame() is None


def sends_a_bad_frame(client: SlowClient) -> None:
    send_requests(client, frame(TEXT, b"\xff"))
    check_replies(client)
    assert close_code(client.read_message()) == 1007


def half_closes(client: SlowClient) -> None:
    send_requests(client).join()
    client.finish()
    check_replies(client)


BEHAVIOURS: list[Callable[[SlowClient], None]] = [
    goes_on,
    reads_one_reply,
    closes,
    sends_a_bad_frame,
    half_closes,  # over TCP alone
]


def options() -> list[str]:
    names = ("ping-interval", "pong-timeout", "stall-timeout", "close-timeout")
    return [word for name in names for word in (f"--{name}", TIMEOUT)]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(*options(), "-v") as server:
        yield server


@pytest.fixture(scope="module")
def outcomes(server: Running, pair: Pair) -> Iterator[dict[tuple[str, str], Future[None]]]:
    """What happened to each slow client, over TCP and over TLS."""
    trusting = ssl.create_default_context(cafile=str(pair.certificate))
    tls_options = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))

    def behave(
        url: str, tls: ssl.SSLContext | None, behaviour: Callable[[SlowClient], None]
    ) -> None:
        with SlowClient(url, receive_buffer=2**14, tls=tls) as client:
            client.open()
            client.slow_rate = RATE
            behaviour(client)

    with running(*options(), *tls_options) as secure, ThreadPoolExecutor(20) as threads:
        yield {
            (name, behaviour.__name__): threads.submit(behave, url, tls, behaviour)
            for name, url, tls in (("TCP", server.url, None), ("TLS", secure.url, trusting))
            for behaviour in BEHAVIOURS
            # Python's TLS clients cannot half-close.
            if not (tls and behaviour is half_closes)
        }


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_a_slow_peer_gets_everything(
    outcomes: dict[tuple[str, str], Future[None]], behaviour: Callable[[SlowClient], None]
) -> None:
    outcomes["TCP", behaviour.__name__].result()


@pytest.mark.parametrize("behaviour", BEHAVIOURS[:-1], ids=lambda behaviour: behaviour.__name__)
def test_a_slow_peer_gets_everything_over_tls(
    outcomes: dict[tuple[str, str], Future[None]], behaviour: Callable[[SlowClient], None]
) -> None:
    outcomes["TLS", behaviour.__name__].result()


def cut_off_line(client: RawClient) -> str:
    """Return what the log must say of a client that is cut off."""
    return f"{client.socket.getsockname()[1]}: cut off"


def fill(client: RawClient) -> None:
    """Send requests until the server reads no more."""
    client.socket.settimeout(0.2)
    with contextlib.suppress(OSError):
        while True:
            client.send(frame(TEXT, b"x" * 2**16))


def test_a_peer_that_takes_nothing_is_cut_off(server: Running) -> None:
    with server.connect(receive_buffer=4096) as client:
        expected = cut_off_line(client)
        fill(client)
        server.wait_for_log(expected)


def test_a_peer_that_takes_less_than_1_kib_per_second_is_cut_off(server: Running) -> None:
    with server.connect(receive_buffer=4096) as client:
        expected = cut_off_line(client)
        fill(client)
        with contextlib.suppress(OSError):
            while expected not in server.log:
                client.socket.recv(5)
                time.sleep(0.05)
        server.wait_for_log(expected)


def test_a_slow_link_carries_everything() -> None:
    """A real link of 1 Mbit/s: what is sent waits in the kernel, and the ping behind it."""
    with (
        network("server", "client") as (_, (here, there)),
        here.entered(),
        running("--host", here.address, *options()) as server,
    ):
        here.shape("1mbit")
        with there.entered(), SlowClient(server.url) as client:
            client.open()
            request = b"x" * 2**19
            client.send(frame(TEXT, request))
            check_reply_to(request, client.read_message())
            client.send(frame(TEXT, "still there?"))
            check_reply_to(b"still there?", client.read_message())
