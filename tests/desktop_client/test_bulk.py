"""Bulk runs: the figures of the sender in the window, whatever the sender says."""

import asyncio
import dataclasses
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from websockets.asyncio.server import ServerConnection

from desktop_client import bulk_run
from desktop_client.bulk_run import preset
from desktop_client.latency_plot import DecadeAxis
from desktop_client.pairing import Check
from desktop_client.target import Target
from desktop_client.window import Window
from tests.conftest import ServerProcess
from tests.desktop_client import scripted_sender
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.scripted_server import serving
from tests.desktop_client.waiting import children, until

Script = Callable[..., None]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Put a sender in place that says certain lines (texts or JSON objects)."""

    def script(*lines: str | dict[str, Any]) -> None:
        monkeypatch.setattr(bulk_run, "COMMAND", (sys.executable, scripted_sender.__file__))
        monkeypatch.setenv("WSROLL_TEST_SCRIPT", json.dumps(lines))

    return script


def progress(answered: int, **more: Any) -> dict[str, Any]:
    return {
        "event": "progress",
        "elapsed_s": answered / 1e4,
        "sent": answered + 64,
        "answered": answered,
        "verified": answered,
        "failed": 0,
        "total": 10_000,
        "rate": 61234.5,
        "p50_ms": 0.9,
        "p90_ms": 1.5,
        "p99_ms": 2.5,
        "max_ms": 7.25,
        **more,
    }


def silence(seconds: float, answered: int, **more: Any) -> dict[str, Any]:
    """What the sender says where no reply came since it said something."""
    nothing = dict.fromkeys(("p50_ms", "p90_ms", "p99_ms", "max_ms"))
    return progress(answered, elapsed_s=seconds, rate=0.0, **nothing, **more)


def report(
    verdict: str,
    errors: tuple[str, ...] = (),
    reasons: tuple[str, ...] = (),
    **ledger: int,
) -> dict[str, Any]:
    names = (
        *("requests", "verified", "wrong", "missing", "never_sent", "duplicate"),
        *("out_of_order", "unsolicited", "late"),
    )
    return {
        "event": "report",
        "verdict": verdict,
        "elapsed_s": 1.5,
        "rate": 6666.7,
        "ledger": {name: ledger.get(name, 0) for name in names},
        "latency_ms": {"min": 0.1, "p50": 1.25, "p90": 2.0, "p99": 3.5, "max": 12.75},
        "errors": [{"message": message, "count": i} for i, message in enumerate(errors, 1)],
        "reasons": list(reasons),
        "histogram": [
            {"from_ms": 0.1, "to_ms": 1.0, "count": 7},
            {"from_ms": 1.0, "to_ms": 12.8, "count": 3},
        ],
    }


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def start(window: Window) -> None:
    window.tabs.setCurrentIndex(2)
    panel = window.bulk_panel
    await until(lambda: window.connection.is_connected)
    QTest.mouseClick(panel.start_button, Qt.MouseButton.LeftButton)
    assert not panel.start_button.isEnabled()


def test_progress_shows_in_bar_figures_and_plot(
    script: Script, server_url: str, run: Run, open_window: Open
) -> None:
    script(progress(1000), progress(2500, failed=3), "wait", report("fail", wrong=3))

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            panel = window.bulk_panel
            await until(lambda: panel.progress.value() == 2500)
            assert panel.progress.maximum() == 10_000
            assert panel.figure("rate") in ("61,234", "61,235")
            assert panel.figure("p99") == "2.50 ms"
            assert panel.figure("p90") == "1.50 ms"
            assert panel.figure("failed") == "3"
            assert panel.plot is not None
            assert panel.plot.points == 2
            # The window itself goes on meanwhile.
            window.tabs.setCurrentIndex(0)
            window.request_panel.press()
            await until(lambda: "Request 0" in window.request_panel.response.shown)

    run(scenario())


def test_stop_asks_the_sender_for_its_report(
    script: Script, server_url: str, run: Run, open_window: Open
) -> None:
    script(progress(1000), "wait", report("interrupted", verified=1000, never_sent=9000))

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            panel = window.bulk_panel
            await until(lambda: panel.progress.value() == 1000)
            assert panel.stop_button.hasFocus()
            QTest.keyClick(panel.stop_button, Qt.Key.Key_Space)
            await until(panel.start_button.isEnabled)
            assert panel.verdict.text() == "Stopped after 1.50 s: 1,000 right, 9,000 never sent."

    run(scenario())


@pytest.mark.parametrize(
    ("lines", "words", "listed"),
    [
        ([report("pass", verified=10_000)], "✔ All 10,000 replies are right, in 1.50 s.", []),
        (
            [report("recovered", (), ("2 connections ended", "sent again: 64"), verified=10)],
            "✔ Recovered: all 10 replies are right, in 1.50 s.",
            ["2 connections ended", "sent again: 64"],
        ),
        (
            [report("fail", ("Request 7: wrong", "x"), ("1 wrong",), verified=9_998, wrong=1)],
            "✘ Failed after 1.50 s: 9,998 right, 1 wrong.",
            ["1 wrong", "Request 7: wrong", "x (× 2)"],
        ),
        ([report("interrupted", verified=5)], "Stopped after 1.50 s: 5 right.", []),
        ([{"event": "error", "message": "no server at ws://x/"}], "no server at ws://x/", []),
        ([progress(5), "MemoryError"], "without a report (status 1). MemoryError", []),
        (
            ["[1, 2]", '{"event": "news"}', "{", "\N{PILE OF POO}"],
            "without a report",
            [],
        ),
        ([{**report("pass", verified=0), "latency_ms": None}], "All 0 replies", []),
        ([silence(0.1, 5), report("pass")], "All 0 replies", []),
    ],
    ids=[
        *("pass", "recovered", "fail", "interrupted", "error", "death", "nonsense"),
        *("no latency", "no latency yet"),
    ],
)
def test_the_verdict_is_what_the_sender_says(
    lines: list[str | dict[str, Any]],
    words: str,
    listed: list[str],
    script: Script,
    server_url: str,
    run: Run,
    open_window: Open,
) -> None:
    script(*lines)

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            panel = window.bulk_panel
            await until(panel.start_button.isEnabled)
            assert words in panel.verdict.text()
            assert [panel.errors.item(i).text() for i in range(panel.errors.count())] == listed
            assert panel.errors.isVisible() is bool(listed)
            assert window.state_line.text == ""

    run(scenario())


def test_an_outage_is_a_gap_with_its_span_and_never_a_latency(
    script: Script, server_url: str, run: Run, open_window: Open
) -> None:
    script(
        progress(1000, elapsed_s=2.1),
        silence(2.2, 1000),
        # With its connection gone, nothing is in flight.
        silence(3.2, 1000, sent=1000),
        silence(8.9, 1000),
        "wait",
        progress(2000, elapsed_s=9.0),
        silence(9.1, 2000),
        progress(3000, elapsed_s=9.5),
        report("fail", missing=1),
    )

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            panel = window.bulk_panel
            await until(
                lambda: "Waiting" in panel.verdict.text() and "6.8 s" in panel.verdict.text()
            )
            assert panel.verdict.text() == "Waiting for replies: none for 6.8 s, 64 in flight."
            assert panel.figure("p50") == "–"
            assert panel.plot is not None
            assert panel.plot.gaps == [(2.1, 8.9)]
            panel.stop_button.click()
            await until(panel.start_button.isEnabled)
            assert panel.plot.gaps == [(2.1, 9.0)]
            assert panel.plot.gap_names == ["no replies, 2.1 to 9.0 s"]
            assert panel.plot.points == 3

    run(scenario())


def test_a_pause_in_which_nothing_is_waited_for_is_no_outage(
    script: Script, server_url: str, run: Run, open_window: Open
) -> None:
    script(
        progress(10_000, elapsed_s=1.0, sent=10_000),
        *(silence(seconds, 10_000, sent=10_000) for seconds in (2.0, 9.0)),
        "wait",
    )

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            panel = window.bulk_panel
            await until(lambda: panel.figure("rate") == "0")
            await asyncio.sleep(0.1)
            assert panel.plot is not None
            assert panel.plot.gaps == []
            assert "Waiting" not in panel.verdict.text()

    run(scenario())


@pytest.mark.parametrize("points", [1, 30])
def test_a_short_run_shows_how_its_latencies_are_distributed(
    points: int, script: Script, server_url: str, run: Run, open_window: Open
) -> None:
    script(*(progress(i * 1000, elapsed_s=i / 10) for i in range(1, points + 1)), report("pass"))

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            await until(window.bulk_panel.start_button.isEnabled)
            assert window.bulk_panel.plot is not None
            assert window.bulk_panel.plot.shows_distribution is (points == 1)

    run(scenario())


def test_the_axis_has_a_label_at_each_decade() -> None:
    axis = DecadeAxis("left")
    ticks = dict(axis.tickValues(-1.2, 3.1, 100))
    assert ticks[1.0] == [-1, 0, 1, 2, 3]
    assert axis.tickStrings(ticks[1.0], 1, 1.0) == ["0.1", "1", "10", "100", "1,000"]
    assert set(axis.tickStrings(ticks[0.1], 1, 0.1)) == {""}


def test_no_secret_is_in_the_arguments_of_the_sender(
    script: Script, server: ServerProcess, run: Run, open_window: Open
) -> None:
    script(progress(1), "wait")
    url = server.url + "?token=secret"

    async def scenario() -> None:
        async with open_window(url) as window:
            window._options = dataclasses.replace(
                window._options, headers=(("Authorization", "secret"),)
            )
            window.connect_to_address()
            window.request_panel.message.message = "secret {i}"
            await start(window)
            await until(lambda: window.bulk_panel.progress.value() == 1)
            (sender,) = children(os.getpid(), "scripted_sender")
            arguments = arguments_of(sender)
            assert "--preset\0-" in arguments
            assert "secret" not in arguments
            assert "secret" not in window.bulk_panel.verdict.text()

    run(scenario())


def test_the_preset_is_toml_with_the_senders_option_names() -> None:
    target = Target(
        "ws://me:pw@x/?a=b",
        (("A", 'b: "c"'), ("B", "\\")),
        ("chat", "v2"),
        "ca.pem",
        "cert.pem",
        "key.pem",
        True,
    )
    message = '"\\\n\t\x00\x7f\x80\u2028🎲 {i}'
    text = preset(target, message, 5, 2, Check.ECHO, binary=True, trusted=None)
    assert tomllib.loads(text) == {
        "url": "ws://me:pw@x/?a=b",
        "messages": 5,
        "window": 2,
        "template": message,
        "expect": "echo",
        "binary": True,
        "header": ['A: b: "c"', "B: \\"],
        "subprotocol": ["chat", "v2"],
        "cacert": "ca.pem",
        "cert": "cert.pem",
        "key": "key.pem",
        "insecure": True,
        "proxy": "",
    }
    plain = preset(Target("ws://x/"), "x", 1, 1, Check.OFF, binary=False, trusted=None)
    assert tomllib.loads(plain) == {
        "url": "ws://x/",
        "messages": 1,
        "window": 1,
        "template": "x",
        "expect": "any",
        "proxy": "",
    }


def test_closing_ends_the_sender(
    script: Script, server_url: str, run: Run, open_window: Open
) -> None:
    script(progress(1), "wait")

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            await until(lambda: window.bulk_panel.progress.value() == 1)
            (sender,) = children(os.getpid(), "scripted_sender")
        assert sender not in children(os.getpid(), "")

    run(scenario())


def test_ten_thousand_messages_by_the_real_sender(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            panel = window.bulk_panel
            await until(panel.start_button.isEnabled)
            assert panel.verdict.text().startswith("✔ All 10,000 replies are right")
            assert panel.figure("answered") == "10,000"
            assert panel.figure("failed") == "0"
            assert panel.progress.value() == panel.progress.maximum() == 10_000
            assert panel.plot is not None
            assert panel.plot.points >= 1
            for name in ("p50", "p90", "p99", "max"):
                assert re.fullmatch(r"[\d,]+\.\d\d ms", panel.figure(name))
            assert re.fullmatch(r"[\d,]{5,}", panel.figure("rate"))

    run(scenario())


def test_stop_ends_the_real_sender_with_its_report(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            panel = window.bulk_panel
            panel.messages.setValue(50_000_000)
            panel.in_flight.setValue(8)
            window.request_panel.message.message = "Bulk {i}"
            await start(window)
            await until(panel.progress.value)
            plot = panel.plot
            assert plot is not None
            await until(lambda: plot.points >= 2)
            # The window sends and receives meanwhile.
            window.request_panel.press()
            await until(lambda: "Bulk 0" in window.request_panel.response.shown)
            panel.stop_button.click()
            await until(panel.start_button.isEnabled)
            assert panel.verdict.text().startswith("Stopped after ")
            assert "never sent" in panel.verdict.text()

    run(scenario())


def test_a_lying_server_fails_the_run_and_the_request_is_named(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def lie_at_seven(websocket: ServerConnection) -> None:
            async for request in websocket:
                number = 0 if request == "Request 7" else 7
                await websocket.send(f"{request!s}: {number}")

        async with serving(lie_at_seven) as url, open_window(url) as window:
            window.bulk_panel.messages.setValue(20)
            await start(window)
            await until(window.bulk_panel.start_button.isEnabled)
            assert window.bulk_panel.verdict.text().startswith("✘ Failed")
            listed = window.bulk_panel.errors
            assert any("Request 7" in listed.item(i).text() for i in range(listed.count()))
            assert window.bulk_panel.figure("failed") == "1"

    run(scenario())
