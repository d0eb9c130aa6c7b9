"""The command ``wsroll-send selftest``: shows that the checker catches each kind of fault."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Iterator

import click
import cloup

from wire.command import Command

__all__ = ["main"]

WIDTH = 100
"""Columns of the table at most, and where there is no terminal."""


@cloup.command(
    name="wsroll-send selftest",
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> int:
    """See the checker catch each kind of fault.

    Sends requests to a private server through a proxy that drops, duplicates, reorders, corrupts,
    delays, truncates and cuts, one fault at a time, and holds the report of each run against what
    was done to it. The first run goes through untouched. Takes about ten seconds.

    The one thing that no checker can see is a number that became another one from 1 to 100 on the
    way: only the server knows which it drew.

    The exit status is 0 if each fault was caught and named, and the untouched run had none; else 1.
    """
    # Costly to import, and not needed for --help.
    from cli_client.engine.run import RunError
    from wire.private_server import PrivateServerError

    try:
        return _test_all()
    except BrokenPipeError:  # whoever read it has had enough: click ends quietly
        raise
    except OSError as error:
        sys.stdout = None  # if that takes no more, the interpreter would complain again at exit
        reason = error.strerror or str(error) or type(error).__name__
    except (PrivateServerError, RunError) as error:
        reason = str(error)
    click.echo(f"the self-test could not be done: {reason}", err=True)
    return 1


def _test_all() -> int:
    from cli_client.faults.cases import CLEAN, FAULTS
    from cli_client.faults.judging import amiss
    from cli_client.faults.table import head, row
    from cli_client.faults.trial import background_loop, try_out
    from wire.private_server import private_server

    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    click.echo(head())
    unseen = []
    with _noted_interrupts() as interrupts, private_server() as server, background_loop() as loop:
        for case in (CLEAN, *FAULTS):
            trial = try_out(case, server, loop)
            if interrupts:
                break
            wrong = amiss(case, trial)
            if wrong:
                unseen.append(case.name)
            click.echo(row(case, trial.report, wrong, width))
    if interrupts:
        raise KeyboardInterrupt
    missed = [name for name in unseen if name != CLEAN.name]
    click.echo(
        f"{len(FAULTS)} faults, {len(FAULTS) - len(missed)} caught"
        + (f", not: {', '.join(missed)}" if missed else "")
        + f"; the clean run {'had some' if CLEAN.name in unseen else 'had none'}"
    )
    return 1 if unseen else 0


@contextlib.contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Take Ctrl-C down while a run cannot heed it, so that what was begun is ended in order."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    main()
