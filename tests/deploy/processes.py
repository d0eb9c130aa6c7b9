"""Processes that the tests start and end: what logs to standard error, and a sender that is fed."""

import contextlib
import itertools
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from typing import IO, Any

from tests.cli_client.sending import COMMAND, Reported, reported

__all__ = ["Logging", "Traffic", "traffic"]

PATIENCE = 30.0


class Logging:
    """A process that runs in the foreground and logs to standard error.

    Args:
        command: Its command line.
        more: What else ``subprocess.Popen`` takes.
    """

    def __init__(self, *command: object, **more: Any) -> None:
        self.process = subprocess.Popen(
            [*map(str, command)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        """What it has logged so far."""
        with self._news:
            return "".join(self._lines)

    def wait_for(self, pattern: str) -> None:
        """Wait until a line of the log has the pattern in it."""

        def found() -> bool:
            return any(re.search(pattern, line) for line in self._lines)

        with self._news:
            self._news.wait_for(lambda: found() or not self._reader.is_alive(), PATIENCE)
            assert found(), f"{pattern!r} is not in the log: {''.join(self._lines)}"

    def wait(self) -> int:
        """Return the exit status once it has ended."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def end(self) -> None:
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


class Traffic:
    """A sender at full speed whose requests come from a pipe: its run lasts as long as is wanted.

    Args:
        options: Those of its command.
    """

    def __init__(self, *options: object) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "-q", "--progress", "json", "--file", "-", *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        self._said = ""
        self._answered = 0
        self._enough = threading.Event()
        self._feeder = threading.Thread(target=self._feed, args=(self.process.stdin,), daemon=True)
        self._feeder.start()

    def flow(self, amount: int = 500) -> None:
        """Wait until so many more requests have been answered."""
        wanted = self._answered + amount
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said += line
            self._answered = json.loads(line).get("answered", 0)
            if self._answered >= wanted:
                return
        raise AssertionError(f"it ended before: {self._said}")

    def finish(self) -> Reported:
        """Give no more requests, and return what the run left once all are settled."""
        self._enough.set()
        assert self.process.stderr is not None
        self._said += self.process.stderr.read()
        return reported(self.process.wait(PATIENCE), self._said)

    def end(self) -> None:
        """End it, however it is."""
        self._enough.set()
        self.process.kill()
        self.process.wait()
        self._feeder.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _feed(self, pipe: IO[str]) -> None:
        numbers = itertools.count()
        with contextlib.suppress(BrokenPipeError), pipe:
            while not self._enough.is_set():
                pipe.writelines(f"Request {i}\n" for i in itertools.islice(numbers, 100))


@contextlib.contextmanager
def traffic(url: str, *options: object) -> Iterator[Traffic]:
    """Send requests over several connections, as long as the context lasts."""
    flowing = Traffic(url, "-c", 8, *options)
    try:
        yield flowing
    finally:
        flowing.end()
