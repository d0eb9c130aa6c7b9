"""The command ``wsroll-send selftest``: shows that the checker catches each kind of fault."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence

import click

from wire.command import Command

__all__ = ["main"]

WIDTH = 100
"""Columns of the table at most, and where there is no terminal."""


@click.command(
    name="wsroll-send selftest",
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> int:
    """See the checker catch each kind of fault.

    Sends requests to a private server through a proxy that breaks the path on purpose, one fault
    at a time: it drops, duplicates, reorders, corrupts, delays and truncates replies, pushes
    messages of its own, closes and cuts connections, and fails handshakes. Compares the report of
    each run with what was done to it. The first runs have no fault and must pass. Takes about ten
    seconds.

    No checker can see one fault: a number that became another one from 1 to 100 on the way. Only
    the server knows which it drew.

    The exit status is 0 if each fault was caught and named, and each sound run passed; else 1.
    """
    # Costly to import, and not needed for --help.
    from cli_client.engine.run import RunError
    from wire.private_server import PrivateServerError

    try:
        return _test_all()
    except BrokenPipeError:  # the reader has closed the pipe: click ends quietly
        raise
    except OSError as error:
        sys.stdout = None  # or the interpreter would report the error again at exit
        reason = error.strerror or str(error) or type(error).__name__
    except (PrivateServerError, RunError) as error:
        reason = str(error)
    click.echo(f"the self-test could not be done: {reason}", err=True)
    return 1


def _test_all() -> int:
    from cli_client.faults.cases import FAULTS, SOUND
    from cli_client.faults.judging import mismatches
    from cli_client.faults.table import head, row
    from cli_client.faults.trial import background_loop, try_out
    from cli_client.reports.wording import plural
    from wire.private_server import private_server

    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    click.echo(head())
    failed = []
    with _noted_interrupts() as interrupts, private_server() as server, background_loop() as loop:
        for case in (*SOUND, *FAULTS):
            trial = try_out(case, server, loop)
            if interrupts:
                break
            found = mismatches(case, trial)
            if found:
                failed.append(case)
            click.echo(row(case, trial.report, found, width))
    if interrupts:
        raise KeyboardInterrupt
    missed = [case.name for case in FAULTS if case in failed]
    blamed = [case.name for case in SOUND if case in failed]
    click.echo(
        f"{plural(len(FAULTS), 'fault')}: {_count(FAULTS, 'caught', missed)}; "
        f"{plural(len(SOUND), 'sound run')}: {_count(SOUND, 'passed', blamed)}"
    )
    return 1 if failed else 0


def _count(cases: Sequence[object], verb: str, failed: Sequence[str]) -> str:
    """Return '3 caught, not: greeting'."""
    good = f"{len(cases) - len(failed)} {verb}"
    return f"{good}, not: {', '.join(failed)}" if failed else good


@contextlib.contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Note Ctrl-C while no run can handle it, so that what was started is stopped in order."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    main()
