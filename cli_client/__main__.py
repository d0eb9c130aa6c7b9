"""The command ``wsroll-send``: its options and its exit status."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click
import cloup

from cli_client.settings import Settings
from wire.address import DEFAULT_URL, check_url
from wire.command import Command

__all__ = ["main"]

DEFAULTS = Settings()

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SECONDS = click.FloatRange(min=0, min_open=True, max=10**6)

ALL_RIGHT = 0
SOME_WRONG = 1
INTERRUPTED = 130


def url_argument(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Check the URL of the command line."""
    try:
        return check_url(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def header_option(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Split headers into names and values."""
    headers = []
    for text in values:
        name, colon, value = text.partition(":")
        if not colon or not name.strip() or not (text.isascii() and text.isprintable()):
            raise click.BadParameter(f"{text!r} is no header such as 'Name: value'.")
        headers.append((name.strip(), value.strip()))
    return tuple(headers)


def template_option(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Check that the template can be sent as text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not valid UTF-8.") from None
    return value


@cloup.command(
    name="wsroll-send",
    cls=Command,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@cloup.argument("url", default=DEFAULT_URL, callback=url_argument, metavar="[URL]")
@cloup.option_group(
    "What to send",
    cloup.option(
        "-n",
        "--messages",
        type=click.IntRange(1, 10**12),
        default=DEFAULTS.messages,
        help="How many requests.",
    ),
    cloup.option(
        "--window",
        type=click.IntRange(1, 10**6),
        default=DEFAULTS.window,
        help="How many may be in flight at a time; 1 waits for each reply.",
    ),
    cloup.option(
        "--template",
        default=DEFAULTS.template,
        callback=template_option,
        help="The request; {i} stands for its number, from 0.",
    ),
)
@cloup.option_group(
    "Where to",
    cloup.option(
        "--with-server", is_flag=True, help="Start a private server for this run, on a free port."
    ),
    cloup.option(
        "-H", "--header", "headers", multiple=True, callback=header_option, help="'Name: value'."
    ),
    cloup.option("--subprotocol", "subprotocols", multiple=True, help="Ask for a subprotocol."),
    cloup.option("--cacert", type=FILE, help="Trust the certificates in this file (PEM)."),
    cloup.option("--cert", type=FILE, help="Certificate to show (PEM)."),
    cloup.option("--key", type=FILE, help="Its private key."),
    cloup.option("-k", "--insecure", is_flag=True, help="Do not verify the server's certificate."),
    cloup.option(
        "--connect-timeout",
        type=SECONDS,
        default=DEFAULTS.connect_timeout,
        help="Seconds that connecting may take.",
    ),
    cloup.option(
        "-t",
        "--timeout",
        type=SECONDS,
        default=DEFAULTS.timeout,
        help="Seconds without any reply after which the run ends.",
    ),
)
@cloup.option_group(
    "What to show",
    cloup.option("-q", "--quiet", is_flag=True, help="Print no responses, only their count."),
    cloup.option(
        "--progress",
        type=click.Choice(["auto", "bar", "json", "none"]),
        default="auto",
        help="On standard error: a bar (auto: on a terminal), or JSON lines for programs.",
    ),
)
@cloup.version_option(package_name="wsroll", message="wsroll-send %(version)s")
@click.pass_context
def main(context: click.Context, /, *, with_server: bool, progress: str, **options: Any) -> int:
    """Send requests to a wsroll server and check that each gets its own right reply.

    Standard output has the responses and, as its last line, their count; a summary goes to standard
    error. The exit status is 0 if every reply was right, 1 if not, 2 if the command line is wrong,
    130 after Ctrl-C.
    """
    settings = Settings(**options)
    if settings.key and not settings.cert:
        raise click.UsageError("--key needs --cert.")
    if not with_server:
        return _send(settings, progress)
    if context.get_parameter_source("url") is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--with-server has a server of its own: give no URL with it.")
    return _send_privately(settings, progress)


def _send_privately(settings: Settings, progress: str) -> int:
    import dataclasses

    from wire.private_server import PrivateServerError, private_server

    try:
        with private_server() as url:
            return _send(dataclasses.replace(settings, url=url), progress)
    except PrivateServerError as error:
        return _fail(str(error), progress)


def _send(settings: Settings, progress: str) -> int:
    # Costly to import, and not needed for --help.
    from cli_client.progress import make_progress, print_event
    from cli_client.report import make_report, summary
    from cli_client.run import Run, RunError

    output = sys.stdout.buffer

    def print_responses(replies: list[bytes]) -> None:
        output.writelines(b"Response for %b\n" % reply for reply in replies)

    shown = make_progress(progress, settings.messages)
    run = Run(settings, _print_nothing if settings.quiet else print_responses, shown.show)
    try:
        run()
        output.flush()
    except RunError as error:
        return _fail(str(error), progress)
    except BrokenPipeError:
        # Whoever read the responses has had enough: no error, but nothing more to say either.
        _discard_output()
        return SOME_WRONG
    except OSError as error:
        _discard_output()
        return _fail(f"cannot write the responses: {error.strerror or error}", progress)
    finally:
        shown.finish()
    report = make_report(run)
    if progress == "json":
        print_event("report", **report)
    else:
        print(summary(report), file=sys.stderr)
    try:
        print(run.ledger.verified, flush=True)
    except BrokenPipeError:
        _discard_output()
        return SOME_WRONG
    except OSError as error:
        _discard_output()
        # The report is out, so this is no event of its own.
        print(f"cannot write the count: {error.strerror or error}", file=sys.stderr)
        return SOME_WRONG
    if run.interrupted:
        return INTERRUPTED
    return ALL_RIGHT if run.ledger.passed else SOME_WRONG


def _discard_output() -> None:
    """Let what standard output does not take go nowhere, or the interpreter complains at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_nothing(replies: list[bytes]) -> None:
    pass


def _fail(message: str, progress: str) -> int:
    from cli_client.progress import print_event

    if progress == "json":
        print_event("error", message=message)
    else:
        print(message, file=sys.stderr)
    return SOME_WRONG


if __name__ == "__main__":
    main()
