"""Text from somewhere else, made harmless for a terminal, a page or a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.text import printable


@given(st.text())
def test_text_is_printable_and_shows_what_came(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if "\\" not in text:
        assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == text


@pytest.mark.parametrize("text", ["", "plain", "zwölf 🎲", "a\\b"])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
