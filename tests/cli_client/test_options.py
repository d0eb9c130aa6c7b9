"""The command line: which ones are refused, and with which line."""

import os
import subprocess
import sys

import pytest

from tests.cli_client.sending import send


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["http://localhost/"], "must start with ws://"),
        (["-n", "0"], "--messages"),
        (["-n", "many"], "'many' is not a count such as 500, 10k or 1.5M"),
        (["-n", "1.5"], "not a whole number"),
        (["-r", "-5"], "--rate"),
        (["-r", "0"], "--rate"),
        (["-z", "soon"], "'soon' is not a time such as 10s, 500ms or 3m"),
        (["-z", "0"], "--duration"),
        (["-n", "5", "-z", "5s"], "mutually exclusive"),
        (["-w", "0"], "--window"),
        (["-c", "0"], "--connections"),
        (["--processes", "3", "-c", "2"], "give -c 3"),
        (["--ramp", "10s", "-z", "5s"], "--ramp"),
        (["-H", "no colon"], "Name: value"),
        (["-H", "X-Dice: 🎲"], "the value of the header 'X-Dice' is not printable ASCII"),
        (["-a", "user"], "USER:PASSWORD"),
        (["--template", "\udcff{i}"], "UTF-8"),
        (["--size", "5"], "5 bytes do not hold the template, which takes up to 12"),
        (["--file", "nowhere.txt"], "nowhere.txt"),
        (["--file", "/dev/null", "--corpus", "edges"], "two kinds of requests"),
        (["--file", "/dev/null", "--template", "x{i}"], "two kinds of requests"),
        (["--file", "-", "--processes", "2", "-c", "2"], "standard input"),
        (["--data", "nowhere.csv", "--template", "{a}"], "nowhere.csv"),
        (["--data", "/dev/null", "--template", "{a}"], "/dev/null is empty"),
        (["--data", "LICENSE", "--template", "{a}"], "--data: no field of --template"),
        (["--check", "p99<<5"], "--check"),
        (["--check", "speed>5"], "speed"),
        (["--json", "/nowhere/report.json"], "/nowhere"),
        (["ws://user@localhost/"], "without a password"),
        (["ws://us%3Aer:pw@localhost/"], "must not have a colon (%3A)"),
        (["--max-time", "0"], "--max-time"),
        (["ws://localhost:99999/"], "Port out of range"),
        (["ws://localhost/#here"], "fragment"),
        (["-r", "nan"], "--rate"),
        (["-H", ": no name"], "Name: value"),
        (["-H", "Two words: x"], "Name: value"),
        (["-H", "X: 1\r\nY: 2"], "the value of the header 'X' is not printable ASCII"),
        (["--origin", "x\r\nY: 2"], "--origin"),
        (["--origin", ""], "--origin"),
        (["--origin", "*"], "--origin"),
        (["--size", "1X"], "'1X' is not a size"),
        (["--size", "17M"], "--size"),
        (["--subprotocol", "x\r\nY: 2"], "--subprotocol"),
        (["--subprotocol", "a b"], "--subprotocol"),
        (["--file", "/"], "is a directory"),
        (["--html", "-"], "only --json can be printed"),
        (["--ledger", "-"], "only --json can be printed"),
        (["--json", "same.txt", "--csv", "./same.txt"], "same.txt is given twice"),
        (["--file", __file__, "--json", __file__], "is given twice"),
        (["ws://local..host/"], "no host name"),
        (["--cacert", "nowhere.pem"], "nowhere.pem"),
        (["--key", "/dev/null"], "--key"),
        (["--proxy", "ftp://localhost:21", "ws://example.test/"], "proxy"),
        (["--with-server", "ws://localhost:1/"], "no URL"),
        (["--unheard-of"], "--unheard-of"),
    ],
)
def test_a_bad_command_line_is_one_line_and_status_2(options: list[str], named: str) -> None:
    done = send(*options)
    (line,) = done.stderr.splitlines()
    assert named in line
    assert done.returncode == 2
    assert done.stdout == ""


def test_help_fits_and_has_examples() -> None:
    done = send("--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    for name in ("How much:", "What to send:", "Where to:", "How patiently:", "What to show:"):
        assert name in done.stdout


def test_help_names_its_times_with_their_units() -> None:
    text = send("--help").stdout
    for unit in ("[default: 10s]", "10ms]"):
        assert unit in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_comes_from_the_option_library(shell: str) -> None:
    done = send(env={**os.environ, "_WSROLL_SEND_COMPLETE": f"{shell}_source"})
    assert "wsroll-send" in done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("wsroll-send --me", ["--messages"]),
        ("wsroll-send --expect ", ["any", "echo", "number"]),
        ("wsroll-send c", ["compare"]),
        ("wsroll-send ", ["compare", "presets", "selftest"]),
        ("wsroll-send compare --", ["--help"]),
        ("wsroll-send selftest --", ["--help"]),
    ],
)
def test_a_shell_is_offered_what_may_come(words: str, offered: list[str]) -> None:
    completing = {
        "_WSROLL_SEND_COMPLETE": "bash_complete",
        "COMP_WORDS": words.replace(" ", "\n"),
        "COMP_CWORD": str(words.count(" ")),
    }
    done = send(env={**os.environ, **completing})
    assert sorted(line.partition(",")[2] for line in done.stdout.splitlines()) == offered


def test_the_help_loads_nothing_that_only_a_run_needs() -> None:
    """With it, the help would take twice as long."""
    code = "import sys, cli_client.__main__; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    costly = {"asyncio", "email.message", "importlib.metadata", "msgspec", "ssl", "websockets"}
    assert costly & {*done.stdout.split()} == set()
