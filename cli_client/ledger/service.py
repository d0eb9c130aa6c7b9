"""What a right reply of a service is: its key is that of the request, and it fits the rules.

A key is a string or a number somewhere in the JSON of a message. Numbers are equal by their value;
a string is never equal to a number.
"""

import dataclasses
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from cli_client.ledger.expectation import (
    Expectation,
    OtherKind,
    WrongReplyError,
    expectation,
    is_readable,
)
from cli_client.ledger.pointer import Pointer, decode, finder
from cli_client.ledger.rules import Rule
from cli_client.secrets import expand
from cli_client.settings import Settings

__all__ = ["expectation_of", "key_of", "keyed_expectation", "with_rules"]


class Decoded:
    """Decodes messages, and remembers the last one: several questions are asked about each."""

    def __init__(self) -> None:
        self._message: bytes | None = None
        self._value: Any = None

    def __call__(self, message: bytes) -> Any:
        """Return the JSON value of a message, or its text."""
        if message is not self._message:
            self._value = decode(message)
            self._message = message
        return self._value


class KeyOf:
    """Finds the key of a message.

    Args:
        pointer: Where it is.
        decoded: Decodes messages.
    """

    def __init__(self, pointer: Pointer, decoded: Callable[[bytes], Any]) -> None:
        self._find = finder(pointer)
        self._decoded = decoded

    def __call__(self, message: bytes) -> str | int | Decimal | None:
        """Return the key, or None if the message has none."""
        key = self._find(self._decoded(message))
        # A bool is an int, and NotJSON a str: neither is a key.
        kind = type(key)
        return key if kind is int or kind is str or kind is Decimal else None


def key_of(settings: Settings) -> KeyOf:
    """Return what finds the key of a request."""
    assert settings.id is not None
    return KeyOf(Pointer.parse(expand(settings.id, settings.variables)), decode)


def expectation_of(settings: Settings) -> Expectation:
    """Return the expectation that the settings ask for.

    Args:
        settings: The settings of the run, expanded.
    """
    if settings.id is not None:
        return keyed_expectation(settings)
    return with_rules(expectation(settings.expect, settings.binary), settings)


def keyed_expectation(settings: Settings) -> Expectation:
    """Return the expectation of replies that have the key of their request.

    Args:
        settings: The settings of the run, expanded. They must have an id.
    """
    assert settings.id is not None
    decoded = Decoded()
    final = None if settings.final is None else Rule.parse(settings.final)
    kind = _KINDS[settings.binary]

    def check(request: bytes, reply: bytes) -> int:
        if type(reply) is OtherKind:
            raise WrongReplyError(f"expected {kind}, got {_KINDS[not settings.binary]}")
        return 0

    def settles(reply: bytes) -> bool:
        return final is None or final.holds(decoded(reply), reply)

    return with_rules(
        Expectation(
            check=check,
            request_key=KeyOf(Pointer.parse(settings.id), decode),
            reply_key=KeyOf(Pointer.parse(settings.reply_id or settings.id), decoded),
            binary=settings.binary,
            by_key=True,
            ordered=settings.ordered,
            settles=settles,
        ),
        settings,
        decoded,
    )


def with_rules(
    expected: Expectation, settings: Settings, decoded: Decoded | None = None
) -> Expectation:
    """Return an expectation with the rules that replies must fit, and those that pushes fit.

    Args:
        expected: The expected.
        settings: The settings of the run, expanded.
        decoded: Decodes messages.
    """
    decoded = decoded or Decoded()
    required = [Rule.parse(text) for text in settings.require]
    pushes = [Rule.parse(text) for text in settings.push]
    check_kind, reply_key = expected.check, expected.reply_key

    def is_push(message: bytes) -> bool:
        return _any_holds(pushes, decoded(message), message) and is_readable(
            message, settings.binary
        )

    def check(request: bytes, reply: bytes) -> int:
        number = check_kind(request, reply)
        value = decoded(reply)
        for rule in required:
            if not rule.holds(value, reply):
                raise WrongReplyError(rule.broken_by(value))
        if expected.by_position and is_push(reply):
            raise WrongReplyError("it is a push")
        return number

    if required or (pushes and expected.by_position):
        expected = dataclasses.replace(expected, check=check)
    if pushes:
        expected = dataclasses.replace(expected, is_push=is_push)
    if pushes and expected.by_position:
        # Each message would be the reply to the oldest request.
        expected = dataclasses.replace(
            expected, reply_key=lambda message: None if is_push(message) else reply_key(message)
        )
    return expected


def _any_holds(rules: Iterable[Rule], value: Any, message: bytes) -> bool:
    return any(rule.holds(value, message) for rule in rules)


_KINDS = {False: "text", True: "a binary message"}
