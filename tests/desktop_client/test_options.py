"""The options of connecting, and the settings that last."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialogButtonBox, QLabel, QMessageBox
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from desktop_client import theme
from desktop_client.bulk_run import BulkRun
from desktop_client.connection import Connection
from desktop_client.options_dialog import OptionsDialog
from desktop_client.target import Target, fingerprint_of, parse_headers
from desktop_client.window import Window
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.scripted_server import serving
from tests.desktop_client.waiting import until

Check = Callable[[int], Awaitable[None]]


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
                dialog.subprotocols.setText("chat.v2, graphql-ws")
                confirm(dialog)
                assert "line 1: it is not a header" in dialog.complaints[dialog.headers].text()
                dialog.headers.setPlainText("X-Who: me\n")
                confirm(dialog)
                await until(lambda: len(seen) == 2)
                await until(lambda: window.connection.is_connected)
        assert seen == [(None, None), ("me", "chat.v2")]

    run(scenario())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


def make_certificate(folder: Path) -> None:
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


@pytest.fixture
def hidden_behind_tls(certificate: Path, run: Run) -> Callable[[Check], None]:
    """Run a check with the port of a server that shows the certificate."""

    def check(body: Check) -> None:
        async def scenario() -> None:
            async def answer(websocket: ServerConnection) -> None:
                async for request in websocket:
                    await websocket.send(f"{request!s}: 7")

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            async with serve(answer, "127.0.0.1", 0, ssl=context) as server:
                await body(next(iter(server.sockets)).getsockname()[1])

        run(scenario())

    return check


def test_tls_is_verified_unless_the_user_turns_that_off_which_is_shown(
    certificate: Path, hidden_behind_tls: Callable[[Check], None], open_window: Open
) -> None:
    async def body(port: int) -> None:
        async with open_window(f"wss://localhost:{port}/") as window:
            (warning,) = (
                label
                for label in window.state_line.findChildren(QLabel)
                if "Not verified" in label.text()
            )
            await until(lambda: "the certificate is not trusted" in window.state_line.text)
            # That does not heal by itself.
            await until(lambda: not window.connection.is_open)
            dialog = open_dialog(window)
            dialog.ca.setText(str(certificate))
            confirm(dialog)
            await until(lambda: window.connection.is_connected)
            assert not warning.isVisible()

            dialog = open_dialog(window)
            dialog.ca.setText("")
            dialog.insecure.setChecked(True)
            confirm(dialog)
            await until(lambda: not window.connection.is_connected)
            await until(lambda: window.connection.is_connected)
            assert warning.isVisible()
            window.request_panel.press()
            await until(lambda: "7" in window.request_panel.response.shown)

    hidden_behind_tls(body)


@pytest.mark.parametrize("trust", [True, False])
def test_one_certificate_can_be_trusted_by_its_fingerprint(
    trust: bool, certificate: Path, hidden_behind_tls: Callable[[Check], None], open_window: Open
) -> None:
    pem = certificate.read_text()

    async def body(port: int) -> None:
        # Its name does not fit either; what is trusted is this one certificate.
        async with open_window(f"wss://127.0.0.1:{port}/") as window:
            await until(lambda: not window.connection.is_open and window.connection.failure)
            assert window.state_line.link.text() == "&Trust this certificate …"
            window.state_line.link.click()
            await until(lambda: window.findChild(QMessageBox))
            box = window.findChild(QMessageBox)
            assert isinstance(box, QMessageBox)
            fingerprint = fingerprint_of(pem[pem.index("-----BEGIN CERTIFICATE") :])
            assert fingerprint in box.informativeText().replace("\n", "")
            for button in box.buttons():
                if ("Trust" in button.text()) is trust:
                    button.click()
                    break
            if trust:
                await until(lambda: window.connection.is_connected)
                assert not window.connection.target.is_unverified
            else:
                await asyncio.sleep(0.05)
                assert not window.connection.is_open

    hidden_behind_tls(body)


def test_another_certificate_than_the_trusted_one_is_refused_before_anything_is_sent(
    certificate: Path, hidden_behind_tls: Callable[[Check], None], tmp_path: Path
) -> None:
    make_certificate(tmp_path)

    async def body(port: int) -> None:
        target = Target(f"wss://localhost:{port}/", trusted=(tmp_path / "cert.pem").read_text())
        connection = Connection()
        connection.open(target)
        await until(lambda: "it is not the one that you trusted" in connection.reason)
        await connection.aclose()

    hidden_behind_tls(body)


def test_the_sender_trusts_the_same_certificate(
    certificate: Path, hidden_behind_tls: Callable[[Check], None]
) -> None:
    pem = certificate.with_name("cert.pem").read_text()

    async def body(port: int) -> None:
        reports: list[dict[str, object]] = []
        run = BulkRun()
        run.reported.connect(reports.append)
        run.failed.connect(lambda why: reports.append({"verdict": why}))
        run.start(Target(f"wss://localhost:{port}/", trusted=pem), "x {i}", 10, 2)
        file = run._trusted
        assert file is not None
        assert file.stat().st_mode & 0o077 == 0
        await until(lambda: reports and not run.is_running)
        # The server answers 7 to everything, so every reply is right.
        assert reports[0]["verdict"] == "pass"
        await run.aclose()
        assert not file.exists()

    hidden_behind_tls(body)


@pytest.mark.parametrize(
    ("scheme", "other"), [("ws", "wss"), ("wss", "ws")], ids=["ws to TLS", "wss to no TLS"]
)
def test_the_other_scheme_is_offered(
    scheme: str,
    other: str,
    hidden_behind_tls: Callable[[Check], None],
    open_window: Open,
) -> None:
    async def wait(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    async def body(port: int) -> None:
        async with serving(wait) as plain:
            url = plain.replace("ws", "wss") if scheme == "wss" else f"ws://localhost:{port}/"
            async with open_window(url) as window:
                await until(window.state_line.link.isVisible)
                assert window.state_line.link.text() == f"&Try {other}://"
                window.state_line.link.click()
                assert window.address.text() == url.replace(scheme, other)

    hidden_behind_tls(body)


def test_every_option_is_checked_beside_its_field(
    server_url: str, certificate: Path, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            dialog = open_dialog(window)
            key = certificate.with_name("key.pem")
            for field, wrong, words, right in (
                (
                    dialog.subprotocols,
                    "chat, a/b",
                    "'a/b': it is not a name",
                    "graphql-ws, chat",
                ),
                (dialog.subprotocols, "chat, chat", "twice", ""),
                (dialog.ca, "/no/such.pem", "/no/such.pem", str(certificate)),
                (dialog.certificate, str(key), "no certificate in", str(certificate)),
                (dialog.key, "/no/key.pem", "/no/key.pem", str(key)),
            ):
                field.setText(wrong)
                field.editingFinished.emit()
                assert words in dialog.complaints[field].text()
                confirm(dialog)
                assert dialog.isVisible()
                field.setText(right)
                field.editingFinished.emit()
                assert dialog.complaints[field].text() == ""
            dialog.headers.setPlainText("Host: x")
            assert "handshake itself" in dialog.complaints[dialog.headers].text()
            dialog.headers.setPlainText("")
            confirm(dialog)
            await until(lambda: not dialog_is_open(window))

    run(scenario())


def dialog_is_open(window: Window) -> bool:
    return any(dialog.isVisible() for dialog in window.findChildren(OptionsDialog))


def test_settings_last_but_secrets_do_not(
    server_url: str, run: Run, open_window: Open, settings_file: Path
) -> None:
    async def first() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
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
            assert window.address.text() == server_url
            assert window.request_panel.message.message == "Hi {i}"
            assert (window.width(), window.height()) == (700, 650)
            assert theme.current_colors() == theme.DARK
            dialog = open_dialog(window)
            assert dialog.headers.toPlainText() == ""
            assert not dialog.insecure.isChecked()

    run(first())
    assert "secret" not in settings_file.read_text()
    run(second())


@pytest.mark.parametrize(
    "text", ["no colon", ": value", "a b: c", "X: \x01", "Host: x", "Sec-WebSocket-Key: x", "X: ü"]
)
def test_what_is_not_a_header_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"header|handshake"):
        parse_headers(text)
