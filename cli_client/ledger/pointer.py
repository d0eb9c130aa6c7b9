"""Messages as JSON: decoding them, finding a value in one (RFC 6901), and comparing values.

Numbers keep the value that they have in the text: integers of any size, and decimals instead of
binary fractions. A message that is not JSON is its own text.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

__all__ = [
    "MISSING",
    "NotJSON",
    "Pointer",
    "PointerError",
    "decode",
    "find",
    "finder",
    "same",
    "text_of",
]


class PointerError(ValueError):
    """A pointer that cannot be read."""

    def __init__(self, why: str, place: int) -> None:
        super().__init__(why)
        self.why = why
        self.place = place
        """The index of the character at fault."""


class NotJSON(str):
    """The text of a message that is not JSON."""

    __slots__ = ()


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a pointer finds where there is nothing; null is something."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def decode(message: bytes) -> Any:
    """Return the JSON value of a message, or its text as NotJSON."""
    try:
        return _decode(message)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        pass
    # What the fast decoder lacks: half of a surrogate pair, numbers of thousands of digits.
    try:
        return json.loads(
            message.decode(),
            parse_int=_integer,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
        )
    except (ValueError, ArithmeticError, RecursionError):
        return NotJSON(message.decode(errors="replace"))


def _integer(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # longer than the interpreter converts
        return Decimal(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Pointer(NamedTuple):
    """A JSON Pointer (RFC 6901)."""

    text: str
    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Pointer":
        """Return the pointer that a text is.

        Raises:
            PointerError: If it is not one.
        """
        if text and text[0] != "/":
            raise PointerError("a pointer starts with /", 0)
        for place, char in enumerate(text):
            if char == "~" and text[place + 1 : place + 2] not in ("0", "1"):
                raise PointerError("~ in a pointer is written ~0, and / is written ~1", place)
        tokens = (token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])
        return cls(text, tuple(tokens))


def find(value: Any, pointer: Pointer) -> Any:
    """Return what a pointer points to in a value, or MISSING."""
    for token in pointer.tokens:
        if type(value) is dict:
            value = value.get(token, MISSING)
        elif type(value) is list:
            # RFC 6901, section 4: an index has no leading zeros.
            is_index = token.isascii() and token.isdecimal() and (token == "0" or token[0] != "0")
            # No list is as long as ten digits say.
            place = int(token) if is_index and len(token) < 10 else len(value)
            value = value[place] if place < len(value) else MISSING
        else:
            return MISSING
    return value


def finder(pointer: Pointer) -> Callable[[Any], Any]:
    """Return find() for one pointer; it is fast for the member of an object, as most are."""
    if len(pointer.tokens) != 1:
        return lambda value: find(value, pointer)
    (name,) = pointer.tokens

    def find_member(value: Any) -> Any:
        return value.get(name, MISSING) if type(value) is dict else find(value, pointer)

    return find_member


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal: numbers by value, and never to another type."""
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs.extend((value, other[name]) for name, value in one.items())
        elif isinstance(one, bool) or isinstance(other, bool):
            if one is not other:
                return False
        elif one != other:
            return False
    return True


def text_of(value: Any) -> str:
    """Return a text as it is, and the JSON text of any other value."""
    if isinstance(value, str):
        return value
    try:
        return _encode(value).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        try:
            return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            return "…"
