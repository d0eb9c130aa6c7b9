"""What tests of every part share: a real server, as a process, and a real browser."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser, sync_playwright

from wire.address import find_announced_url
from wire.private_server import private_server

# Chromium looks for its maker's servers at every start; here are none to be found.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)

# What `make test-fast` leaves out: what needs a browser, a window, proxies, a cluster, several
# processes of a server or an installation, what runs the sender many times over, and what takes
# long by its nature (a drain, a suite of conformance, gigabytes). Elsewhere a test has the marker
# `slow` of its own.
SLOW_PLACES = (
    "benchmarks",
    "cli_client/engine/test_pace.py",
    "cli_client/engine/test_payloads.py",
    "cli_client/engine/test_reconnecting.py",
    "cli_client/engine/test_tls.py",
    "cli_client/engine/test_where_to.py",
    "cli_client/spread",
    "cli_client/test_outputs.py",
    "cli_client/test_selftest.py",
    "deploy",
    "desktop_client",
    "server/test_conformance.py",
    "server/test_exhaustion.py",
    "server/test_floods.py",
    "server/test_memory.py",
    "server/test_refusals.py",
    "server/test_slow_peers.py",
    "server/test_stop.py",
    "server/test_tls.py",
    "server/test_workers.py",
    "web",
    "whole/test_install.py",
)
SLOW_FIXTURES = {"browser", "qapp"}

# What starts the tests may ignore these signals (a shell's background jobs, nohup), and every
# process that a test starts would inherit that.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )

# How long an example takes says nothing on a machine that does other things as well.
hypothesis.settings.register_profile("wsroll", deadline=None)
hypothesis.settings.load_profile("wsroll")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: not one of those that `make test-fast` runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = [here / place for place in SLOW_PLACES]
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if any(item.path.is_relative_to(place) for place in places) or SLOW_FIXTURES & {*fixtures}:
            item.add_marker(pytest.mark.slow)


class ServerProcess:
    """A ``wsroll-server`` process on one port: started, killed and started again."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].rstrip("/"))

    @property
    def page(self) -> str:
        return "http" + self.url.removeprefix("ws")

    def start(self) -> None:
        """Start the server, on the port that it had before if it had one."""
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "server", "--quiet", "--stop-on-eof"),
                *("--port", str(self.port) if self.url else "0"),
                *self.options,
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        self.url = find_announced_url(line) or pytest.fail(f"the server said {line!r}")

    def kill(self) -> None:
        """End the server as a power cut would: SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None

    def pause(self) -> None:
        """Freeze the server: the machine still takes what is sent, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the server in order, if it runs."""
        if self._process is not None:
            self._process.communicate(timeout=15)
            self._process = None


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server of this test's own, which it may kill and start again."""
    process = ServerProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a server that all tests share and none may end."""
    with private_server() as url:
        yield url


@pytest.fixture
def unused_port() -> int:
    """A port on which nothing listened a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a screen.

    It ends with the module: meanwhile Playwright runs an event loop in this thread, so that no test
    of another module could start one.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        skip_unless_ci("the browser Chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[*QUIET, *sandbox],
            # People's browsers have this cache; Playwright would turn it off.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


def skip_unless_ci(reason: str) -> None:
    """Skip the test for something that the machine lacks; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI this may not be missing: {reason}")
    pytest.skip(reason)
