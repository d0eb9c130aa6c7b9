"""The commands' options in groups, and what is said of a bad command line."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from wire.command import Command, option, option_group


@click.command(name="try", cls=Command, epilog="\b\nExamples:\n  try it")
@option_group(
    "First",
    option("--one", type=int, help="One number."),
    option("-t", "--two", multiple=True, help="Many texts."),
)
@option_group("Second", option("--third-option-of-all", is_flag=True, help="A switch."))
@click.version_option("1.2")
def grouped(one: int | None, two: tuple[str, ...], third_option_of_all: bool) -> int:
    click.echo(f"{one} {two} {third_option_of_all}")
    return 3


@click.command(name="plain", cls=Command)
@click.option("--one", help="One.")
def plain(one: str | None) -> None: ...


def said(command: click.Command, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, arguments)
    return done.exit_code, done.output


def test_the_help_shows_each_group_under_its_heading() -> None:
    status, text = said(grouped, "--help")
    assert status == 0
    assert text == (
        "Usage: try [OPTIONS]\n"
        "\n"
        "First:\n"
        "  --one INTEGER          One number.\n"
        "  -t, --two TEXT         Many texts.\n"
        "\n"
        "Second:\n"
        "  --third-option-of-all  A switch.\n"
        "\n"
        "Other options:\n"
        "  --version              Show the version and exit.\n"
        "  --help                 Show this message and exit.\n"
        "\n"
        "Examples:\n"
        "  try it\n"
    )


def test_without_groups_there_is_one_heading() -> None:
    assert said(plain, "--help")[1].partition("Options:")[2] == (
        "\n  --one TEXT  One.\n  --help      Show this message and exit.\n"
    )


def test_options_of_a_group_are_options() -> None:
    assert said(grouped, "--one", "1", "--two", "a", "-t", "b") == (3, "1 ('a', 'b') False\n")


@pytest.mark.parametrize("arguments", [["--one", "x"], ["--four"], ["more"]])
def test_a_bad_command_line_is_one_line_and_status_2(arguments: list[str]) -> None:
    status, text = said(grouped, *arguments)
    assert status == 2
    assert text.startswith("try: ")
    assert text.endswith(" (see try --help)\n")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("--help", 1, "cannot write to standard output"),
        ("--version", 1, "cannot write"),
        ("-x", 2, "-x"),
    ],
)
def test_an_output_that_takes_nothing(arguments: str, status: int, said: str) -> None:
    """A full disk, for standard output and for both; never a traceback."""
    code = "from tests.wire.test_command import grouped; grouped()"
    command = [sys.executable, "-c", code, arguments]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == status
        assert done.stderr.startswith("try: ")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
        assert subprocess.run(command, stdout=full, stderr=full).returncode == status
