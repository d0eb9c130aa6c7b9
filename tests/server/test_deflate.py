"""Compressed messages, in every way in which DEFLATE lets a client write them."""

import contextlib
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from server.counters import Counters
from server.deflate import MOST_STREAMS, CompressionError, Deflate, DeflateFactory, Inflater
from server.hub import Hub
from server.settings import Settings
from tests.server.raw import BINARY, CONT, TEXT, RawClient, close_code, frame
from tests.server.running import running

TAIL = b"\0\0\xff\xff"
HELLO = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
"""The text "Hello" in a final block, and the first byte of an empty one (section 7.2.3.4)."""


class Client:
    """A client's compression: its window is kept, however its blocks end."""

    def __init__(self, bits: int = 12) -> None:
        self._bits = bits
        self._window = b""

    def compress(self, data: bytes, *, final: bool) -> bytes:
        packer = zlib.compressobj(wbits=-self._bits, zdict=self._window)
        self._window = (self._window + data)[-(1 << self._bits) :]
        if final:
            return packer.compress(data) + packer.flush(zlib.Z_FINISH) + b"\0"
        packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
        return packed.removesuffix(TAIL)


def negotiated(*parameters: tuple[str, str | None]) -> Deflate:
    extension = DeflateFactory().process_request_params(parameters, [])[1]  # type: ignore[arg-type]
    assert isinstance(extension, Deflate)
    return extension


def decode(extension: Deflate, data: bytes, limit: int = 10**6) -> bytes:
    decoded = extension.decode(Frame(Opcode.BINARY, data, rsv1=True), max_size=limit)
    return bytes(decoded.data)


def test_the_example_of_the_rfc() -> None:
    extension = negotiated()
    for _ in range(3):
        assert decode(extension, HELLO) == b"Hello"


words = st.sampled_from([b"", b"a", b"Request 1", b"Request 2 " * 50, bytes(range(256)) * 20])
messages = st.lists(st.tuples(st.one_of(words, st.binary(max_size=40)), st.booleans()), max_size=8)


@given(messages, st.sampled_from([9, 12, 15]))
def test_messages_with_and_without_final_blocks(parts: list[tuple[bytes, bool]], bits: int) -> None:
    """Each refers to the window that those before it have left."""
    client = Client(bits)
    extension = negotiated(("client_max_window_bits", str(bits)))
    if extension.remote_max_window_bits < bits:
        client = Client(extension.remote_max_window_bits)
    for data, final in parts:
        assert decode(extension, client.compress(data, final=final)) == data


@given(messages.filter(len), st.integers(1, 30))
def test_final_blocks_in_the_middle_of_a_message(
    parts: list[tuple[bytes, bool]], size: int
) -> None:
    """Several streams make one message, which may come in fragments cut anywhere."""
    client, extension = Client(), negotiated()
    packed = b"".join(
        client.compress(data, final=final).removesuffix(b"\0" if final else b"")
        + (b"" if final else TAIL)
        for data, final in parts
    )
    packed += b"\0"
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    whole = b""
    for number, piece in enumerate(pieces):
        opcode = Opcode.CONT if number else Opcode.BINARY
        last = number == len(pieces) - 1
        decoded = extension.decode(Frame(opcode, piece, fin=last, rsv1=not number), max_size=10**6)
        whole += decoded.data
    assert whole == b"".join(data for data, _ in parts)


def test_a_client_without_context_takeover() -> None:
    """Its messages refer to nothing before them, and each may end a stream."""
    extension = negotiated(("client_no_context_takeover", None))
    for final in (True, False, True):
        assert decode(extension, Client().compress(b"Request 1" * 9, final=final)) == (
            b"Request 1" * 9
        )
    with_context = Client()
    with_context.compress(b"Request 1" * 9, final=False)
    refers_to_it = with_context.compress(b"Request 1" * 9, final=False)
    with pytest.raises(CompressionError, match="damaged"):
        decode(extension, refers_to_it)


@pytest.mark.parametrize("final", [True, False])
def test_the_size_limit_holds_over_streams(final: bool) -> None:
    for limit, fits in ((1000, True), (999, False)):
        client = Client()
        packed = client.compress(b"x" * 600, final=True).removesuffix(b"\0")
        packed += client.compress(b"y" * 400, final=final)
        if fits:
            assert len(decode(negotiated(), packed, limit)) == 1000
        else:
            with pytest.raises(PayloadTooBig):
                decode(negotiated(), packed, limit)


def test_a_stream_that_ends_at_the_size_limit() -> None:
    assert decode(negotiated(), Client().compress(b"x" * 600, final=True), 600) == b"x" * 600


def test_too_many_streams_in_one_message() -> None:
    """An empty final block takes two bytes and some microseconds: a MiB of them would take long."""
    empty = zlib.compressobj(wbits=-12).flush(zlib.Z_FINISH)
    assert decode(negotiated(), empty * (MOST_STREAMS - 1) + HELLO) == b"Hello"
    with pytest.raises(CompressionError, match="too many final blocks"):
        decode(negotiated(), empty * MOST_STREAMS + HELLO)


def test_bytes_that_are_no_deflate_stream() -> None:
    with pytest.raises(CompressionError, match="damaged"):
        Inflater(12).decompress(b"\xff" * 10, 100)


@given(st.binary(min_size=1, max_size=300), st.sampled_from([0, 1, 9]), st.data())
def test_a_message_that_is_cut_off(data: bytes, level: int, drawn: st.DataObject) -> None:
    """What the library appends to a message must not become a part of it."""
    packer = zlib.compressobj(level, wbits=-12)
    packed = (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
    cut = packed[: drawn.draw(st.integers(0, len(packed) - 1))]
    extension = negotiated()
    with contextlib.suppress(CompressionError):
        # The first byte of a block that is not compressed is also that of an empty one.
        assert (cut[-1:], decode(extension, cut)) == (b"\0", b"")


@pytest.mark.parametrize("level", [0, 6])
def test_a_message_that_lacks_the_empty_block_behind_the_final_one(level: int) -> None:
    """Else the next message would be answered as if its header were data."""
    packer = zlib.compressobj(level, wbits=-12)
    with pytest.raises(CompressionError, match="incomplete"):
        decode(negotiated(), packer.compress(b"Hello") + packer.flush(zlib.Z_FINISH))


def test_the_bit_of_compression_on_a_later_fragment() -> None:
    extension = negotiated()
    extension.decode(Frame(Opcode.TEXT, HELLO[:3], fin=False, rsv1=True), max_size=100)
    decoded = extension.decode(Frame(Opcode.CONT, HELLO[3:], rsv1=True), max_size=100)
    with pytest.raises(ProtocolError):
        decoded.check()


@pytest.mark.parametrize(
    "packed", [b"", b"\xf2\x48\xcd", HELLO[:-1], b"\xff\xff", b"\x03\0" * 1000]
)
def test_a_client_whose_message_cannot_be_decompressed_gets_1007(packed: bytes) -> None:
    """And no reply, neither to this message nor to those behind it."""
    hub = Hub(Settings(compress=True, http=False), Counters(), local=True)
    protocol = hub.new_protocol(OPEN)
    protocol.use_extensions([negotiated()])
    stored = b"\0\x05\0\xfa\xffHello\0"
    protocol.receive_data(frame(BINARY, packed, rsv=4) + frame(BINARY, stored, rsv=4))
    assert protocol.requests == 0
    assert protocol.close_sent is not None
    assert protocol.close_sent.code == 1007
    assert "compressed message" in protocol.close_sent.reason


def test_a_client_whose_messages_end_streams_gets_right_replies() -> None:
    """From outside, with context takeover, whole and in fragments."""
    with running("--compress", "--reply", "echo") as server, RawClient(server.url) as raw:
        raw.open("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12")
        client, answers = Client(), zlib.decompressobj(-12)
        for number in range(10):
            text = f"Request {number}".encode() * 5
            packed = client.compress(text, final=bool(number % 3))
            raw.send(frame(TEXT, packed[:4], fin=False, rsv=4) + frame(CONT, packed[4:]))
            reply = raw.read_frame()
            assert reply is not None
            assert answers.decompress(reply.payload + TAIL) == text
        raw.send(frame(TEXT, b"\x03\x00" * 1000, rsv=4))
        assert close_code(raw.read_frame()) == 1007


@pytest.mark.parametrize("level", [1, 5, 9])
def test_a_message_at_the_size_limit_that_does_not_shrink(level: int) -> None:
    """Its frame is larger than the limit, which is that of the message."""
    limit = 50_000
    options = ("--compress", "--reply", "echo", "--max-message-size", str(limit))
    with running(*options) as server:
        for extra in (0, 1):
            with RawClient(server.url) as raw:
                raw.open("Sec-WebSocket-Extensions: permessage-deflate")
                packer = zlib.compressobj(wbits=-12, memLevel=level)
                packed = packer.compress(os.urandom(limit + extra))
                packed += packer.flush(zlib.Z_SYNC_FLUSH)
                assert len(packed) > limit
                raw.send(frame(BINARY, packed.removesuffix(TAIL), rsv=4))
                reply = raw.read_frame()
                assert reply is not None
                if extra:
                    assert close_code(reply) == 1009
                else:
                    assert len(zlib.decompressobj(-12).decompress(reply.payload + TAIL)) == limit
