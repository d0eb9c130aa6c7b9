"""The page in Firefox: what every browser has to do, once more in another engine."""

import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from tests.cli_client import liars
from tests.conftest import ServerProcess, skip_unless_ci
from tests.web.conftest import FILE
from tests.web.firefox import Firefox, firefox

CASES = json.loads((Path(__file__).parents[1] / "contract.json").read_text())

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()

RESPONSE = "^Response for Request {}: ([1-9]|[1-9]\\d|100)$"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """A Firefox that the tests share."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        skip_unless_ci("the browser Firefox")
    assert path is not None
    with firefox(path, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(running: Firefox) -> Iterator[Firefox]:
    """A tab; it fails the test if a script of it does."""
    running.errors.clear()
    yield running
    running.goto("about:blank")
    # The browser itself logs each connection that fails; no page can keep it from that.
    assert [error for error in running.errors if "connection to the server" not in error] == []


@pytest.fixture(params=["served", "as a file"])
def opened(request: pytest.FixtureRequest, page: Firefox, server: ServerProcess) -> Firefox:
    """The page, connected."""
    page.goto(server.page if request.param == "served" else f"{FILE}?server={server.url}")
    page.wait_for_text("#state", "^Connected to")
    return page


def test_each_press_shows_a_reply_in_place_of_the_last_one(opened: Firefox) -> None:
    assert opened.wait_for_text("#response", "") == "No response yet."
    for count in range(3):
        opened.evaluate("document.querySelector('#send').click()")
        opened.wait_for_text("#response", RESPONSE.format(count))


def test_ten_fast_presses_end_with_the_last_reply(opened: Firefox) -> None:
    opened.evaluate("[...Array(10)].forEach(() => document.querySelector('#send').click())")
    opened.wait_for_text("#response", RESPONSE.format(9))


def test_ten_thousand_in_the_page(opened: Firefox) -> None:
    opened.evaluate("document.querySelector('#bulk').click()")
    opened.wait_for_text("#result", "10,000 of 10,000 replies right.*p99")


def test_the_server_goes_and_comes_back(page: Firefox, server: ServerProcess) -> None:
    page.goto(server.page)
    page.wait_for_text("#state", "^Connected to")
    server.kill()
    page.wait_for_text("#state", "was lost")
    assert page.evaluate("document.querySelector('#send').ariaDisabled") == "true"
    server.start()
    page.wait_for_text("#state", "^Connected to")


@pytest.mark.parametrize("lie", [liars.wrong_number, liars.echo, liars.binary])
def test_a_lie_is_shown_as_an_error(page: Firefox, lie: object) -> None:
    with liars.serving(liars.at("Request 0", lie)) as url:  # type: ignore[arg-type]
        page.goto(f"{FILE}?server={url}")
        page.wait_for_text("#state", "^Connected to")
        page.evaluate("document.querySelector('#send').click()")
        page.wait_for_text("#response", "^Not as expected: ")
        page.goto("about:blank")


def test_the_focus_stays_where_it_is(page: Firefox, server: ServerProcess) -> None:
    page.goto(server.page)
    page.wait_for_text("#state", "^Connected to")
    page.evaluate("document.querySelector('#send').focus()")
    server.kill()
    page.wait_for_text("#state", "was lost")
    assert page.evaluate("document.activeElement.id") == "send"


def test_a_path_that_swallows_everything_is_noticed(page: Firefox, server: ServerProcess) -> None:
    page.goto(server.page)
    page.wait_for_text("#state", "^Connected to")
    page.evaluate("(Connection.SILENCE = 100, Connection.SIGN_TIMEOUT = 1_000)")
    page.evaluate("document.querySelector('#send').click()")
    page.wait_for_text("#response", RESPONSE.format(0))
    server.pause()
    page.wait_for_text("#state", "Nothing came back for")
    server.resume()
    page.wait_for_text("#state", "^Connected to")


def test_messages_that_come_unasked_are_counted(page: Firefox) -> None:
    async def greeting(websocket: ServerConnection) -> None:
        await websocket.send("Welcome")
        async for message in websocket:
            await websocket.send(message)

    with liars.serving(greeting) as url:
        page.goto(f"{FILE}?server={url}&check=echo")
        page.wait_for_text("#unasked", "^Not asked for: “Welcome”$")
        page.evaluate("document.querySelector('#send').click()")
        page.wait_for_text("#response", "^Response for Request 0: the same$")
        page.wait_for_text("#counts", "^Messages: 1 sent, 1 as expected, 1 unasked$")
        page.goto("about:blank")


def test_a_refused_origin_is_said(page: Firefox) -> None:
    # On all addresses, a page from a file may not connect.
    server = ServerProcess("--host", "0.0.0.0")
    server.start()
    try:
        page.goto(f"{FILE}?server=ws://127.0.0.1:{server.port}/")
        page.wait_for_text("#state", "it refuses this page")
    finally:
        server.stop()


def test_axe_finds_nothing(opened: Firefox) -> None:
    opened.evaluate("document.querySelector('#send').click()")
    opened.wait_for_text("#response", RESPONSE.format(0))
    opened.evaluate(f"eval({json.dumps(AXE)}) && null")
    assert opened.evaluate("axe.run().then((found) => found.violations)") == []


def test_the_contract_is_that_of_the_table(opened: Firefox) -> None:
    numbers = opened.evaluate(
        f"{json.dumps(CASES)}.map(({{request, reply}}) => wsroll.checkReply(request, reply))"
    )
    assert numbers == [case["number"] for case in CASES]
