"""The protocol, held to a model of its own and to what it needs of the library.

The model is written from RFC 6455 alone, as slowly and plainly as can be. Whatever bytes a client
sends, cut up however the network likes, the server must say what the model says.
"""

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import WebSocketException
from websockets.frames import CloseCode
from websockets.frames import Frame as LibraryFrame
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from server.protocol import SHORT, ReplyProtocol
from tests.server.raw import (
    BINARY,
    CLOSE,
    CONT,
    MASK,
    PING,
    PONG,
    TEXT,
    Frame,
    RawClient,
    frame,
    handshake,
    parse_frame,
)
from tests.server.running import Running
from wire import frames, frames_plain

ENDING = b": 77"
LIMIT = 400
"""The size limit of a message here: small, so that it is reached."""

VALID_CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
"""Those that may stand in a frame (section 7.4 and its registry)."""


def answer(request: bytes) -> bytes:
    """Answer as the server does, without the chance in it."""
    return bytes(request) + ENDING


class Model:
    """What a server owes to a client for a stream of bytes.

    Attributes:
        frames: Replies and pongs, in order.
        ends: With which close codes the server may end the connection now; None is not at all,
            0 is the answer to a Close frame without a code.
    """

    def __init__(self, stream: bytes, limit: int = LIMIT) -> None:
        self.frames: list[Frame] = []
        self.ends: set[int | None] = {None}
        self._stream = stream
        self._limit = limit
        self._kind = 0
        self._message: bytes | None = None
        at: int | None = 0
        while at is not None:
            at = self._frame(at)

    def _frame(self, at: int) -> int | None:
        """Act on the frame at a position; return where the next one is, None if none will be."""
        stream = self._stream
        if len(stream) < at + 2:
            return None
        first, second = stream[at], stream[at + 1]
        opcode, is_control = first & 15, bool(first & 8)
        bad = bool(first & 0x70)
        if opcode not in (CONT, TEXT, BINARY, CLOSE, PING, PONG) or not second & 0x80:
            return self._end(1002)
        at, length = at + 2, second & 0x7F
        width = {126: 2, 127: 8}.get(length, 0)
        bad |= is_control and not first & 0x80
        bad |= not is_control and (opcode == CONT) != (self._message is not None)
        if len(stream) < at + width:
            return self._end(1002, None) if bad else None
        if width:
            length = int.from_bytes(stream[at : at + width], "big")
        at += width
        # That a short length is told in more bytes than it needs is let pass, as by the library.
        bad |= is_control and length > 125
        if length > self._limit - len(self._message or b"") and not (is_control and not bad):
            # The library is told of a limit that leaves room for a control frame, so up to there it
            # may wait for the frame's end before it refuses.
            waits = length <= self._limit + 125 and len(stream) < at + 4 + length
            return self._end(1009, *([1002] if bad else []), *([None] if waits else []))
        if len(stream) < at + 4 + length:
            return self._end(1002, None) if bad else None
        if bad:
            return self._end(1002)
        mask, at = stream[at : at + 4], at + 4
        data = bytes(stream[at + i] ^ mask[i % 4] for i in range(length))
        if opcode == PING:
            self.frames.append(Frame(PONG, data))
        elif opcode == CLOSE:
            return self._close(data)
        elif opcode != PONG:
            if opcode != CONT:
                self._kind = opcode
            self._message = (self._message or b"") + data
            if first & 0x80:
                if self._kind == TEXT and not is_utf8(self._message):
                    return self._end(1007)
                self.frames.append(Frame(self._kind, answer(self._message)))
                self._message = None
        return at + length

    def _close(self, data: bytes) -> int | None:
        code = int.from_bytes(data[:2], "big")
        faults = [1002] if len(data) == 1 or (data and code not in VALID_CLOSE_CODES) else []
        faults += [] if is_utf8(data[2:]) else [1007]
        if faults:
            return self._end(*faults)
        # A Close inside a message is allowed; that the library calls it an error is its choice.
        return self._end(code, *([1002] if self._message is not None else []))

    def _end(self, *codes: int | None) -> int | None:
        self.ends = set(codes)
        return None


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_output(output: bytes, model: Model) -> int | None:
    """Check what a server has sent, and return the code with which it ended the connection."""
    received, at = [], 0
    while (found := parse_frame(output, at)) is not None:
        received.append(found[0])
        at = found[1]
    assert at == len(output), "the output ends inside a frame"
    end = None
    if received and received[-1].opcode == CLOSE:
        end = int.from_bytes(received.pop().payload[:2], "big")
    assert received == model.frames
    assert end in model.ends
    return end


def opened(protocol: ServerProtocol) -> None:
    """Make the opening handshake."""
    protocol.receive_data(handshake())
    (request,) = protocol.events_received()
    assert isinstance(request, Request)
    protocol.send_response(protocol.accept(request))
    assert protocol.data_to_send()[0].startswith(b"HTTP/1.1 101")


def new_protocol(twin: Any) -> ReplyProtocol:
    short = twin.Answerer((ENDING,), SHORT).answer
    return ReplyProtocol(
        answer, short, max_size=LIMIT, state=OPEN, logger=logging.getLogger("test")
    )


def feed(stream: bytes, cuts: Sequence[int], twin: Any) -> tuple[bytes, ReplyProtocol]:
    """Return what the protocol says to a stream that comes in pieces of these sizes, in turn."""
    protocol = new_protocol(twin)
    output, at, turn = b"", 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)] if cuts else len(stream)
        protocol.receive_data(bytearray(stream[at : at + size]))
        output += b"".join(protocol.data_to_send())
        assert not protocol.events_received(), "events pile up"
        at, turn = at + size, turn + 1
    return output, protocol


def check_stream(stream: bytes, cuts: Sequence[int], twin: Any = frames) -> None:
    model = Model(stream)
    output, protocol = feed(stream, cuts, twin)
    end = check_output(output, model)
    replies = sum(sent.opcode != PONG for sent in model.frames)
    assert protocol.requests == replies
    assert protocol.eof_sent is (end is not None)


# Sizes around those where something changes: the short way past the parser, the length fields, the
# limit of a control frame, the limit of a message.
sizes = st.sampled_from([0, 1, 2, 3, 7, 20, 119, 120, 121, 122, 125, 126, 127, 200, 399, 400, 401])
texts = st.one_of(
    st.text(max_size=8).map(str.encode),
    sizes.map(lambda size: b"a" * size),
    sizes.map(lambda size: "ü€🎲".encode() * (size // 9)),
)
payloads = st.one_of(texts, st.binary(max_size=12))
masks = st.one_of(st.just(MASK), st.just(bytes(4)), st.binary(min_size=4, max_size=4))
closes = st.one_of(
    st.binary(max_size=4),
    st.tuples(
        st.sampled_from([0, 999, 1000, 1004, 1005, 1006, 1011, 1014, 1015, 2999, 3000, 4999, 5000]),
        payloads.map(lambda reason: reason[:123]),
    ).map(lambda close: close[0].to_bytes(2, "big") + close[1]),
)
good_frames = st.one_of(
    st.builds(lambda data, mask: frame(TEXT, data, mask=mask), texts, masks),
    st.builds(lambda data, mask: frame(TEXT, data, mask=mask), texts, masks),
    st.builds(lambda data: frame(BINARY, data), payloads),
    st.builds(lambda data: frame(PING, data[:125]), payloads),
    st.builds(lambda data: frame(PONG, data[:125]), payloads),
    st.lists(st.binary(max_size=9), min_size=1, max_size=5).map(
        lambda parts: b"".join(
            frame(CONT if i else BINARY, part, fin=i == len(parts) - 1)
            for i, part in enumerate(parts)
        )
    ),
    st.tuples(texts, st.integers(0, 20), payloads).map(
        lambda parts: (
            frame(TEXT, parts[0][: parts[1]], fin=False)
            + frame(PING, parts[2][:125])
            + frame(CONT, parts[0][parts[1] :])
        )
    ),
)
# Texts of equal length, one behind the other, of which there may be enough to be answered at once.
runs = st.tuples(
    st.sampled_from(["a", "z\x00", "ü", "€uro", "🎲"]).map(str.encode),
    st.sampled_from([0, 1, 2, 3, 5, 12, 30]),
    st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=20),
).map(lambda run: b"".join(frame(TEXT, run[0] * run[1], mask=mask) for mask in run[2]))
any_frames = st.builds(
    lambda opcode, data, fin, rsv, mask: frame(opcode, data, fin=fin, rsv=rsv, mask=mask),
    st.integers(0, 15) | st.sampled_from([CONT, TEXT, BINARY, PING]),
    payloads,
    st.booleans(),
    st.sampled_from([0, 0, 0, 0, 1, 2, 4]),
    st.one_of(masks, masks, st.just(b"")),
)
streams = st.one_of(
    st.lists(good_frames, max_size=12).map(b"".join),
    st.lists(st.one_of(runs, good_frames), max_size=5).map(b"".join),
    st.tuples(
        st.lists(good_frames, max_size=6),
        st.one_of(any_frames, closes.map(lambda data: frame(CLOSE, data))),
        st.lists(good_frames, max_size=2),
    ).map(lambda parts: b"".join([*parts[0], parts[1], *parts[2]])),
    st.lists(any_frames, max_size=8).map(b"".join),
)
twins = st.sampled_from([frames, frames_plain])
cuts = st.lists(st.integers(1, 40) | st.integers(1, 1000), max_size=8)
hundreds = settings(
    max_examples=700, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@pytest.mark.slow
@hundreds
@given(streams, cuts, twins)
def test_frame_sequences(stream: bytes, cuts: list[int], twin: Any) -> None:
    """Frames, most of them good, in any order and cut anywhere."""
    check_stream(stream, cuts, twin)


@pytest.mark.slow
@hundreds
@given(streams, st.integers(0, 2**16), st.integers(0, 255), st.integers(0, 60), cuts, twins)
def test_damaged_frame_sequences(
    stream: bytes, place: int, value: int, lost: int, cuts: list[int], twin: Any
) -> None:
    """One byte becomes another, or the end is missing."""
    damaged = bytearray(stream)
    if damaged:
        damaged[place % len(damaged)] = value
    check_stream(bytes(damaged[: max(0, len(damaged) - lost)]), cuts, twin)


@pytest.mark.slow
@hundreds
@given(st.binary(max_size=600), cuts, twins)
def test_random_bytes(stream: bytes, cuts: list[int], twin: Any) -> None:
    """Anything at all."""
    check_stream(stream, cuts, twin)


@pytest.mark.slow
@pytest.mark.parametrize("twin", [frames, frames_plain])
@pytest.mark.parametrize("text", [b"", b"a" * 119, b"a" * 120, b"a" * 121, b"\xc3\xbc" * 60])
def test_each_cut_of_a_stream(text: bytes, twin: Any) -> None:
    """A stream cut in two at each place, and into single bytes."""
    stream = b"".join(
        [
            *(frame(TEXT, text), frame(PING, b"p"), frame(TEXT, text), frame(BINARY, text)),
            *(frame(TEXT, text, fin=False), frame(TEXT, text) if text else frame(CONT, text)),
        ]
    )
    for cut in range(1, len(stream)):
        check_stream(stream, [cut, len(stream)], twin)
    check_stream(stream, [1], twin)


@given(streams, st.integers(0, 3000))
def test_frames_that_cross_our_close_frame(stream: bytes, cut: int) -> None:
    """They get no reply, wherever in a frame or a message the peer was."""
    protocol = new_protocol(frames)
    protocol.receive_data(stream[:cut])
    if protocol.state is OPEN:
        protocol.send_close(CloseCode.GOING_AWAY)
    protocol.data_to_send()
    protocol.receive_data(stream[cut:])
    data, at = b"".join(protocol.data_to_send()), 0
    while (parsed := parse_frame(data, at)) is not None:
        assert parsed[0].opcode == PONG
        at = parsed[1]
    # Another error would be one of ours.
    assert isinstance(protocol.parser_exc, WebSocketException | UnicodeDecodeError | None)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_rest_of_a_message_behind_our_close_frame(opcode: int) -> None:
    """It is no error, and the closing handshake ends in order."""
    protocol = new_protocol(frames)
    protocol.receive_data(frame(opcode, "first", fin=False))
    protocol.send_close(CloseCode.GOING_AWAY)
    protocol.receive_data(frame(CONT, "second", fin=False))
    protocol.receive_data(frame(CONT, "last") + frame(CLOSE, b"\x03\xe9"))
    assert protocol.parser_exc is None
    assert protocol.close_rcvd is not None
    assert protocol.eof_sent


def test_what_looks_like_a_frame_inside_a_frame() -> None:
    """A payload is no frame, also where a read begins with it just after a short text."""
    inside = frame(TEXT, "no request")
    outside = frame(BINARY, inside + inside, mask=bytes(4))
    first = frame(TEXT, "a request")
    for cut in range(1, len(outside)):
        check_stream(first + outside + first, [len(first), cut, len(outside) - cut, len(first)])


@settings(max_examples=150, deadline=None, database=None)
@given(streams, cuts)
def test_frame_sequences_over_a_socket(echo: Running, stream: bytes, cuts: list[int]) -> None:
    """The same from outside, with the server's own limit: replies, close code, end."""
    model = Model(stream, limit=2**20)
    with RawClient(echo.url) as client:
        client.open()
        at, turn = 0, 0
        try:
            while at < len(stream):
                size = max(64, cuts[turn % len(cuts)]) if cuts else len(stream)
                client.send(stream[at : at + size])
                at, turn = at + size, turn + 1
            client.finish()
        except OSError:  # the server has ended the connection in the meantime
            assert None not in model.ends
        received = list(client.read_to_end())
    end = None
    if received and received[-1].opcode == CLOSE:
        end = int.from_bytes(received.pop().payload[:2], "big")
    owed = [
        Frame(sent.opcode, sent.payload.removesuffix(b": 77") if sent.opcode != PONG else sent[1])
        for sent in model.frames
    ]
    assert received == owed
    assert end in model.ends


# What the protocol needs of the library beyond its documentation.


class Recording(ServerProtocol):
    """Takes down each call of ``recv_frame``, and what is left in the reader then."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, bytes, bytes]] = []

    def recv_frame(self, frame: LibraryFrame) -> None:
        self.calls.append((frame.opcode, bytes(frame.data), bytes(self.reader.buffer)))
        super().recv_frame(frame)


def test_the_library_calls_recv_frame_once_for_each_frame_in_order() -> None:
    """And by then ``reader.buffer`` holds what follows the frame, no more and no less."""
    sent = [(TEXT, b"a"), (PING, b"b"), (BINARY, b"c" * 200), (PONG, b""), (TEXT, b"d")]
    pieces = [frame(opcode, data) for opcode, data in sent]
    protocol = Recording()
    opened(protocol)
    protocol.receive_data(b"".join(pieces))
    assert protocol.calls == [
        (opcode, data, b"".join(pieces[i + 1 :])) for i, (opcode, data) in enumerate(sent)
    ]


def test_the_library_goes_on_behind_what_recv_frame_takes_from_the_buffer() -> None:
    """The parser has not looked ahead."""

    class Taking(Recording):
        def recv_frame(self, frame: LibraryFrame) -> None:
            super().recv_frame(frame)
            if frame.data == b"take the next":
                del self.reader.buffer[: len(skipped)]

    skipped = frame(TEXT, b"taken")
    protocol = Taking()
    opened(protocol)
    protocol.receive_data(frame(TEXT, b"take the next") + skipped + frame(TEXT, b"third"))
    assert [data for _, data, _ in protocol.calls] == [b"take the next", b"third"]
    # And while it waits for a frame, it is indifferent to those that it never gets to see.
    protocol.receive_data(frame(TEXT, b"fourth"))
    assert protocol.calls[-1][1] == b"fourth"


def test_what_is_put_among_the_library_s_writes_is_sent_in_order() -> None:
    """``writes`` is what ``data_to_send()`` returns next."""
    protocol = Recording()
    opened(protocol)
    protocol.receive_data(frame(PING, b"1"))
    protocol.writes.append(b"ours")
    protocol.receive_data(frame(PING, b"2"))
    assert protocol.data_to_send() == [b"\x8a\x011", b"ours", b"\x8a\x012"]
    assert protocol.data_to_send() == []
