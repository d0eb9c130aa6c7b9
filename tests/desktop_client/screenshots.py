"""Make the pictures of the window under docs/: python -m tests.desktop_client.screenshots."""

import json
import socket
import tempfile
import threading
import time
from pathlib import Path

from websockets.sync.server import ServerConnection, serve

from tests.desktop_client.screen import Desktop, screen
from wire.private_server import private_server

BULK = 15
"""Seconds that 500,000 messages take at most."""

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    with (
        screen() as made,
        private_server() as url,
        serve(answer_in_json, "127.0.0.1", 0) as foreign,
        tempfile.TemporaryDirectory() as folder,
    ):
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        light, dark = Path(folder) / "light.ini", Path(folder) / "dark.ini"
        other = Path(folder) / "other.ini"
        dark.write_text("[General]\nappearance=dark\n")

        desktop = Desktop(made, light, url)
        keep(desktop, "before")
        desktop.press("Return")
        keep(desktop, "after")
        finish(desktop)

        desktop = Desktop(made, light, url)
        settle()
        desktop.press("ctrl+3")
        settle()
        desktop.press("alt+g", "ctrl+a")
        desktop.type("500000")
        desktop.press("alt+r")
        time.sleep(BULK)
        keep(desktop, "bulk")
        finish(desktop)

        desktop = Desktop(made, dark, url)
        settle()
        desktop.press("Return", "Return", "Return")
        keep(desktop, "dark")
        finish(desktop)

        desktop = Desktop(made, other, f"ws://127.0.0.1:{foreign.socket.getsockname()[1]}/")
        settle()
        desktop.press("ctrl+a")
        desktop.type('{"type": "subscribe", "id": {i}}')
        desktop.press("Return")
        keep(desktop, "foreign")
        desktop.press("alt+t", "Return")
        settle()
        desktop.press("Return", "ctrl+2")
        keep(desktop, "conversation")
        finish(desktop)
        foreign.shutdown()

        desktop = Desktop(made, light, f"ws://localhost:{closed_port()}/")
        keep(desktop, "no-server")
        finish(desktop)

        desktop = Desktop(made, light, url)
        made.xdotool("windowsize", "--sync", desktop.window, "400", "300")
        settle()
        desktop.press("Return")
        keep(desktop, "small")
        finish(desktop)


def answer_in_json(websocket: ServerConnection) -> None:
    """Answer as services do, each in its own way."""
    for number, _ in enumerate(websocket, 1):
        answer = {"type": "subscribed", "id": number, "channels": ["trades", "books"], "ok": True}
        websocket.send(json.dumps(answer))


def keep(desktop: Desktop, name: str) -> None:
    settle()
    desktop.photograph().save(str(DOCS / f"desktop-{name}.png"))


def settle() -> None:
    """Wait until the window is drawn. Its cursor blinks, so pictures cannot be compared."""
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
