"""What the commands have in common: a bad command line is one line on standard error."""

import gc
import sys
from typing import Any

import click
import cloup

__all__ = ["Command"]


class Command(cloup.Command):
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
            click.echo(f"{self.name}: {reason} (see {self.name} --help)", err=True)
            sys.exit(2)
        except click.Abort:
            sys.exit(130)
        # The process ends, and so does what it holds: to look for garbage in it would take 20 ms.
        gc.freeze()
        sys.exit(status)
