"""A server of the window's own: a ``wsroll-server`` child, started and ended without waiting."""

import sys
from collections import deque

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from desktop_client.child import end, new_child
from wire.address import find_announced_url
from wire.private_server import COMMAND, START_TIMEOUT

__all__ = ["LocalServer"]


class LocalServer(QObject):
    """A private server, on a free port.

    It ends with its standard input, so it ends as well when this process dies.

    Signals:
        listening: Its URL, once it can be connected to.
        failed: Why it did not start, or that it ended by itself.
    """

    listening = Signal(str)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.url = ""
        self._lines: deque[str] = deque(maxlen=20)
        self._stopping = False
        self._process = new_child(self)
        self._process.readyReadStandardError.connect(self._read)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail_to_start)
        self._patience = QTimer(self, singleShot=True, interval=int(START_TIMEOUT * 1000))
        self._patience.timeout.connect(self._process.kill)

    @property
    def is_running(self) -> bool:
        """Whether the process is there, even if it does not listen yet."""
        return self._process.state() is not QProcess.ProcessState.NotRunning

    def start(self) -> None:
        """Start the server, unless it runs."""
        if not self.is_running:
            self._lines.clear()
            self._stopping = False
            self._process.start(COMMAND[0], list(COMMAND[1:]))
            self._patience.start()

    async def aclose(self) -> None:
        """End the server, and return once it has ended."""
        self._stopping = True
        self._process.closeWriteChannel()
        await end(self._process)

    def _read(self) -> None:
        while self._process.canReadLine():
            line = bytes(self._process.readLine().data()).decode(errors="replace").rstrip()
            url = None if self.url else find_announced_url(line)
            if url is None:
                self._lines.append(line)
                print(line, file=sys.stderr)
            elif not self._stopping:
                self._patience.stop()
                self.url = url
                self.listening.emit(url)

    def _finish(self) -> None:
        self._patience.stop()
        had_listened, self.url = bool(self.url), ""
        if self._stopping:
            return
        if had_listened:
            self.failed.emit(self.tr("The local server has ended."))
        else:
            last = self._lines[-1] if self._lines else self.tr("it printed nothing")
            self.failed.emit(self.tr("The local server did not start: {why}").format(why=last))

    def _fail_to_start(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._patience.stop()
            self.failed.emit(
                self.tr("The local server did not start: {why}").format(
                    why=self._process.errorString()
                )
            )
