"""Presets: defaults for the options, from a TOML file; and the command ``wsroll-send presets``.

A preset file has options by their long names without the dashes, ``url``, a ``description``, and
the preset's own fields:

    description = "JSON-RPC 2.0"
    template = '{"id":{i},"method":{json:method},"params":{params}}'
    id = "/id"
    push = ["/method"]
    [fields.method]
    help = "the method to call"
    [fields.params]
    help = "its parameters in JSON"
    default = "[]"

In the preset's texts ``{method}`` stands for the value that ``--set method=...`` gives, and
``{json:method}`` for that value as a JSON string.
"""

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import click

from wire.command import Command

__all__ = ["Preset", "PresetError", "load_preset", "main"]

STANDARD_INPUT = "-"

LARGEST_PRESET = 2**20
"""Bytes of the largest preset: anything longer is not a preset but a mistake."""

NOT_IN_A_PRESET = {"preset", "set", "help", "version"}
"""Options that a preset cannot supply."""

_BUILT_IN = resources.files("cli_client") / "presets"


class PresetError(Exception):
    """A preset that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Field:
    """One of a preset's own fields."""

    help: str
    default: str | None
    """Its value if none is set; None if one must be."""


@dataclass(frozen=True)
class Preset:
    """A preset: options by their long names, and the fields in their texts."""

    name: str
    description: str
    options: Mapping[str, object]
    fields: Mapping[str, Field]

    def defaults(
        self,
        parameters: Sequence[click.Parameter],
        values: Mapping[str, str],
        left_out: set[str],
    ) -> dict[str, object]:
        """Return the defaults for a command's parameters, by the names of these.

        Args:
            parameters: The parameters of the command.
            values: The values of the fields.
            left_out: The names of the parameters that need no default.

        Raises:
            PresetError: If the preset has an option that does not exist or a value of the wrong
                type, or if a field has no value.
        """
        for name in values.keys() - self.fields.keys():
            known = f"its fields: {', '.join(self.fields)}" if self.fields else "it has no fields"
            raise PresetError(f"{self.name} has no field {name!r}; {known}")
        known_options = dict(_by_long_name(parameters))
        defaults: dict[str, object] = {}
        missing: dict[str, Field] = {}
        for option, value in self.options.items():
            if option not in known_options or option in NOT_IN_A_PRESET:
                raise PresetError(f"{self.name}: there is no option {option!r}")
            parameter, switch = known_options[option]
            if parameter.name is None or parameter.name in left_out:
                continue
            if switch is not None:
                if not isinstance(value, bool):
                    raise PresetError(f"{self.name}: {option} must be true or false")
                defaults[parameter.name] = value is switch
                continue
            texts = [self._fill(text, values, missing) for text in self._texts(option, value)]
            if parameter.multiple:
                defaults[parameter.name] = texts
            elif isinstance(value, list):
                raise PresetError(f"{self.name}: {option} must be one value, not a list")
            else:
                (defaults[parameter.name],) = texts
        if missing:
            wanted = ", ".join(f"{name} ({field.help})" for name, field in missing.items())
            raise PresetError(f"{self.name} needs a value for {wanted}: give --set NAME=VALUE")
        return defaults

    def _texts(self, option: str, value: object) -> list[str]:
        """Return the value of an option as it would stand on the command line."""
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in values):
            raise PresetError(f"{self.name}: {option} must be a text or a number")
        return [str(one) for one in values]

    def _fill(self, text: str, values: Mapping[str, str], missing: dict[str, Field]) -> str:
        """Return a text with the values of the fields in it; note the fields without a value."""

        def value(found: "re.Match[str]") -> str:
            as_json, name = found.groups()
            field = self.fields.get(name)
            if field is None:
                return found[0]
            filled = values.get(name, field.default)
            if filled is None:
                missing[name] = field
                return ""
            return json.dumps(filled, ensure_ascii=False) if as_json else filled

        return re.sub(r"\{(json:)?([\w-]+)\}", value, text)


def load_preset(name: str) -> Preset:
    """Return a preset.

    Args:
        name: The name of one that comes with wsroll, the path of a TOML file, or - for standard
            input.

    Raises:
        PresetError: If it cannot be read.
    """
    content = _read(name)
    shown = "the preset from standard input" if name == STANDARD_INPUT else f"the preset {name}"
    try:
        options = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise PresetError(f"{shown} is not valid UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PresetError(f"{shown} is not valid TOML: {error}") from None
    description = options.pop("description", "")
    fields = options.pop("fields", {})
    if not isinstance(description, str) or not isinstance(fields, dict):
        raise PresetError(f"{shown}: description must be a text, and fields a table")
    return Preset(
        shown,
        description,
        options,
        {field: _field(shown, field, table) for field, table in fields.items()},
    )


def _read(name: str) -> bytes:
    if name == STANDARD_INPUT:
        if sys.stdin is None:
            raise PresetError("cannot read a preset from standard input: it is closed")
        content = sys.stdin.buffer.read(LARGEST_PRESET + 1)
    else:
        try:
            with _find(name).open("rb") as file:
                content = file.read(LARGEST_PRESET + 1)
        except OSError as error:
            raise PresetError(f"cannot read the preset {name}: {error.strerror}") from None
    if len(content) > LARGEST_PRESET:
        raise PresetError(f"the preset {name} is larger than {LARGEST_PRESET:,} bytes")
    return content


def _find(name: str) -> Traversable:
    if name.endswith(".toml") or os.sep in name:
        return Path(name)
    if name not in _names():
        raise PresetError(
            f"there is no preset {name!r}: choose {', '.join(_names())}, or a file NAME.toml"
        )
    return _BUILT_IN / f"{name}.toml"


def _names() -> list[str]:
    files = (file.name for file in _BUILT_IN.iterdir())
    return sorted(file.removesuffix(".toml") for file in files if file.endswith(".toml"))


def _field(shown: str, name: str, table: object) -> Field:
    what, default = "", None
    if isinstance(table, dict):
        what, default = table.get("help", ""), table.get("default")
    if not isinstance(table, dict) or table.keys() - {"help", "default"}:
        raise PresetError(f"{shown}: the field {name!r} must be a table of help and default")
    if not isinstance(what, str) or not isinstance(default, str | None):
        raise PresetError(f"{shown}: help and default of the field {name!r} must be texts")
    return Field(what, default)


def _by_long_name(
    parameters: Sequence[click.Parameter],
) -> Iterator[tuple[str, tuple[click.Parameter, bool | None]]]:
    """Give each parameter by its names in a preset, and which value a switch of this name sets."""
    for parameter in parameters:
        if not isinstance(parameter, click.Option):
            if parameter.name is not None:
                yield parameter.name, (parameter, None)
            continue
        switch = parameter.is_flag or None
        for names, value in ((parameter.opts, switch), (parameter.secondary_opts, False)):
            for name in names:
                if name.startswith("--"):
                    yield name.removeprefix("--"), (parameter, value)


@click.command(
    name="wsroll-send presets",
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("name", required=False, metavar="[NAME]")
def main(name: str | None) -> Any:
    """List the presets; print the one named, to make your own from it."""
    try:
        if name is not None:
            click.echo(_read(name).decode(), nl=False)
            return
        for each in _names():
            preset = load_preset(each)
            click.echo(f"{each:12} {preset.description}")
            for field, about in preset.fields.items():
                default = "" if about.default is None else f"  [default: {about.default}]"
                click.echo(f"{'':12}   --set {field}=…  {about.help}{default}")
    except PresetError as error:
        raise click.UsageError(str(error)) from None


if __name__ == "__main__":
    main()
