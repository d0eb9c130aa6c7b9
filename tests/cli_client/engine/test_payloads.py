"""What can be sent, and what counts as a right reply to it."""

import os
import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from cli_client.engine.corpus import Fragmented, edges
from tests.cli_client.liars import serving
from tests.cli_client.sending import COMMAND, report, send
from tests.conftest import ServerProcess


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("connections", [1, 3])
def test_the_edge_cases_get_right_replies(server_url: str, binary: bool, connections: int) -> None:
    done = report(server_url, "--corpus", "edges", "-c", connections, *(["--binary"] * binary))
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == len(edges())


def test_the_edge_cases_against_a_foreign_echo_server() -> None:
    with serving(echo) as url:
        done = report(url, "--expect", "echo", "--corpus", "edges", "-n", 500, "--compress")
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 500
    assert done.report["numbers"] is None


def test_the_corpus_has_every_border() -> None:
    corpus = edges()
    assert {0, 1, 125, 126, 65_535, 65_536} <= {len(payload) for payload in corpus}
    assert b"\x00" in corpus
    assert any(payload.endswith(b": 42") for payload in corpus)
    for payload in corpus:
        payload.decode()
    fragmented = [payload for payload in corpus if isinstance(payload, Fragmented)]
    assert all(b"".join(payload.fragments()) == payload for payload in fragmented)
    # A character cut in its middle.
    assert any(
        fragment[:1] >= b"\x80" for payload in fragmented for fragment in payload.fragments()
    )


@pytest.mark.parametrize("size", [12, 125, 126, 1000, 65_536])
def test_a_size_pads_each_request(server_url: str, size: int) -> None:
    done = send(server_url, "-n", 20, "--size", size)
    assert done.returncode == 0, done.stderr
    first, *_, count = done.stdout.splitlines()
    assert count == "20"
    request, _, _ = first.removeprefix("Response for ").rpartition(": ")
    assert len(request) == size
    assert request.startswith("Request 0...")


def test_each_line_of_a_file_is_a_request(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.write_bytes("one\r\n\nzwölf 🎲\nno end of line".encode())
    done = send(server_url, "--file", path)
    assert done.returncode == 0, done.stderr
    texts = [line.rpartition(": ")[0] for line in done.stdout.splitlines()[:-1]]
    start = "Response for "
    assert texts == [start + "one", start, start + "zwölf 🎲", start + "no end of line"]
    assert "4 of 4 replies right" in done.stderr


def test_a_large_file_over_several_connections(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.write_text("".join(f"line {i}\n" for i in range(30_000)))
    done = report(server_url, "--file", path, "-c", 3)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 30_000


def test_of_a_file_only_so_many_lines(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.write_text("line\n" * 100)
    done = report(server_url, "--file", path, "-n", 30)
    assert done.report["ledger"]["requests"] == done.report["ledger"]["verified"] == 30


def test_standard_input_is_sent_as_it_comes(server_url: str) -> None:
    with subprocess.Popen(
        [*COMMAND, server_url, "--file", "-", "--progress", "none"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as sender:
        assert sender.stdin is not None
        sender.stdin.write("first\n")
        sender.stdin.flush()
        output, errors = sender.communicate("second\n" * 20_000, timeout=60)
    assert sender.returncode == 0, errors
    assert output.startswith("Response for first: ")
    assert output.splitlines()[-1] == "20001"


def test_a_line_that_is_no_text_is_named(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.write_bytes(b"good\n\xff\xfe\n")
    done = report(server_url, "--file", path)
    assert done.status == 1
    assert f"line 2 of {path} is not valid UTF-8: send it with --binary" in done.errors
    assert report(server_url, "--file", path, "--binary").status == 0


def test_a_line_that_is_no_text_does_not_hold_up_those_before_it(
    server_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "requests.txt"
    path.write_bytes(b"good\n" * 20_000 + b"\xff\n" + b"too late\n" * 10)
    done = report(server_url, "--file", path)
    assert done.status == 1
    assert "line 20001 of" in done.errors
    # What is read is checked a block at a time; none of those blocks before is lost.
    assert 16_000 < done.report["ledger"]["verified"] <= 20_000
    assert done.report["ledger"]["never_sent"] == 20_011 - done.report["ledger"]["verified"]


def test_a_line_that_no_request_can_be_is_named(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.write_bytes(b"good\n" + b"x" * (2**24 + 1))
    done = report(server_url, "--file", path)
    assert (done.status, done.faults) == (1, {"never_sent": 1})
    assert "a line is longer than 16,777,216 bytes" in done.errors


@pytest.mark.parametrize("processes", [1, 2])
def test_an_empty_file_is_nothing_to_send(server_url: str, tmp_path: Path, processes: int) -> None:
    path = tmp_path / "requests.txt"
    path.touch()
    done = send(server_url, "--file", path, "--processes", processes)
    assert (done.returncode, done.stderr) == (1, f"nothing to send: {path} is empty\n")


def test_an_empty_standard_input_is_nothing_to_send(server_url: str) -> None:
    done = send(server_url, "--file", "-", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (1, "nothing to send: standard input is empty\n")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\xff\n", "line 1 of standard input is not valid UTF-8: send it with --binary"),
        (b"\xff", "line 1 of standard input is not valid UTF-8"),
        (b"x" * (2**24 + 1), "a line is longer than 16,777,216 bytes"),
    ],
)
def test_a_bad_first_line_of_standard_input_is_named(
    server_url: str, content: bytes, named: str
) -> None:
    done = subprocess.run(
        [*COMMAND, server_url, "--file", "-"], input=content, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert named in done.stderr.decode()
    assert b"is empty" not in done.stderr


def test_a_named_pipe_is_sent_as_it_comes(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(
        [*COMMAND, server_url, "--file", path, "--progress", "none"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as sender:
        assert sender.stdout is not None
        with path.open("w") as pipe:
            pipe.write("first\n")
            pipe.flush()
            # The reply is there before the pipe has come to its end.
            assert sender.stdout.readline().startswith("Response for first: ")
            pipe.write("second")
        output, errors = sender.communicate(timeout=60)
    assert sender.returncode == 0, errors
    assert output.splitlines()[-1] == "2"


def test_a_pipe_is_not_for_several_processes(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    done = send(server_url, "--file", path, "--processes", 2)
    assert done.returncode == 2
    assert f"{path} cannot be read by several processes" in done.stderr


def test_a_large_file_takes_no_more_memory_than_a_small_one(
    server_url: str, tmp_path: Path
) -> None:
    sizes = []
    for lines in (10, 400_000):
        path = tmp_path / f"{lines}.txt"
        path.write_bytes(b"%099d\n" % 0 * lines)
        sender = subprocess.Popen(
            [*COMMAND, server_url, "-q", "--file", path, "--progress", "none", "-t", "60s"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(sender.pid, 0)
        sender.returncode = os.waitstatus_to_exitcode(status)
        assert sender.returncode == 0
        sizes.append(usage.ru_maxrss)
    # Of 40 MB that are read, in kilobytes.
    assert sizes[1] - sizes[0] < 10_000


def test_an_echo_is_expected_of_an_echo_server(server: ServerProcess) -> None:
    server.kill()
    server.options = ("--reply", "echo")
    server.start()
    assert report(server.url, "-n", 1000, "--expect", "echo").status == 0
    assert report(server.url, "-n", 1000).faults == {"wrong": 1000}
    assert report(server.url, "-n", 1000, "--expect", "any").status == 0


def test_a_number_is_no_echo(server_url: str) -> None:
    done = report(server_url, "-n", 3, "-w", 1, "--expect", "echo")
    assert done.faults == {"wrong": 3}
    assert "expected the request itself; it differs from byte 9 on: 3a 20" in done.errors


def test_any_reply_has_to_be_valid_text() -> None:
    async def garble(websocket: ServerConnection) -> None:
        async for _ in websocket:
            websocket.transport.write(b"\x81\x02\xff\xfe")

    with serving(garble) as url:
        done = report(url, "-n", 2, "-w", 1, "--expect", "any", "--retries", 0)
    assert done.status == 1
    assert "UTF-8" in done.errors or "utf-8" in done.errors


def test_that_equal_requests_can_hide_a_loss_stands_beside_the_verdict(
    server_url: str, tmp_path: Path
) -> None:
    words = "equal requests: a loss and a duplicate can cancel out"
    path = tmp_path / "requests.txt"
    path.write_bytes(b"same\nother\nsame\n")
    for options in (["--template", "ping", "-n", 10], ["--file", path]):
        done = report(server_url, *options)
        assert done.status == 0
        assert words in done.report["unverified"]
    path.write_bytes(b"one\nother\n")
    for options in (["-n", 10], ["--file", path]):
        assert words not in report(server_url, *options).report["unverified"]
