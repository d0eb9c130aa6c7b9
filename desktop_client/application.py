"""The program: one loop for Qt and asyncio, and the life of the window on it."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from types import FrameType, TracebackType
from typing import Any

import shiboken6
from PySide6.QtCore import QByteArray, QTimer
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from desktop_client import theme
from desktop_client.bulk_run import BulkRun
from desktop_client.connection import Connection
from desktop_client.local_server import LocalServer
from desktop_client.settings import Settings
from desktop_client.tasks import Tasks
from desktop_client.window import Window

__all__ = ["opened", "prepare", "run"]

logger = logging.getLogger("wsroll.desktop")


def run(url: str | None, settings_file: str | None) -> int:
    """Show the window until it is closed or a signal ends it, and return the exit status.

    Args:
        url: Where to connect; None is where it was the last time.
        settings_file: Where the settings are; None is the user's own place.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s")
    application = QApplication([sys.argv[0]])
    prepare(application)
    with asyncio.Runner(loop_factory=lambda: QEventLoop(application)) as runner:
        runner.run(_live(url, Settings(settings_file)))
    return 0


def prepare(application: QApplication) -> None:
    """Give the application its name, its looks, and the end of its loop into our hands."""
    application.setApplicationName("wsroll")
    application.setDesktopFileName("wsroll")
    application.setStyle("Fusion")
    application.setWindowIcon(_icon())
    # Qt shall not end the loop under asyncio: the main coroutine ends it when all is closed.
    application.setQuitOnLastWindowClosed(False)


async def _live(url: str | None, settings: Settings) -> None:
    """Show the window until the user closes it or a signal comes."""
    end = asyncio.Event()
    with _signals(end):
        async with opened(url, settings) as window:
            window.closing.connect(end.set)
            await end.wait()


@contextlib.asynccontextmanager
async def opened(url: str | None, settings: Settings) -> AsyncIterator[Window]:
    """Show the window with all that belongs to it, and end all of that in order."""
    theme.apply(theme.Appearance(settings.text("appearance", "system")))
    connection = Connection()
    local_server = LocalServer()
    bulk_run = BulkRun()
    tasks = Tasks()
    window = Window(connection, local_server, bulk_run, tasks, settings)
    with _exceptions(window):
        window.show()
        if url is not None:
            window.address.setEditText(url)
        window.connect_to_address()
        try:
            yield window
        finally:
            window.close()
            settings.save()
            await asyncio.gather(
                local_server.aclose(), bulk_run.aclose(), connection.aclose(), tasks.aclose()
            )
            # By hand, since the garbage collector may come along on another thread.
            for thing in (window, bulk_run, local_server, connection):
                shiboken6.delete(thing)


@contextlib.contextmanager
def _signals(end: asyncio.Event) -> Iterator[None]:
    """Set an event at SIGINT and SIGTERM."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    if sys.platform != "win32":
        loop = asyncio.get_running_loop()
        for number in numbers:
            loop.add_signal_handler(number, end.set)
        yield
        for number in numbers:
            loop.remove_signal_handler(number)
        return

    def stop(number: int, frame: FrameType | None) -> None:
        end.set()

    for number in numbers:
        signal.signal(number, stop)
    # Python runs its handlers between its own instructions only, and Qt's loop is none.
    clock = QTimer(interval=100)
    clock.timeout.connect(lambda: None)
    clock.start()
    yield


@contextlib.contextmanager
def _exceptions(window: Window) -> Iterator[None]:
    """Bring each exception that nobody caught before the user, and into the log."""

    def of_slot(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        logger.error("%s", error, exc_info=(kind, error, trace))
        window.strip.say(f"{kind.__name__}: {error}")

    def of_task(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        logger.error("%s", context["message"], exc_info=error)
        window.strip.say(f"{type(error).__name__}: {error}" if error else context["message"])

    sys.excepthook = of_slot
    asyncio.get_running_loop().set_exception_handler(of_task)
    try:
        yield
    finally:
        sys.excepthook = sys.__excepthook__


def _icon() -> QIcon:
    """Return the icon, whose file is a part of this package."""
    picture = QPixmap()
    picture.loadFromData(QByteArray(files(__package__).joinpath("wsroll.svg").read_bytes()))
    return QIcon(picture)
