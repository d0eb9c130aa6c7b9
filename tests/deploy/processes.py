"""A sender that is fed with requests for as long as a test wants."""

import contextlib
import itertools
import json
import subprocess
import threading
from collections.abc import Iterator
from typing import IO

from tests.cli_client.sending import COMMAND, Reported, reported
from tests.processes import TIMEOUT

__all__ = ["Traffic", "traffic"]


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
        """Wait until more requests have been answered."""
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
        return reported(self.process.wait(TIMEOUT), self._said)

    def end(self) -> None:
        """End it, however it is."""
        self._enough.set()
        self.process.kill()
        self.process.wait()
        self._feeder.join(TIMEOUT)
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
