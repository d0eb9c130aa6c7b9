"""The options of connecting, and the settings that last."""

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialogButtonBox, QLabel
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from desktop_client import theme
from desktop_client.options_dialog import OptionsDialog
from desktop_client.settings import Settings
from desktop_client.target import Target, parse_headers
from desktop_client.window import Window
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.waiting import until


def open_dialog(window: Window) -> OptionsDialog:
    window.ask_for_options()
    dialog = window.findChild(OptionsDialog)
    assert isinstance(dialog, OptionsDialog)
    return dialog


def confirm(dialog: OptionsDialog) -> None:
    buttons = dialog.findChild(QDialogButtonBox)
    assert isinstance(buttons, QDialogButtonBox)
    QTest.mouseClick(buttons.button(QDialogButtonBox.StandardButton.Ok), Qt.MouseButton.LeftButton)


def test_headers_and_subprotocol_reach_the_server(run: Run, open_window: Open) -> None:
    async def scenario() -> None:
        seen: list[tuple[str | None, str | None]] = []

        async def look(websocket: ServerConnection) -> None:
            assert websocket.request is not None
            seen.append((websocket.request.headers.get("X-Who"), websocket.subprotocol))
            await websocket.wait_closed()

        def choose(
            websocket: ServerConnection, offers: Sequence[Subprotocol]
        ) -> Subprotocol | None:
            return offers[0] if offers else None

        async with serve(look, "127.0.0.1", 0, select_subprotocol=choose) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with open_window(f"ws://127.0.0.1:{port}/") as window:
                await until(lambda: seen)
                dialog = open_dialog(window)
                dialog.headers.setPlainText("X-Who\n")
                dialog.subprotocol.setText("chat.v2")
                confirm(dialog)
                assert "'X-Who' is no header" in dialog.complaint.text()
                dialog.headers.setPlainText("X-Who: me\n")
                confirm(dialog)
                await until(lambda: len(seen) == 2)
                await until(window.request_panel.button.isEnabled)
        assert seen == [(None, None), ("me", "chat.v2")]

    run(scenario())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody vouches for, with its key in the same file."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


def test_tls_is_verified_unless_one_says_so_and_then_it_shows(
    certificate: Path, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async def answer(websocket: ServerConnection) -> None:
            async for request in websocket:
                await websocket.send(f"{request!s}: 7")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        async with serve(answer, "127.0.0.1", 0, ssl=context) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with open_window(f"wss://localhost:{port}/") as window:
                button = window.request_panel.button
                (warning,) = (
                    label
                    for label in window.state_line.findChildren(QLabel)
                    if "not verified" in label.text()
                )
                await until(lambda: "certificate cannot be trusted" in window.connection.reason)
                assert not button.isEnabled()
                assert not window.notice.isVisible()

                dialog = open_dialog(window)
                dialog.ca.setText(str(certificate))
                confirm(dialog)
                await until(button.isEnabled)
                assert not warning.isVisible()

                dialog = open_dialog(window)
                dialog.ca.setText("")
                dialog.insecure.setChecked(True)
                confirm(dialog)
                await until(lambda: not button.isEnabled())
                await until(button.isEnabled)
                assert warning.isVisible()
                button.click()
                await until(lambda: "7" in window.request_panel.response.text())

                dialog = open_dialog(window)
                dialog.ca.setText("/no/such/file.pem")
                confirm(dialog)
                await until(lambda: "No such file" in window.connection.reason)

    run(scenario())


def test_settings_last_but_secrets_do_not(
    server_url: str, run: Run, open_window: Open, settings_file: Path
) -> None:
    async def first() -> None:
        async with open_window(server_url) as window:
            await until(window.request_panel.button.isEnabled)
            window.request_panel.message.clear()
            QTest.keyClicks(window.request_panel.message, "Hi {i}")
            window.resize(700, 650)
            dialog = open_dialog(window)
            dialog.headers.setPlainText("Authorization: secret")
            dialog.insecure.setChecked(True)
            dialog.certificate.setText("")
            dialog.appearance.setCurrentIndex(dialog.appearance.findData("dark"))
            confirm(dialog)
            assert theme.current_colors() == theme.DARK

    async def second() -> None:
        async with open_window(None) as window:
            assert window.address.currentText() == server_url
            assert window.request_panel.message.text() == "Hi {i}"
            assert (window.width(), window.height()) == (700, 650)
            assert theme.current_colors() == theme.DARK
            dialog = open_dialog(window)
            assert dialog.headers.toPlainText() == ""
            assert not dialog.insecure.isChecked()

    run(first())
    assert "secret" not in settings_file.read_text()
    run(second())


def test_the_address_book_has_the_last_ten_and_no_password(settings_file: Path) -> None:
    settings = Settings(str(settings_file))
    for i in [*range(12), 5]:
        settings.remember_address(f"ws://host{i}/")
    settings.remember_address("ws://me:secret@host/")
    settings.save()
    assert Settings(str(settings_file)).addresses == [
        f"ws://host{i}/" for i in (5, 11, 10, 9, 8, 7, 6, 4, 3, 2)
    ]


@pytest.mark.parametrize(
    "text", ["no colon", ": value", "a b: c", "X: \x01", "Host: x", "Sec-WebSocket-Key: x", "X: ü"]
)
def test_a_header_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"header|handshake"):
        parse_headers(text)


def test_the_sender_gets_the_same_options() -> None:
    target = Target("ws://x/", (("A", "b: c"),), "chat", "ca.pem", "cert.pem", "key.pem", True)
    assert target.sender_options() == [
        *("--header", "A: b: c", "--subprotocol", "chat", "--cacert", "ca.pem"),
        *("--cert", "cert.pem", "--key", "key.pem", "--insecure"),
    ]


@pytest.mark.parametrize("colors", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(colors: theme.Colors) -> None:
    """WCAG 2.2, success criterion 1.4.3: a contrast of at least 4.5."""
    for text, grounds in (
        ("text", ("window", "card", "notice", "alarm")),
        ("muted", ("window", "card")),
        ("accent", ("window", "card")),
        ("on_accent", ("accent", "accent_strong")),
        ("good", ("window",)),
        ("busy", ("window", "card")),
        ("bad", ("window", "card")),
    ):
        for ground in grounds:
            assert contrast(getattr(colors, text), getattr(colors, ground)) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
