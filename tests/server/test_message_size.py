"""The size limit of a message: close code 1009, and a bounded amount of memory."""

import zlib

import pytest

from tests.server.raw import (
    BINARY,
    CONT,
    MASK,
    PING,
    PONG,
    TEXT,
    Frame,
    RawClient,
    close_code,
    frame,
)
from tests.server.running import Running, check_alive, running
from wire.exchange import check_reply

MIB = 2**20


def length_field(length: int, opcode: int = TEXT) -> bytes:
    """Return the start of a frame that announces this many bytes."""
    return bytes([0x80 | opcode, 0xFF]) + length.to_bytes(8, "big") + MASK


@pytest.mark.parametrize("length", [MIB + 126, 2**32, 2**62, 2**63, 2**64 - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_length_field_beyond_the_limit(plain: Running, length: int, opcode: int) -> None:
    """Refused by its header alone, with the replies owed before."""
    with plain.connect() as client:
        client.send(frame(TEXT, "before") + length_field(length, opcode))
        reply = client.read_frame()
        assert reply is not None
        check_reply(b"before", reply.payload)
        assert close_code(client.read_frame()) == 1009
        assert client.read_frame() is None
    plain.wait_for_log("1009")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_one_byte_beyond_the_limit(plain: Running, opcode: int) -> None:
    """A MiB and a byte, in one frame."""
    with plain.connect() as client:
        client.send(frame(opcode, b"x" * (MIB + 1)))
        assert close_code(client.read_frame()) == 1009


def test_fragments_up_to_the_limit_and_one_byte_beyond() -> None:
    """The limit is that of the message, whatever its fragments."""
    limit = 10_000
    with running("--max-message-size", str(limit)) as server:
        for extra, expected in ((0, None), (1, 1009)):
            with server.connect() as client:
                parts = [b"x" * 10] * (limit // 10) + [b"x" * extra]
                client.send(
                    b"".join(frame(CONT if i else TEXT, p, fin=False) for i, p in enumerate(parts))
                )
                client.send(frame(CONT))
                received = client.read_frame()
                if expected is None:
                    assert received is not None
                    check_reply(b"x" * limit, received.payload)
                else:
                    assert close_code(received) == expected


def test_many_fragments_at_the_limit(plain: Running) -> None:
    """A MiB in fragments of 16 bytes costs the server little more than a MiB in one."""
    data = b"0123456789abcdef" * (MIB // 16)
    whole = frame(TEXT, data)
    parts = [frame(CONT if at else TEXT, data[at : at + 16], fin=False) for at in range(0, MIB, 16)]
    with plain.connect() as client:
        send_and_read(client, whole, 1)
        before = plain.memory()
        plain.forget_peak()
        (reply,) = send_and_read(client, b"".join(parts) + frame(CONT), 1)
        check_reply(data, reply.payload)
    assert plain.memory("VmHWM") - before < 6 * MIB


def test_a_ping_inside_a_message_at_the_size_limit() -> None:
    """A ping between fragments (section 5.4) is no part of the message, nor of its size."""
    with running("--max-message-size", "100") as server, server.connect() as client:
        client.send(frame(TEXT, "x" * 100, fin=False) + frame(PING, "between") + frame(CONT))
        assert client.read_frame() == Frame(PONG, b"between")
        reply = client.read_frame()
        assert reply is not None
        check_reply(b"x" * 100, reply.payload)


def test_100_000_empty_fragments(plain: Running) -> None:
    """They are nothing, and cost nothing; the message that they make up is still answered."""
    fragments = frame(TEXT, fin=False) + frame(CONT, fin=False) * 100_000
    with plain.connect() as client:
        before = plain.memory()
        plain.forget_peak()
        client.send(fragments + frame(CONT, "end"))
        reply = client.read_frame()
        assert reply is not None
        check_reply(b"end", reply.payload)
        assert plain.memory("VmHWM") - before < 2 * MIB


def send_and_read(client: RawClient, data: bytes, count: int) -> list[Frame]:
    """Send what may be more than the buffers hold, and read as many frames."""
    client.send(data)
    frames = [received for received in client.read_frames(count) if received is not None]
    assert len(frames) == count
    return frames


def test_a_compressed_bomb() -> None:
    """A frame of some KiB that would unfold to 64 MiB: 1009, and no more memory than the limit."""
    packer = zlib.compressobj(wbits=-12)
    bomb = packer.compress(bytes(64 * MIB)) + packer.flush(zlib.Z_SYNC_FLUSH)
    with running("--compress") as server, RawClient(server.url) as client:
        client.open("Sec-WebSocket-Extensions: permessage-deflate")
        before = server.memory()
        client.send(frame(BINARY, bomb.removesuffix(b"\0\0\xff\xff"), rsv=4))
        assert close_code(client.read_frame()) == 1009
        assert server.memory("VmHWM") - before < 6 * MIB
        check_alive(server)
