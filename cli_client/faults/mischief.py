"""What can go wrong with a reply on its way; each function does one such thing."""

import asyncio

from cli_client.faults.frames import BINARY, CLOSE, TEXT, Frame
from cli_client.faults.proxy import Link
from wire.exchange import HIGHEST

DELAY = 0.3
"""Seconds that a reply is held back, and with it all that follows it."""

PUSHES = 20
"""How many messages are pushed between replies."""

PUSH_INTERVAL = 0.005
"""Seconds between such a message and the reply that follows it."""

REPEAT_INTERVAL = 0.1
"""Seconds between two copies of a reply that is repeated without end; much less than a time-out."""

DRAIN_INTERVAL = 0.005
"""Seconds between two connections that are closed one after the other."""

RESERVED_BIT = 0x40
"""Must be 0 unless an extension gives it a meaning (RFC 6455, section 5.2)."""


async def leave_alone(link: Link, reply: Frame) -> None:
    """Do nothing to it."""
    link.send(reply)


# One reply, as a whole.


async def drop(link: Link, reply: Frame) -> None:
    """Send nothing in its place."""


async def duplicate(link: Link, reply: Frame) -> None:
    """Send it twice."""
    link.send(reply, reply)


async def swap(link: Link, reply: Frame) -> None:
    """Send it after the next one."""
    link.send(await link.receive(), reply)


async def stray(link: Link, reply: Frame) -> None:
    """Send it on another connection."""
    link.neighbours[0].send(reply)


async def forge(link: Link, reply: Frame) -> None:
    """Send a message before it that answers no request."""
    # Two right replies follow at once: the message takes the place of neither.
    link.send(Frame(TEXT, b"Nobody asked for this"), reply, await link.receive())


async def delay(link: Link, reply: Frame) -> None:
    """Send it some time later, and with it all that follows it."""
    await asyncio.sleep(DELAY)
    link.send(reply)


async def withhold(link: Link, reply: Frame) -> None:
    """Send it last: by the time the sender closes, it has given it up."""
    while (frame := await link.receive()).first != CLOSE:
        link.send(frame)
    link.send(reply, frame)


async def push(link: Link, reply: Frame) -> None:
    """Send messages that answer no request between this reply and those that follow."""
    for number in range(PUSHES):
        link.send(Frame(TEXT, b"push %d" % number))
        await asyncio.sleep(PUSH_INTERVAL)
        link.send(reply)
        reply = await link.receive()
    link.send(reply)


async def repeat_the_next(link: Link, reply: Frame) -> None:
    """Send nothing in its place, and the next one over and over."""
    repeated = await link.receive()
    link.send(repeated)

    async def repeat() -> None:
        while True:
            await asyncio.sleep(REPEAT_INTERVAL)
            link.send(repeated)

    repeating = asyncio.create_task(repeat())
    try:
        while True:
            link.send(await link.receive())
    finally:
        repeating.cancel()


# What a reply says.


async def change_a_byte(link: Link, reply: Frame) -> None:
    """Turn one letter into another."""
    changed = bytearray(reply.payload)
    changed[3] ^= 0x01
    link.send(Frame(reply.first, bytes(changed)))


async def break_utf8(link: Link, reply: Frame) -> None:
    """Turn one letter into a byte that is not valid UTF-8."""
    changed = bytearray(reply.payload)
    changed[3] = 0xFF
    link.send(Frame(reply.first, bytes(changed)))


async def truncate(link: Link, reply: Frame) -> None:
    """Send its first half as a message."""
    link.send(Frame(reply.first, reply.payload[: len(reply.payload) // 2]))


async def raise_the_number(link: Link, reply: Frame) -> None:
    """Give it a number that is out of range."""
    link.send(_with_number(reply, HIGHEST + 1))


async def repeat_a_number(link: Link, reply: Frame) -> None:
    """Give it and all that follow the same number."""
    while True:
        link.send(_with_number(reply, 7) if reply.first == TEXT else reply)
        reply = await link.receive()


def _with_number(reply: Frame, number: int) -> Frame:
    request, _, _ = reply.payload.rpartition(b": ")
    return Frame(reply.first, b"%b: %d" % (request, number))


# The frame of a reply.


async def make_binary(link: Link, reply: Frame) -> None:
    """Send it as a binary message."""
    link.send(Frame(BINARY, reply.payload))


async def set_a_reserved_bit(link: Link, reply: Frame) -> None:
    """Send it in a frame that breaks the protocol."""
    link.send(Frame(reply.first | RESERVED_BIT, reply.payload))


# The connection.


async def cut_between_frames(link: Link, reply: Frame) -> None:
    """Reset the connection."""
    link.reset()


async def end_between_frames(link: Link, reply: Frame) -> None:
    """End the connection without a Close frame."""
    await link.finish()


async def end_inside_a_frame(link: Link, reply: Frame) -> None:
    """End the connection after half of the frame."""
    frame = reply.encode()
    link.write(frame[: len(frame) // 2])
    await link.finish()


async def go_silent(link: Link, reply: Frame) -> None:
    """Pass nothing on any more, and leave the connection open."""
    await link.swallow()


async def close_as_broken(link: Link, reply: Frame) -> None:
    """Close for a temporary reason."""
    await _close(link, 1011, "out of numbers")


async def close_as_unwanted(link: Link, reply: Frame) -> None:
    """Close because of what was sent."""
    await _close(link, 1008, "not that")


async def drain(link: Link, reply: Frame) -> None:
    """Close all connections that are open now, one after the other."""
    closing = _close_frame(1012, "restarting")
    for one in [link, *link.neighbours]:
        one.send(closing)
        await asyncio.sleep(DRAIN_INTERVAL)
    await link.swallow()


async def _close(link: Link, code: int, reason: str) -> None:
    link.send(_close_frame(code, reason))
    await link.swallow()


def _close_frame(code: int, reason: str) -> Frame:
    return Frame(CLOSE, code.to_bytes(2, "big") + reason.encode())
