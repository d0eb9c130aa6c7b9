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
def real_screen() -> Iterator[Screen]:
    if missing := missing_programs():
        skip_unless_ci(f"{' and '.join(missing)}")
    with screen() as made:
        yield made


def test_a_bad_address_is_one_line_and_status_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "desktop_client", "http://localhost/"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "must start with ws:// or wss://" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
        desktop.press("Tab", "space")
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
    """A local server, a bulk run, requests under way, a dialog open: then the window closes."""
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


def test_its_death_by_force_ends_the_local_server_too(
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
