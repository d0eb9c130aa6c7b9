"""What a right reply is: the request with a number (wsroll), the request itself, or anything.

Payloads are compared whole. A reply of the other kind (binary where text was sent) is no right one
whatever it says.
"""

from collections.abc import Callable
from typing import NamedTuple

from cli_client.settings import Expected
from wire.exchange import WrongReplyError, check_reply, request_of

__all__ = ["Expectation", "OtherKind", "WrongReplyError", "expectation"]

SHOWN_BYTES = 12


class OtherKind(bytes):
    """The payload of a message that is binary where text was sent, or text where binary was."""


class Expectation(NamedTuple):
    """What to hold a reply against."""

    check: Callable[[bytes, bytes], int]
    """Return the number in the reply to a request, or 0 where there is none to be.

    Raises:
        WrongReplyError: If the reply is not the right one.
    """
    request_of: Callable[[bytes], bytes | None]
    """Return the one request to which a reply would be right, if there is one."""
    start: Callable[[bytes], bytes | None]
    """Return how the reply to a request has to start, if that is known."""
    binary: bool
    """Whether replies are binary rather than text."""

    def difference(self, request: bytes, reply: bytes) -> str:
        """Say why a reply is not the right one to a request, and where it differs."""
        if type(reply) is not bytes:
            return f"expected {_KINDS[self.binary]}, got {_KINDS[not self.binary]}"
        try:
            if not self.binary:
                _check_any(request, reply)
            self.check(request, reply)
        except WrongReplyError as error:
            start = self.start(request)
            return str(error) if start is None else f"{error}; {_difference(start, reply)}"
        return "the reply is right"


def expectation(expected: Expected, binary: bool) -> Expectation:
    """Return the expectation of this name, for replies of this kind."""
    if expected == "number":
        return Expectation(check_reply, request_of, lambda request: request + b": ", binary)
    if expected == "echo":
        return Expectation(_check_echo, lambda reply: reply, lambda request: request, binary)
    check = _check_any_binary if binary else _check_any
    return Expectation(check, lambda reply: None, lambda request: None, binary)


_KINDS = {False: "text", True: "a binary message"}


def _check_echo(request: bytes, reply: bytes) -> int:
    if reply != request:
        raise WrongReplyError("expected the request itself")
    return 0


def _check_any(request: bytes, reply: bytes) -> int:
    # The others need not look: what is compared with valid UTF-8 (RFC 6455, section 5.6) is so too.
    try:
        reply.decode()
    except UnicodeDecodeError as error:
        raise WrongReplyError(f"the reply is not valid UTF-8 at byte {error.start}") from None
    return 0


def _check_any_binary(request: bytes, reply: bytes) -> int:
    return 0


def _difference(expected: bytes, reply: bytes) -> str:
    """Say where a reply parts from what was expected: offset and bytes."""
    size = min(len(expected), len(reply))
    if expected[:size] == reply[:size]:
        if len(reply) < len(expected):
            return f"it ends at byte {size}, before {_hex(expected[size:])}"
        return f"it differs from byte {size} on: {_hex(reply[size:])}"
    # By halves: a search from byte to byte would take long where 65,536 are right.
    start, end = 0, size
    while end - start > 1:
        middle = (start + end) // 2
        if expected[start:middle] == reply[start:middle]:
            start = middle
        else:
            end = middle
    return f"at byte {start} {_hex(expected[start:])} was due, {_hex(reply[start:])} came"


def _hex(data: bytes) -> str:
    more = " …" if len(data) > SHOWN_BYTES else ""
    return (data[:SHOWN_BYTES].hex(" ") or "nothing") + more
