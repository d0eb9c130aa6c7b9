"""Whether the frame functions in C and those in plain Python do the same, on any bytes.

Run as ``python -m tests.wire.twins MODULE`` with the path of a build of the extension, such as one
with sanitizers.
"""

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wire import frames_plain as plain
from wire.exchange import ENDINGS, check_reply

Module = Any

FIRST_BYTES = st.sampled_from([0x81, 0x82, 0x00, 0xFF])
SIZES = st.integers(0, 130) | st.sampled_from([65_535, 65_536])
TEXTS = (
    st.text("a\0\x7fé€😀", max_size=40).map(lambda text: text.encode()[:125])
    | st.integers(0, 127).map(lambda size: b"x" * size)
    # One byte that is no ASCII, at any place among many that are.
    | st.integers(0, 119).map(lambda place: (b"x" * place + b"\x80").ljust(120, b"x"))
)
PAYLOADS = TEXTS | SIZES.map(bytes)


@st.composite
def frames(draw: st.DrawFn, masked: bool) -> bytes:
    """A frame: mostly a whole short text, else with any first byte, mask bit or length."""
    text = draw(TEXTS)
    mask_bit, key = (0x80, draw(st.binary(min_size=4, max_size=4))) if masked else (0, b"")
    first, second = 0x81, mask_bit | len(text)
    if not draw(st.integers(0, 9)):
        first = draw(st.integers(0, 255))
    if not draw(st.integers(0, 9)):
        second = draw(st.integers(0, 255))
    return bytes((first, second)) + key + (mask(text, key) if masked else text)


def mask(text: bytes, key: bytes) -> bytes:
    """Return a text masked, as section 5.3 of RFC 6455 puts it."""
    return bytes(byte ^ key[place % 4] for place, byte in enumerate(text))


@st.composite
def streams(draw: st.DrawFn, masked: bool) -> bytes:
    """Frames one behind the other, now and then any other bytes, or begun in the middle of one."""
    stream = b"".join(draw(st.lists(frames(masked), max_size=10)))
    if not draw(st.integers(0, 9)):
        stream += draw(st.binary(max_size=20))
    if not draw(st.integers(0, 9)):
        stream = stream[draw(st.integers(0, len(stream))) :]
    return stream


def exactly(data: bytes) -> Any:
    """Return the data in a block of memory that ends where they end: bytes have a zero behind."""
    return (ctypes.c_char * len(data)).from_buffer_copy(data)


@st.composite
def buffers(draw: st.DrawFn, masked: bool) -> Sequence[Any]:
    """A stream, and the same cut at each of the last places, in one kind of memory."""
    stream, kind = draw(streams(masked)), draw(st.sampled_from([bytes, bytearray, exactly]))
    return [kind(stream[:end]) for end in range(max(0, len(stream) - 12), len(stream) + 1)]


def no_counts() -> memoryview:
    """Return the three counts of an answerer, before it has answered anything."""
    return memoryview(bytearray(3 * 8)).cast("q")


def unmasked(replies: bytes) -> list[bytes]:
    """Return the payloads of short frames."""
    payloads, used = plain.split(0x81, replies)
    assert used == len(replies)
    return payloads


def same_answers(native: Module) -> None:
    """Requests to replies."""

    @given(buffers(masked=True), st.sampled_from([0, 1, 9, 120]))
    def compare(buffers: Sequence[Any], longest: int) -> None:
        for data in buffers:
            for endings in ((b"",), (b"12345",)):
                counts, also_counts = no_counts(), no_counts()
                expected = plain.Answerer(endings, longest, counts).answer(data)
                assert native.Answerer(endings, longest, also_counts).answer(data) == expected
                assert also_counts == counts
        texts, _, used = plain.Answerer((b"",), longest).answer(data)
        replies, count, also_used = native.Answerer(ENDINGS, longest).answer(data)
        assert (count, also_used) == (len(unmasked(texts)), used)
        for text, reply in zip(unmasked(texts), unmasked(replies), strict=True):
            check_reply(text, reply)

    compare()


def same_frames(native: Module) -> None:
    """Payloads to frames."""

    @given(FIRST_BYTES, st.lists(PAYLOADS, max_size=10), st.randoms())
    def compare(first_byte: int, payloads: list[bytes], random: Any) -> None:
        keys = random.randbytes(4 * len(payloads))
        assert native.pack(first_byte, payloads, keys) == plain.pack(first_byte, payloads, keys)

    compare()


def same_payloads(native: Module) -> None:
    """Frames to payloads."""

    @given(st.just(0x81) | FIRST_BYTES, buffers(masked=False))
    def compare(first_byte: int, buffers: Sequence[Any]) -> None:
        for data in buffers:
            assert native.split(first_byte, data) == plain.split(first_byte, data)

    compare()


def same_numbers(native: Module) -> None:
    """Requests and replies to numbers."""
    endings = st.sampled_from(ENDINGS) | st.binary(max_size=6) | st.from_regex(rb": [0-9]{0,4}")
    others = st.lists(st.tuples(TEXTS, TEXTS), max_size=3)

    @given(TEXTS, endings, others)
    def compare(text: bytes, ending: bytes, others: Sequence[tuple[bytes, bytes]]) -> None:
        right = text + ending
        # Cut at each place, the beginning of the ending and that of the request among them.
        requests = [text] * (len(right) + 1) + [request for request, _ in others]
        replies = [right[:end] for end in range(len(right) + 1)] + [reply for _, reply in others]
        for request, reply in zip(requests, replies, strict=True):
            assert native.check([request], [reply]) == plain.check([request], [reply])
        requests, replies = [text, text, *requests], [text + b": 1", text + b": 100", *replies]
        assert native.check(requests, replies) == plain.check(requests, replies)
        assert native.check(requests[:1], replies) == plain.check(requests[:1], replies)
        assert native.check(requests, replies[:1]) == plain.check(requests, replies[:1])

    compare()


REFUSALS: tuple[tuple[str, Callable[[Module], object]], ...] = (
    ("no endings", lambda frames: frames.Answerer((), 1)),
    ("too many endings", lambda frames: frames.Answerer((b"",) * 129, 1)),
    ("a long ending", lambda frames: frames.Answerer((b"123456",), 1)),
    ("a long reply", lambda frames: frames.Answerer((b": 100",), 121)),
    ("a negative length", lambda frames: frames.Answerer((b"",), -1)),
    ("too few counts", lambda frames: frames.Answerer((b"",), 1, memoryview(bytearray(16)))),
    ("too few keys", lambda frames: frames.pack(0x81, [b""], b"123")),
    ("too many keys", lambda frames: frames.pack(0x81, [], b"1234")),
    ("data of text", lambda frames: frames.Answerer((b"",), 1).answer("text")),
    ("frames of text", lambda frames: frames.split(0x81, "text")),
    ("a payload of text", lambda frames: frames.pack(0x81, ["text"], b"1234")),
    ("a request of text", lambda frames: frames.check(["text"], [b""])),
    ("a reply of text", lambda frames: frames.check([b""], ["text"])),
)


def same_refusals(native: Module) -> None:
    """What no caller may pass: an exception, and no harm done."""
    for what, call in REFUSALS:
        for frames in (native, plain):
            try:
                found = call(frames)
            except (ValueError, TypeError, AttributeError):
                continue
            raise AssertionError(f"{what}: {found!r}")


COMPARISONS = (same_answers, same_frames, same_payloads, same_numbers, same_refusals)


def main(path: str) -> None:
    """Compare a build of the extension with plain Python."""
    # A build with sanitizers is slow, and so is the machine that the tests run on.
    settings.register_profile(
        "twins",
        deadline=None,
        max_examples=300,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    settings.load_profile("twins")
    spec = importlib.util.spec_from_file_location("frames_native", path)
    assert spec is not None
    assert spec.loader is not None
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    for comparison in COMPARISONS:
        comparison(native)
    print("no difference")


if __name__ == "__main__":
    main(sys.argv[1])
