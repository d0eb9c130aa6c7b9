"""The values that options take, alike in every command: counts, sizes, times, URLs, headers.

A count is a number of things, where k is 1000. A size is a number of bytes, where k is 1024. A time
without a unit is in seconds.
"""

import re
from decimal import Decimal
from typing import Any

import click

from wire.address import check_url

__all__ = ["URL", "Count", "Header", "Origin", "Quantity", "Rate", "Size", "Time", "Token"]

LONGEST_TIME = 10**6
"""Seconds (eleven days): longer than anybody waits, and within what every timer accepts."""

LARGEST_SIZE = 2**40 - 1
"""Bytes; a larger value is a typing error, as no machine holds a message of a TiB."""

_SECONDS = {"ms": "0.001", "": "1", "s": "1", "m": "60", "min": "60", "h": "3600"}

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
"""A token (RFC 9110, section 5.6.2)."""


class Quantity(click.ParamType[Any]):
    """A number with an optional k, M or G behind it.

    Args:
        lowest: The lowest value.
        highest: The highest value.
    """

    name = "number"
    base = 1000
    """What k stands for; M is its square and G its cube."""
    suffix = ""
    """What may follow k, M or G: a regular expression."""
    whole = True
    example = "500, 10k or 1.5M"

    def __init__(self, lowest: float, highest: float) -> None:
        self.lowest = lowest
        self.highest = highest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number: an int if it must be whole, else a float.

        Raises:
            click.BadParameter: If the text is not such a number, or is out of range.
        """
        if not isinstance(value, str):
            return value
        found = re.fullmatch(
            rf"(\d+(?:_\d+)*(?:\.\d+)?)\s*([kmg]?){self.suffix}", value.strip(), re.I | re.A
        )
        if not found:
            self.fail(f"{value!r} is not a {self.name} such as {self.example}.", param, ctx)
        number = Decimal(found[1]) * self.base ** " kmg".index(found[2].lower() or " ")
        if self.whole and number != int(number):
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        if not self.lowest <= number <= self.highest:
            self.fail(f"{value!r} is not from {self.lowest:,} to {self.highest:,}.", param, ctx)
        return int(number) if self.whole else float(number)


class Count(Quantity):
    """A number of things: 500, 10k, 1.5M."""

    name = "count"


class Rate(Quantity):
    """A number of things per second: 0.5, 500, 10k."""

    name = "rate"
    whole = False
    example = "0.5, 500 or 10k"


class Size(Quantity):
    """A number of bytes: 1048576, 64K, 1M."""

    name = "size"
    base = 1024
    suffix = "(?:i?b)?"
    example = "1048576, 64K or 1M"

    def __init__(self, lowest: int = 1, highest: int = LARGEST_SIZE) -> None:
        super().__init__(lowest, highest)


class Time(click.ParamType[Any]):
    """A finite time: 10s, 500ms, 3m; seconds if there is no unit.

    Args:
        zero: Whether it may be zero.
    """

    name = "time"

    def __init__(self, *, zero: bool = False) -> None:
        self.zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the time in seconds.

        Raises:
            click.BadParameter: If the text is not such a time, or is out of range.
        """
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|m|h|)", value.strip(), re.I | re.A)
        if not found:
            self.fail(f"{value!r} is not a time such as 10s, 500ms or 3m.", param, ctx)
        seconds = float(Decimal(found[1]) * Decimal(_SECONDS[found[2].lower()]))
        if seconds > LONGEST_TIME:
            self.fail(f"{value!r} is longer than {LONGEST_TIME:,} s.", param, ctx)
        if not (seconds or self.zero):
            self.fail(f"{value!r} must be longer than 0 s.", param, ctx)
        return seconds


class Header(click.ParamType[Any]):
    """A header: 'Name: value'."""

    name = "header"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name and the value.

        Raises:
            click.BadParameter: If the text is not a header in printable ASCII.
        """
        if not isinstance(value, str):
            return value
        name, _, content = value.partition(":")
        # What is refused may be a secret all the same, so only the name is shown.
        if not re.fullmatch(rf"{_TOKEN}:.*", value, re.DOTALL):
            self.fail("it is not a header such as 'Name: value'.", param, ctx)
        if not re.fullmatch(r"[ -~]*", content):
            self.fail(f"the value of the header {name!r} is not printable ASCII.", param, ctx)
        return name, content.strip()


class Token(click.ParamType[Any]):
    """A token (RFC 9110, section 5.6.2), such as the name of a subprotocol."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the token.

        Raises:
            click.BadParameter: If the text is not a token.
        """
        if not re.fullmatch(_TOKEN, value):
            self.fail("it is not a name of letters, digits and -._ alone.", param, ctx)
        return value


class Origin(click.ParamType[Any]):
    """The origin of a web page (RFC 6454): https://example.org, null.

    Args:
        any_: Whether * is allowed, for every origin.
    """

    name = "origin"

    def __init__(self, *, any_: bool = False) -> None:
        self.any = any_

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the origin.

        Raises:
            click.BadParameter: If the text is not an origin.
        """
        host = r"(\[[0-9a-f:.]+\]|[^\s/?#@\[\]:]+)(:\d+)?/?"
        origin = rf"null|file://|[a-z][a-z0-9+.-]*://{host}"
        if not (self.any and value == "*") and not (
            value.isascii() and value.isprintable() and re.fullmatch(origin, value, re.I)
        ):
            self.fail(f"{value!r} is not an origin such as https://example.org.", param, ctx)
        return value


class WebSocketURL(click.ParamType[Any]):
    """A WebSocket URL (RFC 6455, section 3)."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the URL in full, with its path.

        Raises:
            click.BadParameter: If the text is not a URL to connect to.
        """
        try:
            return check_url(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


URL = WebSocketURL()
