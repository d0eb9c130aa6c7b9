"""The settings: what lasts, what does not, and what a broken one is."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop_client.pairing import Check
from desktop_client.settings import Settings
from desktop_client.theme import Appearance
from wire.address import DEFAULT_URL


def reopened(file: Path, change: Callable[[Settings], None]) -> Settings:
    settings = Settings(str(file))
    change(settings)
    settings.save()
    return Settings(str(file))


def test_the_last_ten_addresses_are_remembered(settings_file: Path) -> None:
    def remember(settings: Settings) -> None:
        for i in [*range(12), 5]:
            settings.remember_address(f"ws://host{i}/")

    assert reopened(settings_file, remember).addresses == [
        f"ws://host{i}/" for i in (5, 11, 10, 9, 8, 7, 6, 4, 3, 2)
    ]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("ws://me:secret@host/path", "ws://host/path"),
        ("wss://host/path?token=secret&x=1", "wss://host/path"),
    ],
)
def test_an_address_is_remembered_without_its_secrets(
    url: str, kept: str, settings_file: Path
) -> None:
    settings = reopened(settings_file, lambda settings: settings.remember_address(url))
    assert settings.addresses[0] == kept
    assert "secret" not in settings_file.read_text()


def test_a_query_is_remembered_if_the_user_says_so(settings_file: Path) -> None:
    def remember(settings: Settings) -> None:
        settings.keeps_queries = True
        settings.remember_address("ws://me:secret@host/?room=7")

    settings = reopened(settings_file, remember)
    assert settings.addresses[0] == "ws://host/?room=7"

    def forget(settings: Settings) -> None:
        settings.keeps_queries = False

    assert reopened(settings_file, forget).addresses[0] == "ws://host/"
    assert "room" not in settings_file.read_text()


def test_secrets_of_an_earlier_file_are_forgotten(settings_file: Path) -> None:
    settings_file.write_text("[General]\naddresses=ws://host/?token=secret, ws://me:secret@b/\n")
    settings = reopened(settings_file, lambda settings: None)
    assert settings.addresses == ["ws://host/", "ws://b/"]
    assert "secret" not in settings_file.read_text()


@pytest.mark.parametrize("exists", [False, True])
def test_only_its_owner_can_read_the_file(exists: bool, settings_file: Path) -> None:
    if exists:
        settings_file.touch(0o644)
    before = os.umask(0o022)
    try:
        settings = Settings(str(settings_file))
        settings.template = "secret"
        settings.save()
    finally:
        os.umask(before)
    assert stat.S_IMODE(settings_file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("appearance=purple", "appearance"),
        ("appearance=light, dark", "appearance"),
        ("appearance=@Invalid()", "appearance"),
        ("template=@ByteArray(x)", "template"),
        ("addresses=nowhere", "addresses"),
        ("checks=7{", "checks"),
        ('checks="{\\"ws://host/\\": \\"maybe\\"}"', "checks"),
        ("messages=[", "messages"),
        ("messages=[{}]", "messages"),
        ("messages=7", "messages"),
        ("subprotocols=chat, a/b", "subprotocols"),
    ],
)
def test_a_broken_setting_is_its_default_with_a_line_in_the_log(
    line: str, name: str, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file.write_text(f"[General]\n{line}\n")
    with caplog.at_level(logging.WARNING):
        settings = Settings(str(settings_file))
        assert settings.appearance is Appearance.SYSTEM
        assert settings.template == "Request {i}"
        assert settings.addresses == [DEFAULT_URL]
        assert settings.check_of("ws://host/") is Check.NUMBER
        assert settings.saved_messages == []
        assert settings.subprotocols == ()
    assert name in caplog.text


def test_a_file_that_cannot_be_read_is_new_settings(
    settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file.write_text("\x00\x01 no settings\n[[[")
    assert Settings(str(settings_file)).appearance is Appearance.SYSTEM


def test_a_broken_address_is_not_quoted_in_the_log(
    settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file.write_text("[General]\naddresses=http://me:secret@host/?token=secret\n")
    assert Settings(str(settings_file)).addresses == [DEFAULT_URL]
    assert "secret" not in caplog.text


def test_a_comma_in_a_text_is_no_list(settings_file: Path) -> None:
    settings_file.write_text("[General]\ntemplate=a, b\n")
    assert Settings(str(settings_file)).template == "a, b"


def test_each_address_has_its_own_check(settings_file: Path) -> None:
    def choose(settings: Settings) -> None:
        settings.set_check("ws://a/?token=x", Check.OFF)
        settings.set_check("ws://b/", Check.ECHO)
        settings.set_check("ws://b/", Check.NUMBER)

    settings = reopened(settings_file, choose)
    assert settings.check_of("ws://a/") is Check.OFF
    assert settings.check_of("ws://b/") is Check.NUMBER


def test_saved_messages_last_whatever_is_in_them(settings_file: Path) -> None:
    saved = [
        {"name": "a & b", "kind": "text", "message": 'x\n"ü"\x00🎲\u2028, [1]' + "y" * 100_000}
    ]

    def save(settings: Settings) -> None:
        settings.saved_messages = saved

    assert reopened(settings_file, save).saved_messages == saved
