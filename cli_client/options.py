"""The kinds of values that only the sender's options take; wire/values.py has the others."""

import os
import re
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cli_client.reports.checks import parse_check
from cli_client.secrets import expand, variables
from wire.values import Header, Origin, Token, WebSocketURL

__all__ = [
    "CHECK",
    "NEW_FILE",
    "NEW_FILE_OR_OUTPUT",
    "OTHER_COMMANDS",
    "SCHEDULER",
    "WITH_VARIABLES",
]

OTHER_COMMANDS = ("compare", "presets", "selftest")
"""Commands that may stand in the place of a URL; each is the main of a module of its name."""


class WithVariables(click.ParamType[Any]):
    """A text in which {env:NAME} stands for an environment variable.

    Args:
        kind: What the text must be once its variables are filled in.
    """

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self.kind = kind
        self.name = kind.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text as it was given, if it is what it must be."""
        if not isinstance(value, str) or not variables(value):
            return self.kind.convert(value, param, ctx)
        for name in variables(value):
            if name not in os.environ:
                self.fail(f"the environment has no variable {name}.", param, ctx)
        try:
            self.kind.convert(expand(value, os.environ), param, ctx)
        except click.BadParameter:
            # The reason that this has would show what may be secret.
            why = f"{value!r} is not a {self.name} once its variables are filled in."
            self.fail(why, param, ctx)
        return self.kind.convert(value, param, ctx) if self.kind is HEADER else value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer what may stand in its place."""
        return self.kind.shell_complete(ctx, param, incomplete)


class Login(click.ParamType[Any]):
    """A user name and a password: USER:PASSWORD."""

    name = "login"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text."""
        if ":" not in value:
            self.fail("it is not USER:PASSWORD.", param, ctx)
        return TEXT.convert(value, param, ctx)


class Scheduler(click.ParamType[Any]):
    """The address of a Dask scheduler, such as tcp://scheduler:8786."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the address."""
        # Dask takes back nothing that it began with an address that it cannot use.
        if not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d{1,5}", value):
            self.fail(f"{value!r} is not an address such as tcp://scheduler:8786.", param, ctx)
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
    """A file to write, in a folder that exists: a run must not find out at its end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        folder = path.parent
        if path == Path("-") and not self.allow_dash:
            self.fail("only --json can be printed: name a file.", param, ctx)
        if path != Path("-") and not (folder.is_dir() and os.access(folder, os.W_OK)):
            self.fail(f"{str(folder)!r} is not a folder that can be written to.", param, ctx)
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


class Target(WebSocketURL):
    """The URL to connect to, which another command may take the place of."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the commands that may stand in its place; no shell knows a URL."""
        return [CompletionItem(name) for name in OTHER_COMMANDS if name.startswith(incomplete)]


CHECK = CheckOfReport()
HEADER = Header()
NEW_FILE = NewFile(dir_okay=False, writable=True, path_type=Path)
NEW_FILE_OR_OUTPUT = NewFile(dir_okay=False, writable=True, allow_dash=True, path_type=Path)
SCHEDULER = Scheduler()
TEXT = Text()

# The texts that may have secrets in them, or differ from machine to machine.
WITH_VARIABLES = {
    "header": WithVariables(HEADER),
    "login": WithVariables(Login()),
    "origin": WithVariables(Origin()),
    "proxy": WithVariables(Proxy()),
    "subprotocol": WithVariables(Token()),
    "text": WithVariables(TEXT),
    "url": WithVariables(Target()),
}
