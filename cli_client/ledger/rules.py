"""Rules: what a message must look like, in one line.

    /p          the pointer finds a value (null is one)
    !/p         it finds none
    /p=VALUE    it finds this value: JSON if VALUE parses as JSON, else a text
    /p=~REGEX   the expression matches somewhere in the text it finds, or in the JSON text of
                what it finds

The pointer (JSON Pointer, RFC 6901) ends at the first ``=``. An empty pointer is the whole message,
which is a text if it is not JSON.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cli_client.ledger.pointer import (
    MISSING,
    NotJSON,
    Pointer,
    PointerError,
    decode,
    finder,
    same,
    text_of,
)

__all__ = ["Rule", "RuleError"]

SHOWN_VALUE = 80
"""Characters of a value that an error shows: about a line of a terminal."""


class RuleError(ValueError):
    """A rule that cannot be read; the message says why, and at which character."""


@dataclass(frozen=True)
class Rule:
    """One rule."""

    text: str
    find: Callable[[Any], Any]
    """Finds what the pointer points to."""
    exists: bool
    """Whether the pointer must find something."""
    value: Any = MISSING
    """What it must find; MISSING if that is not said."""
    expression: "re.Pattern[str] | None" = None
    """What must match in the text of what it finds."""

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """Return the rule that a text is.

        Raises:
            RuleError: If it is not one.
        """
        absent = text.startswith("!")
        head, equals, rest = text[absent:].partition("=")
        try:
            find = finder(Pointer.parse(head))
        except PointerError as error:
            raise _unreadable(text, error.why, absent + error.place) from None
        if not equals:
            return cls(text, find, not absent)
        start = absent + len(head)
        if absent:
            raise _unreadable(text, "a rule that starts with ! takes no value", start)
        if not rest.startswith("~"):
            return cls(text, find, exists=True, value=_value(rest))
        try:
            return cls(text, find, exists=True, expression=re.compile(rest[1:]))
        except re.error as error:
            place = start + 2 + (error.pos or 0)
            raise _unreadable(
                text, f"the regular expression has an error: {error.msg}", place
            ) from None
        except (OverflowError, RecursionError):
            raise _unreadable(text, "the regular expression is too large", start + 2) from None

    def holds(self, value: Any, message: bytes) -> bool:
        """Tell whether a message fits the rule.

        Args:
            value: The message, decoded.
            message: The message as it came.
        """
        found = self.find(value)
        if found is MISSING or not self.exists:
            return (found is MISSING) != self.exists
        if self.expression is not None:
            whole = found is value and not isinstance(found, str)
            text = message.decode(errors="replace") if whole else text_of(found)
            return self.expression.search(text) is not None
        return self.value is MISSING or same(self.value, found)

    def broken_by(self, value: Any) -> str:
        """Say how a decoded message breaks the rule: the rule and what is there instead."""
        found = self.find(value)
        if found is MISSING:
            what = "there is nothing"
        else:
            shown = found if isinstance(found, NotJSON) else text_of([found])[1:-1]
            what = shown if len(shown) <= SHOWN_VALUE else f"{shown[: SHOWN_VALUE - 1]}…"
        return f"the rule {self.text} does not hold: {what}"


def _value(text: str) -> Any:
    value = decode(text.encode(errors="surrogateescape"))
    return text if isinstance(value, NotJSON) else value


def _unreadable(text: str, why: str, place: int) -> RuleError:
    return RuleError(f"{text!r} is not a rule: {why} (character {place + 1})")
