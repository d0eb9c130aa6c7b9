"""A bulk run: the sender ``wsroll-send`` as a child process, which tells its progress in JSON.

There is one sender with one ledger; this only starts it, reads what it says, and ends it.
"""

import json
import os
import signal
import sys
from typing import Any

from PySide6.QtCore import QObject, QProcess, Signal

from desktop_client.child import end, new_child
from desktop_client.target import Target

__all__ = ["BulkRun"]

COMMAND = (sys.executable, "-m", "cli_client")
"""The sender's command line."""


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
        self._concluded = False
        self._last_line = ""
        self._process = new_child(self)
        self._process.setStandardOutputFile(QProcess.nullDevice())
        self._process.readyReadStandardError.connect(self._read)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail_to_start)

    @property
    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self._process.state() is not QProcess.ProcessState.NotRunning

    def start(self, target: Target, template: str, messages: int, window: int) -> None:
        """Send messages to a target, with at most a window's number of them in flight."""
        if self.is_running:
            return
        self._concluded = False
        self._last_line = ""
        self._process.start(
            COMMAND[0],
            [
                *(*COMMAND[1:], "--quiet", "--progress", "json"),
                *("--messages", str(messages), "--window", str(window)),
                *(f"--template={template}", *target.sender_options(), target.url),
            ],
        )
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
        self._concluded = True
        self._process.terminate()
        await end(self._process)

    def _read(self) -> None:
        while self._process.canReadLine():
            line = bytes(self._process.readLine().data()).decode(errors="replace").strip()
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict):
                self._tell(event)
            else:
                self._last_line = line

    def _tell(self, event: dict[str, Any]) -> None:
        match event.get("event"):
            case "progress":
                self.progressed.emit(event)
            case "report":
                self._concluded = True
                self.reported.emit(event)
            case "error":
                self._concluded = True
                self.failed.emit(str(event.get("message")))

    def _finish(self, status: int) -> None:
        self._read()
        if not self._concluded:
            self.failed.emit(
                self.tr("The sender ended without a report (status {n}). {why}").format(
                    n=status, why=self._last_line
                )
            )
        self.changed.emit()

    def _fail_to_start(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self.failed.emit(self._process.errorString())
            self.changed.emit()
