"""The introduction: what is sent, what is awaited, and what refuses the connection."""

from pathlib import Path
from typing import Any

import pytest

from cli_client.engine.introduction import Introductions, RefusalError
from cli_client.ledger.expectation import expectation
from cli_client.ledger.ledger import Ledger
from cli_client.settings import Settings


class Heard:
    """An introduction, and the names of the messages that came in it."""

    def __init__(self, settings: Settings) -> None:
        self.ledger = ledger()
        self.it = Introductions(settings).make(1, self.ledger)

    @property
    def kinds(self) -> dict[str, int]:
        return dict(self.ledger.messages)


def ledger() -> Ledger:
    expected = expectation("number", binary=False)
    return Ledger(None, expected, paced=False, on_verified=lambda replies: None)


def test_without_anything_to_say_it_is_over_at_once() -> None:
    heard = Heard(Settings())
    assert heard.it.is_over
    assert heard.it.to_send() == []


def test_the_greeting_is_awaited_before_the_first_hello() -> None:
    heard = Heard(Settings(greeting="/hi", hellos=("hello",)))
    assert not heard.it.is_over
    assert heard.it.to_send() == []
    heard.it.receive([b'{"hi": 1}'])
    assert heard.it.is_over
    assert heard.it.to_send() == [b"hello"]
    assert heard.kinds == {"greetings": 1}


def test_each_hello_waits_for_the_reply_to_the_one_before() -> None:
    replies = ("/type=ack", "/type=in")
    heard = Heard(Settings(hellos=("one", "two", "three"), hello_replies=replies))
    assert heard.it.to_send() == [b"one"]
    heard.it.receive([b'{"type": "ack"}'])
    assert heard.it.to_send() == [b"two"]
    assert not heard.it.is_over
    heard.it.receive([b'{"type": "in"}'])
    assert heard.it.to_send() == [b"three"]
    assert heard.it.is_over
    assert heard.kinds == {"hello_replies": 2}


@pytest.mark.parametrize("rules", [{"greeting": ""}, {"greeting": "/x", "push": ("",)}])
def test_text_that_is_not_utf_8_fits_no_rule(rules: dict[str, Any]) -> None:
    heard = Heard(Settings(**rules))
    with pytest.raises(RefusalError):
        heard.it.receive([b"\xff"])
    Heard(Settings(**rules, binary=True)).it.receive([b"\xff"])


def test_pushes_may_come_meanwhile() -> None:
    heard = Heard(Settings(hellos=("one",), hello_replies=("/ok",), push=("/x", "/event")))
    heard.it.receive([b'{"event": 1}'])
    heard.it.receive([b'{"ok": 1, "event": 1}'])
    assert heard.it.is_over
    assert heard.kinds == {"pushes": 1, "hello_replies": 1}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (Settings(greeting="/hi"), 'expected the greeting (/hi), got {"no": 1}'),
        (
            Settings(hellos=("x",), hello_replies=("/ok",)),
            "expected the reply to the hello (/ok), got",
        ),
    ],
)
def test_any_other_message_is_a_refusal(settings: Settings, why: str) -> None:
    heard = Heard(settings)
    with pytest.raises(RefusalError) as refused:
        heard.it.receive([b'{"no": 1}', b"and more"])
    assert why in str(refused.value)
    assert heard.kinds == {"unsolicited": 2}


def test_hellos_have_the_fields_of_their_connection(tmp_path: Path) -> None:
    data = tmp_path / "users.csv"
    data.write_text("name\nAnn\nBob\n")
    settings = Settings(
        hellos=('{"u":{json:name}}', "{i} {connection} {env:TOKEN} {braces}"),
        data=data,
        variables={"TOKEN": "secret"},
    )
    introductions = Introductions(settings)
    said = [introductions.make(number, ledger()).to_send() for number in (1, 2, 3, 2)]
    assert said == [
        [b'{"u":"Ann"}', b"1 1 secret {braces}"],
        [b'{"u":"Bob"}', b"1 2 secret {braces}"],
        [b'{"u":"Ann"}', b"1 3 secret {braces}"],
        [b'{"u":"Bob"}', b"1 2 secret {braces}"],
    ]


def test_rules_have_variables() -> None:
    settings = Settings(greeting="/token={env:TOKEN}", variables={"TOKEN": "secret"})
    heard = Heard(settings)
    heard.it.receive([b'{"token": "secret"}'])
    assert heard.it.is_over


def test_what_comes_after_it_is_given_back() -> None:
    heard = Heard(Settings(greeting="=hi"))
    assert heard.it.receive([b"hi", b"one", b"two"]) == [b"one", b"two"]
    assert heard.kinds == {"greetings": 1}
