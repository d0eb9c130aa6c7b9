"""Drives the system's Firefox by WebDriver BiDi, which it speaks itself, over a WebSocket.

Playwright drives only a Firefox of its own making; this is the one that people have.
"""

import contextlib
import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

__all__ = ["Firefox", "firefox"]

TIMEOUT = 30


class Firefox:
    """One tab of a running Firefox."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._ids = itertools.count()
        self.errors: list[str] = []
        self._command("session.new", capabilities={})
        self._command("session.subscribe", events=["log.entryAdded"])
        self._tab = self._command("browsingContext.getTree")["contexts"][0]["context"]

    def goto(self, url: str) -> None:
        """Open a page and wait until it is there."""
        self._command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, of a promise what it comes to."""
        result = self._command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self._tab},
            awaitPromise=True,
        )
        if result["type"] != "success":
            raise AssertionError(result["exceptionDetails"]["text"])
        value = result["result"].get("value")
        return None if value is None else json.loads(value)

    def wait_for_text(self, selector: str, pattern: str) -> str:
        """Wait until an element's text matches, and return it."""
        text = self.evaluate(
            "new Promise((resolve, reject) => {"
            f"  const element = document.querySelector({json.dumps(selector)});"
            f"  const pattern = new RegExp({json.dumps(pattern)});"
            "   const text = () => element.textContent;"
            "   const look = () => pattern.test(text()) && resolve(text());"
            "   new MutationObserver(look).observe(element,"
            "     {childList: true, characterData: true, subtree: true});"
            "   setTimeout(() => reject(new Error(element.textContent)), 15000);"
            "   look();"
            "})"
        )
        assert isinstance(text, str)
        return text

    def _command(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._websocket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._websocket.recv(timeout=TIMEOUT))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.errors.append(message["params"]["text"])
            elif message.get("id") == number:
                if message["type"] == "error":
                    raise AssertionError(f"{method}: {message['message']}")
                return message["result"]


@contextlib.contextmanager
def firefox(path: str, profile: Path) -> Iterator[Firefox]:
    """Run a Firefox without a screen, with an empty profile."""
    with subprocess.Popen(
        [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                    break
            else:
                raise AssertionError("Firefox ended before it could be driven")
            with connect(f"{found[1]}/session", max_size=None) as websocket:
                yield Firefox(websocket)
        finally:
            process.terminate()
            process.communicate(timeout=TIMEOUT)
