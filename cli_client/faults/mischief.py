"""What can go wrong with a reply on its way: each function does one thing of the kind."""

import asyncio

from cli_client.faults.frames import BINARY, CLOSE, TEXT, Frame
from cli_client.faults.proxy import Link
from wire.exchange import HIGHEST

DELAY = 0.3
"""Seconds that a reply is held back, and with it what is behind it."""

RESERVED_BIT = 0x40
"""Must not be set where no extension gives it a meaning (RFC 6455, section 5.2)."""


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
    """Send it behind the next one."""
    link.send(await link.receive(), reply)


async def stray(link: Link, reply: Frame) -> None:
    """Send it on another connection."""
    link.neighbour.send(reply)


async def forge(link: Link, reply: Frame) -> None:
    """Send a message of nobody's before it."""
    # Two right replies behind it: so it stood in the place of none, however they are read.
    link.send(Frame(TEXT, b"Nobody asked for this"), reply, await link.receive())


async def delay(link: Link, reply: Frame) -> None:
    """Send it some time later, and what is behind it too."""
    await asyncio.sleep(DELAY)
    link.send(reply)


async def withhold(link: Link, reply: Frame) -> None:
    """Send it last of all: when the sender closes, it has given it up."""
    while (frame := await link.receive()).first != CLOSE:
        link.send(frame)
    link.send(reply, frame)


# What a reply says.


async def change_a_byte(link: Link, reply: Frame) -> None:
    """Turn one letter into another."""
    changed = bytearray(reply.payload)
    changed[3] ^= 0x01
    link.send(Frame(reply.first, bytes(changed)))


async def break_utf8(link: Link, reply: Frame) -> None:
    """Turn one letter into what is none in UTF-8."""
    changed = bytearray(reply.payload)
    changed[3] = 0xFF
    link.send(Frame(reply.first, bytes(changed)))


async def truncate(link: Link, reply: Frame) -> None:
    """Send the first half of it, as a message."""
    link.send(Frame(reply.first, reply.payload[: len(reply.payload) // 2]))


async def raise_the_number(link: Link, reply: Frame) -> None:
    """Give it a number that is out of range."""
    link.send(_with_number(reply, HIGHEST + 1))


async def repeat_a_number(link: Link, reply: Frame) -> None:
    """Give it, and all that follow, the same number."""
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
    """End the connection behind half of the frame."""
    frame = reply.encode()
    link.write(frame[: len(frame) // 2])
    await link.finish()


async def go_silent(link: Link, reply: Frame) -> None:
    """Let nothing through any more, though the connection stands."""
    await link.swallow()


async def close_as_broken(link: Link, reply: Frame) -> None:
    """Close for a reason that may pass."""
    await _close(link, 1011, "out of numbers")


async def close_as_unwanted(link: Link, reply: Frame) -> None:
    """Close because of what was sent."""
    await _close(link, 1008, "not that")


async def _close(link: Link, code: int, reason: str) -> None:
    link.send(Frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))
    await link.swallow()
