"""The command ``wsroll-send``: its options and its exit status."""

import gc
import os
import signal

# Imports leave no garbage. To look for it each 700 objects, as usual, takes a tenth of their time.
gc.set_threshold(20_000)

_before = signal.getsignal(signal.SIGINT)
if _before is signal.default_int_handler:
    # Ctrl-C would show the traceback of whatever import it interrupts.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))

import dataclasses
import datetime
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cli_client.combining import check_files, combine, displaced
from cli_client.engine.interrupts import EarlyInterrupt, raising
from cli_client.options import (
    CHECK,
    NEW_FILE,
    NEW_FILE_OR_OUTPUT,
    OTHER_COMMANDS,
    SCHEDULER,
    WITH_VARIABLES,
)
from cli_client.outcome import INTERRUPTED, SOME_WRONG, Outcome, discard_output, reason
from cli_client.settings import LARGEST_REQUEST, STANDARD_INPUT, Settings, name_of
from wire.address import DEFAULT_URL
from wire.command import Command, option, option_group
from wire.values import Count, Rate, Size, Time

signal.signal(signal.SIGINT, _before)

if TYPE_CHECKING:
    from cli_client.ledger.result import Result
    from cli_client.ledger.timeline import Standing

__all__ = ["main"]

DEFAULTS = Settings()

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_OR_INPUT = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)

EXAMPLES = """\
\b
Examples:
  wsroll-send                                     10,000 requests to the server of this machine
  wsroll-send -c 100 -z 30s wss://example.org/ws  from 100 connections, for half a minute
  wsroll-send -r 2000 -z 1m --check 'p99<50ms'    2,000 a second, status 1 if p99 is too long
  wsroll-send --expect echo --corpus edges URL    edge cases, to any server that echoes
  wsroll-send --json a.json URL; wsroll-send --json b.json URL2; wsroll-send compare a.json b.json
  wsroll-send --preset jsonrpc --set method=ping URL  any JSON-RPC service: replies by their ids
  wsroll-send selftest                            see the checker catch each kind of fault

\b
Completion, here for bash (zsh_source and fish_source do it for these shells):
  eval "$(_WSROLL_SEND_COMPLETE=bash_source wsroll-send)"
"""


class Send(Command):
    """The command, with the other commands in front of its URL, and with presets."""

    def main(self, args: Any = None, *rest: Any, **extra: Any) -> Any:
        """Run the command, or the other one that the first argument names."""
        arguments = sys.argv[1:] if args is None else list(args)
        other = _other_command(arguments)
        if other is not None:
            return other.main(arguments[1:], *rest, **extra)
        return super().main(args, *rest, **extra)

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **extra: Any
    ) -> click.Context:
        """Return the context of the command that the arguments name: completion asks for it."""
        other = _other_command(args)
        if other is not None:
            return other.make_context(other.name, args[1:], *rest, **extra)
        return super().make_context(info_name, args, *rest, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with the defaults of the preset that they name."""
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        # An argument that is not given has the library's mark for that.
        given = {name: value for name, value in values.items() if isinstance(value, str | list)}
        switches = {name for name, value in values.items() if isinstance(value, bool)}
        if not (ctx.resilient_parsing or switches & {"help", "version"}):
            if "preset" in given:
                ctx.default_map = self._preset_defaults(given, {*given, *switches})
            elif "fields" in given:
                raise click.UsageError("--set fills the fields of a preset: give --preset too.")
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = None if error.param is None else error.param.name
            if name is not None and ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP:
                message = f"{error.message} (from the preset {given['preset']})"
                raise click.BadParameter(message, ctx, error.param) from None
            raise

    def _preset_defaults(self, given: dict[str, Any], names: set[str]) -> dict[str, object]:
        # Costly to import, and not needed without a preset.
        from cli_client.presets import PresetError, load_preset

        try:
            preset = load_preset(given["preset"])
            fields = dict(map(_assignment, given.get("fields", ())))
            return preset.defaults(self.params, fields, names | displaced(names))
        except PresetError as error:
            raise click.UsageError(f"{error}.") from None


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--set")
    return name, value


def _other_command(arguments: list[str]) -> Command | None:
    if arguments and arguments[0] in OTHER_COMMANDS:
        command: Command = importlib.import_module(f"cli_client.{arguments[0]}").main
        return command
    return None


@click.command(
    name="wsroll-send",
    cls=Send,
    epilog=EXAMPLES,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@click.argument("url", default=DEFAULT_URL, type=WITH_VARIABLES["url"], metavar="[URL]")
@option_group(
    "Presets",
    option(
        "--preset",
        metavar="NAME|FILE.toml|-",
        help="Take the defaults of these options from a preset; - reads one from standard "
        "input. wsroll-send presets lists those that come with it.",
    ),
    option(
        "--set",
        "fields",
        multiple=True,
        metavar="NAME=VALUE",
        help="Fill a field of the preset (repeatable).",
    ),
)
@option_group(
    "How much",
    option(
        "-n",
        "--messages",
        type=Count(1, 10**12),
        help="How many requests (10000, 10k, 1M).  [default: 10000, or what -z, --file or --corpus "
        "gives]",
    ),
    option("-z", "--duration", type=Time(), help="For how long, in place of -n (10s, 3m)."),
    option(
        "-c",
        "--connections",
        type=Count(1, 10**6),
        help="How many connections.  [default: 1, or one for each process]",
    ),
    option(
        "-w",
        "--window",
        type=Count(1, 10**6),
        default=DEFAULTS.window,
        help="How many may be in flight on each; 1 waits for each reply.",
    ),
    option(
        "-r",
        "--rate",
        type=Rate(0.001, 10**9),
        help="Requests per second in all, sent when they are due whether or not replies come; "
        "latency then counts from that moment.",
    ),
    option(
        "--ramp",
        type=Time(zero=True),
        default=DEFAULTS.ramp,
        show_default=False,
        help="Time over which the rate grows to its full value, or the connections start.",
    ),
    option(
        "--processes",
        type=Count(0, 1024),
        help="Spread the connections over this many processes; 0: one per core.  [default: 1, or "
        "one for each worker of --dask]",
    ),
    option(
        "--dask",
        type=SCHEDULER,
        metavar="ADDRESS",
        help="Spread them over the workers of a Dask cluster (tcp://scheduler:8786). Only the "
        "count is printed; the URL and files must be valid on the workers.",
    ),
)
@option_group(
    "What to send",
    option(
        "--template",
        default=DEFAULTS.template,
        type=WITH_VARIABLES["text"],
        help="The request. {i} is its number from 0, {connection} that of its connection from 1, "
        "{uuid} a random UUID, {now_ms} the time, {env:NAME} an environment variable.",
    ),
    option(
        "--data",
        type=FILE,
        metavar="FILE.csv",
        help="Use the rows of this file in turn: {NAME} in --template is the value in the column "
        "NAME, {json:NAME} the same as a JSON string.",
    ),
    option("--size", type=Size(1, LARGEST_REQUEST), help="Pad each request to this size."),
    option("--file", type=FILE_OR_INPUT, help="Each line is a request; - is standard input."),
    option("--corpus", type=click.Choice(["edges"]), help="Edge cases of frames and of UTF-8."),
    option("--binary", is_flag=True, help="Send binary messages, and expect binary ones."),
)
@option_group(
    "What a right reply is",
    option(
        "--expect",
        type=click.Choice(["number", "echo", "any"]),
        default=DEFAULTS.expect,
        help="The request and a number from 1 to 100, the request itself, or anything (counted, "
        "not matched).",
    ),
    option(
        "--id",
        type=WITH_VARIABLES["pointer"],
        help="In place of --expect: a reply has the key of its request, in JSON at this pointer "
        "(/id). Replies may come in any order.",
    ),
    option(
        "--reply-id",
        type=WITH_VARIABLES["pointer"],
        help="Where the reply has the key.  [default: as --id]",
    ),
    option(
        "--require",
        multiple=True,
        type=WITH_VARIABLES["rule"],
        help="A right reply fits this rule (repeatable): /p it has this, !/p it has not, /p=VALUE, "
        "/p=~REGEX; an empty pointer is the whole message.",
    ),
    option(
        "--final",
        type=WITH_VARIABLES["rule"],
        help="An answer is several messages; the last one fits this rule.",
    ),
    option("--ordered", is_flag=True, help="With --id: replies out of order are a fault."),
    option(
        "--push",
        multiple=True,
        type=WITH_VARIABLES["rule"],
        help="A message that answers no request and fits this rule is a push, not a fault "
        "(repeatable).",
    ),
)
@option_group(
    "Before the first request",
    option(
        "--greeting",
        type=WITH_VARIABLES["rule"],
        help="Wait until the server has sent a first message that fits this rule.",
    ),
    option(
        "--hello",
        "hellos",
        multiple=True,
        type=WITH_VARIABLES["hello"],
        metavar="TEXT|@FILE",
        help="Send this first on each connection (repeatable; with fields, as --template).",
    ),
    option(
        "--hello-reply",
        "hello_replies",
        multiple=True,
        type=WITH_VARIABLES["rule"],
        help="Wait for a reply that fits this rule; the nth is for the nth hello (repeatable).",
    ),
)
@option_group(
    "Where to",
    option(
        "--with-server", is_flag=True, help="Start a private server for this run, on a free port."
    ),
    option(
        "--unix",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Connect to this Unix socket; the URL still gives the Host header and the path.",
    ),
    option(
        "-H",
        "--header",
        "headers",
        multiple=True,
        type=WITH_VARIABLES["header"],
        help="Send a header: 'Name: value' (repeatable).",
    ),
    option(
        "--subprotocol",
        "subprotocols",
        multiple=True,
        type=WITH_VARIABLES["subprotocol"],
        help="Ask for a subprotocol (repeatable).",
    ),
    option("--origin", type=WITH_VARIABLES["origin"], help="Connect as a page of this origin."),
    option(
        "-a",
        "--basic-auth",
        type=WITH_VARIABLES["login"],
        metavar="USER:PASSWORD",
        help="Log in with HTTP Basic authentication.",
    ),
    option("--cacert", type=FILE, help="Trust the certificates in this file (PEM)."),
    option("--cert", type=FILE, help="Present this certificate (PEM)."),
    option("--key", type=FILE, help="Its private key."),
    option("-k", "--insecure", is_flag=True, help="Do not verify the server's certificate."),
    option(
        "-x",
        "--proxy",
        type=WITH_VARIABLES["proxy"],
        metavar="URL",
        help="Go through an HTTP or SOCKS proxy; '' for none.  [default: that of the environment, "
        "except to this machine]",
    ),
    option("--compress", is_flag=True, help="Offer compression (permessage-deflate)."),
)
@option_group(
    "How patiently",
    option(
        "--connect-timeout",
        type=Time(),
        default=f"{DEFAULTS.connect_timeout:g}s",
        help="How long opening a connection may take, and what comes before its first request.",
    ),
    option(
        "-t",
        "--timeout",
        type=Time(),
        default=f"{DEFAULTS.timeout:g}s",
        help="How long a request may wait for its reply.",
    ),
    option(
        "--max-time",
        type=Time(),
        help="End the run after this time; what is left then is never sent.",
    ),
    option(
        "--retries",
        type=Count(0, 10**6),
        default=DEFAULTS.retries,
        help="How many times in a row a connection that was lost is opened again.",
    ),
    option(
        "--resend/--no-resend",
        default=None,
        help="Whether to send again what a lost connection had in flight, or count it as missing.  "
        "[default: --resend; with --id --no-resend]",
    ),
    option(
        "--linger",
        type=Time(zero=True),
        default=f"{DEFAULTS.linger * 1000:g}ms",
        help="How long to wait for duplicate replies after the last reply.",
    ),
)
@option_group(
    "What to show",
    option("-q", "--quiet", is_flag=True, help="Print no responses, only their count."),
    option(
        "--progress",
        type=click.Choice(["auto", "bar", "json", "none"]),
        default="auto",
        help="On standard error: a bar (auto: on a terminal), or JSON lines for programs.",
    ),
    option(
        "--check",
        "checks",
        multiple=True,
        type=CHECK,
        help="Fail unless this holds: 'p99<5ms', 'rate>20000', 'errors==0' (repeatable).",
    ),
    option(
        "--strict",
        is_flag=True,
        help="Exit with status 1 also if the run recovered from a failure (RECOVERED).",
    ),
    option("--json", type=NEW_FILE_OR_OUTPUT, help="Write the report; - prints it."),
    option("--html", type=NEW_FILE, help="Write the report as a page."),
    option("--csv", type=NEW_FILE, help="Write one line per second."),
    option("--hdr", type=NEW_FILE, help="Write the latencies as HdrHistogram does."),
    option("--ledger", type=NEW_FILE, help="Write one line of JSON per request."),
)
@click.version_option(package_name="wsroll", message="wsroll-send %(version)s")
@click.pass_context
def main(
    context: click.Context,
    /,
    *,
    preset: str | None,
    fields: tuple[str, ...],
    with_server: bool,
    dask: str | None,
    quiet: bool,
    progress: str,
    checks: tuple[Any, ...],
    json: Path | None,
    html: Path | None,
    csv: Path | None,
    hdr: Path | None,
    **options: Any,
) -> int:
    """Send requests to a WebSocket server and check that each gets its own right reply.

    Standard output has the responses and, as its last line, their count; a summary goes to standard
    error. The exit status is 0 if every request got its right reply and every check holds (PASS or
    RECOVERED), 1 if not (FAIL), 2 if the command line is wrong, and 130 if interrupted.
    """
    if sys.stdout is None:
        raise click.UsageError("standard output is closed: send it to a file or to /dev/null.")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (it is there to the end)
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is ParameterSource.COMMANDLINE}
    chosen = {name for name, source in sources.items() if source is not ParameterSource.DEFAULT}
    settings = combine(options, given, chosen, dask)
    if preset == "-" and settings.file == STANDARD_INPUT:
        raise click.UsageError("--preset - and --file - both read standard input: use a file.")
    check_files(settings.file, json, html, csv, hdr, settings.ledger)
    if with_server and dask is not None:
        raise click.UsageError(
            "--with-server serves this machine only: give the workers of --dask a URL."
        )
    if with_server and chosen & {"url", "unix"}:
        raise click.UsageError("--with-server has a server of its own: give no URL with it.")
    outcome = Outcome(
        progress=progress,
        files={"json": json, "html": html, "csv": csv, "hdr": hdr},
        checks=checks,
        ledger=settings.ledger,
    )
    quiet = quiet or outcome.prints_report
    try:
        with raising(EarlyInterrupt):
            try:
                if with_server:
                    return _send_privately(settings, quiet, outcome)
                return _send(settings, dask, quiet, outcome)
            except EarlyInterrupt:
                return _send_nothing(settings, outcome)
    except KeyboardInterrupt:
        discard_output()
        return INTERRUPTED


def _send_nothing(settings: Settings, outcome: Outcome) -> int:
    """Report a run that was interrupted before it began."""
    with raising(KeyboardInterrupt):
        from cli_client.spread.shares import not_begun

        return outcome.deliver(settings, not_begun(settings), _now())


def _send_privately(settings: Settings, quiet: bool, outcome: Outcome) -> int:
    from wire.private_server import PrivateServerError, private_server

    try:
        with private_server(_server_options(settings)) as url:
            return _send(dataclasses.replace(settings, url=url), None, quiet, outcome)
    except PrivateServerError as error:
        return outcome.fail(str(error))


def _server_options(settings: Settings) -> list[str]:
    """Return the options of a private server that has what the run asks of it."""
    options = ["--max-message-size", str(LARGEST_REQUEST)]
    options += ["--max-connections", str(2 * settings.connections)]
    options += ["--compress"] * settings.compress
    options += ["--reply", "echo"] * (settings.expect in ("echo", "key"))
    options += ["--origin", settings.origin] if settings.origin else []
    return options


def _send(settings: Settings, dask: str | None, quiet: bool, outcome: Outcome) -> int:
    # Costly to import, and not needed for --help.
    from cli_client.engine.run import RunError

    started_at = _now()
    progress = outcome.make_progress(settings, quiet)
    has_begun = False

    def show(standing: "Standing") -> None:
        nonlocal has_begun
        has_begun = True
        progress.show(standing)

    try:
        settings, result = _run(settings, dask, quiet, show)
    except EarlyInterrupt:
        if has_begun:  # and has ended just now
            raise KeyboardInterrupt from None
        raise
    except RunError as error:
        return outcome.fail(str(error))
    except BrokenPipeError:
        # Whoever read the responses has had enough: no error, but nothing more to say either.
        discard_output()
        return SOME_WRONG
    except OSError as error:
        discard_output()
        return outcome.fail(f"cannot write {error.filename or 'the responses'}: {reason(error)}")
    finally:
        progress.finish()
    happened = result.interrupted or result.errors.count or result.missing_shares
    if not (result.fates["requests"] or happened):
        why = f"{name_of(settings.file)} is empty" if settings.file else "the time is too short"
        return outcome.fail(f"nothing to send: {why}")
    with raising(KeyboardInterrupt):
        return outcome.deliver(settings, result, started_at)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _run(
    settings: Settings, dask: str | None, quiet: bool, show: "Callable[[Standing], None]"
) -> "tuple[Settings, Result]":
    """Do the run in this process, in several, or on a cluster, and return its settings there."""
    if dask is not None:
        from cli_client.spread.cluster import run_on_cluster

        return run_on_cluster(settings, dask, show)
    if settings.processes > 1:
        from cli_client.spread.processes import run_in_processes

        return settings, run_in_processes(settings, quiet, show)
    from cli_client.spread.one_share import run_alone

    return settings, run_alone(settings, quiet, show)


if __name__ == "__main__":
    main()
