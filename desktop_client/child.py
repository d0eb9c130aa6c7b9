"""Child processes of the window: how they are set up, how they end."""

import asyncio
import contextlib
import sys

from PySide6.QtCore import QObject, QProcess

__all__ = ["end", "new_child"]

END_TIMEOUT = 5.0


def new_child(parent: QObject) -> QProcess:
    """Return a process yet to be started, to be read line by line on its standard error."""
    process = QProcess(parent)
    if sys.platform != "win32" and hasattr(process, "setUnixProcessParameters"):
        # Ctrl-C in the terminal is for the window, which stops its children itself.
        process.setUnixProcessParameters(QProcess.UnixProcessFlag.CreateNewSession)
    process.setReadChannel(QProcess.ProcessChannel.StandardError)
    return process


async def end(process: QProcess) -> None:
    """Wait until a process that was asked to end has ended; kill it after the time-out."""
    ended = asyncio.Event()
    process.finished.connect(ended.set)
    for last_resort in (process.kill, None):
        if process.state() is QProcess.ProcessState.NotRunning:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                await ended.wait()
                return
        if last_resort is not None:
            last_resort()
