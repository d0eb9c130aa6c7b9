"""The message: what is sent is what was typed, and what is copied is what came."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from websockets.asyncio.server import ServerConnection

from desktop_client.message_editor import MessageEditor
from desktop_client.window import Window
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.scripted_server import serving
from tests.desktop_client.waiting import until


def paste(editor: MessageEditor, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    editor.paste()


@pytest.fixture
def editor(qtbot: QtBot) -> MessageEditor:
    editor = MessageEditor()
    qtbot.addWidget(editor)
    return editor


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines\n",
        "tab\tno-break\u00a0space \u2028 line separator",
        "zwölf 🎲 \u202e\u200b",
        "  ",
        "x" * 1_000_000,
        "lorem ipsum " * 100_000,
        "short\n" * 100_000,
        "🎲" * 50_000,
    ],
    ids=lambda text: repr(text[:10]),
)
def test_what_is_pasted_is_there_exactly(text: str, editor: MessageEditor) -> None:
    paste(editor, text)
    assert editor.message == text


def test_a_long_text_is_pasted_into_what_stands_there(editor: MessageEditor) -> None:
    editor.message = "🎲[]"
    cursor = editor.textCursor()
    cursor.setPosition(3)
    editor.setTextCursor(cursor)
    paste(editor, "x" * 1_000_000)
    assert editor.message == "🎲[" + "x" * 1_000_000 + "]"
    assert "1,000,003 characters" in editor.toPlainText()
    QTest.keyClick(editor, Qt.Key.Key_Delete)
    assert editor.message == ""
    QTest.keyClicks(editor, "new")
    assert editor.message == "new"


def test_changed_line_breaks_are_reported(editor: MessageEditor, qtbot: QtBot) -> None:
    with qtbot.waitSignal(editor.noted) as noted:
        paste(editor, "a\r\nb\rc\u2029d")
    assert editor.message == "a\nb\nc\nd"
    assert "line feeds" in noted.args[0]


@pytest.mark.parametrize("swapped", [False, True])
def test_enter_sends_and_shift_enter_breaks_the_line_or_the_reverse(
    swapped: bool, editor: MessageEditor, qtbot: QtBot
) -> None:
    editor.breaks_line_on_enter = swapped
    shift = Qt.KeyboardModifier.ShiftModifier
    plain = Qt.KeyboardModifier.NoModifier
    with qtbot.waitSignal(editor.submitted):
        QTest.keyClick(editor, Qt.Key.Key_Return, shift if swapped else plain)
    assert editor.message == ""
    with qtbot.assertNotEmitted(editor.submitted):
        QTest.keyClick(editor, Qt.Key.Key_Return, plain if swapped else shift)
    assert editor.message == "\n"


def test_a_million_characters_arrive_as_they_were_pasted(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        heard: list[str | bytes] = []

        async def note(websocket: ServerConnection) -> None:
            async for message in websocket:
                heard.append(message)

        text = "0123456789\u00a0 {i}\n" + "y" * 1_000_000
        async with serving(note) as url, open_window(url) as window:
            await until(lambda: window.connection.is_connected)
            window.request_panel.message.selectAll()
            paste(window.request_panel.message, text)
            QTest.keyClick(window.request_panel.message, Qt.Key.Key_Return)
            await until(lambda: heard)
        assert heard == [text.replace("{i}", "0")]

    run(scenario())


def test_a_binary_message_is_written_in_hexadecimal(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        heard: list[str | bytes] = []

        async def answer(websocket: ServerConnection) -> None:
            async for message in websocket:
                heard.append(message)
                assert isinstance(message, bytes)
                await websocket.send(message + b": 7")

        async with serving(answer) as url, open_window(url) as window:
            panel = window.request_panel
            await until(lambda: window.connection.is_connected)
            panel.kind.setCurrentIndex(1)
            panel.message.message = "48 65 6c6C 6f {i} zz"
            panel.press()
            await until(lambda: "pairs of hex digits" in window.state_line.text)
            assert heard == []
            panel.message.message = "48 65 6c6C 6f ff {i}"
            panel.press()
            await until(lambda: "48 65 6c 6c 6f ff 30: 7" in panel.response.accessibleName())
        assert heard == [b"Hello\xff0"]

    run(scenario())


def test_messages_are_saved_loaded_and_deleted(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def names(window: Window) -> list[str]:
        window.request_panel._fill_saved_menu()
        return [action.text() for action in window.request_panel.saved_menu.actions()]

    async def first() -> None:
        async with open_window(server_url) as window:
            panel = window.request_panel
            panel.message.message = '{"a":\n {i}}'
            panel.save("  JSON & more ")
            panel.kind.setCurrentIndex(1)
            panel.message.message = "00 ff"
            panel.save("bytes")
            panel.save("JSON & more")

    async def second() -> None:
        async with open_window(server_url) as window:
            panel = window.request_panel
            assert await names(window) == [
                *("&Save this message …", "", "bytes", "JSON && more", "", "&Delete")
            ]
            panel.kind.setCurrentIndex(0)
            panel.saved_menu.actions()[2].trigger()
            assert panel.is_hex
            assert panel.message.message == "00 ff"
            panel.forget("bytes")
            assert "bytes" not in await names(window)

    run(first())
    run(second())


def test_what_is_copied_from_the_response_is_the_exact_message(run: Run, open_window: Open) -> None:
    message = "\u00a0{" + "w" * 5000 + "}\u200b\nend\t"

    async def scenario() -> None:
        async def greet(websocket: ServerConnection) -> None:
            async for _ in websocket:
                await websocket.send(message)

        async with serving(greet) as url, open_window(url) as window:
            response = window.request_panel.response
            await until(lambda: window.connection.is_connected)
            window.request_panel.press()
            await until(lambda: response.arrival)
            clipboard = QGuiApplication.clipboard()
            clipboard.clear()
            QTest.keyClick(response, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
            assert clipboard.text() == message
            clipboard.clear()
            response.selectAll()
            QTest.keyClick(response, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
            assert clipboard.text() == message

    run(scenario())
