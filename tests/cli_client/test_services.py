"""Services of other people: replies by key in any order, pushes, parts, greetings and logins."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.cli_client.liars import serving
from tests.cli_client.sending import report, send

Call = dict[str, Any]
Answer = Callable[[ServerConnection, Call], Awaitable[None]]

JSONRPC = ("--preset", "jsonrpc", "--set", "method=add", "--set", "params=[{i},1]")


def result(call: Call) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": sum(call["params"])})


async def reply(websocket: ServerConnection, call: Call) -> None:
    await websocket.send(result(call))


def service(answer: Answer = reply) -> Callable[[ServerConnection], Awaitable[None]]:
    """Return a service that answers the calls of each read in an order of its own."""

    async def handle(websocket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for calls in batches(websocket):
                random.shuffle(calls)
                for call in calls:
                    await answer(websocket, call)

    return handle


async def batches(websocket: ServerConnection, size: int = 8) -> AsyncIterator[list[Call]]:
    """Give the calls that come, as many at a time as are there, up to a size."""
    calls: list[Call] = []
    while True:
        try:
            async with asyncio.timeout(0.02):
                calls.append(json.loads(await websocket.recv()))
        except TimeoutError:
            if calls:
                yield calls
                calls = []
        if len(calls) == size:
            yield calls
            calls = []


def test_replies_in_any_order_pass_and_the_order_is_a_figure() -> None:
    with serving(service()) as url:
        done = report(url, *JSONRPC, "-n", 500, "-c", 3)
    assert (done.status, done.report["ledger"]["verified"]) == (0, 500)
    assert done.faults.keys() == {"out_of_order"}


def test_what_rules_do_not_check_is_said() -> None:
    with serving(service()) as url:
        done = report(url, "--template", '{"id":{i},"params":[]}', "--id", "/id", "-n", 5)
    assert done.status == 0
    assert any("ids matched, contents unchecked" in text for text in done.report["unverified"])


@pytest.mark.parametrize(
    ("option", "verdict", "fault"), [("--resend", "recovered", {}), (None, "fail", {"missing": 1})]
)
def test_what_a_lost_connection_had_in_flight_is_sent_again_if_asked_for(
    option: str | None, verdict: str, fault: dict[str, int]
) -> None:
    died: list[int] = []

    async def answer(websocket: ServerConnection, call: Call) -> None:
        if call["id"] == 5 and not died:
            died.append(5)
            websocket.transport.abort()
        else:
            await reply(websocket, call)

    with serving(service(answer)) as url:
        done = report(url, *JSONRPC, "-n", 20, "-w", 1, *([option] if option else []))
    assert (done.report["verdict"], done.faults) == (verdict, fault)
    said = any("not sent again" in text for text in done.report["unverified"])
    assert said is (option is None)


def test_a_subprotocol_is_shown_if_the_server_chose_it() -> None:
    with serving(service(), subprotocols=["chat"]) as url:
        options = ("--subprotocol", "chat", "--subprotocol", "bearer.hush")
        done = report(url, *JSONRPC, "-n", 5, *options)
    assert done.report["settings"]["subprotocols"] == ["chat", "***"]


def test_the_order_fails_a_run_where_it_must_be_kept() -> None:
    with serving(service()) as url:
        done = report(url, *JSONRPC, "-n", 100, "--ordered")
    assert done.status == 1
    assert done.faults["out_of_order"]


async def push_before(websocket: ServerConnection, call: Call) -> None:
    await websocket.send(json.dumps({"jsonrpc": "2.0", "method": "tick", "params": {}}))
    await reply(websocket, call)


def test_pushes_pass_if_a_rule_says_so() -> None:
    with serving(service(push_before)) as url:
        assert report(url, *JSONRPC, "-n", 50).status == 0
        done = report(url, *JSONRPC, "-n", 50, "--push", "/event")
    assert done.status == 1
    assert done.faults["unsolicited"] == 50


async def lose_and_push(websocket: ServerConnection, call: Call) -> None:
    if call["id"] != 7:
        await reply(websocket, call)
    else:
        await websocket.send('{"jsonrpc":"2.0","method":"tick"}')


def test_a_push_does_not_make_up_for_a_lost_reply() -> None:
    with serving(service(lose_and_push)) as url:
        done = report(url, *JSONRPC, "-n", 20, "-t", "1s")
    assert (done.status, done.faults["missing"]) == (1, 1)


@pytest.mark.parametrize(
    ("message", "fault", "why"),
    [
        ('{"id": 7, "error": {"code": 5}}', "wrong", 'the rule !/error does not hold: {"code":5}'),
        ('{"id": 7, "error": {"code": 5}, "result": 1}', "wrong", "the rule !/error"),
        ('{"id": 7}', "wrong", "the rule /result does not hold: there is nothing"),
        ('{"id": 1007, "result": 1}', "missing", "a message that nobody asked for"),
        ('{"id": "7", "result": 1}', "missing", "a message that nobody asked for"),
    ],
)
def test_a_bad_reply_is_named(message: str, fault: str, why: str) -> None:
    async def answer(websocket: ServerConnection, call: Call) -> None:
        await websocket.send(message if call["id"] == 7 else result(call))

    with serving(service(answer)) as url:
        done = report(url, *JSONRPC, "-n", 20, "-t", "1s")
    assert (done.status, done.faults[fault]) == (1, 1)
    assert why in done.errors


async def repeat(websocket: ServerConnection, call: Call) -> None:
    await reply(websocket, call)
    await reply(websocket, call)


def test_an_id_that_comes_twice_is_a_duplicate() -> None:
    with serving(service(repeat)) as url:
        done = report(url, *JSONRPC, "-n", 20)
    assert done.status == 1
    assert done.faults["duplicate"] == 20


async def in_parts(websocket: ServerConnection, call: Call) -> None:
    for part in range(3):
        await websocket.send(json.dumps({"id": call["id"], "part": part}))
    await websocket.send(json.dumps({"id": call["id"], "done": True}))


def test_an_answer_of_several_messages_is_settled_by_the_last() -> None:
    options = ("--template", '{"id":{i}}', "--id", "/id", "--final", "/done=true", "-n", 20)
    with serving(service(in_parts)) as url:
        done = report(url, *options)
        assert (done.status, done.report["ledger"]["verified"]) == (0, 20)
        done = report(url, *options, "--require", "/part=1")
    assert (done.status, done.faults["wrong"]) == (1, 20)


def test_a_request_without_a_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calls.txt"
    path.write_text('{"id":1,"params":[]}\n' + "no JSON\n" + '{"id":2,"params":[]}\n')
    with serving(service()) as url:
        done = report(url, "--file", path, "--id", "/id", "-w", 1)
    assert done.status == 1
    assert done.report["ledger"]["verified"] == 2
    assert done.faults == {"never_sent": 1}
    assert "request 1, no JSON, was refused: it has no key" in done.errors


def test_a_file_without_any_key_comes_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "calls.txt"
    path.write_text("no JSON\n" * 5000)
    with serving(service()) as url:
        done = report(url, "--file", path, "--id", "/id")
    assert (done.status, done.faults) == (1, {"never_sent": 5000})


def test_a_key_that_is_in_flight_is_refused() -> None:
    template = '{"id":"x","params":[]}'
    with serving(service()) as url:
        done = report(url, "--template", template, "--id", "/id", "-n", 10)
        assert (done.status, done.faults) == (1, {"never_sent": 9})
        assert done.report["error_count"] == 9
        assert "its key 'x' is in flight on the same connection" in done.errors
        done = report(url, "--template", template, "--id", "/id", "-n", 10, "-w", 1)
    assert (done.status, done.report["ledger"]["verified"]) == (0, 10)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--id", "id"], "'id' is not a pointer: a pointer starts with / (character 1)"),
        (["--id", "/id", "--expect", "any"], "--id takes the place of --expect"),
        (["--id", "/id"], "has no string or number there"),
        (["--id", "/id", "--template", '{"id":null}'], "has no string or number there"),
        (["--final", "/done"], "--final needs --id"),
        (["--reply-id", "/id"], "--reply-id needs --id"),
        (["--ordered"], "--ordered needs --id"),
        (["--require", "result"], "a pointer starts with / (character 1)"),
        (["--push", "/p=~("], "the regular expression has an error"),
        (["--hello-reply", "/ok"], "--hello-reply"),
        (["--hello", "@nowhere.json"], "cannot read nowhere.json"),
        (["--greeting", "!/p=1"], "takes no value (character 4)"),
        (["--preset", "jsonrpc"], "needs a value for method (the method to call)"),
    ],
)
def test_a_bad_option_is_one_line_and_status_2(options: list[str], named: str) -> None:
    done = send(*options)
    (line,) = done.stderr.splitlines()
    assert named in line
    assert (done.returncode, done.stdout) == (2, "")


# What comes before the first request.


def greeting_service(
    greeting: str | None, *logins: tuple[str, str | None], pushes: bool = False
) -> tuple[Callable[[ServerConnection], Awaitable[None]], list[str]]:
    """Return an echo service that greets and wants logins, each with its reply; and what came."""
    came: list[str] = []

    async def handle(websocket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            if greeting is not None:
                await websocket.send(greeting)
            for wanted, answer in logins:
                said = str(await websocket.recv())
                came.append(said)
                if pushes:
                    await websocket.send('{"tick": 1}')
                if said != wanted:
                    await websocket.send('{"error": "who are you?"}')
                elif answer is not None:
                    await websocket.send(answer)
            async for message in websocket:
                if pushes:
                    await websocket.send('{"tick": 2}')
                await websocket.send(message)

    return handle, came


ECHO = ("--expect", "echo", "-n", 30)


def test_a_greeting_is_waited_for_on_each_connection() -> None:
    handle, _ = greeting_service('{"hello": 1}')
    with serving(handle) as url:
        done = report(url, *ECHO, "-c", 3, "--greeting", "/hello")
    assert (done.status, done.faults) == (0, {})
    assert done.report["messages"]["greetings"] == 3


def test_a_greeting_that_is_not_waited_for_is_unsolicited_with_a_hint() -> None:
    handle, _ = greeting_service('{"hello": 1}')
    with serving(handle) as url:
        done = report(url, *ECHO)
    assert (done.status, done.faults) == (1, {"unsolicited": 1})
    assert "the server speaks first on each connection" in done.errors
    assert "--greeting" in done.errors


def test_a_login_comes_before_the_first_request_with_pushes_meanwhile(tmp_path: Path) -> None:
    login, second = '{"user":"me","password":"hush"}', '{"join":"room"}'
    (tmp_path / "login.json").write_text(login + "\n")
    handle, came = greeting_service(
        "welcome", (login, '{"ok": 1}'), (second, '{"in": 1}'), pushes=True
    )
    with serving(handle) as url:
        done = report(
            *(url, *ECHO, "-c", 2, "--greeting", "=welcome", "--push", "/tick"),
            *("--hello", f"@{tmp_path}/login.json", "--hello", second),
            *("--hello-reply", "/ok", "--hello-reply", "/in"),
        )
    assert (done.status, done.faults) == (0, {})
    assert came.count(login) == came.count(second) == 2
    messages = done.report["messages"]
    assert (messages["greetings"], messages["hello_replies"]) == (2, 4)
    assert messages["pushes"] == 4 + 30
    assert "hush" not in json.dumps(done.report)


def test_a_login_has_the_row_of_its_connection(tmp_path: Path) -> None:
    data = tmp_path / "users.csv"
    data.write_text("user\nAnn\nBob\n")
    handle, came = greeting_service(None, ("", None))
    with serving(handle) as url:
        report(url, *ECHO, "-c", 2, "--hello", "I am {user}", "--data", data, "--push", "")
    assert sorted(came) == ["I am Ann", "I am Bob"]


def test_a_refusal_is_final_and_shown(tmp_path: Path) -> None:
    handle, came = greeting_service(None, ("right", '{"ok": 1}'))
    options = ("--hello", "wrong", "--hello-reply", "/ok", "--json", tmp_path / "report.json")
    with serving(handle) as url:
        done = send(url, *ECHO, *options)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert len(came) == 1
    assert 'expected the reply to the hello (/ok), got {"error": "who are you?"}' in line
    made = json.loads((tmp_path / "report.json").read_text())
    (failure,) = made["handshakes"]["failures"]
    assert (failure["phase"], failure["count"]) == ("hello", 1)
    assert made["messages"]["unsolicited"] == made["messages"]["received"] == 1
    assert made["settings"]["hellos"] == ["***"]


def test_silence_is_tried_again(tmp_path: Path) -> None:
    handle, came = greeting_service(None, ("hi", None))
    options = ("--hello", "hi", "--hello-reply", "/ok", "--connect-timeout", "200ms")
    with serving(handle) as url:
        done = send(url, *ECHO, *options, "--retries", 2, "--json", tmp_path / "report.json")
    assert done.returncode == 1
    assert "the reply to the hello (/ok) did not come in 0.2 s" in done.stderr
    assert len(came) == 3
    (failure,) = json.loads((tmp_path / "report.json").read_text())["handshakes"]["failures"]
    assert (failure["phase"], failure["count"]) == ("hello", 3)


@pytest.mark.parametrize(("code", "tries"), [(4403, 1), (1008, 1), (1011, 3), (1013, 3)])
def test_a_close_in_place_of_a_reply_is_final_if_its_code_refuses(code: int, tries: int) -> None:
    came: list[str] = []

    async def handle(websocket: ServerConnection) -> None:
        came.append(str(await websocket.recv()))
        await websocket.close(code, "no")

    with serving(handle) as url:
        done = send(url, *ECHO, "--hello", "hi", "--hello-reply", "/ok", "--retries", 2)
    (line,) = done.stderr.splitlines()
    assert f"the server closed the connection with code {code} no" in line
    assert len(came) == tries


def test_a_connection_that_is_opened_again_says_hello_again() -> None:
    came: list[str] = []

    async def handle(websocket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            came.append(str(await websocket.recv()))
            await websocket.send('{"ok": 1}')
            for _ in range(20):
                await websocket.send(await websocket.recv())

    with serving(handle) as url:
        done = report(url, *ECHO, "--hello", "hi", "--hello-reply", "/ok", "-w", 1)
    assert done.status == 0
    assert done.report["verdict"] == "recovered"
    assert came == ["hi", "hi"]
