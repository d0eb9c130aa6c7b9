"""Secrets: what a report shows in their place, and how they come from the environment."""

import json
import os
from pathlib import Path

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from cli_client.secrets import (
    FileText,
    conceal,
    expand,
    hide,
    mask,
    mask_hello,
    mask_login,
    mask_url,
    variables,
)
from cli_client.settings import Settings
from tests.cli_client.liars import ServerConnection, reply_to, serving
from tests.cli_client.sending import report, send


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("secret", "***"),
        ("Bearer secret", "***"),
        ("Bearer {env:TOKEN}", "Bearer {env:TOKEN}"),
        ("{env:TOKEN}", "{env:TOKEN}"),
        ("session={env:ID}; theme=secret", "session={env:ID}***"),
        ("session={env:ID}; user={env:USER}", "session={env:ID}; user={env:USER}"),
        ("secret{env:REST}", "***{env:REST}"),
        ("secret {env:REST}", "***{env:REST}"),
        ("{env:}", "***"),
        ("{ENV:X}", "***"),
    ],
)
def test_a_value_is_masked_but_for_its_variables(text: str, shown: str) -> None:
    assert mask(text) == shown


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        ("user:secret", "user:***"),
        ("user:secret:word", "user:***"),
        ("secret:", "***:"),
        ("secret", "***"),
        ("user:{env:PW}", "user:{env:PW}"),
        ("{env:USER}:{env:PW}", "{env:USER}:{env:PW}"),
        ("{env:LOGIN}", "{env:LOGIN}"),
    ],
)
def test_a_login_is_masked_but_for_its_user(login: str, shown: str) -> None:
    assert mask_login(login) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://host/path", "ws://host/path"),
        ("ws://user:secret@host:1/", "ws://user:***@host:1/"),
        ("http://secret@host:1", "http://***@host:1"),
        ("wss://host/?access_token=secret&v=secret", "wss://host/?access_token=***&v=***"),
        ("wss://host/?secret", "wss://host/?***"),
        ("wss://host/?a=secret=secret", "wss://host/?a=***"),
        ("wss://host/?token={env:TOKEN}", "wss://host/?token={env:TOKEN}"),
        ("wss://{env:HOST}:443/{env:PATH}", "wss://{env:HOST}:443/{env:PATH}"),
        ("wss://u:p@ss@host/", "wss://u:***@host/"),
    ],
)
def test_a_url_is_masked_in_its_password_and_query(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("hello", "shown"),
    [
        ("LOGIN me hush", "***"),
        ("LOGIN me {env:PW}", "***{env:PW}"),
        (FileText("hush", "login.json"), "@login.json"),
        ('{"type":"auth","token":"hush"}', '{"type":"auth","token":"***"}'),
        ('{"op": "auth", "args": ["hush", "hu\\"sh"]}', '{"op": "auth", "args": ["***", "***"]}'),
        ('{"token":"{env:TOKEN}"}', '{"token":"{env:TOKEN}"}'),
        ('{"type":"x","payload":{"pin":1234}}', '{"type":"x","payload":{"pin":***}}'),
        ('{"hush', "***"),
    ],
)
def test_a_hello_shows_what_it_is_for_and_no_secret(hello: str, shown: str) -> None:
    assert mask_hello(hello) == shown
    assert "hush" not in mask_hello(hello)


def test_a_text_shows_its_variables_again() -> None:
    values = {"TOKEN": "hush", "LONGER": "hush-hush", "SHORT": "1", "EMPTY": ""}
    text = hide({"a": ["x hush y", 1, None], "b": {"hush-hush": "1"}}, values)
    assert text == {"a": ["x {env:TOKEN} y", 1, None], "b": {"hush-hush": "1"}}
    assert hide("hush-hush hush", values) == "{env:LONGER} {env:TOKEN}"


def test_given_secrets_are_masked_in_texts_but_not_in_words_of_the_report() -> None:
    closes = [{"by": "server", "phase": "server", "reason": "no server"}]
    assert conceal(closes, {"server"}) == [{"by": "server", "phase": "server", "reason": "no ***"}]
    assert conceal("json is short", {"json"}) == "json is short"


def test_the_given_secrets_are_all_that_a_report_masks() -> None:
    settings = Settings(
        url="ws://user:url-password@host/?access_token=in%20query&plain",
        headers=(("Authorization", "Bearer in-header"), ("X", "{env:FIELD}")),
        subprotocols=("chat", "bearer.secret"),
        basic_auth="user:basic-password",
        proxy="http://user:proxy-password@host/",
    )
    secrets = settings.given_secrets({"chat"})
    assert secrets >= {
        *("url-password", "in%20query", "in query", "plain", "Bearer in-header", "in-header"),
        *("bearer.secret", "basic-password", "proxy-password"),
    }
    assert not secrets & {"user", "chat", "{env:FIELD}"}


@pytest.mark.parametrize("where", ["reply", "close", "refusal"])
def test_no_output_shows_a_given_secret_that_the_server_repeats(where: str, tmp_path: Path) -> None:
    secrets = ["hush-header", "hush-query", "hush-protocol"]

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        if where != "refusal":
            return None
        fields = Headers({"Server": " ".join(secrets), "Content-Type": "text/plain"})
        return Response(503, " ".join(secrets), fields, " ".join(secrets).encode())

    async def repeat(websocket: ServerConnection) -> None:
        async for _ in websocket:
            if where == "close":
                await websocket.close(1008, " ".join(secrets))
            else:
                await websocket.send(" ".join(secrets))

    with serving(repeat, process_request=refuse) as url:
        done = send(
            *(f"{url}?access_token=hush-query", "-n", "2", "-t", "0.3s", "--retries", "0"),
            *("-H", "X-Api-Key: hush-header", "--subprotocol", "hush-protocol"),
            *("--json", tmp_path / "a.json", "--html", tmp_path / "a.html"),
        )
    written = [path.read_text() for path in tmp_path.iterdir()]
    assert len(written) == 2
    for text in (done.stderr, *written):
        assert "hush" not in text
        assert "***" in text


def test_variables_are_filled_in() -> None:
    assert variables("{env:A} {env:B_1} {env:1} {i}") == ["A", "B_1"]
    assert expand("{env:A}{env:A}{i}", {"A": "{env:A}"}) == "{env:A}{env:A}{i}"


def test_settings_are_expanded_where_they_are_texts() -> None:
    settings = Settings(
        url="ws://{env:A}",
        headers=(("X", "{env:A}"),),
        subprotocols=("{env:A}",),
        template="{env:A}{i}",
        variables={"A": "b"},
    )
    assert settings.asked_variables() == {"A"}
    expanded = settings.expanded()
    assert expanded.url == "ws://b/"
    assert expanded.headers == (("X", "b"),)
    assert expanded.subprotocols == ("b",)
    assert expanded.template == "b{i}"
    assert "variables" not in settings.for_report()


def test_a_subprotocol_is_shown_if_the_server_chose_it() -> None:
    shown = Settings(subprotocols=("chat", "bearer-secret")).for_report({"chat"})
    assert shown["subprotocols"] == ["chat", "***"]


# Through the command.

SECRETS = {name: f"hush-{name.lower()}" for name in ("TOKEN", "PASSWORD", "QUERY", "KEY", "WORD")}


@pytest.mark.parametrize("processes", [1, 2])
def test_secrets_reach_the_server_and_no_report(processes: int) -> None:
    requests = []

    async def handle(websocket: ServerConnection) -> None:
        requests.append(websocket.request)
        async for message in websocket:
            await websocket.send(reply_to(message))

    with serving(handle) as url:
        host = url.removeprefix("ws://").rstrip("/")
        done = report(
            *(f"ws://{host}/?q={{env:QUERY}}&plain=hush-plain", "-n", 2, "-c", 2),
            *("-H", "X-Api-Key: {env:KEY}", "-H", "X-Plain: hush-plain"),
            *("-a", "me:{env:PASSWORD}", "--subprotocol", "bearer.{env:TOKEN}"),
            *("--template", "{env:WORD} {i}", "--processes", processes),
            env={**os.environ, **SECRETS},
        )
    assert done.status == 0
    head = requests[0]
    assert head.path == "/?q=hush-query&plain=hush-plain"
    assert head.headers["X-Api-Key"] == "hush-key"
    assert head.headers["Sec-WebSocket-Protocol"] == "bearer.hush-token"
    settings = done.report["settings"]
    assert settings["url"].endswith("/?q={env:QUERY}&plain=***")
    assert settings["headers"] == [["X-Api-Key", "{env:KEY}"], ["X-Plain", "***"]]
    assert settings["basic_auth"] == "me:{env:PASSWORD}"
    assert settings["template"] == "{env:WORD} {i}"
    assert "hush" not in json.dumps(done.report)


def test_no_error_shows_the_value_of_a_variable() -> None:
    async def parrot(websocket: ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(f"no: {message!r}")
            await websocket.close(1008, "hush-key is not welcome")

    with serving(parrot) as url:
        options = ("--template", "{env:WORD} {i}", "-H", "X-Key: {env:KEY}", "-n", 1)
        done = report(url, *options, env={**os.environ, **SECRETS})
    assert done.status == 1
    assert "{env:WORD} 0" in json.dumps(done.report["errors"])
    assert "hush" not in json.dumps(done.report)


def test_a_refusal_that_repeats_a_login_shows_its_variable() -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.send(f"no: {await websocket.recv()!s}")

    with serving(refuse) as url:
        options = ("--hello", "I am {env:WORD}", "--hello-reply", "=yes")
        done = send(url, *options, env={**os.environ, **SECRETS})
    assert done.returncode == 1
    assert "got no: I am {env:WORD}" in done.stderr
    assert "hush" not in done.stderr


def test_an_error_shows_no_secret(unused_port: int) -> None:
    url = f"ws://me:hush-pw@127.0.0.1:{unused_port}/{{env:WORD}}?token=hush-token"
    done = send(url, "-n", 1, env={**os.environ, **SECRETS})
    (line,) = done.stderr.splitlines()
    assert "refused" in line
    assert "hush" not in line


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["-H", "A: {env:UNSET_HERE}"], "the environment has no variable UNSET_HERE."),
        (["--template", "{env:UNSET_HERE}{i}"], "--template"),
        (["ws://{env:UNSET_HERE}/"], "no variable UNSET_HERE"),
        (["-a", "{env:TOKEN}"], "--basic-auth"),
        (["ws://{env:SPACED}/"], "is not a url once its variables are filled in."),
        (["-H", "A: {env:LINES}"], "is not a header once its variables are filled in."),
    ],
)
def test_a_variable_that_does_not_fit_is_refused(options: list[str], named: str) -> None:
    extra = {"TOKEN": "hush", "SPACED": "hush hush", "LINES": "hush\r\nhush"}
    done = send(*options, env={**os.environ, **extra})
    (line,) = done.stderr.splitlines()
    assert named in line
    assert "hush" not in line
    assert done.returncode == 2
