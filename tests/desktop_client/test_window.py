"""The window: what a person sees after what a person does, with a real server."""

import asyncio
import functools
import re
import socket
from urllib.parse import urlsplit

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from websockets.asyncio.server import ServerConnection

from desktop_client.window import Window
from tests.conftest import ServerProcess
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.liar import serving
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
            assert panel.response.text() == "No response yet"
            await until(panel.button.isEnabled)
            assert state(window) == "● Connected"
            for i in range(3):
                QTest.mouseClick(panel.button, Qt.MouseButton.LeftButton)
                reply = re.compile(rf"Response: Request {i}: ([1-9]\d?|100)")
                await until(functools.partial(lambda reply: reply.fullmatch(shown(window)), reply))
                assert f"Request {i}: " in panel.response.text()
                assert re.fullmatch(r"Round trip \d+\.\d\d ms", panel.round_trip.text())

    run(scenario())


def test_enter_in_the_message_sends_it(server_url: str, run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            panel = window.request_panel
            panel.message.selectAll()
            QTest.keyClicks(panel.message, "<b>{i}</b> & {i}")
            await until(panel.button.isEnabled)
            QTest.keyClick(panel.message, Qt.Key.Key_Return)
            await until(lambda: re.fullmatch(r"Response: <b>0</b> & 0: \d+", shown(window)))

    run(scenario())


def test_presses_while_replies_are_due_queue_and_are_answered_in_order(
    run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        let_go = asyncio.Event()

        async def answer_when_let(websocket: ServerConnection) -> None:
            async for request in websocket:
                await let_go.wait()
                await websocket.send(f"{request!s}: 7")

        async with serving(answer_when_let) as url, open_window(url) as window:
            panel = window.request_panel
            await until(panel.button.isEnabled)
            for _ in range(3):
                panel.button.click()
            assert "3 waiting" in panel.button.text()
            assert panel.response.text() == "No response yet"
            let_go.set()
            await until(lambda: shown(window) == "Response: Request 2: 7")
            assert "waiting" not in panel.button.text()

    run(scenario())


def test_a_press_too_many_is_refused_visibly(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def be_silent(websocket: ServerConnection) -> None:
            await websocket.wait_closed()

        async with serving(be_silent) as url, open_window(url) as window:
            await until(window.request_panel.button.isEnabled)
            window.request_panel.button.click()
            await until(lambda: window.connection.waiting == 1)
            await asyncio.sleep(0)
            for _ in range(101):
                window.request_panel.button.click()
            assert "Not sent: 101 requests already wait" in window.strip.text
            assert window.strip.isVisible()

    run(scenario())


def test_a_wrong_reply_is_reported_and_never_shown(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        async def lie(websocket: ServerConnection) -> None:
            async for _ in websocket:
                await websocket.send("Request 9: 7")

        async with serving(lie) as url, open_window(url) as window:
            await until(window.request_panel.button.isEnabled)
            window.request_panel.button.click()
            await until(window.strip.isVisible)
            assert "wrong reply: expected a reply to 'Request 0'" in window.strip.text
            assert window.request_panel.response.text() == "No response yet"
            # What came on that connection cannot be told apart any more: a new one is made.
            await until(window.request_panel.button.isEnabled)

    run(scenario())


def test_a_server_killed_before_its_reply_is_told_and_the_request_not_repeated(
    run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        heard: list[str | bytes] = []

        async def break_off(websocket: ServerConnection) -> None:
            async for request in websocket:
                heard.append(request)
                websocket.transport.abort()

        async with serving(break_off) as url, open_window(url) as window:
            panel = window.request_panel
            await until(panel.button.isEnabled)
            panel.button.click()
            await until(window.strip.isVisible)
            assert window.strip.text == (
                "The connection ended before the reply to “Request 0” came."
            )
            assert not panel.button.isEnabled()
            await until(panel.button.isEnabled)
            assert heard == ["Request 0"]
            assert window.connection.waiting == 0

    run(scenario())


def test_the_button_follows_a_server_that_goes_and_comes_back(
    server: ServerProcess, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server.url) as window:
            panel = window.request_panel
            await until(panel.button.isEnabled)
            server.kill()
            await until(lambda: not panel.button.isEnabled())
            await until(window.notice.isVisible)
            assert state(window).endswith(("Not connected", "Connecting …"))
            server.start()
            await until(panel.button.isEnabled)
            assert not window.notice.isVisible()
            panel.button.click()
            await until(lambda: shown(window).startswith("Response: Request 0: "))

    run(scenario())


def test_without_a_server_one_is_a_click_away(
    unused_port: int, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(f"ws://localhost:{unused_port}/") as window:
            await until(window.notice.isVisible)
            assert not window.request_panel.button.isEnabled()
            QTest.mouseClick(window.notice.button, Qt.MouseButton.LeftButton)
            await until(window.request_panel.button.isEnabled)
            window.request_panel.button.click()
            await until(lambda: shown(window).startswith("Response: Request 0: "))
            port = urlsplit(window.local_server.url).port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0))

    run(scenario())
