"""What becomes of each request when replies are lost, repeated, misplaced or forged."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from tests.cli_client import liars
from tests.cli_client.liars import ServerConnection, at, reply_to, serving
from tests.cli_client.sending import report


async def wrong_then_right(websocket: ServerConnection, request: str) -> None:
    await websocket.send("Hello")
    await websocket.send(reply_to(request))


async def one_letter_changed(websocket: ServerConnection, request: str) -> None:
    await websocket.send(reply_to(request.replace("Request", "Requesu")))


async def no_utf8(websocket: ServerConnection, request: str) -> None:
    await websocket.send(b"Req\xffest 5: 7", text=True)


async def much_later(websocket: ServerConnection, request: str) -> None:
    asyncio.get_running_loop().call_later(
        0.7, lambda: asyncio.ensure_future(websocket.send(reply_to(request)))
    )


async def behind_two(websocket: ServerConnection, request: str) -> None:
    others = [await websocket.recv(), await websocket.recv()]
    for message in (*others, request):
        await websocket.send(reply_to(message))


@pytest.mark.parametrize(
    ("lie", "faults", "named"),
    [
        (liars.wrong_number, {"wrong": 1}, "Request 5: expected ': ' and a number from 1 to 100"),
        (liars.echo, {"wrong": 1}, "Request 5: "),
        (liars.binary, {"wrong": 1}, "Request 5: expected text, got a binary message"),
        (one_letter_changed, {"wrong": 1}, "at byte 6 74 20 35 3a 20 was due, 75 20 35 3a 20 37"),
        (no_utf8, {"wrong": 1}, "Request 5: the reply is not valid UTF-8 at byte 3; at byte 3 75 "),
        (liars.twice, {"duplicate": 1}, "Request 5: a duplicate reply"),
        (liars.nothing, {"missing": 1}, "Request 5 got no reply"),
        (liars.after_the_next, {"out_of_order": 1}, "Request 5: its reply came after"),
        (behind_two, {"out_of_order": 1}, "Request 5: its reply came after"),
        (wrong_then_right, {"unsolicited": 1}, "Hello: a message that nobody asked for"),
        (much_later, {"missing": 1, "late": 1}, "Request 5: its reply came late"),
    ],
)
def test_a_lie_counts_as_what_it_is(lie: object, faults: dict[str, int], named: str) -> None:
    with serving(at("Request 5", lie)) as url:  # type: ignore[arg-type]
        done = report(url, "-n", 40, "-w", 8, "-t", 0.5, "--linger", 0.6)
    assert (done.status, done.report["verdict"]) == (1, "fail")
    assert done.faults == faults
    assert named in done.errors


def test_with_one_in_flight_a_reply_that_fits_nothing_is_wrong() -> None:
    with serving(at("Request 5", liars.another_request)) as url:
        done = report(url, "-n", 10, "-w", 1, "-t", 0.5)
    assert done.faults == {"wrong": 1}
    assert "expected a reply to 'Request 5', got 'Request 99999: 7'" in done.errors


def test_every_reply_wrong_is_every_request_wrong() -> None:
    async def echo(websocket: ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(message)

    with serving(echo) as url:
        done = report(url, "-n", 2000)
    assert done.faults == {"wrong": 2000}
    assert done.report["error_count"] == 2000
    # What differs in its request alone is one error, told of the first.
    assert sum(error["count"] for error in done.report["errors"]) == 2000
    assert "Request 0: expected ': ' and a number from 1 to 100 after the request" in done.errors
    assert "Request 1: " not in done.errors


def test_a_reply_that_strays_to_another_connection_is_named() -> None:
    waiting: list[tuple[ServerConnection, str]] = []

    async def swap(websocket: ServerConnection, request: str) -> None:
        waiting.append((websocket, request))
        if len(waiting) == 2:
            (one, first), (other, second) = waiting
            await one.send(reply_to(second))
            await other.send(reply_to(first))

    async def handle(websocket: ServerConnection) -> None:
        strayed = False
        async for message in websocket:
            if not strayed and len(waiting) < 2:
                strayed = True
                await swap(websocket, str(message))
            else:
                await websocket.send(reply_to(message))

    with serving(handle) as url:
        done = report(url, "-n", 100, "-c", 2, "-w", 4, "-t", 0.5)
    assert done.status == 1
    assert done.faults == {"missing": 2, "unsolicited": 2}
    assert "its reply strayed to connection 1, it was sent on 2" in done.errors
    assert "its reply strayed to connection 2, it was sent on 1" in done.errors


def test_as_many_late_replies_as_a_window_holds_are_named() -> None:
    async def withhold(websocket: ServerConnection) -> None:
        held = [str(await websocket.recv()) for _ in range(3000)]
        await asyncio.sleep(1.6)
        for message in held:
            await websocket.send(reply_to(message))
        async for message in websocket:
            await websocket.send(reply_to(message))

    with serving(withhold) as url:
        done = report(url, "-n", 4000, "-w", 3000, "-t", 1)
    assert done.faults == {"missing": 3000, "late": 3000}
    assert done.report["ledger"]["verified"] == 1000


def test_why_the_connection_died_stands_beside_any_number_of_wrong_replies() -> None:
    async def scribble_then_close(websocket: ServerConnection) -> None:
        for number in range(50):
            request = await websocket.recv()
            await websocket.send(f"{request!s} scribble {number}")
        await websocket.recv()
        await websocket.close(1008, "enough")

    with serving(scribble_then_close) as url:
        done = report(url, "-n", 100, "-w", 1)
    assert done.faults == {"wrong": 50, "missing": 1, "never_sent": 49}
    assert "with code 1008 enough" in done.errors
    assert done.errors.count("scribble") == 5


@pytest.mark.parametrize("seed", range(3))
def test_the_ledger_balances_whatever_the_server_does(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)

    async def anything(websocket: ServerConnection) -> None:
        async for message in websocket:
            reply = reply_to(message)
            for answer in chance.choices(
                ([reply], [], [reply, reply], ["scribble"], ["scribble", reply], [None]),
                weights=(900, 5, 5, 5, 5, 5),
            )[0]:
                if answer is None:
                    await chance.choice([liars.cut, liars.close, liars.broken_frame])(
                        websocket, str(message)
                    )
                    return
                await websocket.send(answer)

    path = tmp_path / "ledger.jsonl"
    with serving(anything) as url:
        done = report(
            url, "-n", 3000, "-c", 3, "-w", 16, "-t", 0.3, "--retries", 50, "--ledger", path
        )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    if done.report["ledger"]["never_sent"]:
        lines.pop()
    # reported() holds the sum to the requests; here each request has one line with its fate.
    assert len({line["request"] for line in lines}) == len(lines)
    for fate in ("verified", "wrong", "missing"):
        assert sum(line["fate"] == fate for line in lines) == done.report["ledger"][fate]
    assert "does not balance" not in done.errors
    assert done.report["ledger"]["verified"] > 2000


def test_a_stuck_generator_shows_in_the_numbers() -> None:
    async def always_seven(websocket: ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(reply_to(message))

    with serving(always_seven) as url:
        done = report(url, "-n", 2000)
    assert done.status == 0
    assert done.report["numbers"]["seen"] == 1
    assert done.report["numbers"]["p_value"] < 0.001
    assert "not evenly spread" in done.report["warnings"][0]


def test_a_fair_generator_does_not(server_url: str) -> None:
    done = report(server_url, "-n", 20_000)
    numbers = done.report["numbers"]
    assert (numbers["replies"], numbers["seen"]) == (20_000, 100)
    assert numbers["p_value"] > 1e-6


def test_the_ledger_file_has_a_line_for_each_request(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with serving(at("Request 5", liars.wrong_number)) as url:
        report(url, "-n", 20, "-w", 4, "--ledger", path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["request"] for line in lines) == list(range(20))
    for line in lines:
        assert line["sent"] == f"Request {line['request']}"
        assert line["fate"] == ("wrong" if line["request"] == 5 else "verified")
        assert line["received"] == f"{line['sent']}: {101 if line['request'] == 5 else 7}"
        assert (line["attempt"], line["connection"]) == (1, 1)
        assert 0 <= line["answered_at"] - line["sent_at"] < 60


def test_the_ledger_file_tells_of_what_was_never_sent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with serving(at("Request 5", liars.close)) as url:
        report(url, "-n", 20, "-w", 1, "--retries", 0, "--ledger", path)
    *sent, missing, last = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(sent) == 5
    assert (missing["request"], missing["fate"], missing["answered_at"]) == (5, "missing", None)
    assert last == {"fate": "never sent", "count": 14}
