"""The values of options: what each text means, and which texts are refused."""

import contextlib

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.values import URL, Count, Header, Origin, Rate, Size, Time, Token

ANY_COUNT = Count(0, 10**18)
ANY_RATE = Rate(0.001, 10**9)

MEANINGS = [
    (ANY_COUNT, "10", 10),
    (ANY_COUNT, "10k", 10_000),
    (ANY_COUNT, "1.5M", 1_500_000),
    (ANY_COUNT, "2G", 2 * 10**9),
    (ANY_COUNT, "10_000", 10_000),
    (ANY_COUNT, "1.001k", 1001),
    (ANY_RATE, "0.5", 0.5),
    (ANY_RATE, "2.5k", 2500.0),
    (Size(), "100", 100),
    (Size(), "64k", 65_536),
    (Size(), "64K", 65_536),
    (Size(), "64KB", 65_536),
    (Size(), "64 KiB", 65_536),
    (Size(), "1.5M", 1_572_864),
    (Size(), "1G", 2**30),
    (Time(), "10", 10.0),
    (Time(), "10s", 10.0),
    (Time(), "500ms", 0.5),
    (Time(), "3m", 180.0),
    (Time(), "3min", 180.0),
    (Time(), "1.5h", 5400.0),
    (Time(), ".5", 0.5),
    (Time(), "1000000", 10**6),
    (Time(zero=True), "0", 0.0),
    (Header(), "Name: a value: here ", ("Name", "a value: here")),
    (Header(), "Name:", ("Name", "")),
    (Token(), "graphql-transport-ws", "graphql-transport-ws"),
    (Origin(), "https://example.org:8443", "https://example.org:8443"),
    (Origin(), "http://[::1]:80", "http://[::1]:80"),
    (Origin(), "null", "null"),
    (Origin(), "file://", "file://"),
    (Origin(any_=True), "*", "*"),
    (URL, "ws://localhost", "ws://localhost/"),
]

REFUSED = [
    (ANY_COUNT, "many", "'many' is not a count such as 500, 10k or 1.5M."),
    (ANY_COUNT, "1.5", "'1.5' is not a whole number."),
    (ANY_COUNT, "-1", "not a count"),
    (ANY_COUNT, "1e3", "not a count"),
    (ANY_COUNT, "٣", "not a count"),
    (Count(1, 10), "11", "'11' is not from 1 to 10."),
    (ANY_RATE, "nan", "not a rate"),
    (ANY_RATE, "0", "is not from 0.001 to 1,000,000,000."),
    (Size(), "0", "is not from 1 to"),
    (Size(), "1X", "'1X' is not a size such as 1048576, 64K or 1M."),
    (Size(), "1.0001k", "not a whole number"),
    (Size(), "1024G", "is not from"),
    (Time(), "soon", "'soon' is not a time such as 10s, 500ms or 3m."),
    (Time(), "0", "'0' must be longer than 0 s."),
    (Time(), "inf", "not a time"),
    (Time(), "-1s", "not a time"),
    (Time(), "300h", "'300h' is longer than 1,000,000 s."),
    (Header(), "no colon", "it is not a header such as 'Name: value'."),
    (Header(), ": no name", "not a header"),
    (Header(), "Two words: x", "not a header"),
    (Header(), "X: 1\r\nY: 2", "the value of the header 'X' is not printable ASCII."),
    (Header(), "X: 🎲", "the value of the header 'X' is not printable ASCII."),
    (Token(), "a b", "not a name"),
    (Token(), "", "not a name"),
    (Origin(), "*", "'*' is not an origin such as https://example.org."),
    (Origin(), "example.org", "not an origin"),
    (Origin(), "https://example.org/page", "not an origin"),
    (Origin(), "http://[", "not an origin"),
    (Origin(), "x\r\nY: 2", "not an origin"),
    (Origin(), "https://zwölf.example", "not an origin"),
    (URL, "http://localhost/", "must start with ws://"),
]


@pytest.mark.parametrize(("kind", "text", "value"), MEANINGS)
def test_a_text_has_a_value(kind: click.ParamType, text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(("kind", "text", "why"), REFUSED)
def test_a_bad_text_is_refused_with_the_reason(kind: click.ParamType, text: str, why: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(text, None, None)
    assert why in refused.value.message


@given(st.text(), st.sampled_from([ANY_COUNT, ANY_RATE, Size(), Time(), Header(), Origin(), URL]))
def test_any_text_has_a_value_or_is_refused(text: str, kind: click.ParamType) -> None:
    with contextlib.suppress(click.BadParameter):
        kind.convert(text, None, None)


@given(st.integers(0, 10**18))
def test_a_count_in_digits_is_exact(number: int) -> None:
    assert ANY_COUNT.convert(str(number), None, None) == number


@given(st.integers(1, 2**10 - 1))
def test_k_is_1024_for_sizes_and_1000_for_counts(number: int) -> None:
    assert Size().convert(f"{number}k", None, None) == number * 1024
    assert ANY_COUNT.convert(f"{number}k", None, None) == number * 1000
