"""The window under test, on a loop that is Qt's and asyncio's at once."""

import asyncio
import gc
import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from desktop_client.application import opened, prepare
from desktop_client.settings import Settings
from desktop_client.window import Window

Run = Callable[[Coroutine[None, None, None]], None]
Open = Callable[[str | None], AbstractAsyncContextManager[Window]]


def pytest_configure(config: pytest.Config) -> None:
    # The offscreen platform says so of windows and menus.
    config.addinivalue_line("qt_log_ignore", "This plugin does not support")


@pytest.fixture
def run(qapp: QApplication) -> Run:
    """Run a coroutine to its end, on a new loop."""
    prepare(qapp)

    def run(coroutine: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: QEventLoop(qapp)) as runner:
            runner.run(coroutine)
        # Of this thread's Qt objects none may be left for a collection on a thread of the next.
        gc.collect()

    return run


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Where the settings of this test are."""
    return tmp_path / "settings.ini"


@pytest.fixture
def open_window(settings_file: Path) -> Open:
    """Open a window; whatever a test does to it, no exception may go uncaught in it."""

    @asynccontextmanager
    async def open_window(url: str | None) -> AsyncIterator[Window]:
        async with opened(url, Settings(str(settings_file))) as window:
            yield window

    return open_window
