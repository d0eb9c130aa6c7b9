"""A bulk run: the sender ``wsroll-send`` as a child process, which reports its progress in JSON.

There is one sender with one ledger; this only starts it, reads what it says, and ends it. What it
must do stands on its standard input: other users of the machine can read a process's arguments.
"""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, Signal

from desktop_client.child import end, new_child
from desktop_client.pairing import Check
from desktop_client.target import Target

__all__ = ["BulkRun", "preset"]

COMMAND = (sys.executable, "-m", "cli_client")
"""The sender's command line."""
OPTIONS = ("--quiet", "--progress", "json", "--preset", "-")

_EXPECT = {Check.NUMBER: "number", Check.ECHO: "echo", Check.OFF: "any"}


class BulkRun(QObject):
    """One run at a time.

    Signals:
        progressed: What the sender says about ten times a second, as it says it.
        reported: Its report at the end.
        failed: Why there is no report.
        changed: It runs, or runs no longer.
    """

    progressed = Signal(dict)
    reported = Signal(dict)
    failed = Signal(str)
    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._has_concluded = False
        self._last_line = ""
        self._trusted: Path | None = None
        self._process = new_child(self)
        self._process.setStandardOutputFile(QProcess.nullDevice())
        self._process.readyReadStandardError.connect(self._on_readable)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_start_failed)

    @property
    def is_running(self) -> bool:
        """Whether a run is active."""
        return self._process.state() is not QProcess.ProcessState.NotRunning

    def start(
        self,
        target: Target,
        template: str,
        messages: int,
        in_flight: int,
        *,
        check: Check = Check.NUMBER,
        binary: bool = False,
    ) -> None:
        """Send messages to a target, with at most ``in_flight`` of them unanswered."""
        if self.is_running:
            return
        self._has_concluded = False
        self._last_line = ""
        self._trusted = _file_of(target.trusted) if target.trusted else None
        options = preset(
            target, template, messages, in_flight, check, binary=binary, trusted=self._trusted
        )
        self._process.start(COMMAND[0], [*COMMAND[1:], *OPTIONS])
        self._process.write(options.encode())
        self._process.closeWriteChannel()
        self.changed.emit()

    def stop(self) -> None:
        """Have the sender end with a report on what it has done."""
        if not self._process.processId():
            return
        if sys.platform == "win32":
            self._process.kill()
        else:
            os.kill(self._process.processId(), signal.SIGINT)

    async def aclose(self) -> None:
        """End the sender, and return once it has ended."""
        self._has_concluded = True
        self._process.terminate()
        await end(self._process)
        self._forget_trusted()

    def _on_readable(self) -> None:
        while self._process.canReadLine():
            line = bytes(self._process.readLine().data()).decode(errors="replace").strip()
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict):
                self._on_event(event)
            elif line:
                self._last_line = line

    def _on_event(self, event: dict[str, Any]) -> None:
        match event.get("event"):
            case "progress":
                self.progressed.emit(event)
            case "report":
                self._has_concluded = True
                self.reported.emit(event)
            case "error":
                self._has_concluded = True
                self.failed.emit(str(event.get("message")))

    def _on_finished(self, status: int) -> None:
        self._on_readable()
        self._forget_trusted()
        if not self._has_concluded:
            self.failed.emit(
                self.tr("The sender ended without a report (status {n}). {why}").format(
                    n=status, why=self._last_line
                )
            )
        self.changed.emit()

    def _on_start_failed(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._forget_trusted()
            self.failed.emit(self._process.errorString())
            self.changed.emit()

    def _forget_trusted(self) -> None:
        if self._trusted is not None:
            self._trusted.unlink(missing_ok=True)
            self._trusted = None


def preset(
    target: Target,
    template: str,
    messages: int,
    in_flight: int,
    check: Check,
    *,
    binary: bool,
    trusted: Path | None,
) -> str:
    """Return the options of a run as the sender reads them: TOML, by their long names."""
    options: dict[str, object] = {
        "url": target.url,
        "messages": messages,
        "window": in_flight,
        "template": template,
        "expect": _EXPECT[check],
        "binary": binary,
        "header": [f"{name}: {value}" for name, value in target.headers],
        "subprotocol": list(target.subprotocols),
        "cacert": target.ca or (str(trusted) if trusted else ""),
        "cert": target.certificate,
        "key": target.key,
        "insecure": target.insecure,
        # Where the window connects, without a detour.
        "proxy": None,
    }
    # JSON's texts, numbers and lists are TOML's too, but for DEL and for escaped surrogates.
    return "".join(
        f"{name} = {json.dumps(value or '', ensure_ascii=False)}\n".replace("\x7f", "\\u007f")
        for name, value in options.items()
        if value not in ("", [], False)
    )


def _file_of(certificate: str) -> Path:
    """Return a file with a certificate; no other user can read it."""
    number, name = tempfile.mkstemp(prefix="wsroll-", suffix=".pem")
    with open(number, "w", encoding="ascii") as stream:
        stream.write(certificate)
    return Path(name)
