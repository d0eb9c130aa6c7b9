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
from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle, islice, repeat
from typing import BinaryIO, Protocol, cast

from cli_client.engine.corpus import edges
from cli_client.engine.template import Table, TableError, Template
from cli_client.settings import LARGEST_REQUEST, STANDARD_INPUT, Settings, name_of
from cli_client.share import Share

__all__ = ["Source", "SourceError", "open_source"]

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
    is_shared: bool
    """Whether each request may go out on any connection."""

    def take(self, amount: int, connection: int = 1) -> list[tuple[int, bytes]]:
        """Return the next requests, with their numbers; none if none is there yet.

        Args:
            amount: How many at the most.
            connection: The number of the connection that they are for.

        Raises:
            SourceError: If they cannot be read.
        """

    def close(self) -> None:
        """Release what the source holds."""


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
    try:
        table = None if settings.data is None else Table(settings.data)
    except TableError as error:
        raise SourceError(str(error)) from None
    template = Template(settings.template, settings.variables, table.columns if table else ())
    padding = b" " if settings.id else b"."
    size = settings.size or 0
    if (around := template.around_number()) is not None:
        return Series(_numbered(*around, size, padding), settings.messages, share)
    rows = table.rows() if table is not None and template.columns else None
    return Rendered(template, rows, size, padding, settings.messages, share)


class Series:
    """A source that can give any number of payloads at once."""

    is_shared = True

    def __init__(self, payloads: Iterator[bytes], total: int | None, share: Share) -> None:
        self.total = None if total is None else share.count(total)
        self.exhausted = self.total == 0
        numbered = enumerate(payloads)
        self._requests = islice(numbered, share.index, total, share.of)

    def take(self, amount: int, connection: int = 1) -> list[tuple[int, bytes]]:
        """Return the next requests."""
        taken = list(islice(self._requests, amount))
        self.exhausted = len(taken) < amount
        return taken

    def close(self) -> None:
        """Close nothing: it holds nothing."""


class Rendered:
    """A source that renders a template for the connection that asks.

    Args:
        template: The template.
        rows: The rows for its fields, one for each request of the run; None if it needs none.
        size: Bytes to pad each payload to.
        padding: What to pad it with.
        total: How many requests the run has; None if that is not known.
        share: Which of them to take.
    """

    is_shared = False

    def __init__(
        self,
        template: Template,
        rows: Iterator[Sequence[str]] | None,
        size: int,
        padding: bytes,
        total: int | None,
        share: Share,
    ) -> None:
        self.total = None if total is None else share.count(total)
        self.exhausted = self.total == 0
        self._template = template
        self._size = size
        self._padding = padding
        numbers = count() if total is None else range(total)
        self._numbers = islice(numbers, share.index, None, share.of)
        self._rows = repeat(()) if rows is None else islice(rows, share.index, None, share.of)

    def take(self, amount: int, connection: int = 1) -> list[tuple[int, bytes]]:
        """Return the next requests."""
        render, size, padding = self._template.render, self._size, self._padding
        try:
            taken = [
                (number, render(number, connection, row).ljust(size, padding))
                for number, row in zip(islice(self._numbers, amount), self._rows, strict=False)
            ]
        except TableError as error:
            self.exhausted = True
            raise SourceError(str(error)) from None
        self.exhausted = len(taken) < amount
        return taken

    def close(self) -> None:
        """Close nothing: it holds nothing."""


class Lines:
    """A source that reads a file or a pipe in a thread, one request per line."""

    is_shared = True

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
        # Nothing can wait for a pipe that nobody writes to: the thread ends with the process.
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def take(self, amount: int, connection: int = 1) -> list[tuple[int, bytes]]:
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
        """Get lines ready, and return whether there are any."""
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
    """Give the lines of a file, without their ends, as many at a time as a read brings.

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


def _numbered(before: bytes, after: bytes, size: int, padding: bytes) -> Iterator[bytes]:
    """Give the payloads of a template that has its number alone, from 0 on, for ever."""
    template = before.replace(b"%", b"%%") + b"%d" + after.replace(b"%", b"%%")
    payloads = map(template.__mod__, count())
    return (payload.ljust(size, padding) for payload in payloads) if size else payloads
