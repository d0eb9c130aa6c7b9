"""The frames that the fault proxy splits and makes are those of the WebSocket protocol."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode

from cli_client.faults.frames import BINARY, CLOSE, TEXT, Frame, FrameSplitter

LONG = (125, 126, 65_535, 65_536)
"""Sizes at which the form of the length changes."""

frames = st.builds(
    Frame,
    st.sampled_from([TEXT, BINARY]),
    st.binary(max_size=20) | st.sampled_from([bytes(size) for size in LONG]),
) | st.builds(Frame, st.just(CLOSE), st.binary(min_size=2, max_size=125))


def as_sent(frame: Frame) -> bytes:
    """The frame as the library serializes it for a server."""
    return LibraryFrame(Opcode(frame.first & 0x0F), frame.payload).serialize(mask=False)


@given(frames)
def test_a_frame_is_encoded_as_a_server_sends_it(frame: Frame) -> None:
    assert frame.encode() == as_sent(frame)


@given(st.lists(frames, max_size=5), st.lists(st.integers(0, 2**17), max_size=8))
@example([Frame(TEXT, bytes(size)) for size in (125, 126, 300)], list(range(600)))
@example([Frame(TEXT, bytes(65_536)), Frame(CLOSE, b"\x03\xe8")], list(range(12)))
def test_frames_come_whole_wherever_the_stream_is_broken(
    sent: list[Frame], borders: list[int]
) -> None:
    stream = b"".join(map(as_sent, sent))
    splitter = FrameSplitter()
    received: list[Frame] = []
    for start, end in pairwise([0, *sorted(borders), len(stream)]):
        received += splitter.feed(stream[start : max(start, end)])
    assert received == sent
    assert splitter.feed(b"") == []
