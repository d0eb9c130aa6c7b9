"""The server's log: one line per event on standard error, which never holds up a connection."""

import contextlib
import json
import logging
import os
import queue
import time
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener

__all__ = ["log_to_stderr", "logging_to_stderr"]

QUEUE_SIZE = 10_000
"""Lines that wait for a reader of standard error; what comes on top is counted and dropped."""

LAST_WORDS = 1.0
"""Seconds that the end of the process waits for a reader."""


@contextlib.contextmanager
def logging_to_stderr(level: int, *, as_json: bool) -> Iterator[None]:
    """Log to standard error from a thread of its own, as standard error may be a full pipe."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_SIZE)
    handler = _DroppingHandler(lines)
    listener = QueueListener(lines, _use(_StderrHandler(), level, as_json))
    _use(handler, level, as_json)
    listener.start()
    try:
        yield
    finally:
        logging.getLogger("wsroll").removeHandler(handler)
        _stop(listener)


def log_to_stderr(level: int, *, as_json: bool) -> None:
    """Log to standard error directly, in a process that forks and so can have no threads."""
    _use(_StderrHandler(), level, as_json)


def _use(handler: logging.Handler, level: int, as_json: bool) -> logging.Handler:
    """Make a handler the only one of the server's log."""
    handler.setFormatter(_JSONFormatter() if as_json else _TextFormatter())
    log = logging.getLogger("wsroll")
    log.setLevel(level)
    log.propagate = False
    log.handlers = [handler]
    return handler


def _stop(listener: QueueListener) -> None:
    """Write what is left, but wait for no reader who does not come.

    QueueListener.stop() would; its thread is a daemon, so it can be left where it is.
    """
    with contextlib.suppress(queue.Full):
        listener.enqueue_sentinel()
        thread = getattr(listener, "_thread", None)
        if thread is not None:
            thread.join(LAST_WORDS)


class _StderrHandler(logging.Handler):
    """Writes each line with one system call.

    It holds no lock and no buffer, for which the end of the process would wait in vain while
    nobody reads standard error.
    """

    def createLock(self) -> None:  # noqa: N802 - the library's name
        """Need no lock: only one thread writes."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        with contextlib.suppress(OSError):  # the reader has gone
            os.write(2, line)


class _DroppingHandler(QueueHandler):
    """Hands records over, counts those that find no room, and says so when there is room."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Leave the formatting to the thread: what is logged here does not change later."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self.dropped:
                notice = logging.makeLogRecord(
                    {
                        "name": record.name,
                        "levelno": logging.WARNING,
                        "levelname": "WARNING",
                        "msg": f"{self.dropped} log lines were dropped: nobody read them in time",
                    }
                )
                self.queue.put_nowait(notice)
                self.dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _TextFormatter(logging.Formatter):
    """Time, level (when it is no plain news) and message."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        # What a peer sent may stand in the message; it shall not begin a line of its own.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        text = f"{clock} {level}{message}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _JSONFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, message, process."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        event = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": record.process,
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False)
