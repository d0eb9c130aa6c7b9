"""The options of connecting, and the window's colours."""

import dataclasses

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_client.target import Target, parse_headers
from desktop_client.theme import Appearance

__all__ = ["OptionsDialog"]


class OptionsDialog(QDialog):
    """Asks for headers, subprotocol, TLS and colours; read them once it is accepted."""

    def __init__(self, parent: QWidget, target: Target, appearance: Appearance) -> None:
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
        self.subprotocol = QLineEdit(target.subprotocol)
        self.ca = QLineEdit(target.ca, placeholderText=self.tr("those of the system"))
        self.certificate = QLineEdit(target.certificate)
        self.key = QLineEdit(
            target.key, placeholderText=self.tr("in the same file as the certificate")
        )
        self.insecure = QCheckBox(self.tr("Do &not verify the server's certificate"))
        self.insecure.setChecked(target.insecure)
        warning = QLabel(
            self.tr("Then anyone on the way can read and change what is sent."), wordWrap=True
        )
        warning.setProperty("role", "bad")
        warning.setVisible(target.insecure)
        self.insecure.toggled.connect(warning.setVisible)
        self.appearance = QComboBox()
        for each, text in (
            (Appearance.SYSTEM, self.tr("as the system has it")),
            (Appearance.LIGHT, self.tr("light")),
            (Appearance.DARK, self.tr("dark")),
        ):
            self.appearance.addItem(text, each.value)
        self.appearance.setCurrentIndex(self.appearance.findData(appearance.value))
        not_kept = QLabel(
            self.tr("Headers and the choice not to verify last until the window is closed."),
            wordWrap=True,
        )
        not_kept.setProperty("role", "muted")
        self.complaint = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.complaint.setProperty("role", "bad")
        self.complaint.hide()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)

        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(10)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignVCenter)
        form.addRow(self.tr("&Headers"), self.headers)
        form.addRow(self.tr("&Subprotocol"), self.subprotocol)
        form.addRow(self.tr("&Authorities (PEM)"), self._with_browse(self.ca))
        form.addRow(self.tr("&Client certificate (PEM)"), self._with_browse(self.certificate))
        form.addRow(self.tr("Its &key (PEM)"), self._with_browse(self.key))
        form.addRow("", self.insecure)
        form.addRow("", warning)
        form.addRow(self.tr("C&olours"), self.appearance)
        for field, name in (
            (self.ca, self.tr("Authorities")),
            (self.certificate, self.tr("Client certificate")),
            (self.key, self.tr("Key of the client certificate")),
        ):
            field.setAccessibleName(name)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 20)
        column.setSpacing(14)
        column.addLayout(form)
        column.addWidget(not_kept)
        column.addWidget(self.complaint)
        column.addStretch()
        column.addWidget(buttons)
        self.resize(560, self.sizeHint().height())

    @property
    def chosen_appearance(self) -> Appearance:
        """The colours that were chosen."""
        return Appearance(self.appearance.currentData())

    @property
    def target(self) -> Target:
        """The target with the options that were chosen.

        Raises:
            ValueError: If what stands in the headers is no header.
        """
        return dataclasses.replace(
            self._target,
            headers=parse_headers(self.headers.toPlainText()),
            subprotocol=self.subprotocol.text().strip(),
            ca=self.ca.text().strip(),
            certificate=self.certificate.text().strip(),
            key=self.key.text().strip(),
            insecure=self.insecure.isChecked(),
        )

    def accept(self) -> None:
        """Close the dialog, unless something in it is wrong."""
        try:
            _ = self.target
        except ValueError as error:
            self.complaint.setText(str(error))
            self.complaint.show()
            self.headers.setFocus()
            return
        super().accept()

    def _with_browse(self, field: QLineEdit) -> QWidget:
        """Return a field with a button beside it that finds a file for it."""
        browse = QPushButton(self.tr("Browse …"))
        browse.setAutoDefault(False)

        def ask() -> None:
            dialog = QFileDialog(self, self.tr("Choose a file"), field.text())
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
            dialog.fileSelected.connect(field.setText)
            dialog.open()

        browse.clicked.connect(ask)
        both = QWidget()
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(field, stretch=1)
        row.addWidget(browse)
        return both
