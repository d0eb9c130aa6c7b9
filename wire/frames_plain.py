"""The frame functions in plain Python: what ``frames_native.c`` does, said so that it can be read.

Nearly all messages are whole, text, and short, so that a frame's header has two bytes (RFC 6455,
section 5.2): the FIN bit with the opcode, then the MASK bit with the length. A client's frame has
four bytes of masking key behind them. These functions deal with such frames, many at a time, and
stop at the first that is different in any bit: that one is for the library's protocol.

Both modules give the same answers to the same input and take the same number of bytes from it; the
tests hold them to this on any bytes, cut at any place. ``frames.py`` chooses between them.
"""

from random import random

from websockets.frames import apply_mask  # type: ignore[attr-defined]

__all__ = ["Answerer", "check", "pack", "split"]

FINAL_TEXT = 0x81
MASKED = 0x80
KEY_SIZE = 4

SHORT_LIMIT = 126
"""From this length on, a frame's header has further bytes."""

MOST_ENDINGS = 128
LONGEST_ENDING = KEY_SIZE + 1
"""So that a reply is at most one byte longer than the frame of its request: it has no key."""


MOST_BYTES = 2**14
"""Bytes after which no further frame is answered in the same call, so that it takes little time:
with C 30 µs, without 1 ms."""


class Answerer:
    """Answers the short text messages of a client: each with its text and an ending.

    The endings are drawn at random, each as likely as the others. A fork copies the state of the
    random generator, so each process must make its own.

    Args:
        endings: What a reply may end with, at most 128 of at most 5 bytes.
        longest: The most bytes of a request that is answered here.
        counts: Where to add the bytes answered, the requests, and the bytes of the replies: three
            integers of 64 bits.

    Raises:
        ValueError: If there are no endings, or too many, or one is too long; or if the longest
            reply would not be short; or if there are more or fewer counts.
    """

    def __init__(
        self, endings: tuple[bytes, ...], longest: int, counts: memoryview | None = None
    ) -> None:
        if not 1 <= len(endings) <= MOST_ENDINGS:
            raise ValueError(f"from 1 to {MOST_ENDINGS} endings, not {len(endings)}")
        longest_ending = max(map(len, endings))
        if longest_ending > LONGEST_ENDING:
            raise ValueError(f"an ending is longer than {LONGEST_ENDING} bytes")
        if longest < 0 or longest + longest_ending >= SHORT_LIMIT:
            raise ValueError("the longest reply must be shorter than 126 bytes")
        if counts is not None and counts.nbytes != 3 * 8:
            raise ValueError("counts must be 3 integers of 64 bits")
        self._endings = endings
        self._longest = longest
        self._counts = counts

    def answer(self, data: bytes | bytearray | memoryview) -> tuple[bytes, int, int]:
        """Answer the frames at the start of data.

        It stops at the first frame that is not a whole text message of at most ``longest`` bytes
        from a client, or that is not complete or not UTF-8, and after 16 KiB.

        Returns:
            The frames with the replies, how many they are, and how many bytes they answer.
        """
        endings, count, longest = self._endings, len(self._endings), self._longest
        data = bytes(data)
        size = len(data)
        replies: list[bytes] = []
        start = 0
        while size - start >= 2 + KEY_SIZE and start < MOST_BYTES and data[start] == FINAL_TEXT:
            length = data[start + 1] - MASKED
            payload = start + 2 + KEY_SIZE
            end = payload + length
            if not 0 <= length <= longest or end > size:
                break
            text = apply_mask(data[payload:end], data[start + 2 : payload])
            if not text.isascii():
                try:
                    text.decode()
                except UnicodeDecodeError:
                    break
            # random() has 53 bits: no ending is likelier than another by more than 1 in 10^14.
            reply = text + endings[int(random() * count)]
            replies += (_REPLY_HEADERS[len(reply)], reply)
            start = end
        written, requests = b"".join(replies), len(replies) // 2
        if self._counts is not None:
            for place, amount in enumerate((start, requests, len(written))):
                self._counts[place] += amount
        return written, requests, start


_REPLY_HEADERS = [bytes((FINAL_TEXT, length)) for length in range(SHORT_LIMIT)]


def pack(first_byte: int, payloads: list[bytes], keys: bytes) -> bytes:
    """Return the frames, one behind the other, that carry payloads from a client.

    Args:
        first_byte: The FIN bit and the opcode.
        payloads: The payloads, of any length.
        keys: The masking keys, four bytes for each. They must be unpredictable (section 5.3).

    Raises:
        ValueError: If there are more or fewer keys than payloads.
    """
    if len(keys) != KEY_SIZE * len(payloads):
        raise ValueError("there must be four bytes of key for each payload")
    frames: list[bytes] = []
    for place, payload in enumerate(payloads):
        key = keys[KEY_SIZE * place : KEY_SIZE * (place + 1)]
        size = len(payload)
        if size < SHORT_LIMIT:
            length = bytes((MASKED | size,))
        elif size < 2**16:
            length = bytes((MASKED | 126,)) + size.to_bytes(2, "big")
        else:
            length = bytes((MASKED | 127,)) + size.to_bytes(8, "big")
        frames += (bytes((first_byte,)), length, key, apply_mask(payload, key))
    return b"".join(frames)


def split(first_byte: int, data: bytes | bytearray | memoryview) -> tuple[list[bytes], int]:
    """Return the payloads of the short frames at the start of data, and how many bytes they take.

    It stops at the first frame from a server that has another first byte, that is longer, or that
    is not complete.
    """
    data = bytes(data)
    payloads: list[bytes] = []
    start = 0
    while len(data) - start >= 2:
        length = data[start + 1]
        end = start + 2 + length
        if data[start] != first_byte or length >= SHORT_LIMIT or end > len(data):
            break
        payloads.append(data[start + 2 : end])
        start = end
    return payloads, start


def check(requests: list[bytes], replies: list[bytes]) -> list[int]:
    """Return the number in each reply, up to the first that is not right to its request.

    A reply is right if it is the request, ``: `` and a number from 1 to 100 without leading zeros,
    and bytes itself: a subclass stands for a message of another kind.
    """
    numbers: list[int] = []
    for request, reply in zip(requests, replies, strict=False):
        if not reply.startswith(request) or type(reply) is not bytes:
            break
        number = _NUMBERS.get(reply[len(request) :])
        if number is None:
            break
        numbers.append(number)
    return numbers


_NUMBERS = {b": %d" % number: number for number in range(1, 101)}
