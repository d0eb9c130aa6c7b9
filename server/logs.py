"""The server's log: one line for each event on standard error, and it never delays a connection.

Nobody may be reading standard error, and a pipe that nobody reads is full after 64 KiB. So the
lines go through a bounded queue to a thread of their own. No lock and no buffer of a stream is
involved: the interpreter waits for these when it ends.

A process that forks must have no threads. It writes its few lines itself, and gives each of them up
after a time.
"""

import contextlib
import json
import logging
import os
import queue
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from logging.handlers import QueueHandler

from wire.text import printable

__all__ = ["log_to_stderr", "logging_to_stderr"]

STDERR = 2

QUEUE_SIZE = 10_000
"""Lines that wait for a reader of standard error: the refusals of a burst of clients, in a few
MiB. Further lines are counted and dropped."""

LONGEST_TEXT = 500
"""Characters of a message that are logged. A peer chooses how long its headers are, and a queue of
whole ones could hold gigabytes."""

STOP_TIMEOUT = 1.0
"""Seconds that the end of the process waits for a reader: enough for one that is only slow."""

WRITE_TIMEOUT = 0.1
"""Seconds that a process without threads waits for a reader, for one line."""

WRITE_PAUSE = 1.0
"""Seconds for which it then drops lines, so that many lines do not wait one after the other."""

Say = Callable[[str], None]
"""Writes a line as it is, whatever the level of the log."""


@contextlib.contextmanager
def logging_to_stderr(level: int, *, as_json: bool) -> Iterator[Say]:
    """Log to standard error through a thread."""
    writer = _Writer(_formatter(as_json))
    handler = _DroppingHandler(writer.records)
    _use(handler, level)
    writer.start()
    try:
        yield writer.say
    finally:
        logging.getLogger("wsroll").removeHandler(handler)
        writer.stop()


def log_to_stderr(level: int, *, as_json: bool) -> Say:
    """Log to standard error directly, in a process that forks and so must have no threads."""
    handler = _TimedHandler()
    handler.setFormatter(_formatter(as_json))
    _use(handler, level)
    return handler.say


def _use(handler: logging.Handler, level: int) -> None:
    """Make a handler the only one of the server's log."""
    log = logging.getLogger("wsroll")
    log.setLevel(level)
    log.propagate = False
    log.handlers = [handler]


def _formatter(as_json: bool) -> logging.Formatter:
    return _JSONFormatter() if as_json else _TextFormatter()


def _write(line: str) -> None:
    """Write a line, at best with one system call."""
    data = f"{line}\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):  # the reader has gone
        while data:
            try:
                data = data[os.write(STDERR, data) :]
            except BlockingIOError:
                # Who shares standard error with the server may have made it so.
                select.select([], [STDERR], [])


class _Writer:
    """A thread that writes records to standard error.

    It is a daemon: a process that ends does not wait for it while it waits for a reader.
    """

    def __init__(self, formatter: logging.Formatter) -> None:
        self.records: queue.Queue[logging.LogRecord | str | None] = queue.Queue(QUEUE_SIZE)
        """The records and lines to write; None ends the thread."""
        self._formatter = formatter
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def say(self, line: str) -> None:
        """Write a line as it is."""
        with contextlib.suppress(queue.Full):
            self.records.put_nowait(line)

    def stop(self) -> None:
        """Write what is left, but do not wait long for a reader."""
        with contextlib.suppress(queue.Full):
            self.records.put_nowait(None)
            self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        while (record := self.records.get()) is not None:
            _write(record if isinstance(record, str) else self._formatter.format(record))


class _TimedHandler(logging.Handler):
    """Writes each record itself, from the main thread, unless nobody reads it in time."""

    def __init__(self) -> None:
        super().__init__()
        self._is_writing = False
        self._dropped = 0
        self._paused_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() < self._paused_until:
            self._dropped += 1
            return
        if self._dropped:
            self.say(_dropped_text(self._dropped))
            self._dropped = 0
        self.say(self.format(record))

    def say(self, line: str) -> None:
        """Write a line as it is."""
        # The signal interrupts the system call. It comes again, for the case that the first one
        # comes between the last look at signals and the call.
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, WRITE_TIMEOUT, WRITE_TIMEOUT)
        self._is_writing = True
        try:
            _write(line)
        except _NobodyReadsError:
            self._dropped += 1
            self._paused_until = time.monotonic() + WRITE_PAUSE
        finally:
            self._is_writing = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_alarm(self, *_: object) -> None:
        if self._is_writing:
            self._is_writing = False
            raise _NobodyReadsError


class _NobodyReadsError(Exception):
    """A line was not read in time."""


def _dropped_text(count: int) -> str:
    return f"{count} log lines were dropped: nobody read them in time"


class _DroppingHandler(QueueHandler):
    """Puts records into a queue, counts those that find no room, and reports them later."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Keep the text alone, and no more of it than fits a line."""
        text = record.getMessage()
        record.msg = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
        record.args = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self.dropped:
                notice = logging.makeLogRecord(
                    {
                        "name": record.name,
                        "levelno": logging.WARNING,
                        "levelname": "WARNING",
                        "msg": _dropped_text(self.dropped),
                    }
                )
                self.queue.put_nowait(notice)
                self.dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _TextFormatter(logging.Formatter):
    """Time, level (from warning on) and message."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        lines = [f"{clock} {level}{printable(record.getMessage())}"]
        if record.exc_info:
            lines += map(printable, self.formatException(record.exc_info).split("\n"))
        return "\n".join(lines)


class _JSONFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, message, process."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        event = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": printable(record.getMessage()),
            "process": record.process,
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event)
