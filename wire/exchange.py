"""The exchange: what a request is, and what its right reply is.

A reply is its request followed by ``: `` and a whole number from 1 to 100. Because the number
varies, a lost, duplicate, reordered or forged reply is noticed.

Payloads are bytes, as in a frame. Text payloads are UTF-8. The ending is ASCII, so it is the same
for text and binary payloads.
"""

from random import random

__all__ = [
    "ENDINGS",
    "HIGHEST",
    "LOWEST",
    "REQUEST_TEMPLATE",
    "WrongReplyError",
    "check_reply",
    "make_reply",
    "request_of",
]

REQUEST_TEMPLATE = "Request {i}"

LOWEST = 1
HIGHEST = 100

# Made once: on the server's path a reply costs one index and one concatenation.
ENDINGS = tuple(f": {number}".encode() for number in range(LOWEST, HIGHEST + 1))
_NUMBERS = {ending: number for number, ending in enumerate(ENDINGS, LOWEST)}


class WrongReplyError(ValueError):
    """A reply that does not answer its request."""


def make_reply(request: bytes) -> bytes:
    """Return the reply to a request, with a new random number."""
    # random() has 53 bits, so the bias between two numbers is less than 1 in 10^14.
    return request + ENDINGS[int(random() * HIGHEST)]


def check_reply(request: bytes, reply: bytes) -> int:
    """Return the number at the end of the right reply to a request.

    Raises:
        WrongReplyError: If the reply is anything but the request, ``: `` and a number from
            1 to 100 in decimal, without leading zeros.
    """
    if reply.startswith(request):
        number = _NUMBERS.get(reply[len(request) :])
        if number is not None:
            return number
        raise WrongReplyError(
            f"expected ': ' and a number from {LOWEST} to {HIGHEST} after the request, "
            f"got {_shorten(reply[len(request) :])}"
        )
    raise WrongReplyError(f"expected a reply to {_shorten(request)}, got {_shorten(reply)}")


def request_of(reply: bytes) -> bytes | None:
    """Return the request that a reply answers, or None if it is no right reply at all."""
    request, colon, number = reply.rpartition(b":")
    return request if colon + number in _NUMBERS else None


def _shorten(payload: bytes, limit: int = 60) -> str:
    """Return a payload as a quoted text that fits a line."""
    text = payload.decode(errors="backslashreplace")
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
