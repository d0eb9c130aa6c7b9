"""The command ``wsroll-desktop``: its options and its exit status."""

import importlib.util
import sys

import click

from wire.address import DEFAULT_URL, complete_url
from wire.command import Command

__all__ = ["main"]

NO_QT = "wsroll-desktop: the window needs Qt, which is not installed: pip install 'wsroll[desktop]'"


@click.command(name="wsroll-desktop", cls=Command)
@click.argument(
    "url",
    required=False,
    help=f"The server; without it the last one, at first {DEFAULT_URL}.",
)
@click.option(
    "--settings",
    "settings_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Keep the settings in this file instead of the user's own.",
)
def main(url: str | None, settings_file: str | None) -> int:
    """Open a window that sends a request at each press and shows the response."""
    if url is not None:
        try:
            url = complete_url(url)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="URL") from None
    if any(importlib.util.find_spec(name) is None for name in ("PySide6", "qasync")):
        click.echo(NO_QT, err=True)
        return 1
    try:
        from desktop_client.application import run
    except ImportError as error:
        # Qt is installed, but a library of the system that it links to is not.
        click.echo(f"wsroll-desktop: Qt does not load: {error}", err=True)
        return 1
    return run(url, settings_file)


if __name__ == "__main__":
    sys.exit(main(prog_name="wsroll-desktop"))
