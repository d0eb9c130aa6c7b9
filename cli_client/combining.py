"""What the options make together: the settings of a run, or why they contradict each other."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cli_client.engine.template import Table, TableError, Template
from cli_client.settings import Settings, name_of

__all__ = ["check_files", "combine", "displaced"]

DEFAULTS = Settings()

ALTERNATIVES: tuple[tuple[set[str], ...], ...] = (
    ({"messages"}, {"duration"}),
    ({"template", "size"}, {"file"}, {"corpus"}),
    ({"expect"}, {"id", "reply_id", "final", "ordered"}),
    ({"corpus"}, {"id", "reply_id", "final", "ordered"}),
    ({"with_server"}, {"url", "unix"}, {"dask"}),
    ({"dask"}, {"ledger"}),
)
"""Options of which one set excludes the others."""

COMPANIONS = {"cert": {"key"}, "id": {"reply_id"}, "hellos": {"hello_replies"}}
"""Options that say more about another one: a new value of that one makes them meaningless."""


def displaced(given: set[str]) -> set[str]:
    """Return the options of a preset that give way to the options on the command line.

    Args:
        given: The names of those on the command line.
    """
    gone: set[str] = set()
    for alternatives in ALTERNATIVES:
        if any(names & given for names in alternatives):
            gone.update(*(names for names in alternatives if not names & given))
    for name, companions in COMPANIONS.items():
        if name in given:
            gone |= companions
    return gone - given


def combine(
    options: Mapping[str, Any], given: set[str], chosen: set[str], dask: str | None
) -> Settings:
    """Return the settings.

    Args:
        options: The values of the options that are settings, by the names of these.
        given: The names of the options that are on the command line.
        chosen: Those and the names of the options that a preset supplies.
        dask: The address of a cluster, if the run is to be spread over one.

    Raises:
        UsageError: If they contradict each other.
    """
    if options["messages"] is not None and options["duration"] is not None:
        raise click.UsageError("--messages and --duration are mutually exclusive.")
    if options["id"] is not None:
        if "expect" in chosen:
            raise click.UsageError("--id takes the place of --expect: give one of them.")
        options = {**options, "expect": "key"}
    if options["resend"] is None:
        # With a key of its own a request may have been executed, and must not be a second time.
        options = {**options, "resend": options["id"] is None}
    _check_replies(options)
    options = _give_way({**options, "messages": _messages(options, chosen)}, given)
    sources = [name for name in ("template", "size", "file", "corpus") if name in chosen]
    if len(sources) > 1 and {"file", "corpus"} & {*sources}:
        raise click.UsageError(
            f"two kinds of requests: --{sources[0]} and --{sources[-1]}. Give one of them."
        )
    if options["ramp"] and options["duration"] and options["ramp"] > options["duration"]:
        raise click.UsageError("--ramp takes longer than --duration.")
    _check_certificates(options)
    settings = Settings(**{**options, **_spread(options, dask)})
    values = {name: os.environ[name] for name in settings.asked_variables()}
    return _check_template(dataclasses.replace(settings, variables=values), given)


def check_files(*paths: Path | None) -> None:
    """Check that no file is used twice.

    Raises:
        UsageError: If one is.
    """
    # Two may well go to the same terminal or pipe, or to nowhere.
    files = [path.resolve() for path in paths if path and (path.is_file() or not path.exists())]
    twice = {file for file in files if files.count(file) > 1 and file.name != "-"}
    if twice:
        raise click.UsageError(f"{twice.pop()} is given twice: name another file.")


def _give_way(options: Mapping[str, Any], given: set[str]) -> Mapping[str, Any]:
    """Return the options, with values of a preset changed that contradict one that is given."""
    changed: dict[str, Any] = {}
    ramp, duration = options["ramp"], options["duration"]
    processes, connections = options["processes"], options["connections"]
    file = options["file"]
    if ramp and duration and ramp > duration and len({"ramp", "duration"} & given) == 1:
        changed["duration" if "ramp" in given else "ramp"] = ramp if "ramp" in given else duration
    if file and not file.is_file() and "processes" not in given:
        changed["processes"] = None
    elif processes and connections and processes > connections:
        if "processes" not in given:
            changed["processes"] = connections
        elif "connections" not in given:
            changed["connections"] = processes
    return {**options, **changed}


def _messages(options: Mapping[str, Any], chosen: set[str]) -> int | None:
    if options["messages"] is not None or {"duration", "file"} & chosen:
        messages: int | None = options["messages"]
        return messages
    if options["corpus"]:
        from cli_client.engine.corpus import edges

        return len(edges())
    return DEFAULTS.messages


def _check_template(settings: Settings, given: set[str]) -> Settings:
    """Return the settings without a file of a preset that the template does not use."""
    try:
        columns = [] if settings.data is None else Table(settings.data).columns
    except TableError as error:
        raise click.BadParameter(f"{error}.", param_hint="--data") from None
    template, *hellos = (
        Template(text, settings.variables, columns)
        for text in (settings.template, *settings.hellos)
    )
    if columns and not any(each.columns for each in (template, *hellos)):
        if "data" in given:
            raise click.UsageError(
                f"--data: no field of --template or --hello names a column ({', '.join(columns)})."
            )
        settings = dataclasses.replace(settings, data=None)
    if settings.size is not None and not template.columns:
        last = (settings.messages or 10**6) - 1
        longest = len(template.render(last, settings.connections))
        if settings.size >= longest:
            pass
        elif "size" in given or "template" not in given:
            raise click.BadParameter(
                f"{settings.size} bytes do not hold the template, which takes up to {longest}.",
                param_hint="--size",
            )
        else:
            settings = dataclasses.replace(settings, size=None)
    if settings.id is not None and settings.file is None and settings.corpus is None:
        _check_key(settings, template, columns)
    return settings


def _check_key(settings: Settings, template: Template, columns: list[str]) -> None:
    """Check that the requests of a template have a key."""
    from cli_client.ledger.errors import name
    from cli_client.ledger.service import key_of

    request = template.render(0, 1, ["0"] * len(columns))
    if key_of(settings)(request) is None:
        raise click.UsageError(
            f"--id {settings.id}: the request {name(request)} has no string or number there."
        )


def _check_replies(options: Mapping[str, Any]) -> None:
    for name in ("reply_id", "final", "ordered"):
        if options[name] and options["id"] is None:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --id.")
    hellos, replies = len(options["hellos"]), len(options["hello_replies"])
    if replies > hellos:
        raise click.UsageError(f"{replies} of --hello-reply need as many of --hello, not {hellos}.")


def _check_certificates(options: Mapping[str, Any]) -> None:
    if options["key"] and not options["cert"]:
        raise click.UsageError("--key needs --cert.")
    if options["cacert"] or options["cert"]:
        # Costly to import, and not needed without them.
        from wire.tls import TLSError, client_context

        try:
            client_context(options["cacert"], options["cert"], options["key"], insecure=False)
        except TLSError as error:
            raise click.UsageError(f"{error}.") from None


def _spread(options: Mapping[str, Any], dask: str | None) -> dict[str, int]:
    """Settle how many processes and connections there are."""
    processes, connections = options["processes"], options["connections"]
    if dask is not None:
        # 0 stands for as many as the cluster has workers.
        processes = processes or 0
    elif processes == 0:
        processes = min(os.cpu_count() or 1, connections or 10**6)
    elif processes is None:
        processes = DEFAULTS.processes
    connections = connections or processes
    if processes > connections:
        raise click.UsageError(
            f"--processes {processes} needs as many connections at least: give -c {processes}."
        )
    file = options["file"]
    if file and not file.is_file() and (processes > 1 or dask is not None):
        raise click.UsageError(f"{name_of(file)} cannot be read by several processes: use a file.")
    if dask is not None and options["ledger"]:
        raise click.UsageError("--ledger is for one machine: the workers of a cluster have none.")
    return {"processes": processes, "connections": connections}
