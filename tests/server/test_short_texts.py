"""Many short texts in one read, for servers in C and in plain Python: each gets its own reply."""

import os
from collections.abc import Iterator

import pytest

from tests.server.raw import BINARY, CLOSE, PING, PONG, TEXT, close_code, frame
from tests.server.running import Running, running
from wire import frames
from wire.exchange import check_reply


@pytest.fixture(scope="module", params=sorted({frames.LANGUAGE, "Python"}))
def plain(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A server with default settings."""
    with running(WSROLL_PLAIN_FRAMES="1" if request.param == "Python" else "") as server:
        yield server


@pytest.fixture(scope="module", params=sorted({frames.LANGUAGE, "Python"}))
def echo(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A server that returns each request as it came."""
    plain_frames = "1" if request.param == "Python" else ""
    with running("--reply", "echo", WSROLL_PLAIN_FRAMES=plain_frames) as server:
        yield server


def fresh(opcode: int, payload: str | bytes) -> bytes:
    """Return a frame with a masking key of its own."""
    return frame(opcode, payload, mask=os.urandom(4))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 11, 12, 31, 119, 120, 121])
@pytest.mark.parametrize("count", [1, 2, 100, 1500])
def test_each_gets_its_own_reply(plain: Running, length: int, count: int) -> None:
    """Whatever their length and number is; those of unequal lengths between them as well."""
    texts = [os.urandom(length).hex()[:length].encode() for _ in range(count)]
    texts += ["ü".encode(), *texts[:8], b"\0" * length] * 2
    with plain.connect() as client:
        client.send(b"".join(fresh(TEXT, text) for text in texts))
        for text, reply in zip(texts, client.read_frames(len(texts)), strict=True):
            assert reply is not None
            assert reply.opcode == TEXT
            check_reply(text, reply.payload)


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (fresh(TEXT, b"Request \xff001"), 1007),
        (fresh(TEXT, b"Request 00\xc3"), 1007),
        (fresh(CLOSE, (4000).to_bytes(2, "big") + b"0123456789"), 4000),
        (frame(TEXT, "Request 0001", mask=b""), 1002),
        (frame(TEXT, "Request 0001", rsv=4), 1002),
    ],
    ids=["no UTF-8", "a character cut off", "a Close", "no mask", "a reserved bit"],
)
def test_an_odd_one_in_the_middle(plain: Running, odd: bytes, code: int) -> None:
    """Those before it are answered, those behind it are not."""
    before = [f"Request {number:04}".encode() for number in range(100)]
    after = [fresh(TEXT, "\xa9uest 0001") for _ in range(100)]
    with plain.connect() as client:
        client.send(b"".join([*(fresh(TEXT, text) for text in before), odd, *after]))
        for text, reply in zip(before, client.read_frames(len(before)), strict=True):
            assert reply is not None
            check_reply(text, reply.payload)
        assert close_code(client.read_frame()) == code


def test_a_binary_one_in_the_middle(plain: Running) -> None:
    """It is answered in its turn, as binary."""
    kinds = [*[TEXT] * 20, BINARY, *[TEXT] * 20]
    with plain.connect() as client:
        client.send(b"".join(fresh(kind, "Request 0001") for kind in kinds))
        replies = client.read_frames(len(kinds))
        assert [reply and reply.opcode for reply in replies] == kinds


def test_pings_between_texts_are_answered_in_their_turn(plain: Running) -> None:
    """Through slices of a read, short texts and the library's frames keep their order."""
    with plain.connect() as client:
        for number in range(0, 3000, 3):
            client.send(
                fresh(TEXT, f"Request {number}")
                + frame(PING, str(number + 1))
                + fresh(TEXT, f"Request {number + 2}")
            )
        replies = client.read_frames(3000)
    for number, reply in enumerate(replies):
        assert reply is not None
        if number % 3 == 1:
            assert (reply.opcode, reply.payload) == (PONG, str(number).encode())
        else:
            check_reply(f"Request {number}".encode(), reply.payload)


def test_an_echo_has_no_ending(echo: Running) -> None:
    """They come back as they went."""
    texts = [f"Request {number:04}" for number in range(300)]
    with echo.connect() as client:
        client.send(b"".join(fresh(TEXT, text) for text in texts))
        replies = client.read_frames(len(texts))
        assert [reply and reply.payload.decode() for reply in replies] == texts
