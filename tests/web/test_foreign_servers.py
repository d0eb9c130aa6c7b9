"""The page with servers of other kinds: it shows everything that comes, and stays connected."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect
from websockets.asyncio.server import ServerConnection

from tests.cli_client import liars
from tests.web.conftest import FILE


async def echoing(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


async def greeting(websocket: ServerConnection) -> None:
    await websocket.send("Welcome")
    await echoing(websocket)


async def pushing(websocket: ServerConnection) -> None:
    """Greet, push a hundred messages a second, and echo."""
    await websocket.send("Welcome")
    answering = asyncio.create_task(echoing(websocket))
    for i in range(1, 10_000):
        await websocket.send(f"tick {i}")
        await asyncio.wait([answering], timeout=0.01)
        if answering.done():
            return


async def speaking_json(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(json.dumps({"you": message, "ok": True}))


async def binary(websocket: ServerConnection) -> None:
    async for message in websocket:
        assert isinstance(message, str)
        await websocket.send(b"\x00\x01" + message.encode())


@contextmanager
def at(page: Page, handler: liars.Handler, check: str) -> Iterator[None]:
    """Open the page at a server with this handler, with this check of the replies."""
    with liars.serving(handler) as url:
        page.goto(f"{FILE}?server={url}&check={check}")
        expect(page.locator("#state")).to_contain_text("Connected to")
        yield
        page.goto("about:blank")


def test_an_echo_is_a_right_reply_where_an_echo_is_expected(page: Page) -> None:
    with at(page, echoing, "echo"):
        for i in range(3):
            page.click("#send")
            expect(page.locator("#response")).to_have_text(f"Response for Request {i}: the same")
        expect(page.locator("#counts")).to_have_text("Messages: 3 sent, 3 as expected")


def test_the_check_can_be_changed_while_connected(page: Page) -> None:
    with at(page, echoing, "number"):
        page.click("#send")
        expect(page.locator("#response")).to_have_text("Not as expected: “Request 0”")
        expect(page.locator("#timing")).to_contain_text("Request 0 still waits")
        page.click("#more summary")
        page.select_option("#check", "echo")
        expect(page.locator("#response")).to_have_text("No response yet.")
        page.click("#send")
        expect(page.locator("#response")).to_have_text("Response for Request 1: the same")


def test_a_greeting_is_shown_as_unasked(page: Page) -> None:
    with at(page, greeting, "echo"):
        expect(page.locator("#unasked")).to_have_text("Not asked for: “Welcome”")
        expect(page.locator("#response")).to_have_text("No response yet.")


def test_pushed_messages_are_shown_and_counted_beside_the_replies(page: Page) -> None:
    with at(page, pushing, "echo"):
        for i in range(3):
            page.click("#send")
            expect(page.locator("#response")).to_have_text(f"Response for Request {i}: the same")
        expect(page.locator("#unasked")).to_have_text(re.compile("^Not asked for: “tick \\d+”$"))
        expect(page.locator("#counts")).to_have_text(
            re.compile(r"^Messages: 3 sent, 3 as expected, .*\d+ unasked$")
        )
        page.click("#counts")
        expect(page.locator("#messages")).to_contain_text("as expected: “Request 2”")


def test_a_flood_of_messages_leaves_a_hundred_in_the_list(page: Page) -> None:
    async def flooding(websocket: ServerConnection) -> None:
        for i in range(5_000):
            await websocket.send(f"message {i}")
        await echoing(websocket)

    with at(page, flooding, "number"):
        page.click("#counts")
        expect(page.locator("#counts")).to_have_text("Messages: 5,000 unasked")
        expect(page.locator("#messages li")).to_have_count(100)
        expect(page.locator("#messages li").first).to_contain_text("message 4999")


@pytest.mark.parametrize(
    ("handler", "shown"),
    [
        (speaking_json, '{"you": "Request 0", "ok": true}'),
        (binary, "binary, 11 bytes: 00 01 52 65 71 75 65 73 74 20 30"),
        (echoing, "Request 0"),
    ],
)
def test_without_a_check_a_message_is_a_message(
    page: Page, handler: liars.Handler, shown: str
) -> None:
    with at(page, handler, "off"):
        page.click("#send")
        expect(page.locator("#response")).to_have_text(shown)
        expect(page.locator("#response")).to_have_class("")
        expect(page.locator("#counts")).to_have_text("Messages: 1 sent, 1 received")


def test_json_is_shown_where_a_number_is_expected(page: Page) -> None:
    with at(page, speaking_json, "number"):
        page.click("#send")
        expect(page.locator("#response")).to_have_text(
            'Not as expected: “{"you": "Request 0", "ok": true}”'
        )
        expect(page.locator("#timing")).to_contain_text("Wrong check?")


def test_the_message_can_be_another_one(page: Page) -> None:
    with at(page, speaking_json, "off"):
        page.click("#more summary")
        page.fill("#message", '{"id": {i}}')
        page.keyboard.press("Enter")
        expect(page.locator("#response")).to_contain_text('{"you": "{\\"id\\": 0}"')
        expect(page.locator("#message")).to_be_focused()


def test_a_long_message_is_shown_whole_in_the_list(page: Page) -> None:
    async def long(websocket: ServerConnection) -> None:
        await websocket.send("x" * 9_000 + "end")
        await echoing(websocket)

    with at(page, long, "number"):
        page.click("#counts")
        expect(page.locator("#messages")).to_contain_text("xend”")


def test_a_bulk_run_goes_on_through_messages_that_come_unasked(page: Page) -> None:
    with at(page, pushing, "echo"):
        page.click("#more summary")
        page.fill("#amount", "1,000")
        page.click("#bulk")
        expect(page.locator("#result")).to_have_text(
            re.compile(r"^1,000 of 1,000 replies right, \d+ other \(the first: “Welcome”\)")
        )
        expect(page.locator("#result")).to_have_class("wrong")


def test_no_bulk_run_without_a_check(page: Page) -> None:
    with at(page, echoing, "off"):
        page.click("#more summary")
        expect(page.locator("#bulk")).to_have_attribute("aria-disabled", "true")
        page.locator("#bulk").evaluate("(element) => element.click()")
        expect(page.locator("#result")).to_have_text("Not started: the check of replies is off.")
