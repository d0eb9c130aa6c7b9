"""The window as a whole: keyboard, accessible names, translation, errors, appearance."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QPoint, QRect, Qt, QTimer, QTranslator
from PySide6.QtGui import QAccessible, QColor, QFont, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QScrollArea,
    QTabBar,
    QWidget,
)

from desktop_client import theme
from desktop_client.conversation_model import Column
from desktop_client.options_dialog import OptionsDialog
from tests.desktop_client.conftest import Open, Run
from tests.desktop_client.waiting import until

SMALLEST = (400, 300)


def controls(window: QWidget) -> list[QWidget]:
    """Return what the keyboard can get to, as it is now."""
    return [
        widget
        for widget in window.findChildren(QWidget)
        if widget.isVisible()
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]


def test_every_control_is_reached_by_tab_and_has_a_name(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            for tab in range(3):
                window.tabs.setCurrentIndex(tab)
                expected = {control for control in controls(window) if control.focusProxy() is None}
                window.activateWindow()
                reached: set[QWidget] = set()
                for _ in range(3 * len(expected)):
                    focus = QApplication.focusWidget()
                    assert focus is not None
                    reached.add(focus)
                    QTest.keyClick(focus, Qt.Key.Key_Tab)
                assert expected <= reached | {window.address}, expected - reached
                for control in expected:
                    interface = QAccessible.queryAccessibleInterface(control)
                    if isinstance(control, QTabBar):
                        continue
                    assert interface.text(QAccessible.Text.Name), control

    run(scenario())


def test_no_two_things_in_sight_have_the_same_mnemonic(
    unused_port: int, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(f"ws://localhost:{unused_port}/") as window:
            await until(window.state_line.link.isVisible)
            window.state_line.say("an error")
            for tab in range(3):
                window.tabs.setCurrentIndex(tab)
                texts = [
                    widget.text()
                    for widget in window.findChildren(QWidget)
                    if widget.isVisible()
                    and (
                        isinstance(widget, QAbstractButton)
                        or (isinstance(widget, QLabel) and widget.buddy() is not None)
                    )
                ]
                texts += [window.tabs.tabText(i) for i in range(3)]
                keys = Counter(QKeySequence.mnemonic(text).toString() for text in texts)
                assert {key for key, times in keys.items() if key and times > 1} == set()

    run(scenario())


def test_every_text_can_be_translated(
    unused_port: int, qapp: QApplication, run: Run, open_window: Open
) -> None:
    class Brackets(QTranslator):
        """Marks whatever passes through it, so that what does not shows."""

        def isEmpty(self) -> bool:  # noqa: N802
            return False

        def translate(
            self, context: str, text: str, disambiguation: str | None = None, n: int = -1
        ) -> str:
            return f"«{text}»"

    async def scenario() -> None:
        async with open_window(f"ws://localhost:{unused_port}/") as window:
            await until(window.state_line.link.isVisible)
            for tab in range(3):
                window.tabs.setCurrentIndex(tab)
            window.ask_for_options()
            for widget in window.findChildren(QWidget):
                if isinstance(widget, QLabel | QAbstractButton):
                    text = widget.text()
                    assert "«" in text or not any(map(str.isalpha, text)), text
            for tab in range(3):
                assert "«" in window.tabs.tabText(tab)
            dialog = window.findChild(OptionsDialog)
            assert isinstance(dialog, OptionsDialog)
            assert "«" in dialog.windowTitle()

    brackets = Brackets()
    assert QCoreApplication.installTranslator(brackets)
    try:
        run(scenario())
    finally:
        QCoreApplication.removeTranslator(brackets)


def test_an_exception_in_a_task_or_a_slot_reaches_the_user_and_the_log(
    server_url: str, run: Run, open_window: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async def fail() -> None:
            raise RuntimeError("a task is broken")

        def fail_at_once() -> None:
            raise RuntimeError("a slot is broken")

        async with open_window(server_url) as window:
            window.conversation_panel._spawn(fail())
            await until(lambda: "a task is broken" in window.state_line.text)
            asyncio.get_running_loop().call_soon(fail_at_once)
            await until(lambda: "a slot is broken" in window.state_line.text)

    run(scenario())
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_many_calls_that_return_nothing_do_not_crash(
    server_url: str, run: Run, open_window: Open
) -> None:
    """PySide6 6.12.0 on Python 3.11 drops a reference to None at each call that returns nothing."""

    async def scenario() -> None:
        fired = 0

        def fire() -> None:
            nonlocal fired
            fired += 1

        async with open_window(server_url) as window:
            timer = QTimer(window, interval=0)
            timer.timeout.connect(fire)
            timer.start()
            await until(lambda: fired > 2000)
            timer.stop()
            for _ in range(200_000):
                timer.setInterval(0)

    run(scenario())


def test_long_and_unusual_texts_are_sent_and_shown(
    server_url: str, run: Run, open_window: Open
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            before = window.width()
            for text in ("W" * 20_000, "<img src=x>" * 50, "\u202ezwölf 🎲\t|", ""):
                window.request_panel.message.message = text
                window.request_panel.press()
                await until(lambda: not window.connection.waiting)
                await until(
                    lambda text=text: window.request_panel.response.accessibleName().startswith(  # type: ignore[misc]
                        f"Response: {text}: "
                    )
                )
            assert window.minimumSizeHint().width() <= before

    run(scenario())


@pytest.mark.parametrize("scale", ["normal", "wide font"])
def test_the_smallest_window_is_400_by_300_and_everything_is_reached_in_it(
    scale: str, server_url: str, run: Run, open_window: Open, qapp: QApplication
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            window.resize(*SMALLEST)
            assert (window.width(), window.height()) == SMALLEST
            for tab in range(3):
                window.tabs.setCurrentIndex(tab)
                await asyncio.sleep(0.02)
                area = window.tabs.currentWidget()
                assert isinstance(area, QScrollArea)
                if scale == "normal":
                    assert area.horizontalScrollBar().maximum() == 0
                for control in controls(window):
                    control.setFocus()
                    if not area.isAncestorOf(control):
                        continue
                    area.ensureWidgetVisible(control)
                    place = QRect(control.mapTo(window, QPoint(0, 0)), control.size())
                    assert window.rect().intersects(place)

    font = qapp.font()
    if scale == "wide font":
        wide = QFont(font)
        wide.setPointSizeF(font.pointSizeF() * 1.5)
        qapp.setFont(wide)
    try:
        run(scenario())
    finally:
        qapp.setFont(font)


def test_figures_keep_their_order_where_lines_run_from_right_to_left(
    server_url: str, run: Run, open_window: Open, qapp: QApplication
) -> None:
    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            window.request_panel.press()
            await until(lambda: "Round trip" in window.request_panel.round_trip.full)
            figure = window.request_panel.round_trip.full.removeprefix("Round trip ")
            assert figure[0] + figure[-1] == "\u2066\u2069"
            assert figure[1:-1].endswith(" ms")
            model = window.conversation_panel.model
            await until(lambda: model.rowCount() == 3)
            assert str(model.index(2, Column.ROUND_TRIP).data())[0] == "\u2066"
            window.grab()

    qapp.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    try:
        run(scenario())
    finally:
        qapp.setLayoutDirection(Qt.LayoutDirection.LeftToRight)


@pytest.mark.parametrize("appearance", ["light", "dark"])
def test_every_control_shows_that_it_has_the_focus(
    appearance: str, server_url: str, run: Run, open_window: Open, settings_file: Path
) -> None:
    settings_file.write_text(f"[General]\nappearance={appearance}\n")

    async def scenario() -> None:
        async with open_window(server_url) as window:
            await until(lambda: window.connection.is_connected)
            accent = QColor(theme.current_colors().accent).rgb()
            text = QColor(theme.current_colors().text).rgb()
            window.activateWindow()
            for tab in range(3):
                window.tabs.setCurrentIndex(tab)
                for control in controls(window):
                    control.setFocus(Qt.FocusReason.TabFocusReason)
                    if not control.hasFocus() or control.focusProxy() is not None:
                        continue
                    image = control.grab().toImage()
                    ratio = image.width() / control.width()
                    edges = {
                        image.pixel(x, round(control.height() // 2 * ratio))
                        for x in range(image.width() if isinstance(control, QTabBar) else 20)
                    }
                    ring = {accent, text} if control.property("primary") else {accent}
                    assert edges & ring, control

    run(scenario())


@pytest.mark.parametrize("appearance", ["light", "dark"])
def test_a_placeholder_stands_out_from_its_ground(
    appearance: str, server_url: str, run: Run, open_window: Open, settings_file: Path
) -> None:
    settings_file.write_text(f"[General]\nappearance={appearance}\n")

    async def scenario() -> None:
        async with open_window(server_url) as window:
            window.tabs.setCurrentIndex(1)
            window.conversation_panel.filter.setPlaceholderText("█████")
            image = window.conversation_panel.filter.grab().toImage()
            shades = Counter(
                image.pixelColor(x, image.height() // 2).name() for x in range(image.width())
            )
            ground, placeholder = (shade for shade, _ in shades.most_common(2))
            assert contrast(placeholder, ground) >= 4.5

    run(scenario())


@pytest.mark.parametrize("colors", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(colors: theme.Colors) -> None:
    """WCAG 2.2, success criterion 1.4.3: a contrast of at least 4.5."""
    for text, grounds in (
        ("text", ("window", "card", "notice", "alarm")),
        ("muted", ("window", "card")),
        ("accent", ("window", "card")),
        ("on_accent", ("accent", "accent_strong")),
        ("good", ("window",)),
        ("busy", ("window", "card")),
        ("bad", ("window", "card")),
    ):
        for ground in grounds:
            assert contrast(getattr(colors, text), getattr(colors, ground)) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
