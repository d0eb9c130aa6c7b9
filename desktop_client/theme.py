"""Colours, light and dark, and the style sheet that puts them on the widgets."""

import dataclasses
import enum
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

__all__ = [
    "DARK",
    "LIGHT",
    "Appearance",
    "Colors",
    "apply",
    "current_colors",
    "named",
    "set_property",
]


W = TypeVar("W", bound=QWidget)


class Appearance(enum.Enum):
    """Which colours to use."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclasses.dataclass(frozen=True)
class Colors:
    """The colours by their roles; text on its ground has a contrast of at least 4.5 (WCAG AA)."""

    name: str
    window: str
    card: str
    border: str
    text: str
    muted: str
    accent: str
    accent_strong: str
    on_accent: str
    good: str
    busy: str
    bad: str
    notice: str
    alarm: str


LIGHT = Colors(
    name="light",
    window="#f5f6f8",
    card="#ffffff",
    border="#d3d7de",
    text="#1b1f27",
    muted="#596273",
    accent="#2456d6",
    accent_strong="#1b44ae",
    on_accent="#ffffff",
    good="#0f7540",
    busy="#8a5a00",
    bad="#b3261e",
    notice="#eaf0fe",
    alarm="#fdeceb",
)

DARK = Colors(
    name="dark",
    window="#15181e",
    card="#1e222a",
    border="#3a414d",
    text="#e9ecf2",
    muted="#a0a9b8",
    accent="#8cb0ff",
    accent_strong="#adc7ff",
    on_accent="#0c1a3a",
    good="#5fd196",
    busy="#f0bd5b",
    bad="#ff8f86",
    notice="#212c45",
    alarm="#40211f",
)

_SHEET = """
QWidget {{ color: {text}; }}
QWidget#window, QDialog, QScrollArea, QWidget#page {{ background: {window}; }}
QToolTip {{ color: {text}; background: {card}; border: 1px solid {border}; padding: 4px; }}

QLineEdit, QComboBox, QSpinBox, QPlainTextEdit {{
    background: {card}; border: 1px solid {border}; border-radius: 6px; padding: 5px 8px;
    selection-background-color: {accent}; selection-color: {on_accent};
}}
QLineEdit, QPlainTextEdit {{ placeholder-text-color: {muted}; }}
QComboBox QLineEdit, QSpinBox QLineEdit {{ border: none; padding: 0; background: transparent; }}
QLineEdit:focus, QComboBox:focus, QSpinBox:focus, QPlainTextEdit:focus {{
    border: 2px solid {accent}; padding: 4px 7px;
}}
QLineEdit[missing="true"] {{ border: 2px solid {bad}; padding: 4px 7px; }}
QComboBox QLineEdit:focus {{ border: none; padding: 0; }}
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled {{ color: {muted}; }}
QSpinBox::up-button, QSpinBox::down-button {{ width: 0; border: none; }}
QComboBox::drop-down {{ border: none; width: 24px; }}
QComboBox::down-arrow {{ image: url("{pictures}/chevron.svg"); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{
    background: {card}; border: 1px solid {border}; padding: 4px;
    selection-background-color: {accent}; selection-color: {on_accent};
}}

QPushButton {{
    background: {card}; border: 1px solid {border}; border-radius: 6px; padding: 6px 12px;
}}
QPushButton:hover {{ border-color: {muted}; }}
QPushButton:pressed {{ background: {notice}; }}
QPushButton:focus {{ border: 2px solid {accent}; padding: 5px 11px; }}
QPushButton:disabled {{ color: {muted}; background: {window}; }}
QPushButton[primary="true"] {{
    background: {accent}; color: {on_accent}; border-color: {accent}; font-weight: 600;
}}
QPushButton[primary="true"]:hover, QPushButton[primary="true"]:pressed {{
    background: {accent_strong}; border-color: {accent_strong};
}}
QPushButton[primary="true"]:focus {{ border: 2px solid {text}; }}
QPushButton[primary="true"]:disabled {{
    background: {border}; color: {muted}; border-color: {border};
}}
QPushButton#send {{ font-size: 15pt; padding: 13px 24px; border-radius: 9px; }}
QPushButton#send:focus {{ padding: 12px 23px; }}
QPushButton[flat="true"] {{ background: transparent; border-color: transparent; }}
QPushButton[flat="true"]:hover {{ border-color: {muted}; }}
QPushButton[flat="true"]:focus {{ border: 2px solid {accent}; }}
QPushButton#link {{ color: {accent}; text-decoration: underline; padding: 4px 6px; }}
QPushButton#link:focus {{ padding: 3px 5px; }}
QPushButton::menu-indicator {{
    image: url("{pictures}/chevron.svg"); subcontrol-position: right center;
    subcontrol-origin: padding; width: 12px; right: 6px;
}}
QPushButton#saved {{ padding-right: 24px; }}

QCheckBox {{ spacing: 8px; }}
QCheckBox::indicator {{
    width: 16px; height: 16px; background: {card}; border: 1px solid {muted}; border-radius: 4px;
}}
QCheckBox::indicator:checked {{
    background: {accent}; border-color: {accent}; image: url("{pictures}/check-{name}.svg");
}}
QCheckBox::indicator:focus {{ border: 2px solid {accent}; }}
QCheckBox:focus {{ color: {accent}; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}

QTabWidget::pane {{ border: none; border-top: 1px solid {border}; }}
QTabBar {{ background: transparent; }}
QTabBar::tab {{
    background: transparent; color: {muted}; padding: 9px 16px; margin-right: 2px;
    border: none; border-bottom: 3px solid transparent;
}}
QTabBar::tab:hover {{ color: {text}; }}
QTabBar::tab:selected {{ color: {text}; font-weight: 600; border-bottom-color: {accent}; }}
QTabBar::tab:disabled {{ color: {border}; }}
QTabBar::tab:selected:focus {{
    color: {accent}; border: 2px solid {accent}; border-bottom-width: 3px; padding: 7px 14px 9px;
    border-radius: 6px;
}}

QFrame#card {{ background: {card}; border: 1px solid {border}; border-radius: 10px; }}
QSplitter::handle {{ background: transparent; height: 6px; }}

QLabel[role="muted"] {{ color: {muted}; }}
QLabel[role="bad"] {{ color: {bad}; }}
QLabel[role="good"] {{ color: {good}; }}
QLabel[role="busy"] {{ color: {busy}; }}
QLabel[role="heading"] {{ font-weight: 600; }}
QLabel#state {{ font-weight: 600; }}
QLabel#state[state="CONNECTED"] {{ color: {good}; }}
QLabel#state[state="CONNECTING"], QLabel#state[state="CLOSING"] {{ color: {busy}; }}
QLabel#state[state="DISCONNECTED"] {{ color: {bad}; }}
QTextEdit#response {{
    background: transparent; border: 2px solid transparent; border-radius: 6px; padding: 0;
    selection-background-color: {accent}; selection-color: {on_accent};
}}
QTextEdit#response:focus {{ border-color: {accent}; }}
QLabel#figure {{ font-size: 13pt; }}
QLabel#verdict {{ font-size: 12pt; font-weight: 600; }}

QListWidget {{
    background: {card}; border: 1px solid {border}; border-radius: 6px; padding: 4px;
    selection-background-color: {accent}; selection-color: {on_accent};
}}
QListWidget:focus {{ border: 2px solid {accent}; padding: 3px; }}
QTableView {{
    background: {card}; alternate-background-color: {window}; border: 1px solid {border};
    border-radius: 6px; gridline-color: transparent;
    selection-background-color: {accent}; selection-color: {on_accent};
}}
QTableView:focus {{ border: 1px solid {accent}; }}
QTableView::item {{ padding: 0 5px; }}
QHeaderView {{ background: {card}; }}
QHeaderView::section {{
    background: {card}; color: {muted}; border: none; border-bottom: 1px solid {border};
    padding: 6px 8px;
}}
QTableCornerButton::section {{ background: {card}; border: none; }}
QProgressBar {{
    background: {border}; border: none; border-radius: 5px; min-height: 10px; max-height: 10px;
}}
QProgressBar::chunk {{ background: {accent}; border-radius: 5px; }}
QScrollBar {{ background: transparent; border: none; }}
QScrollBar:vertical {{ width: 10px; }}
QScrollBar:horizontal {{ height: 10px; }}
QScrollBar::handle {{
    background: {border}; border-radius: 5px; min-height: 28px; min-width: 28px;
}}
QScrollBar::handle:hover {{ background: {muted}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QMenu {{ background: {card}; border: 1px solid {border}; padding: 4px; }}
QMenu::item {{ padding: 6px 22px; border-radius: 4px; }}
QMenu::item:selected {{ background: {accent}; color: {on_accent}; }}
"""

# Style sheets take pictures from files only.
_PICTURES = Path(__file__).parent.as_posix()

_current = LIGHT


def current_colors() -> Colors:
    """Return the colours in use, for what is painted rather than styled."""
    return _current


def apply(appearance: Appearance) -> Colors:
    """Put the colours on every widget of the application, and return them."""
    global _current
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    dark = appearance is Appearance.DARK or (
        appearance is Appearance.SYSTEM
        and QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark
    )
    _current = DARK if dark else LIGHT
    application.setPalette(_palette(_current))
    application.setStyleSheet(_SHEET.format(pictures=_PICTURES, **dataclasses.asdict(_current)))
    return _current


def named(widget: W, name: str, role: str = "") -> W:
    """Return a widget under the name, or in the role, by which the style sheet knows it."""
    widget.setObjectName(name)
    if role:
        widget.setProperty("role", role)
    return widget


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet uses, and apply the style sheet again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def _palette(colors: Colors) -> QPalette:
    """Return the colours for what the style paints by itself."""
    palette = QPalette()
    role = QPalette.ColorRole
    for roles, color in (
        ((role.Window, role.AlternateBase), colors.window),
        ((role.Base, role.Button, role.ToolTipBase), colors.card),
        ((role.WindowText, role.Text, role.ButtonText, role.ToolTipText), colors.text),
        ((role.PlaceholderText,), colors.muted),
        ((role.Highlight, role.Link, role.Accent), colors.accent),
        ((role.HighlightedText,), colors.on_accent),
        ((role.Mid, role.Dark), colors.border),
    ):
        for each in roles:
            palette.setColor(each, QColor(color))
    for each in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, each, QColor(colors.muted))
    return palette
