"""The ways to look at one message: as text, as JSON, as bytes. Plain functions, without Qt.

Each gives its lines one by one, so that a long message can be shown little by little.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from desktop_client.pairing import Message

__all__ = ["Line", "as_hex", "as_json", "as_text", "is_json"]

LONGEST_LINE = 4_000
"""Characters of a line on the screen; the time to lay one out grows with their square."""
MAX_CHECKED = 2**20
"""Characters of JSON that are checked as a whole; more would be felt."""
PER_LINE = 16
INDENT = "  "

_TOKEN = re.compile(
    r"""\s+|(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<mark>[{}\[\],:])|(?P<word>[^\s{}\[\],:"]+)""",
    re.DOTALL,
)


class Line(NamedTuple):
    """A line on the screen.

    Attributes:
        text: What stands in it.
        goes_on: Whether the next line on the screen belongs to the same line of the message.
    """

    text: str
    goes_on: bool = False


def as_text(message: Message) -> Iterator[Line]:
    """Give the lines of a message; bytes that are not UTF-8 are shown as escapes."""
    text = message if isinstance(message, str) else message.decode(errors="backslashreplace")
    start = 0
    while True:
        end = text.find("\n", start)
        stop = len(text) if end < 0 else end
        while stop - start > LONGEST_LINE:
            yield Line(text[start : start + LONGEST_LINE], goes_on=True)
            start += LONGEST_LINE
        yield Line(text[start:stop])
        if end < 0:
            return
        start = end + 1


def is_json(message: Message) -> bool:
    """Tell whether a message is a JSON object or array (RFC 8259)."""
    text = _decoded(message)
    if text is None or text.lstrip()[:1] not in ("{", "["):
        return False
    if len(text) > MAX_CHECKED:
        return text.rstrip()[-1:] in ("}", "]")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def as_json(message: Message) -> Iterator[Line]:
    """Give the lines of a JSON message, indented; every value stays as the message has it."""
    text = _decoded(message) or ""
    depth = 0
    line: list[str] = []
    opened = False
    for found in _TOKEN.finditer(text):
        mark = found["mark"]
        if mark is None:
            if found["string"] is None and found["word"] is None:
                continue
            if opened:
                yield from _split("".join(line))
                line, opened = [INDENT * depth], False
            line.append(found[0])
        elif mark in "{[":
            if opened:
                yield from _split("".join(line))
                line = [INDENT * depth]
            line.append(mark)
            depth += 1
            opened = True
        elif mark in "}]":
            depth -= 1
            if not opened:
                yield from _split("".join(line))
                line = [INDENT * depth]
            line.append(mark)
            opened = False
        elif mark == ",":
            line.append(mark)
            yield from _split("".join(line))
            line = [INDENT * depth]
        else:
            line.append(": ")
    yield from _split("".join(line))


def as_hex(message: Message) -> Iterator[Line]:
    """Give the bytes of a message, sixteen a line, beside the characters that they are in ASCII."""
    payload = message if isinstance(message, bytes) else message.encode(errors="surrogatepass")
    for start in range(0, max(1, len(payload)), PER_LINE):
        part = payload[start : start + PER_LINE]
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield Line(f"{start:08x}  {part.hex(' '):<{3 * PER_LINE - 1}}  {characters}")


def _decoded(message: Message) -> str | None:
    if isinstance(message, str):
        return message
    try:
        return message.decode()
    except UnicodeDecodeError:
        return None


def _split(text: str) -> Iterator[Line]:
    for start in range(0, max(1, len(text)), LONGEST_LINE):
        yield Line(text[start : start + LONGEST_LINE], start + LONGEST_LINE < len(text))
