"""Presets: where they come from, what they supply, and what is said of a bad one."""

import json
import subprocess
from pathlib import Path

import click
import pytest

from cli_client.__main__ import main
from cli_client.combining import displaced
from cli_client.presets import Preset, PresetError, load_preset
from tests.cli_client.sending import report, send


@pytest.fixture
def preset_file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def defaults(
    preset: Preset, left_out: frozenset[str] = frozenset(), **values: str
) -> dict[str, object]:
    return preset.defaults(main.params, values, set(left_out))


def from_text(path: Path, text: str) -> Preset:
    path.write_text(text)
    return load_preset(str(path))


def test_a_preset_supplies_any_option_by_its_long_name(preset_file: Path) -> None:
    preset = from_text(
        preset_file,
        """
        url = "ws://example.test/"
        messages = 5
        rate = 0.5
        header = ["A: 1", "B: 2"]
        subprotocol = "chat"
        basic-auth = "me:secret"
        binary = true
        """,
    )
    assert defaults(preset) == {
        "url": "ws://example.test/",
        "messages": "5",
        "rate": "0.5",
        "headers": ["A: 1", "B: 2"],
        "subprotocols": ["chat"],
        "basic_auth": "me:secret",
        "binary": True,
    }


def test_what_is_left_out_gets_no_default(preset_file: Path) -> None:
    preset = from_text(preset_file, "messages = 5\nquiet = true")
    assert defaults(preset, frozenset({"messages"})) == {"quiet": True}


FIELDS = """
template = '{"id":{i},"method":{json:method},"text":"{method}","params":{params},"x":{y}}'
[fields.method]
help = "the method to call"
[fields.params]
help = "its parameters"
default = "[]"
"""


def test_fields_are_filled(preset_file: Path) -> None:
    filled = defaults(from_text(preset_file, FIELDS), method='a "b"')
    assert filled == {
        "template": '{"id":{i},"method":"a \\"b\\"","text":"a "b"","params":[],"x":{y}}'
    }


def test_a_value_is_not_filled_in_turn(preset_file: Path) -> None:
    filled = defaults(from_text(preset_file, FIELDS), method="{params}")
    assert '"method":"{params}"' in str(filled["template"])


def test_a_field_without_a_value_is_named(preset_file: Path) -> None:
    with pytest.raises(PresetError, match=r"needs a value for method \(the method to call\)"):
        defaults(from_text(preset_file, FIELDS))


def test_a_field_of_an_option_that_is_left_out_needs_no_value(preset_file: Path) -> None:
    assert defaults(from_text(preset_file, FIELDS), frozenset({"template"})) == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("speed = 5", "there is no option 'speed'"),
        ("help = true", "there is no option 'help'"),
        ('preset = "echo"', "there is no option 'preset'"),
        ("set = []", "there is no option 'set'"),
        ("binary = 1", "binary must be true or false"),
        ("rate = true", "rate must be a text or a number"),
        ("rate = [1, 2]", "rate must be one value, not a list"),
        ("header = [[1]]", "header must be a text or a number"),
        ("rate = 2020-01-01", "rate must be a text or a number"),
        ("rate = ", "is not valid TOML: Invalid value (at "),
        ("[rate]\nx = 1", "rate must be a text or a number"),
        ("description = 5", "description must be a text"),
        ("fields = 5", "fields a table"),
        ("[fields]\nx = 5", "the field 'x' must be a table of help and default"),
        ("[fields.x]\nhelp = 5", "must be texts"),
        ("[fields.x]\nhelp = 'a'\nother = 'b'", "the field 'x' must be a table"),
    ],
)
def test_a_bad_preset_is_refused_with_the_reason(preset_file: Path, text: str, why: str) -> None:
    with pytest.raises(PresetError) as refused:
        defaults(from_text(preset_file, text))
    assert why in str(refused.value)
    assert str(preset_file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_preset_that_is_not_text_is_refused(preset_file: Path) -> None:
    preset_file.write_bytes(b"\xff")
    with pytest.raises(PresetError, match="is not valid UTF-8"):
        load_preset(str(preset_file))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nope", "there is no preset 'nope': choose echo"),
        ("nowhere.toml", "cannot read the preset nowhere.toml: No such file"),
        ("/", "cannot read the preset /: Is a directory"),
        ("/dev/zero", "is larger than 1,048,576 bytes"),
    ],
)
def test_a_preset_that_cannot_be_read_is_refused(name: str, why: str) -> None:
    with pytest.raises(PresetError, match=why):
        load_preset(name)


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({"duration"}, {"messages"}),
        ({"messages"}, {"duration"}),
        ({"file"}, {"template", "size", "corpus"}),
        ({"template"}, {"file", "corpus"}),
        ({"url"}, {"with_server", "dask"}),
        ({"with_server"}, {"url", "unix", "dask"}),
        ({"cert"}, {"key"}),
        ({"cert", "key"}, set()),
        ({"headers"}, set()),
    ],
)
def test_options_given_displace_the_ones_they_exclude(given: set[str], gone: set[str]) -> None:
    assert gone <= displaced(given)
    assert not given & displaced(given)


def test_every_name_in_the_tables_is_an_option() -> None:
    names = {parameter.name for parameter in main.params}
    for parameter in main.params:
        assert displaced({str(parameter.name)}) <= names


# Through the command.


def test_standard_input_is_a_preset_with_a_url_and_secrets(server_url: str) -> None:
    preset = f'url = "{server_url}"\nmessages = 20\nheader = ["X-Api-Key: secret"]\n'
    done = report("--preset", "-", input=preset)
    assert done.status == 0
    assert done.report["ledger"]["verified"] == 20
    assert "secret" not in json.dumps(done.report)


def test_options_given_win_over_a_preset(server_url: str, preset_file: Path) -> None:
    preset_file.write_text('messages = 20\nwindow = 3\nheader = ["A: 1"]\nwith-server = true')
    options = ["--preset", preset_file, "-n", 30, "-H", "B: 2"]
    settings = report(server_url, *options).report["settings"]
    assert (settings["messages"], settings["window"]) == (30, 3)
    assert [name for name, _ in settings["headers"]] == ["B"]


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("messages = 20", ["-z", "100ms"]),
        ('duration = "1h"', ["-n", "10"]),
        ('file = "requests.txt"\nmessages = 2', ["--template", "x {i}"]),
        ('template = "x {i}"\nsize = 100\nmessages = 2', ["--corpus", "edges"]),
        ("processes = 3\nmessages = 2", ["-c", "1"]),
        ("connections = 1\nmessages = 2", ["--processes", "2"]),
        ('ramp = "10s"\nrate = 100', ["-z", "100ms"]),
        ('duration = "100ms"\nrate = 100', ["--ramp", "200ms"]),
        ("size = 5\nmessages = 2", ["--template", "longer than that {i}"]),
        ("processes = 2\nmessages = 2", ["--file", "/dev/stdin"]),
        ('template = "{}"\nid = "/id"', ["--corpus", "edges"]),
        ('template = "{}"\nid = "/id"\nordered = true', ["--expect", "number", "-n", "1"]),
    ],
)
def test_a_preset_makes_no_conflict_with_what_is_given(
    server_url: str, preset_file: Path, preset: str, options: list[str]
) -> None:
    preset_file.write_text(preset)
    done = send(server_url, "-q", "--preset", preset_file, *options, input="one\ntwo\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "preset", "named"),
    [
        (["--preset", "-"], 'rate = "x"', "'x' is not a rate such as 0.5, 500 or 10k."),
        (["--preset", "-"], 'rate = "x"', "(from the preset -)"),
        (["--preset", "-"], "messages = 1\nduration = 1", "mutually exclusive"),
        (["--preset", "-", "--file", "-"], "", "both read standard input"),
        (["--preset", "-"], 'file = "-"', "both read standard input"),
        (["--preset", "-", "--set", "x=1"], "", "has no field 'x'; it has no fields"),
        (["--preset", "-", "--set", "x"], "", "'x' is not NAME=VALUE"),
        (["--set", "x=1"], "", "give --preset too"),
        (["--preset", "nope"], "", "there is no preset 'nope'"),
    ],
)
def test_a_bad_preset_is_one_line_and_status_2(options: list[str], preset: str, named: str) -> None:
    done = send(*options, input=preset)
    (line,) = done.stderr.splitlines()
    assert named in line
    assert (done.returncode, done.stdout) == (2, "")


def test_help_needs_no_preset() -> None:
    assert send("--preset", "-", "--help", stdin=subprocess.DEVNULL).returncode == 0


def test_presets_are_listed_and_printed() -> None:
    listed = send("presets").stdout
    for line in listed.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            assert send("presets", name).stdout.startswith("description = ")
    assert "echo " in listed
    done = send("presets", "nope")
    assert done.returncode == 2
    assert "there is no preset 'nope'" in done.stderr


def test_every_preset_that_comes_with_wsroll_has_options_that_exist() -> None:
    for line in send("presets").stdout.splitlines():
        if not line.startswith(" "):
            preset = load_preset(line.split()[0])
            values = dict.fromkeys(preset.fields, "x")
            context = click.Context(main)
            for name, value in defaults(preset, **values).items():
                (parameter,) = [one for one in main.params if one.name == name]
                parameter.type_cast_value(context, value)
