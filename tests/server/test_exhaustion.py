"""What runs out, and that the server goes on: file descriptors, a reader of the log."""

import contextlib
import resource
import subprocess
import sys
import time

from tests.server.raw import (
    RawClient,
)
from tests.server.running import running
from wire.address import find_announced_url
from wire.exchange import check_reply


def test_out_of_file_descriptors() -> None:
    """Connected clients are still answered, the log stays quiet, accepting goes on in the end."""

    def allow_few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with running(before=allow_few) as server, contextlib.ExitStack() as stack:
        good = stack.enter_context(server.connect())
        crowd = []
        for _ in range(200):
            # Those in the backlog are connected as far as they can tell.
            client = RawClient(server.url, timeout=0.5)
            stack.enter_context(client)
            crowd.append(client)
        deadline = time.monotonic() + 2
        asked = 0
        while time.monotonic() < deadline:
            check_reply(b"Request 1", good.ask("Request 1").encode())
            asked += 1
        assert asked > 100
        assert len(server.log.splitlines()) < 8, server.log
        for client in crowd:
            client.socket.close()
        for _ in range(50):
            with contextlib.suppress(OSError, AssertionError):
                newcomer = stack.enter_context(RawClient(server.url, timeout=1.0))
                newcomer.open()
                break
        else:
            raise AssertionError(f"it accepts nobody any more: {server.log}")
        check_reply(b"Request 2", newcomer.ask("Request 2").encode())


def serve_into_a_full_pipe(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server, read its announcement, and never again from its standard error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "--port", "0", "--stop-on-eof", *options],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stderr is not None
    url = find_announced_url(process.stderr.readline())
    assert url is not None
    return process, url


def test_a_log_that_nobody_reads_stalls_no_connection() -> None:
    """Standard error is a full pipe; the server serves, and stops in order, all the same."""
    process, url = serve_into_a_full_pipe("-v")
    assert process.stdin is not None
    assert process.stderr is not None
    with process.stdin, process.stderr:
        for _ in range(3000):  # two lines each: twice what the pipe holds
            with RawClient(url) as client:
                client.open()
        with RawClient(url) as client:
            client.open()
            for i in range(100):
                check_reply(f"Request {i}".encode(), client.ask(f"Request {i}").encode())
        process.stdin.close()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()


def test_a_log_whose_reader_has_gone() -> None:
    """``wsroll-server 2>&1 | head -1``: no line is worth ending for."""
    process, url = serve_into_a_full_pipe("-v")
    assert process.stdin is not None
    assert process.stderr is not None
    with process.stdin:
        process.stderr.close()
        for i in range(10):
            with RawClient(url) as client:
                check_reply(f"Request {i}".encode(), client.open().ask(f"Request {i}").encode())
        process.stdin.close()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
