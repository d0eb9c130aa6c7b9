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
from PySide6.QtCore import QByteArray, QEvent, QObject, QThread, QTimer
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from desktop_client import theme
from desktop_client.bulk_run import BulkRun
from desktop_client.connection import Connection
from desktop_client.display import start_qt
from desktop_client.local_server import LocalServer
from desktop_client.settings import Settings
from desktop_client.tasks import Tasks
from desktop_client.window import Window

__all__ = ["opened", "prepare", "run"]

logger = logging.getLogger("wsroll.desktop")

CLOSE_TIMEOUT = 5.0


def run(url: str | None, settings_file: str | None) -> int:
    """Show the window until it is closed or a signal ends it, and return the exit status.

    Args:
        url: Where to connect; None is where it was the last time.
        settings_file: Where the settings are; None is the user's own place.
    """
    # Until the loop handles SIGINT, Ctrl-C ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    application = start_qt()
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
    # Qt must not end the loop under asyncio: the main coroutine ends it when all is closed.
    application.setQuitOnLastWindowClosed(False)


async def _live(url: str | None, settings: Settings) -> None:
    """Show the window until the user closes it or a signal comes."""
    end = asyncio.Event()
    with _signals(end), _quit_requests(end):
        async with opened(url, settings) as window:
            window.closing.connect(end.set)
            await end.wait()


@contextlib.asynccontextmanager
async def opened(url: str | None, settings: Settings) -> AsyncIterator[Window]:
    """Show the window and run what belongs to it, and stop all of that in order."""
    theme.apply(settings.appearance)
    connection = Connection()
    local_server = LocalServer()
    bulk_run = BulkRun()
    tasks = Tasks()
    window = Window(connection, local_server, bulk_run, tasks, settings)
    with _exceptions(window):
        window.show()
        if url is not None:
            window.address.show_url(url)
        window.connect_to_address()
        try:
            yield window
        finally:
            window.close()
            settings.save()
            await asyncio.gather(
                local_server.aclose(), bulk_run.aclose(), connection.aclose(), tasks.aclose()
            )
            await _close_dialogs()
            # By hand, since the garbage collector may come along on another thread.
            for thing in (window, bulk_run, local_server, connection):
                shiboken6.delete(thing)


@contextlib.contextmanager
def _signals(end: asyncio.Event) -> Iterator[None]:
    """Set an event at the signals that ask a program to end."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)  # the terminal, or the session, has gone
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
    # Python runs its handlers between its own instructions only, and Qt's loop has none of them.
    clock = QTimer(interval=100)
    clock.timeout.connect(lambda: None)
    clock.start()
    yield


@contextlib.contextmanager
def _quit_requests(end: asyncio.Event) -> Iterator[None]:
    """Set an event when the desktop's session asks the program to quit.

    Qt would end the loop under asyncio instead.
    """

    class Filter(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
            if event.type() is QEvent.Type.Quit:
                end.set()
                return True
            return False

    application = QApplication.instance()
    assert application is not None
    found = Filter()
    application.installEventFilter(found)
    try:
        yield
    finally:
        application.removeEventFilter(found)


async def _close_dialogs() -> None:
    """Close what is still open, and return once no loop of Qt's own runs inside the main one.

    Qt asks some questions in a loop that runs inside a method of the dialog: whether to delete a
    file, say. To delete the dialog under that method would be a crash.
    """
    async with asyncio.timeout(CLOSE_TIMEOUT):
        while True:
            popup, modal = QApplication.activePopupWidget(), QApplication.activeModalWidget()
            for widget in (popup, modal):
                if widget is not None:
                    widget.close()
            if popup is None and modal is None and QThread.currentThread().loopLevel() <= 1:
                return
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def _exceptions(window: Window) -> Iterator[None]:
    """Show each uncaught exception to the user, and log it."""

    def on_slot_failed(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        logger.error("%s", error, exc_info=(kind, error, trace))
        window.state_line.say(f"{kind.__name__}: {error}")

    def on_task_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        logger.error("%s", context["message"], exc_info=error)
        window.state_line.say(f"{type(error).__name__}: {error}" if error else context["message"])

    sys.excepthook = on_slot_failed
    asyncio.get_running_loop().set_exception_handler(on_task_failed)
    try:
        yield
    finally:
        sys.excepthook = sys.__excepthook__


def _icon() -> QIcon:
    """Return the icon, whose file is a part of this package."""
    picture = QPixmap()
    picture.loadFromData(QByteArray(files(__package__).joinpath("wsroll.svg").read_bytes()))
    return QIcon(picture)
