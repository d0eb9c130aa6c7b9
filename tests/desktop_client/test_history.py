"""The history: what stands in it, and what can be done with it."""

import asyncio
import csv
import json
import re
from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot
from websockets.asyncio.server import ServerConnection

from desktop_client import history
from desktop_client.history import HistoryModel
from desktop_client.transcript import Entry
from desktop_client.window import Window
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.liar import serving
from tests.desktop_client.waiting import until


def column(model: HistoryModel, number: int) -> list[str]:
    return [str(model.index(row, number).data()) for row in range(model.rowCount())]


async def press(window: Window, times: int = 1) -> None:
    """Press the button and wait for the replies."""
    await until(window.request_panel.button.isEnabled)
    for _ in range(times):
        window.request_panel.button.click()
    await until(lambda: not window.connection.waiting)


def test_it_holds_each_exchange_and_each_event(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await press(window, 2)
            window.connect_button.click()
            model = window.history_panel.model
            await until(lambda: model.rowCount() == 4)
            assert column(model, 1) == ["", "⇄", "⇄", ""]
            assert column(model, 2) == [
                f"connected to {server_url}",
                "reply",
                "reply",
                "disconnected",
            ]
            assert column(model, 6) == ["", "Request 0", "Request 1", ""]
            assert re.fullmatch(r"\d+\.\d\d ms", column(model, 3)[1])
            assert column(model, 4)[1] == "9"
            assert re.fullmatch(r"Request 1: \d+", column(model, 7)[2])

    run(scenario())


def test_a_wrong_reply_and_what_came_unasked_stand_in_it(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def greet_then_lie(websocket: ServerConnection) -> None:
            async for _ in websocket:
                await websocket.send("Request 0: 101")

        async with serving(greet_then_lie) as url, open_window(url) as window:
            await press(window)
            model = window.history_panel.model
            await until(lambda: "wrong reply" in column(model, 2))
            row = column(model, 2).index("wrong reply")
            assert column(model, 7)[row] == "Request 0: 101"

        async def greet(websocket: ServerConnection) -> None:
            await websocket.send("Welcome")
            await websocket.wait_closed()

        async with serving(greet) as url, open_window(url) as window:
            model = window.history_panel.model
            await until(lambda: "unasked message" in column(model, 2))
            row = column(model, 2).index("unasked message")
            assert (column(model, 1)[row], column(model, 7)[row]) == ("←", "Welcome")
            await until(lambda: "no request had asked for" in window.strip.text)
            await until(lambda: not window.request_panel.button.isEnabled())

    run(scenario())


def test_filter_copy_and_save(server_url: str, run: Run, open_window: Open, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await press(window, 12)
            panel = window.history_panel
            panel.filter.setText("REQUEST 1")
            await until(lambda: panel.model.rowCount() == 3)
            assert column(panel.model, 6) == ["Request 1", "Request 10", "Request 11"]
            panel.copy()
            lines = QGuiApplication.clipboard().text().splitlines()
            assert [line.split("\t")[6] for line in lines] == column(panel.model, 6)
            panel.table.selectRow(1)
            panel.copy()
            assert QGuiApplication.clipboard().text().split("\t")[6] == "Request 10"

            panel.save(tmp_path / "history.csv")
            panel.save(tmp_path / "history.json")
            await until(lambda: _is_json(tmp_path / "history.json"))
            await until(lambda: (tmp_path / "history.csv").stat().st_size)
            with (tmp_path / "history.csv").open(newline="") as stream:
                saved = list(csv.DictReader(stream))
            assert [row["request"] for row in saved] == ["Request 1", "Request 10", "Request 11"]
            assert float(saved[0]["round_trip_ms"]) > 0
            assert saved[0]["time"].endswith("+00:00")
            records = json.loads((tmp_path / "history.json").read_text())
            assert [record["reply"] for record in records] == [row["reply"] for row in saved]

            panel.save(tmp_path / "no folder" / "history.csv")
            await until(window.strip.isVisible)
            assert "No such file or directory" in window.strip.text

    run(scenario())


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    return True


def test_the_model_keeps_qts_rules_while_the_oldest_give_way(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_ENTRIES", 30)
    model = HistoryModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    for i in range(50):
        model.add(Entry("reply", request=f"Request {i}"))
    assert 27 <= model.total <= 30
    assert column(model, 6)[-1] == "Request 49"
    model.set_filter("request 4")
    assert column(model, 6) == [f"Request {i}" for i in range(40, 50)]
    model.add(Entry("reply", request="Request 50"))
    assert model.rowCount() == 10
    model.clear()
    assert model.rowCount(QModelIndex()) == 0
    del tester


def test_it_follows_the_newest_of_thousands_unless_one_looks_at_older_ones(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(window.request_panel.button.isEnabled)
            window.tabs.setCurrentIndex(1)
            panel, bar = window.history_panel, window.history_panel.table.verticalScrollBar()
            for i in range(5000):
                panel.model.add(Entry("reply", request=f"Request {i}"))
            await until(lambda: bar.value() == bar.maximum() > 4900)
            bar.setValue(100)
            panel.model.add(Entry("reply", request="one more"))
            await until(lambda: bar.maximum() > 4900)
            await asyncio.sleep(0.1)
            assert bar.value() == 100

    run(scenario())


def test_messages_that_are_long_count_by_their_size(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_BYTES", 1_000_000)
    model = HistoryModel()
    for _ in range(100):
        model.add(Entry("reply", request="x" * 50_000, reply="x" * 50_000 + ": 7"))
    assert model.total <= 10
    assert len(str(model.index(0, 6).data())) < 400
