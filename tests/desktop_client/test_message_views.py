"""A message as text, as JSON, as bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_client.message_views import LONGEST_LINE, as_hex, as_json, as_text, is_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a\nb\n", ["a", "b", ""]),
        ("a\r\nb\u2028c", ["a\r", "b\u2028c"]),
    ],
)
def test_text_has_a_line_for_each_line(text: str, lines: list[str]) -> None:
    assert [line.text for line in as_text(text)] == lines


@given(st.text())
def test_the_lines_of_a_text_make_the_text(text: str) -> None:
    pieces = [line.text + ("" if line.goes_on else "\n") for line in as_text(text)]
    assert "".join(pieces) == text + "\n"


def test_a_long_line_is_broken_on_the_screen_alone() -> None:
    text = "x" * (2 * LONGEST_LINE + 1)
    lines = list(as_text(text))
    assert [line.goes_on for line in lines] == [True, True, False]
    assert "".join(line.text for line in lines) == text


def test_json_is_indented() -> None:
    text = '{"a":[1,{"b":null,"c":[]},{}],"d":"x\\"{,"}'
    assert [line.text for line in as_json(text)] == [
        *("{", '  "a": [', "    1,", "    {", '      "b": null,', '      "c": []', "    },"),
        *("    {}", "  ],", '  "d": "x\\"{,"', "}"),
    ]


def test_json_keeps_numbers_and_equal_names_as_they_came() -> None:
    text = '[1.0e5, 123456789012345678901234567890, {"a": 1, "a": 2}]'
    shown = "\n".join(line.text for line in as_json(text))
    assert "1.0e5" in shown
    assert "123456789012345678901234567890" in shown
    assert shown.count('"a"') == 2


@given(st.lists(VALUES) | st.dictionaries(st.text(), VALUES), st.booleans())
def test_indented_json_has_the_same_value(value: object, compact: bool) -> None:
    text = json.dumps(value, separators=(",", ":") if compact else None)
    assert is_json(text)
    assert json.loads("\n".join(line.text for line in as_json(text))) == value


@pytest.mark.parametrize(
    "message", ["", "7", '"text"', "{", "{]", "Request 0: 7", b"\xff{}", "[" * 100_000, "[1] [2]"]
)
def test_anything_else_is_not_json(message: str | bytes) -> None:
    assert not is_json(message)


def test_binary_json_is_json() -> None:
    assert is_json(b'{"a": 1}')
    assert next(as_json(b'{"a": 1}')).text == "{"


def test_bytes_stand_beside_their_characters() -> None:
    lines = [line.text for line in as_hex("Request 0: 7 ü")]
    assert lines == ["00000000  52 65 71 75 65 73 74 20 30 3a 20 37 20 c3 bc     Request 0: 7 .."]
    assert len(list(as_hex(bytes(33)))) == 3
    assert len(list(as_hex(b""))) == 1
