"""What the window remembers from one time to the next."""

import contextlib
import enum
import json
import logging
import os
import stat
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QByteArray, QSettings

from desktop_client.pairing import Check
from desktop_client.target import parse_subprotocols
from desktop_client.theme import Appearance
from wire.address import DEFAULT_URL, check_url, public_url
from wire.exchange import REQUEST_TEMPLATE

__all__ = ["SavedMessage", "Settings"]

logger = logging.getLogger("wsroll.desktop")

MAX_ADDRESSES = 10
MAX_TEMPLATE = 32_768
"""Characters of the message that is kept from one time to the next; a longer one can be saved."""

E = TypeVar("E", bound=enum.Enum)

SavedMessage = dict[str, str]
"""``name``, ``kind`` (text or hex) and ``message``."""


class Settings:
    """Settings that last, in a file that only its owner can read.

    Secrets are not among them: no headers, no user or password of an address, and its query only
    if the user wants that. A setting that cannot be understood is its default.

    Args:
        file: Where to keep them (INI format); None is the place of the user's own settings.
    """

    def __init__(self, file: str | None) -> None:
        if file is None:
            self._store = QSettings("wsroll", "desktop")
        else:
            self._store = QSettings(file, QSettings.Format.IniFormat)
        self._protect()
        if self._store.status() is not QSettings.Status.NoError:
            logger.warning("%s cannot be read: the settings begin as new", self._store.fileName())
        self._forget_secrets()

    @property
    def addresses(self) -> list[str]:
        """The last addresses, the very last first."""
        kept = []
        for address in self._texts("addresses"):
            try:
                kept.append(check_url(address))
            except ValueError:
                # The reason would quote the address, which may contain a secret.
                self._complain("addresses", ValueError("not a WebSocket URL"))
        return kept or [DEFAULT_URL]

    def remember_address(self, url: str) -> None:
        """Put an address at the head of the address book, without what may be secret in it."""
        shown = public_url(url, query=self.keeps_queries)
        others = [address for address in self.addresses if address != shown]
        self._store.setValue("addresses", [shown, *others][:MAX_ADDRESSES])

    @property
    def keeps_queries(self) -> bool:
        """Whether an address is remembered with its query."""
        return self.text("queries") == "kept"

    @keeps_queries.setter
    def keeps_queries(self, keeps: bool) -> None:
        self.set_text("queries", "kept" if keeps else "")
        self._forget_secrets()

    @property
    def appearance(self) -> Appearance:
        """Which colours to use."""
        return self._choice("appearance", Appearance.SYSTEM)

    @appearance.setter
    def appearance(self, appearance: Appearance) -> None:
        self.set_text("appearance", appearance.value)

    @property
    def breaks_line_on_enter(self) -> bool:
        """Whether Enter breaks the line and Shift+Enter sends, rather than the reverse."""
        return self.text("enter") == "break"

    @breaks_line_on_enter.setter
    def breaks_line_on_enter(self, breaks: bool) -> None:
        self.set_text("enter", "break" if breaks else "")

    @property
    def template(self) -> str:
        """The message, with ``{i}`` where the counter goes."""
        return self.text("template", REQUEST_TEMPLATE)

    @template.setter
    def template(self, template: str) -> None:
        if len(template) <= MAX_TEMPLATE:
            self.set_text("template", template)

    @property
    def is_hex(self) -> bool:
        """Whether the message is binary, written in hexadecimal."""
        return self.text("kind") == "hex"

    @is_hex.setter
    def is_hex(self, is_hex: bool) -> None:
        self.set_text("kind", "hex" if is_hex else "")

    def check_of(self, url: str) -> Check:
        """Return what a right reply of a server is, as the user said for its address."""
        chosen = self._json("checks", {})
        value = chosen.get(public_url(url)) if isinstance(chosen, dict) else None
        try:
            return Check(value) if value is not None else Check.NUMBER
        except ValueError as error:
            self._complain("checks", error)
            return Check.NUMBER

    def set_check(self, url: str, check: Check) -> None:
        """Keep what a right reply of a server is."""
        chosen = self._json("checks", {})
        chosen = chosen if isinstance(chosen, dict) else {}
        chosen.pop(public_url(url), None)
        if check is not Check.NUMBER:
            chosen[public_url(url)] = check.value
        # The last of them, as with the addresses.
        self._store.setValue("checks", json.dumps(dict(list(chosen.items())[-MAX_ADDRESSES:])))

    @property
    def saved_messages(self) -> list[SavedMessage]:
        """The messages that the user has saved under a name."""
        names = ("name", "kind", "message")
        stored = self._json("messages", [])
        messages = []
        for entry in stored if isinstance(stored, list) else [stored]:
            if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in names):
                messages.append({name: entry[name] for name in names})
            else:
                self._complain("messages", ValueError("not a saved message"))
        return messages

    @saved_messages.setter
    def saved_messages(self, messages: list[SavedMessage]) -> None:
        # As ASCII, so that any text comes back as it was.
        self._store.setValue("messages", json.dumps(messages))

    @property
    def geometry(self) -> QByteArray:
        """The window's place and size, as Qt saves them; empty at first."""
        stored = self._store.value("geometry")
        return stored if isinstance(stored, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._store.setValue("geometry", geometry)

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The subprotocols to ask for."""
        try:
            return parse_subprotocols(self.text("subprotocols"))
        except ValueError as error:
            self._complain("subprotocols", error)
            return ()

    @subprotocols.setter
    def subprotocols(self, names: tuple[str, ...]) -> None:
        self.set_text("subprotocols", ", ".join(names))

    def text(self, name: str, default: str = "") -> str:
        """Return a setting that is a text."""
        stored = self._store.value(name, default)
        if isinstance(stored, list) and all(isinstance(part, str) for part in stored):
            # QSettings returns a list if a value contains a comma.
            return ", ".join(stored)
        if not isinstance(stored, str):
            self._complain(name, ValueError(f"{stored!r} is not a text"))
            return default
        return stored

    def set_text(self, name: str, value: str) -> None:
        """Keep a setting that is a text."""
        self._store.setValue(name, value)

    def save(self) -> None:
        """Write to the file what has changed."""
        self._protect()
        self._store.sync()
        if self._store.status() is not QSettings.Status.NoError:
            logger.warning("the settings were not saved: %s", self._store.fileName())

    def _protect(self) -> None:
        """See to it that only the owner can read the file, before anything is written to it."""
        file = Path(self._store.fileName())
        with contextlib.suppress(OSError):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_RDONLY, 0o600))
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)

    def _forget_secrets(self) -> None:
        """Take out of the remembered addresses what is not to be kept."""
        stored = self._texts("addresses")
        kept = []
        for address in stored:
            with contextlib.suppress(ValueError):
                address = public_url(address, query=self.keeps_queries)
            if address not in kept:
                kept.append(address)
        if kept != stored:
            self._store.setValue("addresses", kept)

    def _texts(self, name: str) -> list[str]:
        stored = self._store.value(name, [])
        # QSettings gives back a list of one as that one.
        texts = stored if isinstance(stored, list) else [stored]
        return [text for text in texts if text and isinstance(text, str)]

    def _choice(self, name: str, default: E) -> E:
        value = self.text(name, str(default.value))
        try:
            return type(default)(value)
        except ValueError as error:
            self._complain(name, error)
            return default

    def _json(self, name: str, default: Any) -> Any:
        try:
            return json.loads(self.text(name) or json.dumps(default))
        except ValueError as error:
            self._complain(name, error)
            return default

    def _complain(self, name: str, error: ValueError) -> None:
        logger.warning("the setting %s is ignored: %s", name, error)
