"""The options of connecting, and of the window; each is checked where it is entered."""

import dataclasses
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from desktop_client.target import Target, check_tls_files, parse_headers, parse_subprotocols
from desktop_client.theme import Appearance, named
from wire.tls import TLSError

__all__ = ["OptionsDialog"]


class OptionsDialog(QDialog):
    """Asks for headers, subprotocols, TLS and the window's ways; read them once it is accepted."""

    def __init__(
        self,
        parent: QWidget,
        target: Target,
        appearance: Appearance,
        *,
        breaks_line_on_enter: bool,
        keeps_queries: bool,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Options"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._target = target
        self.headers = QPlainTextEdit(
            "\n".join(f"{name}: {value}" for name, value in target.headers),
            placeholderText="Authorization: Bearer …",
            tabChangesFocus=True,
        )
        self.headers.setFixedHeight(self.fontMetrics().lineSpacing() * 4 + 16)
        self.subprotocols = QLineEdit(
            ", ".join(target.subprotocols), placeholderText="graphql-transport-ws, chat"
        )
        self.ca = QLineEdit(target.ca, placeholderText=self.tr("the system's"))
        self.certificate = QLineEdit(target.certificate)
        self.key = QLineEdit(
            target.key, placeholderText=self.tr("in the same file as the certificate")
        )
        self.insecure = QCheckBox(self.tr("Do &not verify the server's certificate"))
        self.insecure.setChecked(target.insecure)
        self.appearance = QComboBox()
        for each, text in (
            (Appearance.SYSTEM, self.tr("follow the system")),
            (Appearance.LIGHT, self.tr("light")),
            (Appearance.DARK, self.tr("dark")),
        ):
            self.appearance.addItem(text, each.value)
        self.appearance.setCurrentIndex(self.appearance.findData(appearance.value))
        self.enter = QComboBox()
        self.enter.addItem(self.tr("Enter sends, Shift+Enter breaks the line"), False)
        self.enter.addItem(self.tr("Enter breaks the line, Shift+Enter sends"), True)
        self.enter.setCurrentIndex(self.enter.findData(breaks_line_on_enter))
        self.queries = QCheckBox(self.tr("Remember addresses &with their query"))
        self.queries.setChecked(keeps_queries)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

        self.complaints: dict[QWidget, QLabel] = {}
        self._checks: dict[QWidget, Callable[[], object]] = {
            self.headers: lambda: parse_headers(self.headers.toPlainText()),
            self.subprotocols: lambda: parse_subprotocols(self.subprotocols.text()),
            self.ca: lambda: check_tls_files(_path(self.ca), "", ""),
            self.certificate: self._check_certificate,
            self.key: self._check_key,
        }
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(8)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignVCenter)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow(self.tr("&Headers"), self._checked(self.headers))
        form.addRow(self.tr("&Subprotocols"), self._checked(self.subprotocols))
        form.addRow(self.tr("&Authorities (PEM)"), self._checked(self.ca, browse=True))
        form.addRow(
            self.tr("&Client certificate (PEM)"), self._checked(self.certificate, browse=True)
        )
        form.addRow(self.tr("Its &key (PEM)"), self._checked(self.key, browse=True))
        form.addRow("", self.insecure)
        form.addRow("", self._muted(self.tr("Then anyone on the path can read and change it.")))
        form.addRow(
            "",
            self._muted(self.tr("Headers and trust are kept until the window closes.")),
        )
        form.addRow(self.tr("C&olours"), self.appearance)
        form.addRow(self.tr("&Enter"), self.enter)
        form.addRow("", self.queries)
        for field, name in (
            (self.headers, self.tr("Headers")),
            (self.subprotocols, self.tr("Subprotocols")),
            (self.ca, self.tr("Authorities")),
            (self.certificate, self.tr("Client certificate")),
            (self.key, self.tr("Key of the client certificate")),
        ):
            field.setAccessibleName(name)
        inside = named(QWidget(), "page")
        inside.setLayout(form)
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(inside)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        column.addWidget(area, stretch=1)
        column.addWidget(self.buttons)
        self.resize(620, min(740, inside.sizeHint().height() + 90))

    @property
    def chosen_appearance(self) -> Appearance:
        """The colours that were chosen."""
        return Appearance(self.appearance.currentData())

    @property
    def target(self) -> Target:
        """The target with the options that were chosen.

        Raises:
            ValueError: If a header or a subprotocol is not one.
        """
        return dataclasses.replace(
            self._target,
            headers=parse_headers(self.headers.toPlainText()),
            subprotocols=parse_subprotocols(self.subprotocols.text()),
            ca=_path(self.ca),
            certificate=_path(self.certificate),
            key=_path(self.key),
            insecure=self.insecure.isChecked(),
        )

    def accept(self) -> None:
        """Close the dialog, unless something in it is wrong."""
        wrong = [field for field in self._checks if not self._check(field)]
        if wrong:
            wrong[0].setFocus()
        else:
            super().accept()

    def _check(self, field: QWidget) -> bool:
        """Say beside a field what is wrong in it, and return whether it is right."""
        label = self.complaints[field]
        try:
            self._checks[field]()
        except (ValueError, TLSError) as error:
            label.setText(str(error))
            return False
        label.setText("")
        return True

    def _check_certificate(self) -> None:
        if _path(self.certificate) and not _path(self.key):
            check_tls_files("", _path(self.certificate), "")

    def _check_key(self) -> None:
        if _path(self.key):
            check_tls_files("", _path(self.certificate), _path(self.key))

    def _muted(self, text: str) -> QLabel:
        label = QLabel(text, wordWrap=True)
        label.setProperty("role", "muted")
        return label

    def _checked(self, field: QLineEdit | QPlainTextEdit, *, browse: bool = False) -> QWidget:
        """Return a field with the place for a complaint below it."""
        label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        label.setProperty("role", "bad")
        self.complaints[field] = label
        both = QWidget()
        column = QVBoxLayout(both)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._with_browse(field) if browse else field)
        column.addWidget(label)
        if isinstance(field, QLineEdit):
            field.editingFinished.connect(lambda: self._check(field))
        else:
            field.textChanged.connect(lambda: self._check(field))
        return both

    def _with_browse(self, field: QLineEdit | QPlainTextEdit) -> QWidget:
        """Return a field with a button beside it that finds a file for it."""
        assert isinstance(field, QLineEdit)
        browse = QPushButton(self.tr("Browse …"))
        browse.setAutoDefault(False)

        def ask() -> None:
            dialog = QFileDialog(self, self.tr("Choose a file"), field.text())
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)

            def on_selected(name: str) -> None:
                field.setText(name)
                self._check(field)

            dialog.fileSelected.connect(on_selected)
            dialog.open()

        browse.clicked.connect(ask)
        both = QWidget()
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(field, stretch=1)
        row.addWidget(browse)
        return both


def _path(field: QLineEdit) -> str:
    return field.text().strip()
