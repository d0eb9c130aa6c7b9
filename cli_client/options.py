"""The kinds of values that the options take: amounts, times, headers, checks."""

import os
import re
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cli_client.reports.checks import parse_check
from wire.address import check_url

__all__ = [
    "AMOUNT",
    "CHECK",
    "HEADER",
    "NEW_FILE",
    "NEW_FILE_OR_OUTPUT",
    "ORIGIN",
    "OTHER_COMMANDS",
    "PROXY",
    "RATE",
    "SCHEDULER",
    "SECONDS",
    "SUBPROTOCOL",
    "TEXT",
    "WEBSOCKET_URL",
    "Duration",
    "Whole",
]

OTHER_COMMANDS = ("compare", "selftest")
"""Commands that may stand in the place of a URL; each is the main of a module of its name."""

_MULTIPLES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


class Amount(click.ParamType[Any]):
    """A number of things, such as 10000, 10k or 1.5M."""

    name = "amount"

    def __init__(self, lowest: float, highest: float, whole: bool) -> None:
        self.lowest = lowest
        self.highest = highest
        self.whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"(\d+(?:_\d+)*(?:\.\d+)?)([kmg]?)", value.strip(), re.I | re.A)
        if not found:
            self.fail(f"{value!r} is no amount such as 500, 10k or 1.5M.", param, ctx)
        amount = float(found[1]) * _MULTIPLES[found[2].lower()]
        if self.whole and amount != int(amount):
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        if not self.lowest <= amount <= self.highest:
            self.fail(f"{value!r} is not from {self.lowest:,} to {self.highest:,}.", param, ctx)
        return int(amount) if self.whole else amount


def Whole(lowest: int, highest: int) -> Amount:  # noqa: N802 (a kind of value, as the others)
    """Return the kind of whole amounts within limits."""
    return Amount(lowest, highest, whole=True)


class Duration(click.ParamType[Any]):
    """A time, such as 10s, 500ms, 3m; seconds if there is no unit."""

    name = "duration"

    def __init__(self, zero: bool = False) -> None:
        self.zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the time in seconds."""
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|m|h|)", value.strip(), re.I | re.A)
        if not found:
            self.fail(f"{value!r} is no time such as 10s, 500ms or 3m.", param, ctx)
        seconds = float(found[1]) * _SECONDS[found[2].lower()]
        if not (seconds or self.zero) or seconds > 10**6:
            self.fail(f"{value!r} is not from 1ms to 1000000s.", param, ctx)
        return seconds


class Header(click.ParamType[Any]):
    """A header, as in 'Name: value'."""

    name = "header"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return name and value."""
        if not isinstance(value, str):
            return value
        name, _, content = value.partition(":")
        if not re.fullmatch(rf"{_TOKEN}:[ -~]*", value):
            self.fail(f"{value!r} is no header such as 'Name: value'.", param, ctx)
        return name, content.strip()


class Scheduler(click.ParamType[Any]):
    """The address of a Dask scheduler, such as tcp://scheduler:8786."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the address."""
        # Dask takes back nothing that it began with an address that it cannot use.
        if not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d{1,5}", value):
            self.fail(f"{value!r} is no address such as tcp://scheduler:8786.", param, ctx)
        return value


class Printable(click.ParamType[Any]):
    """A text that can stand in a header."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text."""
        if not value or not (value.isascii() and value.isprintable()):
            self.fail(
                f"{value!r} cannot stand in a header: it must be printable ASCII.", param, ctx
            )
        return value


class Token(click.ParamType[Any]):
    """A name, as HTTP has them (RFC 9110, section 5.6.2)."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name."""
        if not re.fullmatch(_TOKEN, value):
            self.fail(
                f"{value!r} is no name: it may have letters, digits and -._ in it.", param, ctx
            )
        return value


class Text(click.ParamType[Any]):
    """A text that can be sent."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text."""
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("it is not valid UTF-8.", param, ctx)
        return value


class Proxy(click.ParamType[Any]):
    """The URL of a proxy; an empty text for none."""

    name = "proxy"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the URL."""
        if value:
            # Only here, as it takes a while to import.
            from websockets.exceptions import InvalidProxy
            from websockets.proxy import parse_proxy

            try:
                parse_proxy(value)
            except (InvalidProxy, ValueError) as error:
                self.fail(f"{error}.", param, ctx)
        return value


class NewFile(click.Path):
    """A file to write, in a folder that is there: a run shall not find out at its end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        folder = path.parent
        if path == Path("-") and not self.allow_dash:
            self.fail("only --json can be printed: name a file.", param, ctx)
        if path != Path("-") and not (folder.is_dir() and os.access(folder, os.W_OK)):
            self.fail(f"{str(folder)!r} is no folder that can be written to.", param, ctx)
        return path


class CheckOfReport(click.ParamType[Any]):
    """A condition on the result, such as 'p99<5ms'."""

    name = "check"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the check."""
        try:
            return parse_check(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


class WebSocketURL(click.ParamType[Any]):
    """A URL to connect to."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the URL in full."""
        try:
            return check_url(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the commands that may stand in its place; no shell knows a URL."""
        return [CompletionItem(name) for name in OTHER_COMMANDS if name.startswith(incomplete)]


AMOUNT = Whole(1, 10**12)
RATE = Amount(0.001, 10**9, whole=False)
SECONDS = Duration()
CHECK = CheckOfReport()
HEADER = Header()
NEW_FILE = NewFile(dir_okay=False, writable=True, path_type=Path)
NEW_FILE_OR_OUTPUT = NewFile(dir_okay=False, writable=True, allow_dash=True, path_type=Path)
ORIGIN = Printable()
PROXY = Proxy()
SCHEDULER = Scheduler()
SUBPROTOCOL = Token()
TEXT = Text()
WEBSOCKET_URL = WebSocketURL()
