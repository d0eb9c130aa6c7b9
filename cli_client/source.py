"""Where the requests come from: a template, a file or pipe, or a corpus of edge cases.

A source hands out payloads with their numbers, each once, in order. Of a run that is spread over
several processes, each has a source of its own, which takes every n-th number, so that no two
requests of a run have the same.
"""

import queue
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path
from typing import BinaryIO, Protocol

from cli_client.edges import edges
from cli_client.settings import Settings

__all__ = ["Share", "Source", "SourceError", "open_source", "template_payloads"]

STANDARD_INPUT = Path("-")

PADDING = b"."

LINES_AHEAD = 4096
"""How many lines are read before they are asked for."""


class SourceError(Exception):
    """The requests cannot be read; the message says why."""


@dataclass(frozen=True)
class Share:
    """Which numbers of a run a process has: those that leave ``index`` when divided by ``of``."""

    index: int = 0
    of: int = 1

    def count(self, total: int) -> int:
        """Return how many of so many numbers are in the share."""
        return max(0, -(-(total - self.index) // self.of))

    def part(self, amount: int) -> int:
        """Return the share of so many things that are alike, such as connections."""
        return amount // self.of + (self.index < amount % self.of)


class Source(Protocol):
    """Hands out the requests of a run."""

    total: int | None
    """How many there are; None if that is not known."""
    exhausted: bool
    """Whether there are no more."""

    def take(self, amount: int) -> list[tuple[int, bytes]]:
        """Return the next requests, with their numbers; none if none is there yet.

        Args:
            amount: How many at the most.

        Raises:
            SourceError: If they cannot be read.
        """

    def close(self) -> None:
        """Give back what the source holds."""


def open_source(settings: Settings, share: Share, on_more: Callable[[], None]) -> Source:
    """Return the source that the settings ask for.

    Args:
        settings: The settings of the run.
        share: Which of the requests to take.
        on_more: Called, from another thread, when there is something to take again.

    Raises:
        SourceError: If the file cannot be read.
    """
    if settings.file is not None:
        return Lines(settings, share, on_more)
    if settings.corpus is not None:
        return Series(cycle(edges()), settings.messages, share)
    return Series(template_payloads(settings), settings.messages, share)


class Series:
    """A source that can tell any number of payloads at once."""

    def __init__(self, payloads: Iterator[bytes], total: int | None, share: Share) -> None:
        self.total = None if total is None else share.count(total)
        self.exhausted = self.total == 0
        numbered = enumerate(payloads)
        self._requests = islice(numbered, share.index, total, share.of)

    def take(self, amount: int) -> list[tuple[int, bytes]]:
        """Return the next requests."""
        taken = list(islice(self._requests, amount))
        self.exhausted = len(taken) < amount
        return taken

    def close(self) -> None:
        """Have nothing to give back."""


class Lines:
    """A source that reads a file or a pipe in a thread, one request per line."""

    def __init__(self, settings: Settings, share: Share, on_more: Callable[[], None]) -> None:
        assert settings.file is not None
        self.exhausted = False
        self._name = settings.file
        self._text = not settings.binary
        self._share = share
        self._on_more = on_more
        self._error: SourceError | None = None
        self._closed = False
        self._starved = False
        self._lines: queue.Queue[tuple[int, bytes] | None] = queue.Queue(maxsize=LINES_AHEAD)
        try:
            if settings.file == STANDARD_INPUT:
                self._file: BinaryIO = sys.stdin.buffer
                lines = None
            else:
                self._file = settings.file.open("rb")
                with settings.file.open("rb") as file:
                    lines = _count_lines(file)
        except OSError as error:
            raise SourceError(f"cannot read {self._name}: {error.strerror or error}") from None
        limit = settings.messages
        self._limit = limit
        self.total = lines if limit is None or lines is None else min(limit, lines)
        if self.total is not None:
            self.total = share.count(self.total)
        # A pipe that nobody writes to cannot be waited for: the thread ends with the process.
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def take(self, amount: int) -> list[tuple[int, bytes]]:
        """Return the lines that have been read."""
        taken: list[tuple[int, bytes]] = []
        while len(taken) < amount and not self.exhausted:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                if self._starved:
                    break
                # The reader looks at this behind each line; one put in before is taken here.
                self._starved = True
                continue
            if line is None:
                self.exhausted = True
            else:
                taken.append(line)
        if self.exhausted and self._error is not None:
            raise self._error
        return taken

    def close(self) -> None:
        """Let the reader end."""
        self._closed = True
        while not self._lines.empty():
            self._lines.get_nowait()

    def _read(self) -> None:
        try:
            for number, line in enumerate(islice(self._file, self._limit)):
                if number % self._share.of == self._share.index:
                    payload = line.removesuffix(b"\n").removesuffix(b"\r")
                    if self._text:
                        payload.decode()
                    self._put((number, payload))
                if self._closed:
                    return
        except OSError as error:
            self._error = SourceError(f"cannot read {self._name}: {error.strerror or error}")
        except UnicodeDecodeError:
            self._error = SourceError(
                f"line {number + 1} of {self._name} is not valid UTF-8: send it with --binary"
            )
        self._put(None)

    def _put(self, line: tuple[int, bytes] | None) -> None:
        self._lines.put(line)
        if self._starved:
            self._starved = False
            self._on_more()


def _count_lines(file: BinaryIO) -> int:
    lines, last = 0, b"\n"
    while block := file.read(2**20):
        lines += block.count(b"\n")
        last = block[-1:]
    return lines + (last != b"\n")


def template_payloads(settings: Settings) -> Iterator[bytes]:
    """Return the payloads of a template, from number 0 on, for ever."""
    before, *rest = (part.encode() for part in settings.template.split("{i}"))
    size = settings.size
    if len(rest) == 1 and size is None:
        after = rest[0]
        return (b"%b%d%b" % (before, i, after) for i in count())
    payloads = ((b"%d" % i).join((before, *rest)) for i in count())
    if size is None:
        return payloads
    return (payload.ljust(size, PADDING) for payload in payloads)
