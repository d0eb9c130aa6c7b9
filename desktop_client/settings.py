"""What the window remembers from one time to the next."""

from PySide6.QtCore import QByteArray, QSettings

from wire.address import DEFAULT_URL
from wire.exchange import REQUEST_TEMPLATE

__all__ = ["Settings"]

MAX_ADDRESSES = 10


class Settings:
    """Settings that last; secrets (headers, passwords in addresses) are not among them.

    Args:
        file: Where to keep them (INI format); None is the place of the user's own settings.
    """

    def __init__(self, file: str | None) -> None:
        if file is None:
            self._store = QSettings("wsroll", "desktop")
        else:
            self._store = QSettings(file, QSettings.Format.IniFormat)

    @property
    def addresses(self) -> list[str]:
        """The last addresses, the very last first."""
        stored = self._store.value("addresses", [])
        # QSettings gives back a list of one as that one.
        addresses = stored if isinstance(stored, list) else [stored]
        return [str(address) for address in addresses if address] or [DEFAULT_URL]

    def remember_address(self, url: str) -> None:
        """Put an address at the head of the address book, unless it has a password in it."""
        if "@" not in url:
            others = [address for address in self.addresses if address != url]
            self._store.setValue("addresses", [url, *others][:MAX_ADDRESSES])

    @property
    def template(self) -> str:
        """The message, with ``{i}`` where the counter goes."""
        return self.text("template", REQUEST_TEMPLATE)

    @template.setter
    def template(self, template: str) -> None:
        self.set_text("template", template)

    @property
    def geometry(self) -> QByteArray:
        """The window's place and size, as Qt saves them; empty at first."""
        stored = self._store.value("geometry")
        return stored if isinstance(stored, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._store.setValue("geometry", geometry)

    def text(self, name: str, default: str = "") -> str:
        """Return a setting that is a text."""
        return str(self._store.value(name, default))

    def set_text(self, name: str, value: str) -> None:
        """Keep a setting that is a text."""
        self._store.setValue(name, value)

    def save(self) -> None:
        """Write to the file what has changed."""
        self._store.sync()
