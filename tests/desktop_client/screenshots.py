"""Make the pictures of the window under docs/: python -m tests.desktop_client.screenshots."""

import socket
import tempfile
import time
from pathlib import Path

from tests.desktop_client.screen import Desktop, screen
from wire.private_server import private_server

BULK = 12
"""Seconds that 2,000,000 messages take at most."""

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    with screen() as made, private_server() as url, tempfile.TemporaryDirectory() as folder:
        light, dark = Path(folder) / "light.ini", Path(folder) / "dark.ini"
        dark.write_text("[General]\nappearance=dark\n")

        desktop = Desktop(made, light, url)
        keep(desktop, "before")
        desktop.press("Return")
        keep(desktop, "after")
        finish(desktop)

        finish(desktop)

        desktop = Desktop(made, light, url)
        settle()
        desktop.press("ctrl+3")
        settle()
        desktop.press("alt+g", "ctrl+a")
        desktop.type("2000000")
        desktop.press("alt+r")
        time.sleep(BULK)
        keep(desktop, "bulk")
        finish(desktop)

        desktop = Desktop(made, dark, url)
        settle()
        desktop.press("Return", "Return", "Return")
        keep(desktop, "dark")
        for _ in range(12):
            desktop.press("Return")
        desktop.press("ctrl+2")
        keep(desktop, "history")
        finish(desktop)

        desktop = Desktop(made, light, f"ws://localhost:{closed_port()}/")
        keep(desktop, "no-server")
        finish(desktop)


def keep(desktop: Desktop, name: str) -> None:
    settle()
    desktop.photograph().save(str(DOCS / f"desktop-{name}.png"))


def settle() -> None:
    """Let the window come to rest: here nobody waits, and the cursor blinks for ever."""
    time.sleep(1)


def finish(desktop: Desktop) -> None:
    status, complaints = desktop.end()
    assert (status, complaints) == (0, ""), complaints


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
