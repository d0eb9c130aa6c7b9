"""A real screen without a monitor (Xvfb), with real keys and a real mouse (xdotool), and photos."""

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtGui import QImage

__all__ = ["PATIENCE", "Desktop", "Screen", "missing_programs"]

PATIENCE = 20.0


def missing_programs() -> list[str]:
    """Return which programs a screen needs and the machine lacks."""
    return [name for name in ("Xvfb", "xdotool", "openbox") if shutil.which(name) is None]


class Screen:
    """An X11 screen (Xvfb) with a window manager (openbox)."""

    def __init__(self, folder: Path, size: str) -> None:
        self._file = folder / "Xvfb_screen0"
        self.desktops: list[Desktop] = []
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [
                *("Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24"),
                *("-fbdir", str(folder), "-nolisten", "tcp"),
            ],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with open(reading) as number:
            self.environment = {
                **os.environ,
                "DISPLAY": f":{number.readline().strip()}",
                "QT_QPA_PLATFORM": "xcb",
            }
        settings = folder / "rc.xml"
        settings.write_text('<openbox_config xmlns="http://openbox.org/3.4/rc"/>')
        self._manager = subprocess.Popen(
            ["openbox", "--config-file", str(settings), "--sm-disable"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def switch_off(self) -> None:
        """End the window manager, then the screen."""
        for process in (self._manager, self.process):
            process.terminate()
            process.wait(PATIENCE)

    def clear(self) -> None:
        """End what a test that failed has left on the screen."""
        for desktop in self.desktops:
            if desktop.process.poll() is None:
                desktop.process.kill()
                desktop.process.communicate()
        self.desktops.clear()

    def xdotool(self, *arguments: str) -> str:
        """Run an xdotool command and return what it printed."""
        return subprocess.run(
            ["xdotool", *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        ).stdout

    def photograph(self) -> QImage:
        """Return what is on the screen."""
        data = self._file.read_bytes()  # in the format of xwd: X11/XWDFile.h
        header = struct.unpack(">25I", data[:100])
        head, width, height, per_line, colors = (header[i] for i in (0, 4, 5, 12, 19))
        pixels = data[head + 12 * colors :]
        return QImage(pixels, width, height, per_line, QImage.Format.Format_RGB32).copy()


class Desktop:
    """A ``wsroll-desktop`` process on a screen."""

    def __init__(
        self,
        screen: Screen,
        settings: Path,
        *arguments: str,
        scale: float = 1,
        folder: Path | None = None,
    ) -> None:
        self._screen = screen
        self.process = subprocess.Popen(
            [sys.executable, "-m", "desktop_client", "--settings", str(settings), *arguments],
            env={
                **screen.environment,
                "QT_SCALE_FACTOR": str(scale),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        screen.desktops.append(self)
        self.window = screen.xdotool(
            *(
                "search",
                "--sync",
                "--onlyvisible",
                "--pid",
                str(self.process.pid),
                "--name",
                "^wsroll",
            )
        ).split()[0]
        screen.xdotool("windowmove", "--sync", self.window, "0", "0")
        screen.xdotool("windowactivate", "--sync", self.window)
        screen.xdotool("mousemove", "1399", "1199")  # where the pointer is in no picture

    def press(self, *keys: str) -> None:
        """Press keys, by their X11 names."""
        self._screen.xdotool("key", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._screen.xdotool("type", text)

    def wait_for(self, title: str) -> None:
        """Return once a window with this title, a regular expression, is open."""
        until = time.monotonic() + PATIENCE
        command = ["xdotool", "search", "--onlyvisible", "--all", "--pid", str(self.process.pid)]
        # A search that meets a window on its way out fails, so it is made again.
        while not subprocess.run(
            [*command, "--name", title],
            env=self._screen.environment,
            capture_output=True,
            timeout=PATIENCE,
        ).stdout:
            if time.monotonic() > until:
                raise TimeoutError(f"no window {title}")
            time.sleep(0.05)

    def click(self, x: int, y: int) -> None:
        """Click at a place in the window, with the left button."""
        self._screen.xdotool("mousemove", "--sync", str(x), str(y), "click", "1")

    def size(self) -> tuple[int, int]:
        """Return the window's width and height in pixels."""
        found = re.search(
            r"Geometry: (\d+)x(\d+)", self._screen.xdotool("getwindowgeometry", self.window)
        )
        assert found is not None
        return int(found[1]), int(found[2])

    def photograph(self) -> QImage:
        """Return what the window shows."""
        return self._screen.photograph().copy(0, 0, *self.size())

    def card(self) -> QImage:
        """Return the middle of the window, where nothing moves by itself."""
        width, height = self.size()
        return self._screen.photograph().copy(
            width // 8, height * 2 // 5, width * 3 // 4, height // 4
        )

    def card_after(self, before: QImage) -> QImage:
        """Return the middle of the window, once it is another and finished."""
        until = time.monotonic() + PATIENCE
        now = before
        while time.monotonic() < until:
            last, now = now, self.card()
            if last == now != before:
                return now
            time.sleep(0.1)
        raise TimeoutError("nothing new in the window")

    def end(self) -> tuple[int, str]:
        """End the program with SIGTERM, and return its exit status and standard error."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Return exit status and standard error once the program has ended."""
        _, complaints = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, complaints


@contextmanager
def screen(size: str = "1400x1200") -> Iterator[Screen]:
    """Switch a screen on, and off again."""
    with tempfile.TemporaryDirectory() as folder:
        made = Screen(Path(folder), size)
        try:
            yield made
        finally:
            made.switch_off()
