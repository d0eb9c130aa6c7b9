"""The sender's protocol, told directly: bytes in, messages out, however the bytes are cut."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import CLOSING, OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from cli_client.engine.corpus import edges
from cli_client.engine.protocol import KEYS_DRAWN, MaskingKeys, RequestProtocol
from cli_client.ledger.expectation import OtherKind

Message = tuple[bytes, Opcode, list[int]]
"""A payload, its opcode, and where it is cut into fragments."""


def connected(*, binary: bool = False) -> tuple[RequestProtocol, ServerProtocol]:
    """Return both ends of a connection that is open."""
    client = RequestProtocol(parse_uri("ws://localhost/"), binary=binary)
    server = ServerProtocol()
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]
    client.receive(b"".join(server.data_to_send()))
    assert client.state is OPEN
    return client, server


def frames_of(message: Message) -> Iterable[Frame]:
    payload, opcode, cuts = message
    places = [0, *sorted({min(cut, len(payload)) for cut in cuts}), len(payload)]
    for number, (start, end) in enumerate(itertools.pairwise(places)):
        last = number == len(places) - 2
        yield Frame(Opcode.CONT if number else opcode, payload[start:end], last)


def encode(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.serialize(mask=False) for frame in frames)


def receive(client: RequestProtocol, data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Hand data over in pieces, and return the messages that it completes."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    messages: list[bytes] = []
    for start, end in itertools.pairwise(places):
        messages += client.receive(data[start:end])
    return messages


def test_no_masking_key_is_given_twice() -> None:
    keys = MaskingKeys()
    taken = b"".join(keys.take(count) for count in (1, 64, KEYS_DRAWN - 70, 64, 3 * KEYS_DRAWN, 1))
    each = {taken[start : start + 4] for start in range(0, len(taken), 4)}
    # That two of 4,100 random ones are equal happens once in 500 times, that four are never.
    assert len(taken) == 4 * (4 * KEYS_DRAWN + 60)
    assert len(each) > 4 * KEYS_DRAWN + 60 - 3


MESSAGES = st.lists(
    st.tuples(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"x" * size for size in (124, 125, 126, 127, 65_535, 65_536)]),
        ),
        st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.BINARY]),
        st.lists(st.integers(0, 20), max_size=2),
    ),
    max_size=8,
)


@given(MESSAGES, st.lists(st.integers(0, 10**6), max_size=12), st.data())
def test_messages_come_out_whole_wherever_the_stream_is_cut(
    messages: list[Message], cuts: list[int], data: st.DataObject
) -> None:
    client, _ = connected()
    frames = [frame for message in messages for frame in frames_of(message)]
    for _ in range(data.draw(st.integers(0, 3))):
        control = data.draw(st.sampled_from([Opcode.PING, Opcode.PONG]))
        frames.insert(data.draw(st.integers(0, len(frames))), Frame(control, b"ping"))
    received = receive(client, encode(frames), cuts)
    assert received == [payload for payload, _, _ in messages]
    kinds = [bytes if opcode is Opcode.TEXT else OtherKind for _, opcode, _ in messages]
    assert [type(message) for message in received] == kinds
    assert client.received == len(messages)
    assert client.pongs == sum(frame.opcode is Opcode.PONG for frame in frames)


@given(st.lists(st.integers(0, 10**6), max_size=5))
def test_what_follows_a_close_frame_is_not_a_message(cuts: list[int]) -> None:
    client, _ = connected()
    close = Frame(Opcode.CLOSE, Close(CloseCode.GOING_AWAY, "").serialize())
    text = Frame(Opcode.TEXT, b"late")
    assert receive(client, encode([text, close, text, text]), cuts) == [b"late"]
    assert client.received == 1
    assert client.close_rcvd is not None
    assert str(client.parser_exc) == "a frame behind the Close frame"


@given(st.lists(st.integers(0, 10**6), max_size=5), st.booleans())
def test_pings_and_pongs_behind_a_close_frame_are_no_breach(cuts: list[int], more: bool) -> None:
    client, _ = connected()
    close = Frame(Opcode.CLOSE, Close(CloseCode.GOING_AWAY, "").serialize())
    others = [Frame(Opcode.PING, b"12"), Frame(Opcode.PONG, b""), Frame(Opcode.PING, b"x" * 125)]
    stream = encode([close, *others, *([Frame(Opcode.BINARY, b"")] if more else [])])
    receive(client, stream, cuts)
    assert isinstance(client.parser_exc, ProtocolError) == more


@pytest.mark.parametrize(
    "begun", [b"hello", b"\xf1\x7d\0", b"\x91\x00", b"\x89\x7e", b"\x09\x05", b"\x88\x7f\xff"]
)
@pytest.mark.parametrize(
    "before", [b"", b"\x81\x02ab", b"\x01\x01a", b"\x81\x7e\x00\x7e" + b"x" * 126]
)
def test_a_breach_is_seen_before_its_frame_is_complete(before: bytes, begun: bytes) -> None:
    client, _ = connected()
    client.receive(before)
    assert client.parser_exc is None
    client.receive(begun[:1])
    client.receive(begun[1:])
    assert isinstance(client.parser_exc, ProtocolError)
    assert client.close_sent is not None
    assert client.close_sent.code == CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("opcode", [b"\x81", b"\x82", b"\x01"])
@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**63 + 5])
def test_a_length_with_its_top_bit_set_is_a_breach(opcode: bytes, length: int) -> None:
    client, _ = connected()
    stream = opcode + b"\x7f" + length.to_bytes(8, "big")
    client.receive(stream[:5])
    client.receive(stream[5:])
    assert isinstance(client.parser_exc, ProtocolError)
    assert client.state is CLOSING


@pytest.mark.parametrize(
    "length",
    [
        b"\x7e\x00\x05",
        b"\x7e\x00\x7d",
        b"\x7f" + bytes(7) + b"\x05",
        b"\x7f" + bytes(6) + b"\xff\xff",
    ],
)
@pytest.mark.parametrize(
    "before", [b"", b"\x81\x01a", b"\x89\x00", b"\x82\x7e\x00\x7e" + bytes(126)]
)
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 10, 12, 1000])
def test_a_length_in_more_bytes_than_it_needs_is_a_breach(
    length: bytes, before: bytes, cut: int
) -> None:
    """A reply in such a frame may be right in every other way."""
    client, _ = connected()
    frame = b"\x81" + length + bytes(int.from_bytes(length[1:], "big"))
    stream = before + frame
    cut += len(before)
    messages = client.receive(stream[:cut]) + client.receive(stream[cut:])
    assert len(messages) == (before[:1] in (b"\x81", b"\x82"))
    assert isinstance(client.parser_exc, ProtocolError)
    assert client.state is CLOSING


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_length_in_as_many_bytes_as_it_needs_is_none(size: int) -> None:
    client, server = connected()
    server.send_text(bytes(size))
    server.send_text(bytes(size))
    data = b"".join(server.data_to_send())
    assert client.receive(data[:5]) + client.receive(data[5:]) == [bytes(size)] * 2
    assert client.parser_exc is None


def test_a_message_that_is_too_big_is_no_breach() -> None:
    client, _ = connected()
    client.receive(b"\x81\x7f" + (2**63 - 1).to_bytes(8, "big"))
    assert isinstance(client.parser_exc, PayloadTooBig)


def test_a_breach_right_behind_the_handshake_is_seen() -> None:
    client = RequestProtocol(parse_uri("ws://localhost/"), binary=False)
    server = ServerProtocol()
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]
    client.receive(b"".join(server.data_to_send()) + b"hello")
    assert client.handshake_exc is None
    assert isinstance(client.parser_exc, ProtocolError)


@given(st.lists(st.integers(0, 10**6), max_size=5))
def test_what_comes_before_a_breach_is_a_message(cuts: list[int]) -> None:
    client, _ = connected()
    stream = encode([Frame(Opcode.TEXT, b"one"), Frame(Opcode.TEXT, b"two")]) + b"\xff\x00"
    assert receive(client, stream, cuts) == [b"one", b"two"]
    assert isinstance(client.parser_exc, ProtocolError)
    assert client.state is CLOSING


@pytest.mark.parametrize("binary", [False, True])
def test_the_server_reads_each_request_as_it_was_written(binary: bool) -> None:
    client, server = connected(binary=binary)
    payloads = [*edges(), b"Request 5"]
    for batch in (payloads, payloads[-1:]):
        client.send_requests(batch)
        server.receive_data(b"".join(client.data_to_send()))
        frames = server.events_received()
        whole, message = [], b""
        for frame in frames:
            assert isinstance(frame, Frame)
            assert frame.opcode in (Opcode.CONT, Opcode.BINARY if binary else Opcode.TEXT)
            message += frame.data
            if frame.fin:
                whole.append(message)
                message = b""
        assert whole == batch


def test_messages_are_taken_in_until_the_server_answers_our_close() -> None:
    client, _ = connected()
    client.send_close(CloseCode.NORMAL_CLOSURE)
    assert receive(client, encode([Frame(Opcode.TEXT, b"late"), Frame(Opcode.PING, b"")]), []) == [
        b"late"
    ]


def test_of_the_pongs_that_nobody_takes_only_the_last_is_kept() -> None:
    client, server = connected()
    client.hold()
    client.receive(encode(Frame(Opcode.PING, bytes([number])) for number in range(100)))
    assert client.data_to_send() == []
    client.release()
    client.receive(encode([Frame(Opcode.PING, b"next")]))
    server.receive_data(b"".join(client.data_to_send()))
    pongs = [frame.data for frame in server.events_received() if isinstance(frame, Frame)]
    assert pongs == [bytes([99]), b"next"]
