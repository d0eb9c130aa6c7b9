"""The window: what a person sees after what a person does, with a real server."""

import asyncio
import functools
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from desktop_client.application import _quit_requests
from desktop_client.pairing import Check
from desktop_client.window import Window
from tests.conftest import ServerProcess
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.scripted_server import serving
from tests.desktop_client.waiting import until


def shown(window: Window) -> str:
    """Return the response as it is read to someone who does not see it."""
    return window.request_panel.response.accessibleName()


def state(window: Window) -> str:
    label = window.findChild(QLabel, "state")
    assert isinstance(label, QLabel)
    return label.text()


def test_each_press_shows_the_reply_to_one_request(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            panel = window.request_panel
            assert panel.response.shown == "No response yet"
            await until(lambda: window.connection.is_connected)
            assert state(window) == "● Connected"
            for i in range(3):
                QTest.mouseClick(panel.button, Qt.MouseButton.LeftButton)
                reply = re.compile(rf"Response: Request {i}: ([1-9]\d?|100)")
                await until(functools.partial(lambda reply: reply.fullmatch(shown(window)), reply))
                assert f"Request {i}: " in panel.response.shown
                assert re.fullmatch(r"Round trip \d+\.\d\d ms", panel.round_trip.full)

    run(scenario())


def test_enter_in_the_message_sends_it(server_url: str, run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            panel = window.request_panel
            panel.message.selectAll()
            QTest.keyClicks(panel.message, "<b>{i}</b> & {i}")
            await until(lambda: window.connection.is_connected)
            QTest.keyClick(panel.message, Qt.Key.Key_Return)
            await until(lambda: re.fullmatch(r"Response: <b>0</b> & 0: \d+", shown(window)))

    run(scenario())


def test_presses_while_replies_are_due_are_sent_at_once(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        heard: list[str] = []

        async def answer_in_reverse(websocket: ServerConnection) -> None:
            async for request in websocket:
                heard.append(str(request))
                if len(heard) == 3:
                    for each in reversed(heard):
                        await websocket.send(f"{each}: 7")

        async with serving(answer_in_reverse) as url, open_window(url) as window:
            panel = window.request_panel
            await until(lambda: window.connection.is_connected)
            panel.press()
            panel.press()
            await until(lambda: len(heard) == 2)
            assert panel.response.shown == "No response yet"
            await until(lambda: panel.button.text().startswith("Waiting for Request 0 · 0."))
            panel.press()
            await until(lambda: shown(window) == "Response: Request 0: 7")
            await until(lambda: panel.button.text() == "&Send request")

    run(scenario())


def test_a_press_beyond_the_limit_is_refused_visibly(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def be_silent(websocket: ServerConnection) -> None:
            await websocket.wait_closed()

        async with serving(be_silent) as url, open_window(url) as window:
            await until(lambda: window.connection.is_connected)
            for _ in range(101):
                window.request_panel.press()
            assert "Not sent: 100 requests already wait" in window.state_line.text

    run(scenario())


def test_a_message_that_is_not_as_expected_is_shown_as_that(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def lie_then_tell(websocket: ServerConnection) -> None:
            async for request in websocket:
                await websocket.send(f"{request!s}: 101")
                if request == "Request 1":
                    await websocket.send("Request 0: 7")

        async with serving(lie_then_tell) as url, open_window(url) as window:
            panel = window.request_panel
            await until(lambda: window.connection.is_connected)
            panel.button.click()
            await until(lambda: panel.response.shown == "Request 0: 101")
            assert panel.round_trip.full.startswith(
                "not as expected: the reply to “Request 0” is “Request 0: N”"
            )
            # The connection stays, the request still waits, and the next one is sent at once.
            assert window.connection.waiting == 1
            panel.button.click()
            await until(lambda: shown(window) == "Response: Request 0: 7")
            assert panel.round_trip.full.startswith("Round trip ")
            assert window.connection.waiting == 1

    run(scenario())


def test_a_foreign_server_is_noticed_once_and_checking_can_be_stopped(
    run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async def answer_in_json(websocket: ServerConnection) -> None:
            async for request in websocket:
                await websocket.send(f'{{"you": "{request!s}"}}')

        async with serving(answer_in_json) as url:
            async with open_window(url) as window:
                panel, line = window.request_panel, window.state_line
                await until(lambda: window.connection.is_connected)
                assert not line.link.isVisible()
                panel.press()
                await until(line.link.isVisible)
                assert line.text == "This server answers in its own way."
                assert line.link.text().replace("&", "") == "Stop checking replies?"
                line.link.click()
                assert panel.check.currentData() is Check.OFF
                assert not line.link.isVisible()
                assert window.connection.waiting == 0
                panel.press()
                await until(lambda: shown(window) == 'Message: {"you": "Request 1"}')
                assert "Message, text, 20 B" in panel.round_trip.full
            async with open_window(url) as window:
                # It is remembered for this address.
                assert window.connection.check is Check.OFF

    run(scenario())


def test_an_echo_server_is_checked_as_one(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def echo(websocket: ServerConnection) -> None:
            async for request in websocket:
                await websocket.send(request)

        async with serving(echo) as url, open_window(url) as window:
            panel = window.request_panel
            await until(lambda: window.connection.is_connected)
            panel.check.setCurrentIndex(1)
            panel.check.activated.emit(1)
            panel.press()
            await until(lambda: shown(window) == "Response: Request 0")
            assert panel.round_trip.full.startswith("Round trip ")

    run(scenario())


def test_unsolicited_messages_are_counted_below_the_response(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def push(websocket: ServerConnection) -> None:
            await websocket.send("Welcome")
            async for request in websocket:
                await websocket.send(f"{request!s}: 7")
                await websocket.send("tick 1")

        async with serving(push) as url, open_window(url) as window:
            panel = window.request_panel
            await until(lambda: "1 unsolicited, latest: Welcome" in panel.round_trip.full)
            panel.press()
            await until(lambda: "2 unsolicited, latest: tick 1" in panel.round_trip.full)
            assert shown(window) == "Response: Request 0: 7"

    run(scenario())


def test_a_request_whose_connection_breaks_is_reported_and_not_repeated(
    run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        heard: list[str | bytes] = []

        async def break_off(websocket: ServerConnection) -> None:
            async for request in websocket:
                heard.append(request)
                websocket.transport.abort()

        async with serving(break_off) as url, open_window(url) as window:
            await until(lambda: window.connection.is_connected)
            window.request_panel.press()
            await until(
                lambda: (
                    "was lost without a Close frame: 1006 (abnormal closure [internal]), "
                    "before the reply to “Request 0” came" in window.state_line.text
                )
            )
            await until(lambda: window.connection.is_connected)
            assert heard == ["Request 0"]
            assert window.connection.waiting == 0

    run(scenario())


def test_the_window_follows_a_server_that_goes_and_comes_back(
    server: ServerProcess, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server.url) as window:
            panel = window.request_panel
            await until(lambda: window.connection.is_connected)
            server.kill()
            await until(lambda: "no server at" in window.state_line.text)
            assert state(window).endswith(("Not connected", "Connecting …"))
            server.start()
            await until(lambda: window.connection.is_connected)
            assert window.state_line.text == ""
            panel.press()
            await until(lambda: shown(window).startswith("Response: Request 0: "))

    run(scenario())


@pytest.mark.parametrize("by", ["button", "link"])
def test_without_a_server_one_is_a_click_away(
    by: str, unused_port: int, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(f"ws://localhost:{unused_port}/") as window:
            panel = window.request_panel
            await until(window.state_line.link.isVisible)
            assert panel.button.text().replace("&", "") == "Start a local server and send"
            if by == "button":
                panel.message.setFocus()
                QTest.mouseClick(panel.button, Qt.MouseButton.LeftButton)
                assert panel.button.text() == "Starting a local server …"
                assert panel.message.hasFocus()
            else:
                QTest.mouseClick(window.state_line.link, Qt.MouseButton.LeftButton)
                await until(lambda: window.connection.is_connected)
                panel.press()
            await until(lambda: shown(window).startswith("Response: Request 0: "))
            assert panel.button.text() == "&Send request"
            port = urlsplit(window.local_server.url).port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0))

    run(scenario())


def test_a_press_without_a_connection_connects_and_sends(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            panel = window.request_panel
            await until(lambda: window.connection.is_connected)
            window.connect_button.click()
            await until(lambda: not window.connection.is_open)
            panel.press()
            await until(lambda: shown(window).startswith("Response: Request 0: "))

    run(scenario())


def test_a_press_says_why_it_sent_nothing(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def handle(websocket: ServerConnection) -> None:
            raise AssertionError("the handshake must not succeed")

        def refuse(websocket: ServerConnection, request: Request) -> Response:
            return websocket.respond(403, "")

        async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with open_window(f"ws://127.0.0.1:{port}/") as window:
                panel = window.request_panel
                await until(lambda: not window.connection.is_open)
                assert panel.button.text() == "&Send request"
                panel.press()
                await until(
                    lambda: window.state_line.text == "not sent: it answered HTTP 403 Forbidden"
                )
                window.address.setText("ws://")
                panel.press()
                assert "is not a WebSocket URL" in window.state_line.text
                assert window.connection.waiting == 0

    run(scenario())


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost:{port}", "ws://localhost:{port}/"),
        ("HTTP://127.0.0.1:{port}/a", "ws://127.0.0.1:{port}/a"),
    ],
)
def test_an_address_is_completed(
    typed: str, url: str, server_url: str, run: Run, open_window: Open
) -> None:
    port = urlsplit(server_url).port

    async def scenario() -> None:
        async with open_window(server_url) as window:
            window.address.setText(typed.format(port=port))
            QTest.keyClick(window.address, Qt.Key.Key_Return)
            assert window.address.text() == url.format(port=port)
            target = window.connection.target
            assert target is not None
            assert target.url == url.format(port=port)

    run(scenario())


def test_the_state_names_the_address_where_the_field_says_another(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            assert window.state_line.text == ""
            window.address.setText("ws://elsewhere/")
            assert window.state_line.text == f"to {server_url}"
            window.address.setText(server_url.removeprefix("ws://"))
            assert window.state_line.text == ""

    run(scenario())


def test_the_last_addresses_are_behind_the_arrow(
    server_url: str, run: Run, open_window: Open, settings_file: Path
) -> None:
    settings_file.write_text(
        f"[General]\naddresses=ws://127.0.0.1:1/?a&b, {server_url}\nqueries=kept\n"
    )

    async def scenario() -> None:
        async with open_window("ws://127.0.0.1:2/") as window:
            QTest.keyClick(window.address, Qt.Key.Key_Down)
            actions = window.address.menu.actions()
            assert [action.text() for action in actions] == ["ws://127.0.0.1:1/?a&&b", server_url]
            actions[1].trigger()
            await until(lambda: window.connection.is_connected)
            assert window.address.text() == server_url

    run(scenario())


def test_nothing_moves_as_the_state_changes(
    server: ServerProcess, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server.url) as window:
            await until(lambda: window.connection.is_connected)
            await asyncio.sleep(0.05)
            places = [(window.request_panel.button.geometry(), window.size(), window.tabs.pos())]

            def note() -> None:
                places.append(
                    (window.request_panel.button.geometry(), window.size(), window.tabs.pos())
                )

            window.connection.changed.connect(note)
            server.kill()
            await until(window.state_line.link.isVisible)
            window.state_line.say("A problem described at length. " * 40)
            await asyncio.sleep(0.05)
            note()
            server.start()
            await until(lambda: window.connection.is_connected)
            window.request_panel.press()
            await until(lambda: shown(window).startswith("Response"))
            note()
            window.connection.changed.disconnect(note)
            assert len(set(map(str, places))) == 1

    run(scenario())


def test_the_session_may_end_while_qt_asks_a_question(
    server_url: str, run: Run, open_window: Open
) -> None:
    """Qt asks in a nested event loop; the objects it uses must not be deleted meanwhile."""

    async def scenario() -> None:
        answers = []
        end = asyncio.Event()

        def ask() -> None:
            answers.append(QMessageBox.question(window, "Delete", "Really?"))

        with _quit_requests(end):
            async with open_window(server_url) as window:
                QTimer.singleShot(0, ask)
                await until(QApplication.activeModalWidget)
                QApplication.quit()
                await end.wait()
        assert len(answers) == 1

    run(scenario())
