"""What the commands have in common: options in groups, and a bad command line in one line."""

import contextlib
import errno
import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import click

__all__ = ["Command", "option", "option_group"]

WIDEST = 30
"""Columns of an option's names, at the most, for its help to stand beside them; click's own."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any] | click.Command)


class Option(click.Option):
    """An option that the help shows under the heading of its group."""

    def __init__(self, *args: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading


class OptionOfGroup(Protocol):
    """Adds an option to a command, once it is known under which heading."""

    def __call__(self, *, heading: str) -> Callable[[Decorated], Decorated]:
        """Return the decorator of the command."""


def option(*names: str, **attributes: Any) -> OptionOfGroup:
    """Return an option for a group; the arguments are those of ``click.option``."""
    return partial(click.option, *names, cls=Option, **attributes)


def option_group(heading: str, *options: OptionOfGroup) -> Callable[[Decorated], Decorated]:
    """Add options to a command, which the help shows together."""

    def decorate(command: Decorated) -> Decorated:
        for each in reversed(options):
            command = each(heading=heading)(command)
        return command

    return decorate


class Command(click.Command):
    """A command that reports what is wrong in one line and exits with status 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command and end the process with its exit status.

        The callback's return value is the exit status; None counts as 0.
        """
        extra["standalone_mode"] = False
        extra.setdefault("prog_name", self.name)
        try:
            status = super().main(*args, **extra)
        except click.ClickException as error:
            reason = " ".join(error.format_message().split())
            self._complain(f"{reason} (see {self.name} --help)")
            sys.exit(2)
        except click.Abort:
            sys.exit(130)
        # The process ends, and so does what it holds: to look for garbage in it would take 20 ms.
        gc.freeze()
        sys.exit(status)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line; this is where the help and the version are printed."""
        try:
            return super().make_context(*args, **extra)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends in silence when the reader has gone
            self._complain(f"cannot write to standard output: {error.strerror}")
            sys.exit(1)

    def _complain(self, reason: str) -> None:
        with contextlib.suppress(OSError):  # nobody can be told
            click.echo(f"{self.name}: {reason}", err=True)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each group under its heading, all with columns of the same width."""
        parameters = self.get_params(ctx)
        grouped = any(isinstance(parameter, Option) for parameter in parameters)
        others = "Other options" if grouped else "Options"
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in parameters:
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                groups.setdefault(getattr(parameter, "heading", others), []).append(record)
        longest = max(len(names) for records in groups.values() for names, _ in records)
        width = min(longest, WIDEST)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(names.ljust(width), text) for names, text in records])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what follows the options, with headings as far to the left as theirs."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write_text(self.epilog.strip())
