"""The log's text, and that no line of it waits for a reader."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.logs import _JSONFormatter, _TextFormatter, printable


@given(st.text())
def test_text_for_the_log_is_printable_and_tells_what_came(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if "\\" not in text:
        assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == text


@pytest.mark.parametrize("text", ["", "plain", "zwölf 🎲", "a\\b"])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("code", [*range(0x100), 0x200B, 0x2028, 0x2029, 0x202E, 0xD800, 0xFEFF])
@pytest.mark.parametrize("formatter", [_TextFormatter(), _JSONFormatter()])
def test_a_record_with_any_character_is_one_printable_line(
    code: int, formatter: logging.Formatter
) -> None:
    """Whether the character comes from the message or from an argument."""
    text = f"a{chr(code)}b"
    record = logging.makeLogRecord({"msg": text if code % 2 else "%s", "levelno": logging.INFO})
    record.args = () if code % 2 else (text,)
    line = formatter.format(record)
    assert line.isprintable(), line
    if isinstance(formatter, _JSONFormatter):
        assert json.loads(line)["message"].isprintable()
