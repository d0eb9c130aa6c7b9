"""The sender as a process: what it prints, what it says, how it exits."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_client.engine.run import Run
from cli_client.settings import Settings
from tests.cli_client import liars
from tests.cli_client.liars import Handler, at, serving
from tests.cli_client.sending import send


def test_ten_thousand_responses_in_order_and_their_count_last(server_url: str) -> None:
    done = send(server_url)
    assert done.returncode == 0, done.stderr
    *responses, count = done.stdout.splitlines()
    assert count == "10000"
    assert len(responses) == 10_000
    for i, line in enumerate(responses):
        assert re.fullmatch(rf"Response for Request {i}: ([1-9]|[1-9]\d|100)", line)


def test_the_summary_has_time_rate_and_latency(server_url: str) -> None:
    done = send(server_url, "-n", "100")
    assert re.search(r"100 of 100 replies right in \d+\.\d+ s, [\d,]+ messages/s", done.stderr)
    assert re.search(r"latency, ms +min +mean +p50 +p90 +p95 +p99 +p99.9 +max\n", done.stderr)


@pytest.mark.parametrize("window", ["1", "64", "5000"])
def test_any_window_brings_every_reply(server_url: str, window: str) -> None:
    done = send(server_url, "-q", "-n", "2000", "--window", window)
    assert (done.returncode, done.stdout) == (0, "2000\n")


def test_long_and_non_ascii_requests(server_url: str) -> None:
    template = "zwölf 🎲 " * 40 + "{i}"
    done = send(server_url, "-n", "50", "--template", template)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Response for {template.replace('{i}', '0')}: ")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--expect", "echo"],
        ["--compress", "--binary"],
        ["--size", "2M", "-w", "2"],
        ["--origin", "https://page.example"],
        ["-c", "20", "--processes", "2"],
    ],
)
def test_a_server_of_its_own_has_what_the_run_asks_for(options: list[str]) -> None:
    done = send("--with-server", "-q", "-n", "100", *options)
    assert (done.returncode, done.stdout) == (0, "100\n"), done.stderr


def test_no_server(unused_port: int) -> None:
    done = send(f"ws://localhost:{unused_port}/")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"no server at ws://localhost:{unused_port}/: connection refused. "
        "Start one with wsroll-server.\n"
    )


@pytest.mark.parametrize(
    ("lie", "fault", "named"),
    [
        (liars.wrong_number, "1 wrong", "Request 5: "),
        (liars.echo, "1 wrong", "Request 5: "),
        (liars.binary, "1 wrong", "Request 5: expected text"),
        (liars.another_request, "1 wrong", "Request 5: "),
        (liars.twice, "1 duplicate", "Request 5: a duplicate reply"),
        (liars.nothing, "1 missing", "Request 5 got no reply"),
        (liars.after_the_next, "1 out of order", "Request 5: its reply came after"),
        (liars.close, "missing", "code 1011 out of numbers"),
        (liars.cut, "missing", "Request 5 got no reply"),
        (liars.broken_frame, "missing", "Request 5 got no reply"),
    ],
)
def test_a_lie_is_named_and_fails_the_run(lie: object, fault: str, named: str) -> None:
    with serving(at("Request 5", lie)) as url:  # type: ignore[arg-type]
        done = send(url, "-n", "20", "--window", "8", "--timeout", "1")
    assert done.returncode == 1
    assert fault in done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    # What was not verified is neither shown nor counted.
    *responses, count = done.stdout.splitlines()
    assert int(count) == len(responses) < 21
    assert all(re.fullmatch(r"Response for Request \d+: 7", line) for line in responses)


def test_one_lost_reply_does_not_make_the_others_wrong() -> None:
    with serving(at("Request 5", liars.nothing)) as url:
        done = send(url, "-n", "20", "--window", "20", "--timeout", "1")
    assert done.stdout.splitlines()[-1] == "19"


@pytest.mark.parametrize("at_the_end", [liars.twice, liars.nothing])
def test_a_lie_about_the_last_request_shows_too(at_the_end: object) -> None:
    with serving(at("Request 19", at_the_end)) as url:  # type: ignore[arg-type]
        done = send(url, "-n", "20", "--timeout", "1")
    assert done.returncode == 1
    assert "Request 19" in done.stderr


def test_a_reply_that_nobody_asked_for() -> None:
    async def chatty(websocket: liars.ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(liars.reply_to(message))
            if message == "Request 9":
                await websocket.send("Hello")

    handler: Handler = chatty
    with serving(handler) as url:
        done = send(url, "-n", "10", "--timeout", "1")
    assert done.returncode == 1
    assert "nobody asked for" in done.stderr


def test_no_websocket_there(server_url: str) -> None:
    done = send(server_url + "metrics", "-H", "Origin: https://strange.example", "-n", "1")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "HTTP 403" in line


def test_progress_for_programs_ends_with_the_report(server_url: str) -> None:
    done = send(server_url, "-q", "--progress", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert {event["event"] for event in events[:-1]} == {"progress"}
    report = events[-1]
    assert (report["event"], report["verdict"]) == ("report", "pass")
    ledger = report["ledger"]
    assert ledger["requests"] == ledger["verified"] == 10_000
    assert sum(ledger.values()) == 20_000


def test_a_failure_for_programs_is_an_event(unused_port: int) -> None:
    done = send(f"ws://localhost:{unused_port}/", "--progress", "json")
    (event,) = (json.loads(line) for line in done.stderr.splitlines())
    assert event["event"] == "error"
    assert "connection refused" in event["message"]


def test_ctrl_c_leaves_a_report_and_status_130() -> None:
    with (
        serving(at("Request 5", liars.nothing)) as url,
        subprocess.Popen(
            [sys.executable, "-m", "cli_client", url, "-q", "--progress", "json"],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as sender,
    ):
        assert sender.stderr is not None
        sender.stderr.readline()  # it is under way
        sender.send_signal(signal.SIGINT)
        output, errors = sender.communicate(timeout=20)
    assert sender.returncode == 130
    assert json.loads(errors.splitlines()[-1])["event"] == "report"
    assert output.splitlines()[-1].isdecimal()


def test_a_run_leaves_ctrl_c_as_it_found_it(server_url: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    Run(Settings(url=server_url, messages=1), lambda replies: None, lambda standing: True)()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_reader_who_has_had_enough_sees_no_traceback(server_url: str) -> None:
    command = f"{sys.executable} -m cli_client {server_url} -n 100000 | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], text=True, capture_output=True, timeout=60, env=os.environ
    )
    assert done.stdout.startswith("Response for Request 0: ")
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_the_bar_shows_on_a_terminal(server_url: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cli_client {server_url} -q -n 400000"
    done = subprocess.run(
        ["script", "-qec", command, str(tmp_path / "typescript")],
        text=True,
        capture_output=True,
        timeout=100,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    assert re.search(r"[\d,]+ of 400,000 [\d,]+/s p50 [\d.]+ p99 [\d.]+ ms", done.stdout)
    assert done.stdout.rstrip().endswith("400000")


@pytest.mark.parametrize("options", [["-n", "100000"], ["-q", "-n", "10"]])
def test_an_output_that_is_full_is_one_line_and_status_1(
    server_url: str, options: list[str]
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli_client", server_url, *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("cannot write the ")
    assert "Traceback" not in done.stderr


def test_a_header_given_replaces_the_library_s_own() -> None:
    seen: list[list[str]] = []

    async def note(websocket: liars.ServerConnection) -> None:
        assert websocket.request is not None
        seen.append(websocket.request.headers.get_all("Host"))
        async for message in websocket:
            await websocket.send(liars.reply_to(message))

    with serving(note) as url:
        done = send(url, "-n", "1", "-H", "Host: example.test")
    assert done.returncode == 0, done.stderr
    assert seen == [["example.test"]]


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_server_that_never_answers_a_close_does_not_hold_the_report(interrupt: bool) -> None:
    async def deaf(websocket: liars.ServerConnection) -> None:
        if not interrupt:
            await websocket.send(liars.reply_to(await websocket.recv()))
        websocket.transport.pause_reading()  # type: ignore[attr-defined]
        await websocket.wait_closed()

    options = ["-q", "-n", "1", "--progress", "json"]
    with (
        serving(deaf) as url,
        subprocess.Popen(
            [sys.executable, "-m", "cli_client", url, *options],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as sender,
    ):
        if interrupt:
            assert sender.stderr is not None
            sender.stderr.readline()  # it is under way
            sender.send_signal(signal.SIGINT)
        output, errors = sender.communicate(timeout=30)
    assert json.loads(errors.splitlines()[-1])["event"] == "report", errors
    assert sender.returncode == (130 if interrupt else 0)
    assert output == ("0\n" if interrupt else "1\n")
