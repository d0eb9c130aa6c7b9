"""The command ``wsroll-send compare``: two report files side by side."""

import sys
from pathlib import Path

import click

from wire.command import Command

__all__ = ["main"]

FILE = click.Path(path_type=Path)


@click.command(
    name="wsroll-send compare",
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("a", type=FILE, metavar="A.json")
@click.argument("b", type=FILE, metavar="B.json")
def main(a: Path, b: Path) -> int:
    """Show the runs of two report files side by side, with the change in each figure.

    The exit status is 0, 1 if the output cannot be written, 2 if a file is no report.
    """
    from cli_client.reports.compare import compare
    from cli_client.reports.load import load

    try:
        comparison = compare(load(a), load(b))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    # A setting may have signs that the encoding of the terminal lacks.
    encoding = sys.stdout.encoding
    try:
        click.echo(comparison.encode(encoding, "backslashreplace").decode(encoding))
    except BrokenPipeError:  # whoever read it has had enough: click ends quietly
        raise
    except OSError as error:
        sys.stdout = None  # or the interpreter tries, and complains, once more at exit
        click.echo(f"cannot write the comparison: {error.strerror or error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    main()
