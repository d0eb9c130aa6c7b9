"""What a run leaves in files, and what it is held to."""

import asyncio
import csv
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest

from tests.cli_client import liars
from tests.cli_client.liars import at, serving
from tests.cli_client.sending import COMMAND, report, send

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(
    "options",
    [
        ["-n", "2000"],
        ["-n", "10"],
        ["-n", "2000", "-c", "4", "-r", "10k", "--check", "p99<10s"],
        ["-n", "100", "--expect", "any", "--compress", "-a", "me:pw", "-H", "Cookie: secret"],
        ["-n", "2000", "-c", "2", "--processes", "2"],
        ["--corpus", "edges"],
    ],
)
def test_every_report_keeps_to_its_schema(
    server_url: str, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "report.json"
    done = send(server_url, "-q", "--json", path, *options)
    assert done.returncode == 0, done.stderr
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), SCHEMA)
    assert "secret" not in text


def test_the_report_of_a_bad_run_keeps_to_it_too(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with serving(at("Request 5", liars.close)) as url:
        send(url, "-n", 20, "-w", 1, "--retries", 1, "--json", path)
    found = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    assert found["verdict"] == "fail"


def test_the_report_on_standard_output_is_alone_there(server_url: str) -> None:
    done = send(server_url, "-n", 100, "--json", "-")
    assert json.loads(done.stdout)["ledger"]["verified"] == 100


def test_all_files_of_one_run(server_url: str, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "html", "csv", "hdr", "ledger")}
    options = [text for kind, path in files.items() for text in (f"--{kind}", path)]
    done = send(server_url, "-q", "-n", 5000, *options)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(files["csv"].read_text(encoding="utf-8").splitlines()))
    assert sum(int(row["answered"]) for row in rows) == 5000
    assert "PASS" in files["html"].read_text(encoding="utf-8").upper()
    assert "#[Max" in files["hdr"].read_text(encoding="utf-8")
    assert len(files["ledger"].read_text(encoding="utf-8").splitlines()) == 5000


@pytest.mark.parametrize("kind", ["json", "html", "csv", "hdr"])
def test_a_file_that_cannot_be_written_fails_the_run(server_url: str, kind: str) -> None:
    done = send(server_url, "-q", "-n", 10, f"--{kind}", "/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "cannot write /dev/full: No space left on device"
    assert done.stdout == "10\n"


def test_a_file_that_cannot_be_written_does_not_cost_the_others(
    server_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.csv"
    done = send(server_url, "-q", "-n", 10, "--json", "/dev/full", "--csv", path)
    assert done.returncode == 1
    assert path.read_text().startswith("second,")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_ledger_that_cannot_be_written_fails_the_run(
    server_url: str, tmp_path: Path, processes: int
) -> None:
    full = tmp_path / "ledger"
    full.symlink_to("/dev/full")
    done = send(server_url, "-q", "-n", 5000, "--ledger", full, "--processes", processes)
    assert done.returncode == 1
    assert "5,000 of 5,000 replies right" in done.stderr
    assert done.stderr.splitlines()[-1] == f"cannot write {full}: No space left on device"
    assert done.stdout == "5000\n"
    assert list(tmp_path.iterdir()) == [full]


def test_the_shares_of_a_ledger_become_one_file(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    done = send(server_url, "-q", "-n", 3000, "--ledger", path, "--processes", 2)
    assert done.returncode == 0, done.stderr
    requests = [json.loads(line)["request"] for line in path.read_text().splitlines()]
    assert sorted(requests) == list(range(3000))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("check", "status"),
    [
        ("p99<60s", 0),
        ("p(99) < 60000", 0),
        ("errors==0", 0),
        ("verified==100", 0),
        ("rate>1", 0),
        ("p99<1us", 1),
        ("rate>1000000000", 1),
    ],
)
def test_a_check_sets_the_exit_status(server_url: str, check: str, status: int) -> None:
    done = send(server_url, "-q", "-n", 100, "--check", check)
    assert done.returncode == status
    assert check.split("<")[0].split(">")[0].split("=")[0].strip() in done.stderr


def test_one_check_that_fails_is_enough(server_url: str) -> None:
    done = report(server_url, "-n", 100, "--check", "errors==0", "--check", "rate<1")
    assert (done.status, done.report["verdict"]) == (1, "fail")
    assert [check["passed"] for check in done.report["checks"]] == [True, False]


def test_two_runs_side_by_side(server_url: str, tmp_path: Path) -> None:
    for name in "ab":
        send(server_url, "-q", "-n", 1000, "--json", tmp_path / f"{name}.json")
    done = send("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert done.returncode == 0, done.stderr
    for figure in ("rate", "p99", "verified"):
        assert figure in done.stdout


def test_comparing_what_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    path.write_text("{}")
    done = send("compare", path, path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert str(path) in line


def on_a_terminal(command: str, tmp_path: Path, **environment: str) -> str:
    """Run a command on a terminal of its own, and return what that shows."""
    done = subprocess.run(
        ["script", "-qec", command, str(tmp_path / "typescript")],
        text=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "TERM": "xterm", **environment},
    )
    return done.stdout


def test_no_colour_where_none_is_wanted(server_url: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cli_client {server_url} -q -n 10 --progress none"
    assert "\x1b[" in on_a_terminal(command, tmp_path)
    assert "\x1b[" not in on_a_terminal(command, tmp_path, NO_COLOR="1")


def test_a_dumb_terminal_gets_neither_colours_nor_a_bar(server_url: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cli_client {server_url} -q -n 1000"
    shown = on_a_terminal(command, tmp_path, TERM="dumb")
    assert "\x1b" not in shown
    assert "PASS 1,000 of 1,000" in shown


def test_no_bar_among_the_responses(server_url: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cli_client {server_url} -r 1000 -n 500"
    shown = on_a_terminal(command, tmp_path)
    assert "Response for Request 499: " in shown
    assert "left" not in shown
    assert "left" in on_a_terminal(f"{command} -q", tmp_path)


def test_responses_are_there_as_soon_as_their_replies() -> None:
    """Also where they do not fill a block; the last reply is held back until they are read."""
    read = threading.Event()

    async def hold(websocket: liars.ServerConnection, request: str) -> None:
        await asyncio.get_running_loop().run_in_executor(None, read.wait, 30)
        await websocket.send(liars.reply_to(request))

    with (
        serving(at("Request 1", hold)) as url,
        subprocess.Popen(
            [*COMMAND, url, "-n", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as sender,
    ):
        assert sender.stdout is not None
        assert sender.stdout.readline() == "Response for Request 0: 7\n"
        read.set()
        assert sender.communicate(timeout=60)[0] == "Response for Request 1: 7\n2\n"


def test_responses_are_printed_without_what_a_terminal_would_obey() -> None:
    async def answer(websocket: liars.ServerConnection) -> None:
        async for _ in websocket:
            await websocket.send("\x1b[2Jone\ntwo\u202e\x85é")

    with serving(answer) as url:
        done = send(url, "-n", 2, "--expect", "any")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Response for \\x1b[2Jone\\ntwo\\u202e\\x85é\n" * 2 + "2\n"
    assert "2 of 2 replies counted, not matched" in done.stderr


def test_a_binary_reply_is_printed_as_text() -> None:
    async def answer(websocket: liars.ServerConnection) -> None:
        async for _ in websocket:
            await websocket.send(b"\xff\x9b2J\x00")

    with serving(answer) as url:
        done = send(url, "-n", 1, "--expect", "any", "--binary")
    assert done.stdout == "Response for \\xff\\x9b2J\\x00\n1\n"


def test_a_reader_that_leaves_does_not_cost_the_report(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    command = f"{sys.executable} -m cli_client {server_url} -n 1M --json {path} | head -n 1"
    done = subprocess.run(["sh", "-c", command], text=True, capture_output=True, timeout=60)
    assert done.stdout == "Response for Request 0: " + done.stdout.split()[-1] + "\n"
    found = json.loads(path.read_text())
    jsonschema.validate(found, SCHEMA)
    assert found["verdict"] == "interrupted"
    assert found["ledger"]["never_sent"] > 0
    assert "their reader is gone" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("processes", [1, 2])
def test_full_responses_do_not_cost_the_report(
    server_url: str, tmp_path: Path, processes: int
) -> None:
    path = tmp_path / "report.json"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, server_url, "-n", "5000", "--processes", str(processes), "--json", path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "cannot write the responses: No space left on device" in done.stderr.splitlines()
    assert json.loads(path.read_text())["ledger"]["verified"] == 5000


def test_a_run_that_never_connects_has_a_report(unused_port: int, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "html", "csv", "hdr")}
    options = [text for kind, path in files.items() for text in (f"--{kind}", path)]
    done = send(f"ws://localhost:{unused_port}/", *options)
    (line,) = done.stderr.splitlines()
    assert "connection refused" in line
    assert done.returncode == 1
    found = json.loads(files["json"].read_text())
    jsonschema.validate(found, SCHEMA)
    assert (found["verdict"], found["ledger"]["never_sent"]) == ("fail", 10_000)
    (failure,) = found["handshakes"]["failures"]
    assert (failure["phase"], failure["count"]) == ("tcp", 1)
    assert "refused" in failure["reason"]
    assert "connection refused" in files["html"].read_text()


@pytest.mark.parametrize(
    ("closed", "status", "stdout"),
    [(">&-", 2, ""), ("2>&-", 0, "10\n"), ("2>/dev/full", 0, "10\n")],
)
def test_an_output_that_is_closed(server_url: str, closed: str, status: int, stdout: str) -> None:
    command = f"{sys.executable} -m cli_client {server_url} -q -n 10 {closed}"
    done = subprocess.run(["sh", "-c", command], text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (status, stdout)
    assert done.stderr.count("\n") == (closed == ">&-")


def test_errors_alike_are_one_over_all_processes() -> None:
    async def echo(websocket: liars.ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(message)

    with serving(echo) as url:
        done = report(url, "-n", 90, "--template", "{i}", "--processes", 2)
    assert done.faults == {"wrong": 90}
    assert sorted(error["count"] for error in done.report["errors"]) == [10, 80]
