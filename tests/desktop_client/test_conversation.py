"""The conversation: what stands in it, and what can be done with it."""

import asyncio
import csv
import json
import re
from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot
from websockets.asyncio.server import ServerConnection

from desktop_client import conversation_model
from desktop_client.conversation_model import Column, ConversationModel
from desktop_client.conversation_panel import with_ending
from desktop_client.pairing import Message
from desktop_client.transcript import Direction, Entry
from desktop_client.window import Window
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.scripted_server import serving
from tests.desktop_client.waiting import until


def column(model: ConversationModel, number: int) -> list[str]:
    return [str(model.index(row, number).data()) for row in range(model.rowCount())]


def received(message: Message) -> Entry:
    return Entry(Direction.IN, message)


async def press(window: Window, times: int = 1) -> None:
    """Press the button and wait for the replies."""
    await until(lambda: window.connection.is_connected)
    for _ in range(times):
        window.request_panel.press()
    await until(lambda: not window.connection.waiting)


def test_it_has_a_row_for_each_message_and_each_event(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await press(window)
            await press(window)
            window.connect_button.click()
            model = window.conversation_panel.model
            await until(lambda: model.rowCount() == 6)
            assert column(model, Column.WAY) == ["", "↑", "↓", "↑", "↓", ""]
            texts = column(model, Column.MESSAGE)
            assert texts[:2] == [f"connected to {server_url}", "Request 0"]
            assert re.fullmatch(r"Request 1: \d+", texts[4])
            assert texts[5] == "closed by you"
            assert re.fullmatch(r"\d+\.\d\d ms", column(model, Column.ROUND_TRIP)[2])
            assert column(model, Column.SIZE)[1] == "9 B"

    run(scenario())


def test_unsolicited_and_unexpected_messages_are_marked(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def greet_then_lie(websocket: ServerConnection) -> None:
            await websocket.send("Welcome")
            async for _ in websocket:
                await websocket.send("Request 0: 101")
                await websocket.close(1001, "bye")

        async with serving(greet_then_lie) as url, open_window(url) as window:
            await until(lambda: window.connection.unsolicited)
            window.request_panel.press()
            model = window.conversation_panel.model
            await until(lambda: "no reply to “Request 0”" in column(model, Column.MESSAGE))
            texts, notes = column(model, Column.MESSAGE), column(model, Column.ROUND_TRIP)
            closed = texts.index("closed by the server: 1001 (going away) bye")
            assert texts[closed + 1] == "no reply to “Request 0”"
            assert notes[texts.index("Welcome")] == "unsolicited"
            assert notes[texts.index("Request 0: 101")] == "unexpected"

    run(scenario())


def test_filter_by_text_and_by_direction(server_url: str, run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await press(window, 12)
            panel = window.conversation_panel
            panel.filter.setText("REQUEST 1")
            panel.direction.setCurrentIndex(1)
            await until(lambda: panel.model.rowCount() == 3)
            assert column(panel.model, Column.MESSAGE) == ["Request 1", "Request 10", "Request 11"]
            panel.direction.setCurrentIndex(0)
            await until(lambda: panel.model.rowCount() == 6)
            panel.filter.clear()
            panel.direction.setCurrentIndex(3)
            await until(lambda: panel.model.rowCount() == 1)

    run(scenario())


def test_what_is_copied_is_the_exact_message(server_url: str, run: Run, open_window: Open) -> None:
    message = "\u00a0{" + "w" * 50_000 + "}\r\n\u2028\u2029end\t\x01"

    async def scenario() -> None:
        async with open_window(server_url) as window:
            panel, clipboard = window.conversation_panel, QGuiApplication.clipboard()
            for each in (message, b"\x00\xff"):
                panel.model.add(received(each))
            await until(lambda: panel.model.rowCount() >= 2)
            row = column(panel.model, Column.WAY).index("↓")
            control = Qt.KeyboardModifier.ControlModifier
            panel.table.selectRow(row)
            QTest.keyClick(panel.table, Qt.Key.Key_C, control)
            assert clipboard.text() == message
            clipboard.clear()
            panel.pane.copy_button.click()
            assert clipboard.text() == message
            clipboard.clear()
            await until(lambda: panel.pane.body.is_filled)
            panel.pane.body.selectAll()
            QTest.keyClick(panel.pane.body, Qt.Key.Key_C, control)
            assert clipboard.text() == message
            panel.table.selectRow(row + 1)
            panel.pane.copy_button.click()
            assert clipboard.text() == "00 ff"

    run(scenario())


def test_a_selection_across_a_break_of_the_screen_has_no_break(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            pane = window.conversation_panel.pane
            pane.show_entry(received("🎲" + "x" * 9_000 + "\r\n\u2029end"))
            await until(lambda: pane.body.is_filled)
            cursor = pane.body.textCursor()
            cursor.setPosition(2)
            cursor.movePosition(cursor.MoveOperation.End, cursor.MoveMode.KeepAnchor)
            pane.body.setTextCursor(cursor)
            QTest.keyClick(pane.body, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
            assert QGuiApplication.clipboard().text() == "x" * 9_000 + "\r\n\u2029end"

    run(scenario())


def test_a_message_is_seen_whole_as_text_json_and_hex(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            window.tabs.setCurrentIndex(1)
            panel, pane = window.conversation_panel, window.conversation_panel.pane
            for each in ('{"a":[1,2]}', "plain\ntext", b"\x00\xff"):
                panel.model.add(received(each))
            await until(lambda: panel.model.rowCount() >= 3)
            row = column(panel.model, Column.WAY).index("↓")
            panel.table.selectRow(row)
            assert pane.views.currentIndex() == 1
            assert pane.body.toPlainText() == '{\n  "a": [\n    1,\n    2\n  ]\n}'
            pane.views.setCurrentIndex(0)
            assert pane.body.toPlainText() == '{"a":[1,2]}'
            pane.views.setCurrentIndex(2)
            assert pane.body.toPlainText().startswith("00000000  7b 22 61 22")
            QTest.keyClick(panel.table, Qt.Key.Key_Down)
            assert pane.body.toPlainText() == "plain\ntext"
            assert not pane.views.isTabEnabled(1)
            QTest.keyClick(panel.table, Qt.Key.Key_Return)
            assert pane.body.hasFocus()
            panel.table.selectRow(row + 2)
            assert "00 ff" in pane.body.toPlainText()

    run(scenario())


def test_double_click_and_right_click_open_a_message(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            window.tabs.setCurrentIndex(1)
            panel = window.conversation_panel
            await press(window)
            await until(lambda: panel.model.rowCount() == 3)
            place = panel.table.visualRect(panel.model.index(1, Column.MESSAGE)).center()
            left = Qt.MouseButton.LeftButton
            QTest.mouseClick(panel.table.viewport(), left, pos=place)
            QTest.mouseDClick(panel.table.viewport(), left, pos=place)
            assert panel.pane.body.hasFocus()
            panel.show_menu(place)
            (menu,) = (child for child in panel.table.children() if child.inherits("QMenu"))
            actions = {action.text(): action for action in menu.actions()}  # type: ignore[attr-defined]
            assert list(actions) == ["&Open", "&Copy", "Send &again"]
            actions["Send &again"].trigger()
            menu.close()  # type: ignore[attr-defined]
            await until(lambda: panel.model.rowCount() == 5)
            assert column(panel.model, Column.MESSAGE)[3] == "Request 0"
            panel.show_menu(QPoint(5, 5000))

    run(scenario())


def test_search_finds_every_place_in_a_long_message(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            window.tabs.setCurrentIndex(1)
            pane = window.conversation_panel.pane
            lines = [f"line {i}" for i in range(60_000)]
            lines[9] = lines[59_000] = "the Needle"
            pane.show_entry(received("\n".join(lines)))
            found = []
            QTest.keyClicks(pane.search, "needle")
            for _ in range(3):
                await until(lambda: pane.body.textCursor().hasSelection())
                found.append(pane.body.textCursor().blockNumber())
                cursor = pane.body.textCursor()
                QTest.keyClick(pane.search, Qt.Key.Key_Return)
                await until(lambda cursor=cursor: pane.body.textCursor() != cursor)  # type: ignore[misc]
            assert found == [9, 59_000, 9]
            QTest.keyClicks(pane.search, "less")
            assert pane.search.property("missing")

    run(scenario())


def test_it_is_saved_as_csv_and_as_json(
    server_url: str, run: Run, open_window: Open, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await press(window)
            panel = window.conversation_panel
            panel.model.add(received(b"\x00\xff"))
            await until(lambda: panel.model.rowCount() == 4)
            panel.save(tmp_path / "conversation.csv")
            panel.save(tmp_path / "conversation.json")
            await until(lambda: _is_json(tmp_path / "conversation.json"))
            await until(lambda: (tmp_path / "conversation.csv").stat().st_size)
            with (tmp_path / "conversation.csv").open(newline="") as stream:
                saved = list(csv.DictReader(stream))
            assert [row["direction"] for row in saved] == ["event", "out", "in", "in"]
            assert saved[1]["message"] == "Request 0"
            assert float(saved[2]["round_trip_ms"]) > 0
            assert saved[2]["time"].endswith("+00:00")
            assert (saved[3]["type"], saved[3]["message"]) == ("binary", "00ff")
            records = json.loads((tmp_path / "conversation.json").read_text())
            assert [record["message"] for record in records] == [row["message"] for row in saved]

            panel.save(tmp_path / "no folder" / "conversation.csv")
            await until(lambda: "No such file or directory" in window.state_line.text)

    run(scenario())


@pytest.mark.parametrize(
    ("name", "ending", "full"),
    [
        ("log", ".csv", "log.csv"),
        ("log", ".json", "log.json"),
        ("log.v2", ".json", "log.v2.json"),
        ("log.JSON", ".csv", "log.JSON"),
        ("log.csv", ".json", "log.csv"),
    ],
)
def test_the_name_gets_the_chosen_ending(name: str, ending: str, full: str) -> None:
    assert with_ending(Path(name), ending) == Path(full)


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_is_replaced_only_if_the_user_says_so(
    replace: bool, server_url: str, run: Run, open_window: Open, tmp_path: Path
) -> None:
    file = tmp_path / "log.json"

    async def scenario() -> None:
        async with open_window(server_url) as window:
            panel = window.conversation_panel
            await until(panel.model.rowCount)
            panel.ask_where_to_save()
            dialog = panel.findChild(QFileDialog)
            assert isinstance(dialog, QFileDialog)
            dialog.selectNameFilter(dialog.nameFilters()[1])
            dialog.fileSelected.emit(str(tmp_path / "log"))
            dialog.close()
            await until(lambda: panel.findChild(QMessageBox))
            box = panel.findChild(QMessageBox)
            assert isinstance(box, QMessageBox)
            button = next(
                button for button in box.buttons() if ("Replace" in button.text()) is replace
            )
            button.click()
            if replace:
                await until(lambda: _is_json(file))
            else:
                await until(lambda: panel.findChild(QMessageBox) is None)

    file.write_text("old")
    run(scenario())
    assert (file.read_text() == "old") is not replace


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    return True


def test_the_model_keeps_qts_rules_while_the_oldest_give_way(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_model, "MAX_ENTRIES", 30)
    model = ConversationModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    for i in range(50):
        model.add(received(f"Request {i}"))
        if i % 7 == 0:
            qtbot.waitUntil(lambda: model.is_settled)
    qtbot.waitUntil(lambda: model.is_settled and model.total == 30)
    assert column(model, Column.MESSAGE) == [f"Request {i}" for i in range(20, 50)]
    model.set_filter("request 4")
    qtbot.waitUntil(lambda: model.is_settled)
    assert column(model, Column.MESSAGE) == [f"Request {i}" for i in range(40, 50)]
    model.add(received("Request 400"))
    qtbot.waitUntil(lambda: model.is_settled)
    assert model.rowCount() == 11
    model.clear()
    assert model.rowCount(QModelIndex()) == 0
    del tester


def test_long_messages_count_by_their_size(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_model, "MAX_CHARACTERS", 1_000_000)
    model = ConversationModel()
    for _ in range(100):
        model.add(received("x" * 100_000))
    qtbot.waitUntil(lambda: model.is_settled)
    assert model.total == 10
    assert len(column(model, Column.MESSAGE)[0]) < 400


def test_the_view_follows_the_newest_row_unless_older_rows_are_visible(
    server_url: str, run: Run, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_model, "MAX_ENTRIES", 6_000)

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            window.tabs.setCurrentIndex(1)
            panel = window.conversation_panel
            bar = panel.table.verticalScrollBar()
            for i in range(5000):
                panel.model.add(received(f"Request {i}"))
            await until(lambda: bar.value() == bar.maximum() > 4900)
            bar.setValue(2500)
            panel.table.selectRow(2502)
            top = panel.table.rowAt(2)
            seen = panel.model.entry(top)
            for i in range(3000):
                panel.model.add(received(f"More {i}"))
            await until(lambda: panel.model.is_settled)
            # The oldest have gone, and what is looked at has stayed where it was.
            assert panel.model.total == 6_000
            assert panel.model.entry(panel.table.rowAt(2)) is seen
            (index,) = panel.table.selectionModel().selectedRows()
            assert panel.model.entry(index.row()).message == "Request 2501"
            bar.setValue(bar.maximum())
            panel.model.add(received("the last"))
            await until(lambda: panel.model.is_settled)
            assert bar.value() == bar.maximum()

    run(scenario())


def test_100000_rows_are_added_and_filtered_without_blocking_the_loop(
    server_url: str, run: Run, open_window: Open
) -> None:
    """The turns of the loop are counted rather than timed: the machine has other work."""

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            window.tabs.setCurrentIndex(1)
            model = window.conversation_panel.model
            for i in range(100_000):
                model.add(received(f"Request {i}"))
            turns = 0
            while not model.is_settled:
                await asyncio.sleep(0)
                turns += 1
            assert turns > 10
            model.set_filter("request 99")
            turns = 0
            while not model.is_settled:
                await asyncio.sleep(0)
                turns += 1
            assert turns > 10
            assert model.rowCount() == 1111

    run(scenario())
