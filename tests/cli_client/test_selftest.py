"""The self-test as a user runs it: it passes, names each fault, and fails where it must."""

import os
import re
import signal
import subprocess
import sys

import pytest

from cli_client.faults.cases import CLEAN, FAULTS, SOUND, Case
from cli_client.ledger.expectation import expectation
from cli_client.selftest import main
from tests.cli_client.sending import COMMAND, send


def test_each_fault_is_caught_and_named_and_each_sound_run_passes() -> None:
    done = send("selftest", env=os.environ | {"COLUMNS": "100"})
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    faults, sound = len(FAULTS), len(SOUND)
    assert lines[-1] == f"{faults} faults: {faults} caught; {sound} sound runs: {sound} passed"
    assert all(len(line) <= 100 for line in lines)
    answers = [re.split(" {2,}", line) for line in lines[1:-1] if line[0] != " "]
    assert [answer[:2] for answer in answers] == [
        *([case.name, "passed"] for case in SOUND),
        *([case.name, "caught"] for case in FAULTS),
    ]
    said = {name: counted for name, _, counted in answers}
    assert said["reply dropped"] == "FAIL: 1 missing"
    assert said["reply on another connection"] == "FAIL: 1 missing, 1 unsolicited"
    assert said["reply after the time-out"] == "FAIL: 1 missing, 1 late"
    assert said["delay within the time-out"].startswith("PASS: longest latency ")
    assert said["connection cut between frames"].startswith(
        "RECOVERED: in flight when the connection"
    )
    assert said["pushes between replies"] == "FAIL: 20 unsolicited"
    assert said["greeting"] == "FAIL: 1 unsolicited"
    assert said["refusals after a death"].startswith("FAIL: 1 missing, 249 never sent")
    assert "Request 250: its reply came after that to a later one" in done.stdout


def run_with(
    capsys: pytest.CaptureFixture[str], cases: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, dict[str, list[str]], str]:
    """Run the self-test in this process, with only these faults and the clean run.

    Returns:
        Its status, what the table says by the names of the faults, and its last line.
    """
    monkeypatch.setattr("cli_client.faults.cases.FAULTS", cases)
    monkeypatch.setattr("cli_client.faults.cases.SOUND", (CLEAN,))
    with pytest.raises(SystemExit) as ended:
        main([])
    _, *rows, last = capsys.readouterr().out.splitlines()
    table: dict[str, list[str]] = {}
    said: list[str] = []
    for row in rows:
        name, *rest = re.split(" {2,}", row)
        if name:
            said = table[name] = []
        said += rest
    return int(str(ended.value.code)), table, last


def test_a_checker_that_takes_any_reply_is_found_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli_client.engine.run.expectation_of", lambda _: expectation("any", False))
    seen, *unseen = names = (
        *("connection cut between frames", "letter changed"),
        *("reply cut short", "number out of range"),
    )
    cases = tuple(case for case in FAULTS if case.name in names)
    status, table, last = run_with(capsys, cases, monkeypatch)
    assert status == 1
    assert table[seen][0] == "caught"
    for name in unseen:
        assert table[name][:2] == ["MISSED", "PASS"]
        assert "1 wrong should be counted" in " ".join(table[name])
    assert last == f"4 faults: 1 caught, not: {', '.join(unseen)}; 1 sound run: 1 passed"


def test_a_checker_that_cries_wolf_is_found_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "cli_client.engine.run.expectation_of", lambda _: expectation("echo", False)
    )
    status, table, last = run_with(capsys, (), monkeypatch)
    assert status == 1
    assert table["none"][:2] == ["ALARM", "FAIL: 500 wrong"]
    assert last == "0 faults: 0 caught; 1 sound run: 0 passed, not: none"


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with subprocess.Popen(
        [*COMMAND, "selftest"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("what is broken")
        assert process.stdout.readline().startswith("none")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.strip() == ""


def test_what_cannot_be_written_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "selftest"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            # What is not buffered is not tried again at exit.
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )
    assert done.returncode == 1
    assert done.stderr == "the self-test could not be done: No space left on device\n"


def test_a_server_that_does_not_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wire.private_server.COMMAND", (sys.executable, "-c", ""))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "the self-test could not be done: the private server did not start\n"
    )


def test_it_takes_no_url() -> None:
    done = send("selftest", "ws://localhost:8765/")
    assert done.returncode == 2
    assert done.stderr.startswith("wsroll-send selftest: Got unexpected extra argument")
