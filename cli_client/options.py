"""The kinds of values that only the sender's options take; wire/values.py has the others."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cli_client.reports.checks import parse_check
from cli_client.secrets import FileText, expand, variables
from cli_client.settings import LARGEST_REQUEST
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
        source: Gives the text.
        keep: Makes of the text what is kept, with its variables.
    """

    def __init__(
        self,
        kind: click.ParamType[Any],
        source: click.ParamType[Any] | None = None,
        keep: Callable[[str], Any] = lambda text: text,
    ) -> None:
        self.kind = kind
        self.source = source
        self.keep = keep
        self.name = kind.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text with its variables, if it is what it must be without them."""
        if not isinstance(value, str):
            return value
        text = value if self.source is None else self.source.convert(value, param, ctx)
        names = variables(text)
        if not names:
            return self.kind.convert(text, param, ctx)
        for name in names:
            if name not in os.environ:
                self.fail(f"the environment has no variable {name}.", param, ctx)
        try:
            self.kind.convert(expand(text, os.environ), param, ctx)
        except click.BadParameter:
            # The reason that this has would show what may be secret.
            why = f"{value!r} is not a {self.name} once its variables are filled in."
            self.fail(why, param, ctx)
        return self.keep(text)

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


class RuleText(click.ParamType[Any]):
    """A rule about a message, such as /result or /type=~^next$."""

    name = "rule"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text."""
        from cli_client.ledger.rules import Rule, RuleError

        try:
            Rule.parse(TEXT.convert(value, param, ctx))
        except RuleError as error:
            self.fail(f"{error}.", param, ctx)
        return value


class PointerText(click.ParamType[Any]):
    """A JSON Pointer (RFC 6901), such as /id."""

    name = "pointer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text."""
        from cli_client.ledger.pointer import Pointer, PointerError

        try:
            Pointer.parse(TEXT.convert(value, param, ctx))
        except PointerError as error:
            why = f"{value!r} is not a pointer: {error.why} (character {error.place + 1})."
            self.fail(why, param, ctx)
        return value


class TextOrFile(click.ParamType[Any]):
    """A text, or @ and the path of a file that has it."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text; of a file it has no line break at its end."""
        if not value.startswith("@"):
            return TEXT.convert(value, param, ctx)
        path = value[1:]
        try:
            with open(path, "rb") as file:
                content = file.read(LARGEST_REQUEST + 1)
            text = content.decode()
        except OSError as error:
            self.fail(f"cannot read {path}: {error.strerror or error}.", param, ctx)
        except UnicodeDecodeError:
            self.fail(f"{path} is not valid UTF-8.", param, ctx)
        if len(content) > LARGEST_REQUEST:
            self.fail(f"{path} is larger than {LARGEST_REQUEST:,} bytes.", param, ctx)
        return FileText(text.removesuffix("\n").removesuffix("\r"), path)


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
        """Return the URL in full."""
        if not value:
            return value
        # Only here, as it takes a while to import.
        from cli_client.engine.proxy import ProxyError, check_proxy

        try:
            return check_proxy(value)
        except ProxyError as error:
            self.fail(f"{error}.", param, ctx)


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
    "header": WithVariables(HEADER, keep=lambda text: HEADER.convert(text, None, None)),
    "hello": WithVariables(TEXT, source=TextOrFile()),
    "login": WithVariables(Login()),
    "origin": WithVariables(Origin()),
    "pointer": WithVariables(PointerText()),
    "proxy": WithVariables(Proxy()),
    "rule": WithVariables(RuleText()),
    "subprotocol": WithVariables(Token()),
    "text": WithVariables(TEXT),
    "url": WithVariables(Target()),
}
