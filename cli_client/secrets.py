"""Secrets: how options take them from the environment, and what a report shows in their place.

``{env:NAME}`` stands for the value of an environment variable in every option that is a text. The
value is filled in where it is sent; everything that a person sees has the field itself, so that a
report has no secret and yet says how to repeat the run. What was given without a field is masked.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "MASK",
    "FileText",
    "conceal",
    "expand",
    "hide",
    "mask",
    "mask_hello",
    "mask_login",
    "mask_url",
    "secrets_of_login",
    "secrets_of_url",
    "variables",
]

MASK = "***"

SHORTEST_SECRET = 4
"""Characters of the shortest value of a variable that is hidden: a PIN."""

SHORTEST_GIVEN_SECRET = 6
"""Characters of the shortest value given on the command line that is hidden where a server repeats
it. Shorter ones, as in ``format=json``, are parts of too many texts."""

ENUMERATED = {"by", "phase"}
"""Members of a report whose values are few and known: never what a server said."""

_FIELD = re.compile(r"\{env:([A-Za-z_][A-Za-z0-9_]*)\}")

_PUBLIC = re.compile(r"(basic|bearer|digest|token|apikey) +|[;,]? *[\w.-]+=", re.I)
"""What may stand beside a field without being a secret: a scheme of RFC 9110, a value's name."""


_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(?=(\s*:)?)', re.DOTALL)
"""A JSON string, and whether it is the name of a member."""

_BARE = re.compile(r"\{[\w:]+\}|\b(true|false|null)\b|[eE](?=[\d+-])")
"""What JSON and a template may have outside of strings."""

_TELLING = {"type", "op", "event", "action", "method", "jsonrpc", "id", "channel"}
"""Names of members that say what a message is for; their values are not secrets."""


class FileText(str):
    """A text that was read from a file."""

    path: str

    def __new__(cls, text: str, path: str = "") -> "FileText":
        """Make the text of the file at this path."""
        made = super().__new__(cls, text)
        made.path = path
        return made


def variables(text: str) -> list[str]:
    """Return the names of the environment variables that a text asks for."""
    return _FIELD.findall(text)


def expand(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the values of its variables.

    Raises:
        KeyError: If one has no value.
    """
    return _FIELD.sub(lambda found: values[found[1]], text)


def mask(text: str) -> str:
    """Return what to show of a text that may be secret: its fields alone."""
    if not text:
        return text
    # Every other part is the name of a variable.
    parts = _FIELD.split(text)
    return "".join(
        f"{{env:{part}}}" if place % 2 else _mask_beside_field(part, alone=len(parts) == 1)
        for place, part in enumerate(parts)
    )


def _mask_beside_field(part: str, alone: bool) -> str:
    return part if not part or (not alone and _PUBLIC.fullmatch(part)) else MASK


def hide(value: Any, values: Mapping[str, str]) -> Any:
    """Return plain data with its texts showing variables again in place of their values.

    A server may repeat what it was sent. Short values stay: they are not secrets, and
    appear in many texts by chance.
    """
    secrets = {
        secret: f"{{env:{name}}}"
        for name, secret in values.items()
        if len(secret) >= SHORTEST_SECRET
    }
    return _replace(value, secrets)


def conceal(value: Any, secrets: Collection[str]) -> Any:
    """Return plain data with its texts showing a mask in place of secrets, as for ``hide``."""
    return _replace(value, {each: MASK for each in secrets if len(each) >= SHORTEST_GIVEN_SECRET})


def _replace(value: Any, shown: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_replace(each, shown) for each in value]
    if isinstance(value, dict):
        return {
            name: each if name in ENUMERATED else _replace(each, shown)
            for name, each in value.items()
        }
    if isinstance(value, str):
        for secret in sorted(shown, key=len, reverse=True):
            value = value.replace(secret, shown[secret])
    return value


def secrets_of_login(login: str) -> Iterator[str]:
    """Yield what ``mask_login`` masks: the password, or all of it if there is none."""
    user, colon, password = _split_login(login)
    yield password if colon and password else user


def secrets_of_url(url: str) -> Iterator[str]:
    """Yield what ``mask_url`` masks, as written in the URL and decoded."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    if at:
        for secret in secrets_of_login(login):
            yield from (secret, unquote(secret))
    for pair in parts.query.split("&"):
        name, equals, value = pair.partition("=")
        yield value if equals else name
    yield from (value for _, value in parse_qsl(parts.query))


def mask_login(login: str) -> str:
    """Return ``user:password`` with the password masked; all of it if there is no password."""
    user, colon, password = _split_login(login)
    return f"{user}:{mask(password)}" if colon and password else mask(user) + colon


def _split_login(login: str) -> tuple[str, str, str]:
    # Not at the colon within a field.
    found = re.match(r"((?:\{env:\w+\}|[^:])*)(:?)(.*)", login, re.DOTALL)
    assert found is not None
    return found[1], found[2], found[3]


def mask_hello(text: str) -> str:
    """Return what to show of a message that may be a login.

    Of a file it is the path. Of JSON it is all but the values of members, unless their names say
    that these are not secrets. Of any other text it is nothing.
    """
    if isinstance(text, FileText):
        return f"@{text.path}"
    # Outside of its strings, JSON has no letters but those of its literals.
    rest = _BARE.sub("", _STRING.sub("", text))
    if not text.lstrip().startswith("{") or re.search('["a-zA-Z]', rest):
        return mask(text)
    name = ""

    def shown(found: "re.Match[str]") -> str:
        nonlocal name
        content, is_name = found.groups()
        if is_name:
            name = content
        return found[0] if is_name or name in _TELLING else f'"{mask(content)}"'

    # Numbers too: a PIN is one.
    masked = _STRING.sub(shown, text)
    return re.sub(r"([:\[,]\s*)-?\d[\d.eE+-]*", rf"\1{MASK}", masked)


def mask_url(url: str) -> str:
    """Return a URL with its password and the values of its query masked."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    query = "&".join(map(_mask_value, parts.query.split("&")))
    return parts._replace(
        netloc=(mask_login(login) if at else "") + at + host, query=query
    ).geturl()


def _mask_value(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={mask(value)}" if equals else mask(pair)
