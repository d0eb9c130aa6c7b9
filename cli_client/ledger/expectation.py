"""What a right reply is: the request with a number (wsroll), the request itself, or anything.

A request and its right reply have a key in common, by which the one is found when the other comes.
Payloads are compared whole. A reply of the other kind (binary where text was sent) is not right
whatever it says.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from cli_client.settings import Expected
from wire import frames
from wire.exchange import WrongReplyError, check_reply, request_of

__all__ = ["Expectation", "Key", "OtherKind", "WrongReplyError", "expectation", "is_readable"]

SHOWN_BYTES = 12
"""Bytes that are shown of where a reply differs: as many as fit a line twice, in hexadecimal."""

Key = Hashable
"""What a request and its right reply have in common."""


class OtherKind(bytes):
    """The payload of a message that is binary where text was sent, or text where binary was."""


def is_readable(message: bytes, binary: bool) -> bool:
    """Tell whether a message is binary, or UTF-8 as text must be (RFC 6455, section 8.1).

    Args:
        message: The message.
        binary: Whether messages are expected to be binary.
    """
    if binary != (type(message) is OtherKind):
        return True
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What to hold a reply against."""

    check: Callable[[bytes, bytes], int]
    """Return the number in the right reply to a request, or 0 where it has none.

    Raises:
        WrongReplyError: If the reply is not the right one.
    """
    request_key: Callable[[bytes], Key]
    """Return the key of a request."""
    reply_key: Callable[[bytes], Key | None]
    """Return the key of the request that a reply answers, or None if it answers none."""
    binary: bool
    """Whether replies are binary rather than text."""
    start: Callable[[bytes], bytes | None] = lambda request: None
    """Return how the reply to a request must start, if that is known."""
    by_key: bool = False
    """Whether the key alone shows which request a reply answers, so that any order is right."""
    ordered: bool = True
    """Whether replies must come in the order of the requests."""
    by_position: bool = False
    """Whether each reply belongs to the oldest request in flight, as there is no key."""
    by_prefix: bool = False
    """Whether the key is the payload, and a message that begins with one is its wrong reply."""
    settles: Callable[[bytes], bool] = lambda reply: True
    """Return whether a right reply is the last to its request, not a part of the answer."""
    is_push: Callable[[bytes], bool] = lambda message: False
    """Return whether a message that answers no request is one that the service may push."""

    def check_in_order(self, requests: list[bytes], replies: list[bytes]) -> list[int]:
        """Return the numbers in the replies, as ``check`` does, up to the first that is not right.

        A reply of the other kind is not right.
        """
        if self.check is check_reply:
            return frames.check(requests, replies)
        numbers: list[int] = []
        for request, reply in zip(requests, replies, strict=False):
            if type(reply) is not bytes:
                break
            try:
                numbers.append(self.check(request, reply))
            except WrongReplyError:
                break
        return numbers

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
        return Expectation(
            check=check_reply,
            request_key=_itself,
            reply_key=_key_of_numbered,
            start=lambda request: request + b": ",
            binary=binary,
            by_prefix=True,
        )
    if expected == "echo":
        return Expectation(
            check=_check_echo,
            request_key=_itself,
            reply_key=_key_of_echo,
            start=_itself,
            binary=binary,
            by_prefix=True,
        )
    return Expectation(
        check=_check_any_binary if binary else _check_any,
        request_key=_same_for_all,
        reply_key=_same_for_all,
        binary=binary,
        by_position=True,
    )


_KINDS = {False: "text", True: "a binary message"}


def _itself(request: bytes) -> bytes:
    return request


def _key_of_numbered(reply: bytes) -> bytes | None:
    return request_of(reply) if type(reply) is bytes else None


def _key_of_echo(reply: bytes) -> bytes | None:
    return reply if type(reply) is bytes else None


def _same_for_all(payload: bytes) -> bytes:
    return b""


def _check_echo(request: bytes, reply: bytes) -> int:
    if reply != request:
        raise WrongReplyError("expected the request itself")
    return 0


def _check_any(request: bytes, reply: bytes) -> int:
    # The others need not check: what equals valid UTF-8 (RFC 6455, section 5.6) is valid too.
    if type(reply) is not bytes:
        raise WrongReplyError("the reply is of the other kind")
    try:
        reply.decode()
    except UnicodeDecodeError as error:
        raise WrongReplyError(f"the reply is not valid UTF-8 at byte {error.start}") from None
    return 0


def _check_any_binary(request: bytes, reply: bytes) -> int:
    if type(reply) is not bytes:
        raise WrongReplyError("the reply is of the other kind")
    return 0


def _difference(expected: bytes, reply: bytes) -> str:
    """Say where a reply differs from what was expected: offset and bytes."""
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
