"""What can go wrong with an opening handshake; each function does one such thing.

A doorman gets the server's answer to a handshake and decides what the sender sees of it.
"""

from cli_client.faults.frames import TEXT, Frame
from cli_client.faults.proxy import Link

GREETING = b"welcome"

UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Server: fault-proxy\r\n"
    b"Content-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


async def refuse_some(link: Link, head: bytes) -> None:
    """Refuse the second and the third connection, for a temporary reason."""
    if link.number in (2, 3):
        await _refuse(link)
    link.write(head)


async def cut_some(link: Link, head: bytes) -> None:
    """End the second and the third connection without an answer."""
    if link.number in (2, 3):
        await link.finish()
    link.write(head)


async def accept_one_wrongly(link: Link, head: bytes) -> None:
    """Give the second connection a Sec-WebSocket-Accept that does not match its key."""
    if link.number == 2:
        before, name, after = head.partition(b"Sec-WebSocket-Accept: ")
        accept, end = after[:28], after[28:]
        head = before + name + accept[::-1] + end
    link.write(head)


async def refuse_after_mischief(link: Link, head: bytes) -> None:
    """Refuse each connection that comes after the mischief began."""
    if link.mischief_began:
        await _refuse(link)
    link.write(head)


async def ignore_after_mischief(link: Link, head: bytes) -> None:
    """Leave each connection without an answer that comes after the mischief began."""
    if link.mischief_began:
        await link.swallow()
    link.write(head)


async def greet(link: Link, head: bytes) -> None:
    """Send a message before the sender has sent any."""
    link.write(head)
    link.send(Frame(TEXT, GREETING))


async def _refuse(link: Link) -> None:
    link.write(UNAVAILABLE)
    await link.finish()
