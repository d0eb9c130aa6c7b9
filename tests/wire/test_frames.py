"""The frame functions, in C and in plain Python: what they take, and where they stop."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from cli_client.ledger.numbers import spread
from tests.wire.c_compiler import FRAMES, ROOT, SANITIZED, compile_c, find_compiler, library
from tests.wire.twins import COMPARISONS
from wire import frames, frames_plain
from wire.exchange import ENDINGS, check_reply

KEY = b"\x37\xfa\x21\x3d"
FINAL_TEXT = 0x81
FINAL_BINARY = 0x82


def c_frames() -> Any:
    return pytest.importorskip("wire.frames_native", reason="the extension is not built")


@pytest.fixture(params=["C", "Python"])
def twin(request: pytest.FixtureRequest) -> Any:
    return frames_plain if request.param == "Python" else c_frames()


def request(text: bytes, **options: Any) -> bytes:
    """Return a frame from a client."""
    return Frame(options.pop("opcode", Opcode.TEXT), text, **options).serialize(mask=True)


def reply(text: bytes) -> bytes:
    """Return a frame from a server."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def name(frame: bytes) -> str:
    """Return a name that is the same in each run: the key of a frame is random."""
    return f"{frame[0]:#04x}, {len(frame)} bytes"


# Answering.


def test_each_short_text_is_answered_with_itself_and_an_ending(twin: Any) -> None:
    texts = [b"", b"a", "€".encode(), b"Request 1234", b"x" * 120]
    data = b"".join(map(request, texts))
    replies, count, used = twin.Answerer((b": 7",), 120).answer(data)
    assert replies == b"".join(reply(text + b": 7") for text in texts)
    assert (count, used) == (len(texts), len(data))


def test_a_bytearray_is_read_as_well(twin: Any) -> None:
    assert twin.Answerer((b"!",), 120).answer(bytearray(request(b"a"))) == (reply(b"a!"), 1, 7)


@pytest.mark.parametrize(
    "odd",
    [
        request(b"a", opcode=Opcode.BINARY),
        request(b"a", fin=False),
        b"\xc1" + request(b"a")[1:],
        request(b"a", opcode=Opcode.CONT),
        request(b"", opcode=Opcode.PING),
        request(b"\x03\xe8", opcode=Opcode.CLOSE),
        request(b"x" * 121),
        request(b"x" * 126),
        request(b"x" * 65_536),
        reply(b"without a key"),
        request(b"\xff"),
        request("€".encode()[:2]),
        request(b"\xed\xa0\x80"),
        request(b"\xc0\x80"),
    ],
    ids=name,
)
def test_it_stops_at_the_first_frame_that_is_anything_else(twin: Any, odd: bytes) -> None:
    before = request(b"Request 0") * 20
    replies, count, used = twin.Answerer((b": 7",), 120).answer(before + odd + request(b"after"))
    assert replies == reply(b"Request 0: 7") * 20
    assert (count, used) == (20, len(before))


@pytest.mark.parametrize("place", range(20))
def test_a_byte_that_is_not_utf_8_is_seen_at_any_place(twin: Any, place: int) -> None:
    text = bytearray(b"x" * 20)
    text[place] = 0x80
    assert twin.Answerer((b"",), 120).answer(request(bytes(text))) == (b"", 0, 0)


def test_a_frame_is_answered_once_all_of_it_is_there(twin: Any) -> None:
    frame = request(b"Request 0")
    answerer = twin.Answerer((b": 7",), 120)
    for size in range(len(frame)):
        assert answerer.answer(frame + frame[:size]) == (reply(b"Request 0: 7"), 1, len(frame))


def test_a_request_longer_than_the_limit_is_not_answered(twin: Any) -> None:
    answerer = twin.Answerer((b"",), 3)
    assert answerer.answer(request(b"abc"))[1] == 1
    assert answerer.answer(request(b"abcd")) == (b"", 0, 0)


def test_a_long_read_is_answered_in_parts(twin: Any) -> None:
    texts = [b"Request %d" % number for number in range(10_000)]
    data = memoryview(b"".join(map(request, texts)))
    answerer = twin.Answerer((b": 7",), 120)
    answered = b""
    while data:
        replies, count, used = answerer.answer(data)
        assert 0 < used < 2**14 + 2**7
        assert replies.count(b": 7") == count
        answered += replies
        data = data[used:]
    assert answered == b"".join(reply(text + b": 7") for text in texts)


def test_what_is_answered_is_added_to_the_counts(twin: Any) -> None:
    counts = memoryview(bytearray(3 * 8)).cast("q")
    answerer = twin.Answerer((b": 7",), 120, counts)
    answerer.answer(request(b"one") + request(b"four") + b"no frame")
    assert list(counts) == [6 + 3 + 6 + 4, 2, 2 + 6 + 2 + 7]
    answerer.answer(b"no frame")
    answerer.answer(request(b"one"))
    assert list(counts) == [6 + 3 + 6 + 4 + 6 + 3, 3, 2 + 6 + 2 + 7 + 2 + 6]


def test_the_numbers_spread_evenly(twin: Any) -> None:
    answerer = twin.Answerer(ENDINGS, 120)
    numbers: Counter[int] = Counter()
    for _ in range(100):
        replies, count, _ = answerer.answer(request(b"Request") * 1000)
        assert count == 1000
        numbers.update(check_reply(b"Request", text) for text in twin.split(FINAL_TEXT, replies)[0])
    found = spread(numbers)
    assert found["seen"] == 100
    assert found["p_value"] is not None
    assert found["p_value"] > 1e-6


def test_no_two_answerers_draw_the_same(twin: Any) -> None:
    data = request(b"Request") * 50
    assert len({twin.Answerer(ENDINGS, 120).answer(data)[0] for _ in range(20)}) == 20


# Packing.


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 65_535, 65_536])
def test_a_server_reads_what_is_packed(twin: Any, size: int) -> None:
    payload = os.urandom(size)
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(twin.pack(FINAL_BINARY, [payload, b"after"], KEY + b"\0\0\0\0"))
    events = server.events_received()
    assert [event.data for event in events] == [payload, b"after"]  # type: ignore[union-attr]


def test_each_frame_has_a_key_of_its_own(twin: Any) -> None:
    assert twin.pack(FINAL_TEXT, [b"\0", b"\0"], b"abcdefgh") == b"\x81\x81abcda\x81\x81efghe"


# Splitting.


def test_the_payloads_of_short_frames_are_returned(twin: Any) -> None:
    texts = [b"", b"a", b"x" * 125, b"\xff"]
    data = b"".join(map(reply, texts))
    assert twin.split(FINAL_TEXT, data) == (texts, len(data))


@pytest.mark.parametrize(
    "odd",
    [b"\x81", reply(b"x" * 126), request(b"masked"), reply(b"ab")[:-1], b"\x82\x01a", b"\x01\0"],
    ids=name,
)
def test_splitting_stops_at_the_first_frame_that_is_anything_else(twin: Any, odd: bytes) -> None:
    before = reply(b"Request 0: 7")
    assert twin.split(FINAL_TEXT, before + odd) == ([b"Request 0: 7"], len(before))


# Checking.


@pytest.mark.parametrize("number", [1, 9, 10, 99, 100])
def test_the_number_in_a_right_reply_is_returned(twin: Any, number: int) -> None:
    assert twin.check([b"Request 0", b""], [b"Request 0: %d" % number, b": 1"]) == [number, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        *(b"", b"Request 1", b"Request 1:", b"Request 1: ", b"Request 1: 0", b"Request 1: 01"),
        *(b"Request 1: 101", b"Request 1: 1000", b"Request 1: -1", b"Request 1: 7 "),
        *(b"Request 1:  7", b"Request 1; 7", b"Request 2: 7", b"request 1: 7", b"Request 1: \xb2"),
    ],
)
def test_checking_stops_at_the_first_reply_that_is_not_right(twin: Any, wrong: bytes) -> None:
    requests = [b"Request 0", b"Request 1", b"Request 2"]
    assert twin.check(requests, [b"Request 0: 5", wrong, b"Request 2: 6"]) == [5]


class OtherKind(bytes):
    """Stands for a message of another kind."""


def test_checking_stops_at_a_message_of_another_kind(twin: Any) -> None:
    replies = [b"a: 5", OtherKind(b"b: 6"), b"c: 7"]
    assert twin.check([b"a", b"b", b"c"], replies) == [5]


# Both twins.


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_both_do_the_same_on_any_bytes(comparison: Any) -> None:
    comparison(c_frames())


def test_no_byte_out_of_place_is_touched(tmp_path: Path) -> None:
    """The same comparison, with the C compiled to watch itself (ASan and UBSan)."""
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    sanitizer = library(compiler, "libasan.so")
    if sanitizer is None:
        pytest.skip("the C compiler has no AddressSanitizer to preload")
    build = tmp_path / "frames_native.so"
    compile_c(compiler, FRAMES, build, *SANITIZED, "-shared", "-fPIC")
    done = subprocess.run(
        [sys.executable, "-m", "tests.wire.twins", str(build)],
        cwd=ROOT,
        env=os.environ
        # Python's own allocator would hide where a block of memory ends.
        | {"LD_PRELOAD": sanitizer, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"},
        text=True,
        capture_output=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == "no difference\n"


@pytest.mark.parametrize(("choice", "language"), [("1", "Python"), ("", frames.LANGUAGE)])
def test_the_environment_chooses_plain_python(choice: str, language: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from wire import frames; print(frames.LANGUAGE)"],
        env=os.environ | {"WSROLL_PLAIN_FRAMES": choice},
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=30,
    )
    assert done.stdout == f"{language}\n"
