"""What can be sent, and what counts as a right reply to it."""

import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from cli_client.edges import Fragmented, edges
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


def test_an_empty_file_is_nothing_to_send(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.touch()
    done = send(server_url, "--file", path)
    assert (done.returncode, done.stderr) == (1, f"nothing to send: {path} is empty\n")


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


def test_requests_that_are_all_alike_bring_a_warning(server_url: str) -> None:
    done = send(server_url, "-q", "-n", 10, "--template", "ping")
    assert done.returncode == 0
    assert "the template has no {i}" in done.stderr
