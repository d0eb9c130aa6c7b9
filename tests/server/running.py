"""A server process under test: its log is kept, it takes signals, its memory can be looked at."""

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.processes import TIMEOUT, LoggedProcess
from tests.server.raw import RawClient
from wire.exchange import check_reply

__all__ = ["Running", "check_alive", "run_to_end", "running"]


class Running(LoggedProcess):
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
        unread_log: bool,
    ) -> None:
        where = () if "--port" in options or "--unix" in options else ("--port", "0")
        super().__init__(
            *(sys.executable, "-W", "error", "-m", "server", *where, "--stop-on-eof", *options),
            unread_log=unread_log,
            stdin=subprocess.PIPE,
            env={**os.environ, **environment},
            preexec_fn=before,
        )
        self.announcement = self.wait_for_log("Listening on ")
        found = re.search(r"wss?://\S+", self.announcement)
        self.url = found[0] if found else ""

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].rstrip("/"))

    def wait_for_log(self, text: str, *, times: int = 1) -> str:
        """Return the first line with a text in it, once there are enough of them."""
        return self.wait_for(re.escape(text), times=times)

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

    def memory(self, what: str = "VmRSS") -> int:
        """Return the memory that the process has (VmRSS) or had at most (VmHWM), in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def forget_peak(self) -> None:
        """Let VmHWM start again from what the process has now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


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
            server.close_log()
    assert "Traceback" not in server.log, server.log
    assert "Warning" not in server.log, server.log


def run_to_end(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the server's command where it must end by itself; if it serves instead, that ends."""
    return subprocess.run(
        [sys.executable, "-m", "server", "--stop-on-eof", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, **environment},
    )


def check_alive(server: Running) -> None:
    """Check that a good client is still served."""
    with server.connect() as client:
        check_reply(b"still there?", client.ask("still there?").encode())
