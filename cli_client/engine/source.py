"""Where the requests come from: a template, a file or pipe, or a corpus of edge cases.

A source hands out payloads with their numbers, each once, in order. Of a run that is spread over
several processes, each has a source of its own, which takes every n-th number, so that no two
requests of a run have the same.
"""

import contextlib
import io
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice
from typing import BinaryIO, Protocol, cast

from cli_client.engine.corpus import edges
from cli_client.secrets import expand
from cli_client.settings import LARGEST_REQUEST, STANDARD_INPUT, Settings, name_of
from cli_client.share import Share

__all__ = ["Source", "SourceError", "open_source", "template_payloads"]

PADDING = b"."

BLOCK = 2**14
"""Bytes of a file that are read at once."""

BATCHES_AHEAD = 8
"""How many of these wait, cut into lines, to be asked for."""


class SourceError(Exception):
    """The requests cannot be read; the message says why."""


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
        self._path = settings.file
        self._name = name_of(settings.file)
        self._text = not settings.binary
        self._share = share
        self._on_more = on_more
        self._error: SourceError | None = None
        self._closed = False
        self._starved = False
        self._ready: deque[tuple[int, bytes]] = deque()
        self._batches: queue.Queue[list[tuple[int, bytes]] | None] = queue.Queue(BATCHES_AHEAD)
        self._limit = settings.messages
        self.total = None
        if self._path != STANDARD_INPUT and self._path.is_file():  # else it cannot be read twice
            with self._reporting(), self._path.open("rb") as file:
                self._limit = _count_lines(file, self._limit)
            self.total = share.count(self._limit)
        elif sys.stdin is None and self._path == STANDARD_INPUT:
            raise SourceError("cannot read standard input: it is closed")
        # A pipe that nobody writes to cannot be waited for: the thread ends with the process.
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def take(self, amount: int) -> list[tuple[int, bytes]]:
        """Return the lines that have been read."""
        taken: list[tuple[int, bytes]] = []
        ready = self._ready
        while len(taken) < amount and (ready or self._fetch()):
            taken += [ready.popleft() for _ in range(min(amount - len(taken), len(ready)))]
        if not taken and self.exhausted and self._error is not None:
            error, self._error = self._error, None
            raise error
        return taken

    def close(self) -> None:
        """Let the reader end."""
        self._closed = True
        while not self._batches.empty():
            self._batches.get_nowait()

    def _fetch(self) -> bool:
        """Have lines ready, and return whether there are any."""
        while not self.exhausted:
            try:
                batch = self._batches.get_nowait()
            except queue.Empty:
                if self._starved:
                    break
                # The reader looks at this behind each batch; one put in before is fetched here.
                self._starved = True
                continue
            if batch is not None:
                self._ready.extend(batch)
                return True
            self.exhausted = True
        return False

    # In the thread of the reader.

    def _read(self) -> None:
        try:
            with self._reporting(), self._open() as file:
                for batch in self._numbered(_batches(file)):
                    self._put(batch)
                    if self._closed:
                        return
        except SourceError as error:
            self._error = error
        self._put(None)

    def _open(self) -> BinaryIO:
        # Unbuffered, so that lines are sent as they come, and without the lock of sys.stdin, which
        # the interpreter wants at its end.
        if self._path == STANDARD_INPUT:
            return cast(BinaryIO, io.FileIO(0, closefd=False))
        return cast(BinaryIO, self._path.open("rb", buffering=0))

    def _numbered(self, batches: Iterator[list[bytes]]) -> Iterator[list[tuple[int, bytes]]]:
        """Give the lines of this share with their numbers, up to the limit."""
        share, number = self._share, 0
        for lines in batches:
            if self._limit is not None:
                del lines[self._limit - number :]
            if self._text:
                self._check_text(lines, number)
            numbered = [
                (place, line.removesuffix(b"\r")) for place, line in enumerate(lines, number)
            ]
            yield numbered[(share.index - number) % share.of :: share.of]
            number += len(lines)
            if number == self._limit:
                return

    def _check_text(self, lines: list[bytes], number: int) -> None:
        for place, line in enumerate(lines, number + 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise SourceError(
                    f"line {place} of {self._name} is not valid UTF-8: send it with --binary"
                ) from None

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(f"cannot read {self._name}: {error.strerror or error}") from None

    def _put(self, batch: list[tuple[int, bytes]] | None) -> None:
        self._batches.put(batch)
        if self._starved:
            self._starved = False
            self._on_more()


def _batches(file: BinaryIO) -> Iterator[list[bytes]]:
    """Give the lines of a file, without their ends, so many at a time as a read brings.

    Raises:
        SourceError: If a line is longer than any request may be.
    """
    unfinished: list[bytes] = []
    size = 0
    while block := file.read(BLOCK):
        first, *others = block.split(b"\n")
        unfinished.append(first)
        size += len(first)
        if size > LARGEST_REQUEST:
            raise SourceError(f"a line is longer than {LARGEST_REQUEST:,} bytes")
        if others:
            last = others.pop()
            yield [b"".join(unfinished), *others]
            unfinished, size = [last], len(last)
    if size:
        yield [b"".join(unfinished)]


def _count_lines(file: BinaryIO, limit: int | None) -> int:
    """Return how many lines a file has, or the limit if it has more."""
    lines, last = 0, b"\n"
    while (limit is None or lines < limit) and (block := file.read(2**20)):
        lines += block.count(b"\n")
        last = block[-1:]
    lines += last != b"\n"
    return lines if limit is None else min(lines, limit)


def template_payloads(settings: Settings) -> Iterator[bytes]:
    """Return the payloads of a template, from number 0 on, for ever."""
    template = expand(settings.template, settings.variables)
    before, *rest = (part.encode() for part in template.split("{i}"))
    size = settings.size
    if len(rest) == 1 and size is None:
        after = rest[0]
        return (b"%b%d%b" % (before, i, after) for i in count())
    payloads = ((b"%d" % i).join((before, *rest)) for i in count())
    if size is None:
        return payloads
    return (payload.ljust(size, PADDING) for payload in payloads)
