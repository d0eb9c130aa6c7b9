"""What can be set on a run; the options of the command are these, one to one."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from cli_client.secrets import (
    expand,
    mask,
    mask_hello,
    mask_login,
    mask_url,
    secrets_of_login,
    secrets_of_url,
    variables,
)
from wire.address import DEFAULT_URL, check_url
from wire.exchange import REQUEST_TEMPLATE

__all__ = [
    "LARGEST_REQUEST",
    "STANDARD_INPUT",
    "Expected",
    "Settings",
    "name_of",
]

Expected = Literal["number", "echo", "any", "key"]

STANDARD_INPUT = Path("-")
"""The file that stands for standard input."""

LARGEST_REQUEST = 2**24
"""Bytes of the largest request that can be sent."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run. Times are in seconds, sizes in bytes."""

    url: str = DEFAULT_URL
    unix: Path | None = None

    messages: int | None = 10_000
    """How many; None: as many as the duration, the file or the corpus makes."""
    duration: float | None = None
    max_time: float | None = None
    """When the run ends whatever is left; None: when it is done."""
    connections: int = 1
    processes: int = 1
    window: int = 64
    rate: float | None = None
    """Requests per second, over all connections; None: as fast as the replies come."""
    ramp: float = 0.0

    template: str = REQUEST_TEMPLATE
    data: Path | None = None
    """A CSV file whose columns are fields of the template and of the hellos."""
    size: int | None = None
    file: Path | None = None
    corpus: str | None = None
    binary: bool = False
    expect: Expected = "number"
    id: str | None = None
    """The pointer to the key that a request shares with its reply; expect is then "key"."""
    reply_id: str | None = None
    """The pointer to the key in the reply, if it is another one."""
    require: tuple[str, ...] = ()
    """Rules that a right reply must fit, all of them."""
    final: str | None = None
    """The rule that the last message of an answer fits; None if each answer is one message."""
    push: tuple[str, ...] = ()
    """Rules of which a message must fit one to be a push of the server."""
    ordered: bool = False
    """Whether replies with a key must come in the order of the requests."""

    greeting: str | None = None
    """The rule that the message fits with which the server begins; None if it does not begin."""
    hellos: tuple[str, ...] = ()
    """What is sent before the first request, in this order."""
    hello_replies: tuple[str, ...] = ()
    """The rules that the replies to the hellos fit, in the same order."""

    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    basic_auth: str | None = None
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    proxy: str | None = None
    compress: bool = False

    connect_timeout: float = 10.0
    timeout: float = 10.0
    close_timeout: float = 5.0
    linger: float = 0.01
    """How long to wait for duplicate replies after the last reply."""
    retries: int = 10
    """How many times in a row a connection is opened again, and a request sent again."""
    resend: bool = True
    strict: bool = False
    """Whether a run in which something failed and was mended has the status 1."""

    ledger: Path | None = None

    variables: Mapping[str, str] = field(default_factory=dict)
    """The values of the environment variables that the texts ask for; in no report."""

    def expanded(self) -> "Settings":
        """Return the settings with the values of the environment variables in the texts.

        For what is sent alone: errors and reports show the texts as they were given.
        """
        values = {name: _expand(value, self.variables) for name, value in self._texts().items()}
        return dataclasses.replace(self, **{**values, "url": check_url(values["url"])})

    def asked_variables(self) -> set[str]:
        """Return the names of the environment variables that the texts ask for."""
        return {name for value in self._texts().values() for name in _variables(value)}

    def for_report(self, chosen_subprotocols: Collection[str] = ()) -> dict[str, Any]:
        """Return the settings as plain data, with what may be secret masked.

        Args:
            chosen_subprotocols: The subprotocols that the server chose; they are not secrets.
        """
        shown = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self).items()
            if name != "variables"
        }
        shown["headers"] = [[name, mask(value)] for name, value in self.headers]
        for name in ("require", "push", "hello_replies"):
            shown[name] = list(shown[name])
        shown["subprotocols"] = [
            name if name in chosen_subprotocols else mask(name) for name in self.subprotocols
        ]
        shown["basic_auth"] = self.basic_auth and mask_login(self.basic_auth)
        shown["hellos"] = [mask_hello(hello) for hello in self.hellos]
        shown["url"] = mask_url(self.url)
        shown["proxy"] = self.proxy and mask_url(self.proxy)
        return shown

    def given_secrets(self, chosen_subprotocols: Collection[str] = ()) -> set[str]:
        """Return the values that a report masks, as a server may repeat them.

        Args:
            chosen_subprotocols: The subprotocols that the server chose; they are not secrets.
        """
        secrets = {*secrets_of_url(self.url), *secrets_of_url(self.proxy or "")}
        secrets |= set(self.subprotocols) - set(chosen_subprotocols)
        if self.basic_auth:
            secrets |= {*secrets_of_login(self.basic_auth)}
        for _, value in self.headers:
            # A scheme may come before the secret itself (RFC 9110, section 11.4).
            secrets |= {value, value.rpartition(" ")[2]}
        return {secret for secret in secrets if not variables(secret)}

    def _texts(self) -> dict[str, Any]:
        """Return the settings that are texts, or made of texts."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, str | tuple)}


def _variables(value: str | tuple[Any, ...]) -> Iterator[str]:
    if isinstance(value, str):
        yield from variables(value)
    else:
        for each in value:
            yield from _variables(each)


def _expand(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return expand(value, values)
    return tuple(_expand(each, values) for each in value)


def name_of(file: Path) -> str:
    """Return a file's name for a person."""
    return "standard input" if file == STANDARD_INPUT else str(file)
