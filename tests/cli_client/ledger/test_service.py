"""What a right reply of a service is: its key, its rules, its parts, and what is a push."""

import pytest

from cli_client.ledger.expectation import OtherKind, WrongReplyError, expectation
from cli_client.ledger.service import key_of, keyed_expectation, with_rules
from cli_client.settings import Settings


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (b'{"id": 1}', 1),
        (b'{"id": 1.0}', 1),
        (b'{"id": 1.50}', 1.5),
        (b'{"id": "1"}', "1"),
        (b'{"id": ""}', ""),
        (b'{"id": 123456789012345678901234567890}', 123456789012345678901234567890),
        (b'{"id": null}', None),
        (b'{"id": true}', None),
        (b'{"id": [1]}', None),
        (b'{"id": {}}', None),
        (b'{"no": 1}', None),
        (b"id 1", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_a_key_is_a_text_or_a_number(message: bytes, key: object) -> None:
    found = keyed_expectation(Settings(id="/id")).reply_key(message)
    assert found == key
    assert isinstance(found, str) is isinstance(key, str)
    assert (found is None) is (key is None)
    assert key_of(Settings(id="/id"))(message) == found


def test_a_message_that_is_not_json_has_no_key_even_as_a_whole() -> None:
    keyed = keyed_expectation(Settings(id=""))
    assert keyed.reply_key(b"text") is None
    assert keyed.reply_key(b'"text"') == "text"


def test_the_reply_may_have_its_key_elsewhere() -> None:
    keyed = keyed_expectation(Settings(id="/id", reply_id="/in_reply_to"))
    assert keyed.request_key(b'{"id": 5}') == 5
    assert keyed.reply_key(b'{"id": 9, "in_reply_to": 5}') == 5


def test_a_reply_must_fit_all_rules() -> None:
    keyed = keyed_expectation(Settings(id="/id", require=("/result", "!/error")))
    assert keyed.check(b"", b'{"result": null}') == 0
    for reply, why in [
        (b'{"x": 1}', "the rule /result does not hold: there is nothing"),
        (b'{"result": 1, "error": 2}', "the rule !/error does not hold: 2"),
    ]:
        with pytest.raises(WrongReplyError, match=why):
            keyed.check(b"", reply)
        assert why in keyed.difference(b"", reply)


def test_a_reply_of_the_other_kind_is_wrong_and_has_its_key() -> None:
    keyed = keyed_expectation(Settings(id="/id"))
    reply = OtherKind(b'{"id": 5}')
    assert keyed.reply_key(reply) == 5
    with pytest.raises(WrongReplyError, match="expected text, got a binary message"):
        keyed.check(b"", reply)


def test_the_final_message_settles() -> None:
    keyed = keyed_expectation(Settings(id="/id", final="/done=true"))
    assert keyed.settles(b'{"done": true}')
    assert not keyed.settles(b'{"done": 1}')
    assert keyed_expectation(Settings(id="/id")).settles(b"{}")


def test_a_push_fits_any_of_its_rules() -> None:
    keyed = keyed_expectation(Settings(id="/id", push=("/method", "=tick")))
    assert keyed.is_push(b'{"method": 1}')
    assert keyed.is_push(b"tick")
    assert not keyed.is_push(b"tock")
    assert not keyed_expectation(Settings(id="/id")).is_push(b"tick")


def test_text_that_is_not_utf_8_is_no_push() -> None:
    keyed = keyed_expectation(Settings(id="/id", push=("",)))
    assert keyed.is_push(b"tick")
    assert not keyed.is_push(b"\xff")
    assert keyed.is_push(OtherKind(b"\xff"))
    binary = keyed_expectation(Settings(id="/id", push=("",), binary=True))
    assert binary.is_push(b"\xff")
    assert not binary.is_push(OtherKind(b"\xff"))


def test_replies_have_no_order_unless_it_is_asked_for() -> None:
    assert not keyed_expectation(Settings(id="/id")).ordered
    assert keyed_expectation(Settings(id="/id", ordered=True)).ordered


def test_rules_hold_for_the_other_expectations_too() -> None:
    settings = Settings(require=("/ok",), push=("/event",))
    echo = with_rules(expectation("echo", False), settings)
    assert echo.check(b'{"ok": 1}', b'{"ok": 1}') == 0
    with pytest.raises(WrongReplyError):
        echo.check(b'{"ok": 1}', b'{"ok": 2}')
    with pytest.raises(WrongReplyError, match="the rule /ok"):
        echo.check(b"x", b"x")
    assert echo.is_push(b'{"event": 1}')


def test_a_push_is_no_reply_where_any_reply_is_right() -> None:
    anything = with_rules(expectation("any", False), Settings(push=("/event",)))
    assert anything.reply_key(b"{}") is not None
    assert anything.reply_key(b'{"event": 1}') is None
    with pytest.raises(WrongReplyError, match="a push"):
        anything.check(b"x", b'{"event": 1}')


def test_without_rules_an_expectation_stays_as_it_is() -> None:
    number = expectation("number", False)
    assert with_rules(number, Settings()) is number
