"""The command line: what it announces, and one clear line for each thing that can be wrong."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from server import __main__ as command
from tests.server.raw import TEXT, RawClient, frame, handshake
from tests.server.running import run_to_end, running
from wire import frames
from wire.address import find_announced_url


def check_complaint(result: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """Check that a command said what is wrong in one line, with exit status 2."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def run_here(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in this process: it must refuse its options before it serves."""
    result = CliRunner().invoke(command.main, options, env=environment)
    return subprocess.CompletedProcess(options, result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_it_announces_where_it_listens() -> None:
    """One line on standard error, with the page's address, once it can be connected to."""
    with running() as server:
        url = find_announced_url(server.announcement)
        assert url == f"ws://localhost:{server.port}/"
        assert f"http://localhost:{server.port}/" in server.announcement
        with server.connect() as client:
            assert client.ask("Request 1").startswith("Request 1: ")
    assert server.log.count("Listening on") == 1


def test_a_quiet_server_still_announces_itself() -> None:
    """Programs that start a server wait for that line; at ``--quiet`` there is no other."""
    with running("--quiet") as server, server.connect() as client:
        client.ask("Request 1")
    assert server.log == server.announcement


def test_nothing_is_logged_per_message_at_the_default_level() -> None:
    """Nor per connection that goes well."""
    with running() as server, server.connect() as client:
        for i in range(10):
            client.ask(f"Request {i}")
    assert "Request" not in server.log
    assert len(server.log.splitlines()) <= 2, server.log


def test_a_verbose_server_logs_connections() -> None:
    """``-v`` tells of each opening and closing."""
    with running("-v") as server:
        with server.connect() as client:
            client.ask("Request 1")
        server.wait_for_log("opened")
        server.wait_for_log("closed with code 1006")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use(taken_port: int, workers: str) -> None:
    """One line that names the port and says what to do."""
    result = run_to_end("--host", "127.0.0.1", "--port", str(taken_port), "--workers", workers)
    check_complaint(result, f"port {taken_port} is already in use", "--port")


def test_a_port_that_another_server_has() -> None:
    """Also with several workers, which share a port among themselves alone."""
    with running() as server:
        check_complaint(run_to_end("--port", str(server.port)), "already in use")
    with running("--workers", "2") as server:
        again = ("--workers", "2", "--port", str(server.port))
        check_complaint(run_to_end(*again), "already in use")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "no.such.host.invalid"], ["no.such.host.invalid"]),
        (["--host", "192.0.2.1"], ["192.0.2.1"]),
        (["--host", "a" * 300], ["host"]),
        (["--host", ""], ["host"]),
        (["--host", "local host"], ["local host"]),
        (["--port", "65536"], ["--port", "65536"]),
        (["--port", "-1"], ["--port", "-1"]),
        (["--port", "http"], ["--port", "http"]),
        (["--workers", "-1"], ["--workers", "-1"]),
        (["--max-message-size", "1X"], ["--max-message-size", "1X"]),
        (["--max-message-size", "9" * 5000], ["--max-message-size"]),
        (["--max-message-size", "-1"], ["--max-message-size", "-1"]),
        (["--max-connections", "0"], ["--max-connections", "0"]),
        (["--open-timeout", "0"], ["--open-timeout", "0"]),
        (["--ping-interval", "nan"], ["--ping-interval", "nan"]),
        (["--stall-timeout", "inf"], ["--stall-timeout", "inf"]),
        (["--grace", "-1"], ["--grace", "-1"]),
        (["--drain", "-1"], ["--drain", "-1"]),
        (["--reply", "parrot"], ["--reply", "parrot"]),
        (["--origin", "example.org"], ["--origin", "example.org"]),
        (["--origin", "http://["], ["--origin", "http://["]),
        (["--origin", "https://example.org/page"], ["--origin", "https://example.org/page"]),
        (["--unix", "/no/such/folder/socket"], ["/no/such/folder/socket"]),
        (["--unix", "/tmp/" + "a" * 200], ["aaaa", "too long"]),
        (["--unix", "/tmp"], ["/tmp"]),
        (["--tls-key", "key.pem"], ["--tls-key", "--tls-cert"]),
        (["--colour"], ["--colour"]),
        (["somewhere"], ["somewhere"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_a_bad_option(arguments: list[str], words: list[str]) -> None:
    """The line names the option, or what it is about, and the value."""
    check_complaint(run_here("--port", "0", *arguments), *words)


@pytest.mark.parametrize(
    ("variable", "option", "value"),
    [
        ("WSROLL_PORT", "--port", "eight"),
        ("WSROLL_MAX_MESSAGE_SIZE", "--max-message-size", "big"),
        ("WSROLL_GRACE", "--grace", "soon"),
        ("WSROLL_HTTP", "--http", "perhaps"),
    ],
)
def test_a_bad_environment_variable(variable: str, option: str, value: str) -> None:
    """The line names the option and the value, as for an option."""
    check_complaint(run_here(**{variable: value}), option, value)


def test_an_environment_variable_is_an_option() -> None:
    """``WSROLL_REPLY`` stands for ``--reply``, and the command line beats it."""
    with running(WSROLL_REPLY="echo") as server, server.connect() as client:
        assert client.ask("Request 1") == "Request 1"
    with running("--reply", "random", WSROLL_REPLY="echo") as server, server.connect() as client:
        assert client.ask("Request 1") != "Request 1"


def test_help_lists_each_option_with_its_environment_variable() -> None:
    """``--help`` is the manual."""
    result = run_to_end("--help")
    assert result.returncode == 0
    assert result.stderr == ""
    for parameter in command.main.params:
        option = parameter.opts[-1]
        assert option in result.stdout
        if option not in ("--help", "--version"):
            variable = "WSROLL_" + option[2:].replace("-", "_").upper()
            assert variable in result.stdout, f"{variable} is not in --help"


def test_help_says_why_compression_is_off() -> None:
    """Memory and speed at these sizes."""
    text = " ".join(run_to_end("--help").stdout.split())
    explanation = text[text.index("--compress") :][:400]
    assert "memory" in explanation
    assert "time" in explanation


@pytest.mark.parametrize(("plain", "language"), [("", frames.LANGUAGE), ("1", "Python")])
def test_version(plain: str, language: str) -> None:
    """``--version`` says what the frame functions are written in too."""
    result = run_to_end("--version", WSROLL_PLAIN_FRAMES=plain)
    assert result.returncode == 0
    assert re.fullmatch(rf"wsroll-server \d+\.\d+\.\d+ \(frames in {language}\)\n", result.stdout)


def test_a_unix_socket_left_behind_is_replaced_but_a_file_is_not(tmp_path: Path) -> None:
    """A killed server leaves its socket; a living one and a plain file keep their place."""
    path = tmp_path / "socket"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with running("--unix", str(path)):
        check_complaint(run_to_end("--unix", str(path)), str(path))
        with RawClient(str(path)) as client:
            client.open().ask("Request 1")
    path.write_text("precious")
    check_complaint(run_to_end("--unix", str(path)), str(path))
    assert path.read_text() == "precious"


def test_json_log_lines_are_objects() -> None:
    """``--log-json``: each event is an object with time, level and message."""
    with running("--log-json", "-v") as server:
        with server.connect() as client:
            client.send(frame(TEXT, b"\xff"))
            list(client.read_to_end())
        with RawClient(server.url) as client:
            client.send(handshake("localhost", "Origin: https://strange\u2028.example"))
            client.read_response()
        server.wait_for_log("refused")
    events = [json.loads(line) for line in server.log.splitlines() if "Listening" not in line]
    assert len(events) >= 4
    for event in events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
        assert event["level"] in ("debug", "info", "warning", "error")
        assert event["message"]


def test_a_log_line_stays_one_line() -> None:
    """What a client sends stands in the log, and cannot forge a line of it."""
    with running() as server:
        with RawClient(server.url) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\rforged: line\x1b[2J\x85\r\n\r\n")
            client.read_head()
        with RawClient(server.url) as client:
            client.send(handshake("evil.example", "Origin: http://a\x1b[31m\x85forged"))
            client.read_head()
        server.wait_for_log("refused", times=2)
    for line in server.log.splitlines()[1:]:
        assert re.match(r"\d\d:\d\d:\d\d ", line), repr(line)
        assert line.isprintable(), repr(line)
