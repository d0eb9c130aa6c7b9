"""Bulk runs: the figures of the sender in the window, whatever the sender says."""

import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from websockets.asyncio.server import ServerConnection

from desktop_client import bulk_run
from desktop_client.window import Window
from tests.desktop_client import scripted_sender
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.liar import serving
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
        "p99_ms": 2.5,
        "max_ms": 7.25,
        **more,
    }


def report(verdict: str, errors: tuple[str, ...] = (), **ledger: int) -> dict[str, Any]:
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
        "errors": [{"message": message, "count": 1} for message in errors],
    }


async def start(window: Window) -> None:
    window.tabs.setCurrentIndex(2)
    panel = window.bulk_panel
    await until(panel.start_button.isEnabled)
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
            assert panel.figure("failed") == "3"
            assert panel.plot is not None
            assert panel.plot.points == 2
            # The window itself goes on meanwhile.
            window.tabs.setCurrentIndex(0)
            window.request_panel.button.click()
            await until(lambda: "Request 0" in window.request_panel.response.text())

    run(scenario())


def test_stop_asks_the_sender_for_its_report(
    script: Script, server_url: str, run: Run, open_window: Open
) -> None:
    script(progress(1000), "wait", report("fail", verified=1000, never_sent=9000))

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
    ("lines", "words"),
    [
        ([report("pass", verified=10_000)], "✔ All 10,000 replies are right, in 1.50 s."),
        (
            [report("fail", ("Request 7: wrong",), verified=9_998, wrong=1, missing=1)],
            "✘ Failed after 1.50 s: 9,998 right, 1 wrong, 1 missing.\nRequest 7: wrong",
        ),
        ([{"event": "error", "message": "no server at ws://x/"}], "no server at ws://x/"),
        ([progress(5), "MemoryError"], "without a report (status 1). MemoryError"),
        (["[1, 2]", '{"event": "news"}', "{", "\N{PILE OF POO}"], "without a report"),
        ([{**report("pass", verified=0), "latency_ms": None}], "All 0 replies"),
        ([progress(5, p50_ms=None, p99_ms=None, max_ms=None), report("pass")], "All 0 replies"),
    ],
    ids=["pass", "fail", "error", "death", "nonsense", "no latency", "no latency yet"],
)
def test_the_verdict_is_what_the_sender_says(
    lines: list[str | dict[str, Any]],
    words: str,
    script: Script,
    server_url: str,
    run: Run,
    open_window: Open,
) -> None:
    script(*lines)

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await start(window)
            await until(window.bulk_panel.start_button.isEnabled)
            assert words in window.bulk_panel.verdict.text()
            assert window.strip.text == ""

    run(scenario())


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
            window.request_panel.message.setText("Bulk {i}")
            await start(window)
            await until(panel.progress.value)
            plot = panel.plot
            assert plot is not None
            await until(lambda: plot.points >= 2)
            # The window sends and receives meanwhile.
            window.request_panel.button.click()
            await until(lambda: "Bulk 0" in window.request_panel.response.text())
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
            assert "Request 7" in window.bulk_panel.verdict.text()
            assert window.bulk_panel.figure("failed") == "1"

    run(scenario())
