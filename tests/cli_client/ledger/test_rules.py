"""The language of rules: what each rule fits, and which texts are no rules."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_client.ledger.pointer import MISSING, NotJSON, Pointer, decode, find, same
from cli_client.ledger.rules import Rule, RuleError


def fits(rule: str, message: str | bytes) -> bool:
    data = message if isinstance(message, bytes) else message.encode()
    return Rule.parse(rule).holds(decode(data), data)


# Pointers: the examples of RFC 6901, section 5.

DOCUMENT = rb"""{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
"i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8, "01": 9, "~1": 10}"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
        ("/01", 9),
        ("/~01", 10),
        ("/foo/01", MISSING),
        ("/foo/-", MISSING),
        ("/foo/-1", MISSING),
        ("/foo/2", MISSING),
        ("/foo/99999999999999999999", MISSING),
        ("/foo/٣", MISSING),
        ("/foo/", MISSING),
        ("/foo/0/0", MISSING),
        ("/bar", MISSING),
        ("/a~1b/x", MISSING),
    ],
)
def test_a_pointer_finds(text: str, found: object) -> None:
    assert find(decode(DOCUMENT), Pointer.parse(text)) == found


def test_the_empty_pointer_is_the_whole_message() -> None:
    assert find(decode(b"[1]"), Pointer.parse("")) == [1]


# Rules.


@pytest.mark.parametrize(
    ("rule", "message", "fitting"),
    [
        # It exists, or does not.
        ("/p", '{"p": 1}', True),
        ("/p", '{"p": null}', True),
        ("/p", '{"p": false}', True),
        ("/p", '{"q": 1}', False),
        ("/p", "p", False),
        ("!/p", '{"q": 1}', True),
        ("!/p", "not JSON", True),
        ("!/p", '{"p": null}', False),
        ("", "anything", True),
        ("", "", True),
        ("!", "anything", False),
        # It has a value.
        ("/p=1", '{"p": 1}', True),
        ("/p=1", '{"p": 1.0}', True),
        ("/p=1", '{"p": 1e0}', True),
        ("/p=1", '{"p": "1"}', False),
        ("/p=1", '{"p": true}', False),
        ("/p=0", '{"p": false}', False),
        ("/p=0", '{"p": null}', False),
        ("/p=0", '{"p": -0}', True),
        ("/p=true", '{"p": true}', True),
        ("/p=true", '{"p": 1}', False),
        ("/p=true", '{"p": "true"}', False),
        ('/p="true"', '{"p": "true"}', True),
        ("/p=null", '{"p": null}', True),
        ("/p=null", "{}", False),
        ("/p=ok", '{"p": "ok"}', True),
        ("/p=", '{"p": ""}', True),
        ("/p=", '{"p": null}', False),
        ("/p=a=b", '{"p": "a=b"}', True),
        ("/p=[1, true]", '{"p": [1.0, true]}', True),
        ("/p=[1, true]", '{"p": [1, 1]}', False),
        ("/p=[1]", '{"p": [1, 2]}', False),
        ('/p={"a": 1, "b": 2}', '{"p": {"b": 2, "a": 1}}', True),
        ('/p={"a": 1}', '{"p": {"a": 1, "b": 2}}', False),
        ("/p=0.1", '{"p": 0.10}', True),
        ("/p=0.1", '{"p": 0.10000000000000000001}', False),
        ("/p=9007199254740993", '{"p": 9007199254740993}', True),
        ("/p=9007199254740993", '{"p": 9007199254740992}', False),
        ("/p=123456789012345678901234567890", '{"p": 123456789012345678901234567890}', True),
        ("/p=1e23", '{"p": 100000000000000000000000}', True),
        ("/p=1e400", '{"p": 10e399}', True),
        ("/p=NaN", '{"p": "NaN"}', True),
        # A text matches.
        ("/p=~^o", '{"p": "ok"}', True),
        ("/p=~k$", '{"p": "ok"}', True),
        ("/p=~^k", '{"p": "ok"}', False),
        ("/p=~", '{"p": ""}', True),
        ("/p=~^12$", '{"p": 12}', True),
        ("/p=~^true$", '{"p": true}', True),
        ("/p=~^null$", '{"p": null}', True),
        ('/p=~^{"a":\\[1,0.50\\]}$', '{"p": {"a": [1, 0.50]}}', True),
        ("/p=~a=b", '{"p": "a=b"}', True),
        ("/p=~x", "{}", False),
        # The whole message.
        ("=PONG", "PONG", True),
        ("=PONG", '"PONG"', True),
        ("=PONG", "PING", False),
        ("=5", "5.0", True),
        ("=~^hello, ", "hello, you", True),
        ('=~^{"a": +1}$', '{"a":  1}', True),
        ("=~^hello$", '"hello"', True),
        ("=", "", True),
        # What no fast decoder knows.
        ("/p", '{"p": "\\ud800"}', True),
        (f"/p={'9' * 5000}", f'{{"p": {"9" * 5000}}}', True),
        (f"/p={'9' * 5000}", f'{{"p": {"9" * 4999}8}}', False),
        ("/p", "[" * 100_000, False),
        ("/p", '{"p": 1', False),
        ("/p", '\ufeff{"p": 1}', False),
        ("/p", b'{"p": "\xff"}', False),
        ("/p", '{"p": 1e99999999999999999999}', False),
        ("/p=2", '{"p": 1, "p": 2}', True),
    ],
)
def test_a_rule_fits(rule: str, message: str | bytes, fitting: bool) -> None:
    assert fits(rule, message) is fitting


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("result", "a pointer starts with / (character 1)"),
        ("!result", "a pointer starts with / (character 2)"),
        ("!!/p", "a pointer starts with / (character 2)"),
        ("/a~", "~ in a pointer is written ~0, and / is written ~1 (character 3)"),
        ("/a/~2b=1", "(character 4)"),
        ("!/p=1", "a rule that starts with ! takes no value (character 4)"),
        ("/p=~(", "the regular expression has an error: missing ), unterminated subpattern"),
        ("/p=~ab[", "(character 7)"),
        ("/p=~a{99999999999}", "the regular expression is too large (character 5)"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_the_place(rule: str, why: str) -> None:
    with pytest.raises(RuleError) as refused:
        Rule.parse(rule)
    assert why in str(refused.value)
    assert repr(rule) in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "message", "why"),
    [
        ("/result", '{"error": 1}', "the rule /result does not hold: there is nothing"),
        ("!/error", '{"error": {"code": 1}}', 'the rule !/error does not hold: {"code":1}'),
        ("/type=next", '{"type": "error"}', 'the rule /type=next does not hold: "error"'),
        ("=PONG", "PING", "the rule =PONG does not hold: PING"),
        ("/a=1", '{"a": "' + "x" * 100 + '"}', f'the rule /a=1 does not hold: "{"x" * 78}…'),
    ],
)
def test_a_broken_rule_is_told_with_the_value(rule: str, message: str, why: str) -> None:
    assert Rule.parse(rule).broken_by(decode(message.encode())) == why


ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    # Half of a surrogate pair too: json can write and read it.
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def as_json(value: Any) -> bytes:
    """Return the JSON text of a value, with decimals digit by digit."""

    def write(value: Any) -> str:
        if isinstance(value, list):
            return f"[{','.join(map(write, value))}]"
        if isinstance(value, dict):
            pairs = (f"{json.dumps(name)}:{write(each)}" for name, each in value.items())
            return f"{{{','.join(pairs)}}}"
        return str(value) if isinstance(value, Decimal) else json.dumps(value)

    return write(value).encode()


@given(ANY_JSON)
def test_every_json_text_is_decoded_to_its_value(value: Any) -> None:
    decoded = decode(as_json(value))
    assert not isinstance(decoded, NotJSON)
    assert same(decoded, value)


@given(ANY_JSON, ANY_JSON)
def test_values_are_the_same_just_if_no_type_or_value_differs(one: Any, other: Any) -> None:
    def marked(value: Any) -> Any:
        if isinstance(value, list):
            return [marked(each) for each in value]
        if isinstance(value, dict):
            return {name: marked(each) for name, each in value.items()}
        return (isinstance(value, bool), value)

    assert same(one, one)
    assert same(one, other) is (marked(one) == marked(other))


@given(st.text(), st.text() | ANY_JSON.map(lambda value: as_json(value).decode()))
def test_any_text_is_a_rule_or_is_refused_and_fits_or_does_not(rule: str, message: str) -> None:
    with contextlib.suppress(RuleError):
        parsed = Rule.parse(rule)
        data = message.encode(errors="replace")
        if not parsed.holds(decode(data), data):
            assert parsed.broken_by(decode(data))


@given(st.binary())
def test_any_bytes_are_decoded(message: bytes) -> None:
    decode(message)


@given(ANY_JSON)
def test_a_value_equals_its_own_json_text(value: Any) -> None:
    text = as_json(value).decode()
    assert fits(f"/p={text}", b'{"p":%b}' % text.encode())
