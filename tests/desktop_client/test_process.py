"""The program as a process: how it ends, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.conftest import skip_unless_ci
from tests.desktop_client.screen import PATIENCE, Desktop, Screen, missing_programs, screen
from tests.desktop_client.waiting import children
from wire.exchange import make_reply


@pytest.fixture(scope="module")
def one_screen() -> Iterator[Screen]:
    if missing := missing_programs():
        skip_unless_ci(f"{' and '.join(missing)}")
    with screen() as made:
        yield made


@pytest.fixture
def real_screen(one_screen: Screen) -> Iterator[Screen]:
    yield one_screen
    one_screen.clear()


def test_a_bad_address_is_one_line_and_status_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "desktop_client", "ftp://localhost/"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "must start with ws:// or wss://" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"DISPLAY": None}, "there is no display to open a window on (neither "),
        ({"DISPLAY": ":9999"}, "there is no display to open a window on (cannot connect to ':9999"),
        ({"QT_QPA_PLATFORM": "wayland"}, "there is no display"),
        ({"QT_QPA_PLATFORM": "nonsense"}, "Qt cannot open a window"),
    ],
    ids=["none", "wrong", "another kind", "nonsense"],
)
def test_without_a_display_there_is_one_line_and_status_1(
    change: dict[str, str | None], words: str
) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "", **change}
    done = subprocess.run(
        [sys.executable, "-m", "desktop_client"],
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    # The Wayland library prints a line of its own first.
    line = done.stderr.splitlines()[-1]
    assert line.startswith("wsroll-desktop: ")
    assert words in line
    assert "einstall" not in line


@pytest.mark.parametrize(
    ("question", "number"),
    [
        *(("options", signal.SIGINT), ("overwrite", signal.SIGINT)),
        *(
            (question, signal.SIGTERM)
            for question in ("options", "file", "overwrite", "name", "menu", "list", "addresses")
        ),
    ],
)
def test_a_signal_while_a_question_is_open_ends_in_order(
    question: str,
    number: signal.Signals,
    server_url: str,
    real_screen: Screen,
    settings_file: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "conversation.csv").touch()
    desktop = Desktop(real_screen, settings_file, server_url, folder=tmp_path)
    if question == "options":
        desktop.press("ctrl+comma")
        desktop.wait_for("^Options$")
    elif question == "menu":
        desktop.press("alt+v")
    elif question == "list":
        desktop.press("alt+h", "space")
    elif question == "addresses":
        desktop.press("alt+a", "Down")
    elif question == "name":
        desktop.press("alt+v", "Down", "Return")
        desktop.wait_for("^Save this message$")
    elif question in ("file", "overwrite"):
        desktop.press("ctrl+2", "alt+v")
        desktop.wait_for("^Save the conversation$")
    if question == "overwrite":
        desktop.press("Return")
        desktop.wait_for("^Replace$")
    desktop.process.send_signal(number)
    assert desktop.wait() == (0, "")


def test_enter_in_the_address_connects_to_what_stands_there(
    real_screen: Screen, settings_file: Path
) -> None:
    paths: Queue[str] = Queue()

    def note(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        paths.put(websocket.request.path)
        for _ in websocket:
            pass

    with serve(note, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        settings_file.write_text(f"[General]\naddresses={url}remembered, {url}remembered/2\n")
        desktop = Desktop(real_screen, settings_file, f"{url}first")
        assert paths.get(timeout=PATIENCE) == "/first"
        for typed in ("", "rem", "remembered/"):
            desktop.press("alt+a", "ctrl+a")
            desktop.type(f"{url}{typed}")
            desktop.press("Return")
            assert paths.get(timeout=PATIENCE) == f"/{typed}"
        desktop.press("alt+a", "End", "BackSpace", "Return")
        assert paths.get(timeout=PATIENCE) == "/remembered"
        assert desktop.end() == (0, "")
        server.shutdown()


def test_broken_settings_are_the_defaults_with_a_line_in_the_log(
    server_url: str, real_screen: Screen, settings_file: Path
) -> None:
    settings_file.write_text(
        "[General]\nappearance=purple\ngeometry=wide\naddresses=nowhere\nchecks=7{\n"
        "messages=[{}]\nkind=@Invalid()\nsubprotocols=a b/c\n"
    )
    desktop = Desktop(real_screen, settings_file)
    status, lines = desktop.end()
    assert status == 0
    assert "WARNING: the setting appearance is ignored: 'purple'" in lines
    assert "Traceback" not in lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_window_in_order(
    number: signal.Signals, server_url: str, real_screen: Screen, settings_file: Path
) -> None:
    desktop = Desktop(real_screen, settings_file, server_url)
    desktop.process.send_signal(number)
    assert desktop.wait() == (0, "")


def test_real_keys_and_clicks_on_a_real_screen(real_screen: Screen, settings_file: Path) -> None:
    connected = threading.Event()
    heard: Queue[str | bytes] = Queue()

    def answer(websocket: ServerConnection) -> None:
        connected.set()
        for request in websocket:
            heard.put(request)
            websocket.send(make_reply(str(request).encode()), text=True)

    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        desktop = Desktop(real_screen, settings_file, url)
        assert connected.wait(PATIENCE)
        empty = desktop.card()
        desktop.press("Return")
        assert heard.get(timeout=PATIENCE) == "Request 0"
        first = desktop.card_after(empty)
        width, height = desktop.size()
        desktop.click(width // 2, height - 50)
        assert heard.get(timeout=PATIENCE) == "Request 1"
        desktop.card_after(first)
        desktop.press("alt+m", "ctrl+a")
        desktop.type("Hello {i}")
        desktop.press("alt+s")
        assert heard.get(timeout=PATIENCE) == "Hello 2"
        assert desktop.end() == (0, "")
        server.shutdown()


def test_no_child_outlives_the_window(
    unused_port: int, real_screen: Screen, settings_file: Path
) -> None:
    desktop = Desktop(real_screen, settings_file, f"ws://localhost:{unused_port}/")
    while not (found := children(desktop.process.pid)):
        desktop.press("alt+l")
    (child,) = found
    assert desktop.end() == (0, "")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_closing_in_the_middle_of_everything_leaves_nothing(
    unused_port: int, real_screen: Screen, settings_file: Path
) -> None:
    """A local server, a bulk run, requests in flight and a dialog are all active at the end."""
    desktop = Desktop(real_screen, settings_file, f"ws://localhost:{unused_port}/")
    while not (found := children(desktop.process.pid)):
        desktop.press("alt+l")
    server = found[0]
    desktop.press("ctrl+3", "alt+g", "ctrl+a")
    desktop.type("100000000")
    while len(found := children(desktop.process.pid)) < 2:
        desktop.press("alt+r")
    desktop.press("ctrl+1", *["Return"] * 20, "ctrl+comma")
    assert desktop.process.poll() is None
    assert desktop.end() == (0, "")
    for child in (server, *found):
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_killing_the_window_ends_the_local_server(
    unused_port: int, real_screen: Screen, settings_file: Path
) -> None:
    desktop = Desktop(real_screen, settings_file, f"ws://localhost:{unused_port}/")
    while not (found := children(desktop.process.pid)):
        desktop.press("alt+l")
    desktop.process.kill()
    desktop.process.communicate(timeout=PATIENCE)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and _is_alive(found[0]):
        time.sleep(0.02)
    assert not _is_alive(found[0])


def _is_alive(pid: int) -> bool:
    """Whether a process runs, rather than having ended or being a zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1]
    except FileNotFoundError:
        return False


def test_the_window_closes_by_key(
    server_url: str, real_screen: Screen, settings_file: Path
) -> None:
    desktop = Desktop(real_screen, settings_file, server_url)
    desktop.press("ctrl+q")
    assert desktop.wait() == (0, "")


def test_without_qt_it_says_how_to_get_it(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['PySide6'] = None; import desktop_client.__main__ as m; m.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "pip install 'wsroll[desktop]'" in line
