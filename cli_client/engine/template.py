"""Templates: requests and hellos with fields in them, and the file that fields come from.

``{i}`` is the number of the request, from 0; ``{connection}`` the number of its connection, from 1;
``{uuid}`` a random UUID; ``{now_ms}`` the time in milliseconds since 1970; ``{env:NAME}`` an
environment variable; and ``{column}`` the value in a column of a CSV file, ``{json:column}`` the
same as a JSON string. Braces that are not a field stay as they are, so that JSON needs no escapes.
"""

import csv
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

__all__ = ["OWN_FIELDS", "Table", "TableError", "Template"]

OWN_FIELDS = ("i", "connection", "uuid", "now_ms")
"""The fields that every template may have."""

_FIELD = re.compile(r"\{([^{}]+)\}")

Render = Callable[[int, int, Sequence[str]], str]
"""Gives the text of a field, from the numbers of request and connection, and a row of the file."""


class TableError(Exception):
    """A CSV file that cannot be used; the message says which and why."""


class Template:
    """A text with fields.

    Args:
        text: The text.
        variables: The values of environment variables.
        columns: The names of the columns that a row has.
    """

    def __init__(
        self, text: str, variables: Mapping[str, str], columns: Sequence[str] = ()
    ) -> None:
        self.fields: set[str] = set()
        """The names of its fields, but for environment variables."""
        self.columns: set[str] = set()
        """The names of the columns among them."""
        # Constant parts and fields in turn; between two fields stands an empty part.
        self._constants = [""]
        self._fields: list[Render] = []
        start = 0
        for found in _FIELD.finditer(text):
            self._constants[-1] += text[start : found.start()]
            start = found.end()
            name = found[1]
            variable = name.removeprefix("env:")
            if variable != name and variable in variables:
                self._constants[-1] += variables[variable]
            elif (render := self._render(name, columns)) is not None:
                self._fields.append(render)
                self._constants.append("")
                self.fields.add(name)
            else:
                self._constants[-1] += found[0]
        self._constants[-1] += text[start:]

    def _render(self, name: str, columns: Sequence[str]) -> Render | None:
        own = _OWN.get(name)
        column = name if name in columns else name.removeprefix("json:")
        if own is not None or column not in columns:
            return own
        place = columns.index(column)
        self.columns.add(column)
        if column == name:
            return lambda number, connection, row: row[place]
        return lambda number, connection, row: json.dumps(row[place], ensure_ascii=False)

    def render(self, number: int, connection: int, row: Sequence[str] = ()) -> bytes:
        """Return the text with its fields filled in.

        Args:
            number: The number of the request.
            connection: The number of its connection.
            row: A row of the file, if there is one.
        """
        parts = [self._constants[0]]
        for field, constant in zip(self._fields, self._constants[1:], strict=True):
            parts += (field(number, connection, row), constant)
        return "".join(parts).encode()

    def around_number(self) -> tuple[bytes, bytes] | None:
        """Return what stands before and after the number, if that is the only field."""
        if self.fields != {"i"} or len(self._fields) != 1:
            return None
        before, after = self._constants
        return before.encode(), after.encode()


_OWN: dict[str, Render] = {
    "i": lambda number, connection, row: str(number),
    "connection": lambda number, connection, row: str(connection),
    "uuid": lambda number, connection, row: str(uuid.uuid4()),
    "now_ms": lambda number, connection, row: str(time.time_ns() // 1_000_000),
}


class Table:
    """A CSV file with a header, whose rows are used in turn.

    Args:
        path: The file.

    Raises:
        TableError: If it cannot be read, or has no header.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as file:
            self.columns: list[str] = next(self._read(file), [])
        twice = {column for column in self.columns if self.columns.count(column) > 1}
        if not self.columns:
            raise TableError(f"{path} is empty: its first line must name its columns")
        if twice:
            raise TableError(f"{path} has two columns {twice.pop()!r}")
        if taken := {*self.columns} & {*OWN_FIELDS}:
            name = taken.pop()
            raise TableError(f"{path}: a column cannot be called {name!r}, as {{{name}}} is taken")

    def rows(self) -> Iterator[Sequence[str]]:
        """Give the rows below the header, from the first again after the last, for ever.

        Raises:
            TableError: If a row cannot be read, or if there is none.
        """
        while True:
            found = False
            with self._open() as file:
                rows = self._read(file)
                next(rows, None)
                for row in rows:
                    found = True
                    yield row
            if not found:
                raise TableError(f"{self._path} has no row below its header")

    def _open(self) -> TextIO:
        try:
            # Spreadsheets write a byte order mark; it is not part of the first column's name.
            return self._path.open(encoding="utf-8-sig", newline="")
        except OSError as error:
            raise TableError(f"cannot read {self._path}: {error.strerror or error}") from None

    def _read(self, file: TextIO) -> Iterator[list[str]]:
        """Give the rows of a file that are not empty, the header first."""
        reader = csv.reader(file, strict=True)
        width = None
        try:
            for row in reader:
                if not row:
                    continue
                width = len(row) if width is None else width
                if len(row) != width:
                    raise TableError(
                        f"line {reader.line_num} of {self._path} has {len(row)} values, "
                        f"and its header has {width}"
                    )
                yield row
        except UnicodeDecodeError:
            raise TableError(f"{self._path} is not valid UTF-8") from None
        except (csv.Error, OSError) as error:
            raise TableError(f"line {reader.line_num} of {self._path}: {error}") from None
