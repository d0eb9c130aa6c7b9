"""The command ``wsroll-server``: its options and its exit status."""

import os
import signal

_before = signal.getsignal(signal.SIGINT)
if _before is signal.default_int_handler:
    # Ctrl-C would show the traceback of whatever import it interrupts.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))

import asyncio
import dataclasses
import functools
import itertools
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from server import logs
from server.counters import Counters
from server.descriptors import open_standard_streams, raise_limit, stop_signals
from server.listening import ListenError, Listeners, listen
from server.origins import parse_origins
from server.serving import serve
from server.settings import Settings
from server.tls import TLSError, server_context
from wire import frames
from wire.address import DEFAULT_HOST, DEFAULT_PORT
from wire.command import Command, option_group
from wire.command import option as plain_option
from wire.event_loop import new_event_loop
from wire.values import Count, Size, Time, Token

signal.signal(signal.SIGINT, _before)

__all__ = ["main"]

DEFAULTS = Settings()

STDIN = 0

option = functools.partial(plain_option, show_envvar=True)

FILE = click.Path(dir_okay=False, path_type=Path)


class Origins(click.ParamType[list[str]]):
    """A list of origins, as browsers write them."""

    name = "origin"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the origins.

        Raises:
            click.BadParameter: If one of them cannot match.
        """
        try:
            return parse_origins(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    name="wsroll-server",
    cls=Command,
    context_settings={
        "auto_envvar_prefix": "WSROLL",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@option_group(
    "Where",
    option("--host", default=DEFAULT_HOST, help="Name or address to listen on."),
    option(
        "--port",
        default=DEFAULT_PORT,
        type=click.IntRange(0, 65535),
        help="Port to listen on; 0 picks a free one.",
    ),
    option("--unix", type=FILE, help="Listen on a Unix socket instead."),
    option(
        "--workers",
        default=1,
        type=Count(0, 1024),
        help="Processes that share the port; 0 means one for each core.",
    ),
    option("--tls-cert", type=FILE, help="Certificate chain (PEM): serve wss and https."),
    option("--tls-key", type=FILE, help="Its private key, if not in the same file."),
)
@option_group(
    "What",
    option(
        "--reply",
        type=click.Choice(["random", "echo"]),
        default="random",
        help="Answer with the request and a random number, or with the request as it came.",
    ),
    option(
        "--http/--no-http",
        default=True,
        help="Serve the page, /healthz, /metrics and /version as well.",
    ),
    option(
        "--compress/--no-compress",
        default=False,
        help="Offer compression (permessage-deflate). Off, as it costs each connection tens of "
        "KiB of memory and each message several times its time, and messages as short as these "
        "hardly shrink.",
    ),
    option(
        "--origin",
        "origins",
        multiple=True,
        type=Origins(),
        envvar="WSROLL_ORIGIN",
        help="Let pages of this origin connect too, such as https://example.org (repeatable, or a "
        "list with commas; * is all). Pages of this server and of this machine always may; pages "
        "opened as files may where the server listens on loopback alone, and with null or "
        "file://, whichever the browser sends.",
    ),
    option(
        "--subprotocol",
        "subprotocols",
        multiple=True,
        type=Token(),
        envvar="WSROLL_SUBPROTOCOL",
        help="Choose this subprotocol where a client offers it (repeatable; * is the first that "
        "is offered).",
    ),
)
@option_group(
    "Limits",
    option(
        "--max-message-size",
        type=Size(),
        default=DEFAULTS.max_message_size,
        help="Bytes in a request; a larger one closes with code 1009. In the worst case each "
        "connection holds one and 320 KiB besides: with the defaults 13 GiB for all of them.",
    ),
    option(
        "--max-header-size",
        type=Size(),
        default=DEFAULTS.max_header_size,
        help="Bytes in the head of a handshake; a larger one gets status 431. Up to the default, a "
        "line may have 8 KiB and a head 128 lines.",
    ),
    option(
        "--max-connections",
        type=Count(1, 10**9),
        default=DEFAULTS.max_connections,
        help="WebSockets open at a time, over all workers; one more gets status 503.",
    ),
    option(
        "--open-timeout",
        type=Time(),
        default=f"{DEFAULTS.open_timeout:g}s",
        help="How long a handshake may take; then status 408.",
    ),
    option(
        "--ping-interval",
        type=Time(),
        default=f"{DEFAULTS.ping_interval:g}s",
        help="After this much silence, or up to twice as much, a client is pinged.",
    ),
    option(
        "--pong-timeout",
        type=Time(),
        default=f"{DEFAULTS.pong_timeout:g}s",
        help="How long it then has for a sign of life; then code 1011. To take 1 KiB/s of its "
        "replies is one.",
    ),
    option(
        "--stall-timeout",
        type=Time(),
        default=f"{DEFAULTS.stall_timeout:g}s",
        help="How long a client may take less than 1 KiB/s of its replies before it is cut off.",
    ),
    option(
        "--close-timeout",
        type=Time(),
        default=f"{DEFAULTS.close_timeout:g}s",
        help="How long a client may take to close, once it takes no more than 1 KiB/s.",
    ),
    option(
        "--drain",
        type=Time(zero=True),
        default=f"{DEFAULTS.drain:g}s",
        help="How long to go on serving after a signal to stop, while /healthz says 503, so that a "
        "load balancer sends no new clients.",
    ),
    option(
        "--grace",
        type=Time(),
        default=f"{DEFAULTS.grace:g}s",
        help="How long all clients together have to close when the server stops.",
    ),
)
@option_group(
    "Running",
    option("-v", "--verbose", is_flag=True, help="Log each connection too."),
    option("-q", "--quiet", is_flag=True, help="Log only what is wrong with the server."),
    option("--log-json", is_flag=True, help="Log one JSON object a line."),
    option(
        "--stop-on-eof",
        is_flag=True,
        help="Stop when standard input ends, so as not to outlive the program that holds it.",
    ),
)
@click.version_option(
    package_name="wsroll", message=f"wsroll-server %(version)s (frames in {frames.LANGUAGE})"
)
def main(
    *,
    verbose: bool,
    quiet: bool,
    log_json: bool,
    workers: int,
    origins: tuple[list[str], ...],
    **options: Any,
) -> None:
    """Answer each WebSocket request with the request and a random number from 1 to 100.

    Every option can be set by an environment variable as well: WSROLL_PORT for --port, and so on.
    """
    settings = Settings(
        **options,
        workers=workers or os.cpu_count() or 1,
        origins=tuple(itertools.chain.from_iterable(origins)),
    )
    if settings.stop_on_eof and sys.stdin is None:
        raise click.UsageError("--stop-on-eof: standard input is closed.")
    open_standard_streams()
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    _check(settings)
    try:
        tls = _tls(settings)
        listeners = listen(settings)
    except (ListenError, TLSError) as error:
        raise click.UsageError(str(error)) from None
    raise_limit()
    try:
        if settings.workers == 1:
            _run_alone(settings, listeners, tls, level, log_json)
        else:
            _run_workers(settings, listeners, tls, level, log_json)
    finally:
        listeners.close()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    return server_context(settings.tls_cert, settings.tls_key)


def _check(settings: Settings) -> None:
    """Refuse options that do not go together."""
    if settings.tls_key and not settings.tls_cert:
        raise click.UsageError("--tls-key needs --tls-cert.")
    if settings.unix and not hasattr(socket, "AF_UNIX"):
        raise click.UsageError("--unix: this platform has no Unix sockets.")
    if settings.workers > 1 and (settings.unix or not hasattr(socket, "SO_REUSEPORT")):
        raise click.UsageError("--workers: only a TCP port, on Linux or macOS, can be shared.")


def _run_alone(
    settings: Settings,
    listeners: Listeners,
    tls: ssl.SSLContext | None,
    level: int,
    as_json: bool,
) -> None:
    with logs.logging_to_stderr(level, as_json=as_json) as say:
        _run(
            serve(
                settings,
                Counters(),
                listeners.sockets,
                local=listeners.local,
                tls=tls,
                stop_signals=stop_signals(),
                stop_fd=STDIN if settings.stop_on_eof else None,
                on_started=lambda: say(listeners.announcement()),
                on_stopping=listeners.remove,
            )
        )


def _run_workers(
    settings: Settings,
    listeners: Listeners,
    tls: ssl.SSLContext | None,
    level: int,
    as_json: bool,
) -> None:
    from server.workers import run_workers

    counters = Counters(settings.workers)
    same_port = dataclasses.replace(settings, port=listeners.port)

    def work(number: int, parent_fd: int, on_ready: Callable[[], None]) -> None:
        counters.use_row(number)
        with logs.logging_to_stderr(level, as_json=as_json):
            _run(
                serve(
                    settings,
                    counters,
                    # The parent's sockets hold the port; only a worker's own ones listen.
                    listen(same_port, joining=True).sockets,
                    local=listeners.local,
                    tls=tls,
                    stop_signals=(signal.SIGTERM,),
                    stop_fd=parent_fd,
                    on_started=on_ready,
                    on_stopping=lambda: None,
                )
            )

    say = logs.log_to_stderr(level, as_json=as_json)
    run_workers(
        settings.workers,
        work,
        on_started=lambda: say(listeners.announcement()),
        on_died=counters.end_row,
        stop_fd=STDIN if settings.stop_on_eof else None,
        # The workers keep to the grace themselves; this is for one that hangs.
        grace=settings.drain + settings.grace + 5,
    )


def _run(serving: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serving)


if __name__ == "__main__":
    main()
