"""A server process under test: its log is kept, it takes signals, its memory can be looked at."""

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.server.raw import RawClient
from wire.exchange import check_reply

__all__ = ["Running", "check_alive", "run_to_end", "running"]

PATIENCE = 20.0


class Running:
    """A running server.

    Args:
        options: Those of its command.
        environment: Variables to add to the environment.
        before: What to do in the new process before it becomes the server.
        unread_log: Whether nobody reads the log after the announcement.
    """

    def __init__(
        self,
        options: tuple[str, ...],
        environment: Mapping[str, str],
        before: Callable[[], None] | None,
        unread_log: bool = False,
    ) -> None:
        where = () if "--port" in options or "--unix" in options else ("--port", "0")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "server", *where, "--stop-on-eof", *options],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **environment},
            preexec_fn=before,
        )
        self.pid = self.process.pid
        self._unread_log = unread_log
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.announcement = self.wait_for_log("Listening on ")
        found = re.search(r"wss?://\S+", self.announcement)
        self.url = found[0] if found else ""

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].rstrip("/"))

    @property
    def log(self) -> str:
        """What the server has written to standard error so far."""
        with self._news:
            return "".join(self._lines)

    def wait_for_log(self, text: str, *, times: int = 1) -> str:
        """Return the first line with a text in it, once there are as many."""

        def lines() -> list[str]:
            return [line for line in self._lines if text in line]

        def enough() -> bool:
            return len(lines()) >= times or not self._reader.is_alive()

        with self._news:
            self._news.wait_for(enough, PATIENCE)
            found = lines()
        assert len(found) >= times, f"{text!r} is not in the log: {self.log}"
        return found[0]

    def connect(
        self, *, receive_buffer: int | None = None, tls: ssl.SSLContext | None = None
    ) -> RawClient:
        """Return a client with an open WebSocket."""
        return RawClient(self.url, receive_buffer=receive_buffer, tls=tls).open()

    def get(
        self, path: str, method: str = "GET", tls: ssl.SSLContext | None = None
    ) -> tuple[int, str, bytes]:
        """Return status, head and body of an HTTP response."""
        with RawClient(self.url, tls=tls) as client:
            client.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return client.read_response()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Return the exit status once the process has ended."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def memory(self, what: str = "VmRSS") -> int:
        """Return the memory that the process has (VmRSS) or had at most (VmHWM), in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def forget_peak(self) -> None:
        """Let VmHWM start again from what the process has now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
            if self._unread_log:
                break
        with self._news:
            self._news.notify_all()


@contextlib.contextmanager
def running(
    *options: str,
    before: Callable[[], None] | None = None,
    unread_log: bool = False,
    **environment: str,
) -> Iterator[Running]:
    """Run a server; whatever happens to it, its log must hold no traceback and no warning."""
    server = Running(options, environment, before, unread_log)
    try:
        yield server
    finally:
        assert server.process.stdin is not None
        server.process.stdin.close()
        try:
            server.wait()
        except subprocess.TimeoutExpired:
            server.process.kill()
            raise
        finally:
            server._reader.join(PATIENCE)
            assert server.process.stderr is not None
            server.process.stderr.close()
    assert "Traceback" not in server.log, server.log
    assert "Warning" not in server.log, server.log


def run_to_end(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the server's command where it shall end by itself; if it serves instead, that ends."""
    return subprocess.run(
        [sys.executable, "-m", "server", "--stop-on-eof", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
    )


def check_alive(server: Running) -> None:
    """Check that a good client is still served."""
    with server.connect() as client:
        check_reply(b"still there?", client.ask("still there?").encode())
