"""A process under test whose standard error is read and kept."""

import re
import subprocess
import threading
from typing import Any

__all__ = ["TIMEOUT", "LoggedProcess"]

TIMEOUT = 30.0
"""Seconds after which a test gives up: far more than anything here takes on a busy machine."""


class LoggedProcess:
    """A process that logs to standard error.

    Args:
        command: Its command line.
        unread_log: Whether nobody reads the log after its first line.
        options: Others of those of ``subprocess.Popen``.
    """

    def __init__(self, *command: object, unread_log: bool = False, **options: Any) -> None:
        self.process = subprocess.Popen(
            [*map(str, command)], stderr=subprocess.PIPE, text=True, bufsize=1, **options
        )
        self.pid = self.process.pid
        self._unread_log = unread_log
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        """What the process has logged so far."""
        with self._news:
            return "".join(self._lines)

    def wait_for(self, pattern: str, *, times: int = 1) -> str:
        """Return the first line in which a pattern is found, once there are enough of them."""

        def lines() -> list[str]:
            return [line for line in self._lines if re.search(pattern, line)]

        with self._news:
            self._news.wait_for(
                lambda: len(lines()) >= times or not self._reader.is_alive(), TIMEOUT
            )
            found = lines()
            assert len(found) >= times, f"{pattern!r} is not in the log: {''.join(self._lines)}"
        return found[0]

    def wait(self) -> int:
        """Return the exit status once the process has ended."""
        status = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return status

    def end(self) -> None:
        """End the process, whatever it does."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.close_log()

    def close_log(self) -> None:
        """Close the log of a process that has ended."""
        self._reader.join(TIMEOUT)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
            if self._unread_log:
                break
        with self._news:
            self._news.notify_all()
