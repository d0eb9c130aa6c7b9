"""The page in trouble: paths that die without a word, refusals, and a layout that stays put."""

import re
import socket

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect
from websockets.asyncio.server import ServerConnection

from tests.cli_client import liars
from tests.conftest import ServerProcess
from tests.web.conftest import FILE

FOCUSED = "document.activeElement.id"


def positions(page: Page) -> dict[str, float]:
    """Return where the controls and the response are."""
    tops = page.evaluate(
        "['send', 'again', 'response', 'timing', 'conversation'].map((id) =>"
        " [id, document.getElementById(id).getBoundingClientRect().top])"
    )
    return dict(tops)


@pytest.mark.parametrize("pressed", [True, False])
def test_a_path_that_swallows_everything_is_noticed(
    page: Page, server: ServerProcess, pressed: bool
) -> None:
    page.clock.install()
    page.goto(server.page)
    expect(page.locator("#state")).to_contain_text("Connected to")
    if pressed:
        page.click("#send")
        expect(page.locator("#response strong")).to_be_visible()
    server.pause()
    page.clock.fast_forward(15_000)
    page.clock.fast_forward(10_000)
    expect(page.locator("#state")).to_contain_text(re.compile("Nothing came back for \\d+ seconds"))
    server.resume()
    page.click("#again")
    expect(page.locator("#state")).to_contain_text("Connected to")
    page.click("#send")
    expect(page.locator("#response strong")).to_be_visible()


@pytest.mark.parametrize("pressed", [True, False])
def test_a_silent_path_that_works_stays_connected(
    page: Page, server: ServerProcess, pressed: bool
) -> None:
    connections: list[WebSocket] = []
    page.on("websocket", lambda connection: connections.append(connection))
    page.clock.install()
    page.goto(server.page)
    expect(page.locator("#state")).to_contain_text("Connected to")
    if pressed:
        page.click("#send")
        expect(page.locator("#response strong")).to_be_visible()
    for checks in (1, 2, 3):
        if pressed:
            page.clock.fast_forward(15_000)
            expect(page.locator("#counts")).to_contain_text(f"{2 * checks} to check the path")
        else:
            with page.expect_event("websocket") as probing:
                page.clock.fast_forward(15_000)
            if not probing.value.is_closed():
                probing.value.wait_for_event("close")
    expect(page.locator("#state")).to_contain_text("Connected to")
    assert not connections[0].is_closed()


def test_a_server_that_never_answered_is_sent_nothing_unasked(page: Page) -> None:
    heard: list[str | bytes] = []

    async def hear(websocket: ServerConnection) -> None:
        async for message in websocket:
            heard.append(message)

    with liars.serving(hear) as url:
        page.clock.install()
        page.goto(f"{FILE}?server={url}")
        expect(page.locator("#state")).to_contain_text("Connected to")
        with page.expect_event("websocket"):
            page.clock.fast_forward(15_000)
        expect(page.locator("#state")).to_contain_text("Connected to")
        page.goto("about:blank")
    assert heard == []


def test_the_focus_stays_when_the_connection_is_lost_and_comes_back(
    page: Page, server: ServerProcess
) -> None:
    page.goto(server.page)
    expect(page.locator("#state")).to_contain_text("Connected to")
    page.focus("#send")
    server.kill()
    expect(page.locator("#state")).to_contain_text("Not connected to")
    assert page.evaluate(FOCUSED) == "send"
    page.focus("#again")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Not connected to")
    assert page.evaluate(FOCUSED) == "again"
    server.start()
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Connected to")
    assert page.evaluate(FOCUSED) == "again"


def test_the_focus_stays_while_a_bulk_run_starts_and_ends(
    page: Page, server: ServerProcess
) -> None:
    page.goto(server.page)
    expect(page.locator("#state")).to_contain_text("Connected to")
    page.click("#more summary")
    page.focus("#bulk")
    page.keyboard.press("Enter")
    expect(page.locator("#bulk")).to_have_attribute("aria-disabled", "true")
    assert page.evaluate(FOCUSED) == "bulk"
    page.focus("#stop")
    page.keyboard.press("Enter")
    expect(page.locator("#stop")).to_have_attribute("aria-disabled", "true")
    assert page.evaluate(FOCUSED) == "stop"


def test_no_control_is_ever_taken_out_of_reach(page: Page, server: ServerProcess) -> None:
    page.goto(server.page)
    expect(page.locator("#state")).to_contain_text("Connected to")
    assert page.evaluate("document.querySelectorAll(':disabled, [hidden]').length") == 0


@pytest.mark.parametrize("width", [320, 720])
def test_nothing_moves_whatever_the_state_and_the_response(
    page: Page, server: ServerProcess, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(server.page)
    expect(page.locator("#state")).to_contain_text("Connected to")
    before = positions(page)
    page.click("#send")
    expect(page.locator("#response strong")).to_be_visible()
    assert positions(page) == before
    server.kill()
    expect(page.locator("#state")).to_contain_text("The connection was lost")
    assert positions(page) == before
    expect(page.locator("#state")).to_contain_text("The connection failed")
    assert positions(page) == before
    server.start()
    expect(page.locator("#state")).to_contain_text("Connected to")
    assert positions(page) == before


@pytest.mark.parametrize("width", [320, 720])
def test_nothing_moves_for_a_message_that_is_not_as_expected(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    with liars.serving(liars.at("Request 0", liars.twice)) as url:
        page.goto(f"{FILE}?server={url}&check=echo")
        expect(page.locator("#state")).to_contain_text("Connected to")
        before = positions(page)
        page.click("#send")
        expect(page.locator("#response")).to_have_text("Not as expected: “Request 0: 7”")
        assert positions(page) == before
        page.goto("about:blank")


def test_the_reason_stays_in_sight_while_it_tries_again(page: Page) -> None:
    async def leave(websocket: ServerConnection) -> None:
        await websocket.close(4000, "not today")

    with liars.serving(leave) as url, socket.create_server(("127.0.0.1", 0)) as mute:
        page.goto(f"{FILE}?server={url}")
        expect(page.locator("#state")).to_contain_text(
            "Next try in 1 s. Closed by the server (code 4000, “not today”)."
        )
        page.evaluate(
            "(url) => { const real = WebSocket;"
            " window.WebSocket = class extends real { constructor() { super(url); } } }",
            f"ws://127.0.0.1:{mute.getsockname()[1]}/",
        )
        expect(page.locator("#state")).to_contain_text(
            re.compile("Connecting to .* Closed by the server \\(code 4000, “not today”\\)")
        )
        page.goto("about:blank")


@pytest.mark.parametrize("code", [1008, 3000, 3003])
def test_a_refusal_that_cannot_heal_is_not_tried_again(page: Page, code: int) -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.close(code, "no token")

    with liars.serving(refuse) as url:
        connections: list[WebSocket] = []
        page.on("websocket", lambda connection: connections.append(connection))
        page.clock.install()
        page.goto(f"{FILE}?server={url}")
        expect(page.locator("#state")).to_contain_text(
            f"and not trying. Closed by the server (code {code}, “no token”)."
        )
        page.clock.fast_forward(60_000)
        assert len(connections) == 1
        with page.expect_event("websocket"):
            page.click("#again")
        page.goto("about:blank")


def test_an_address_without_a_server_is_not_tried_for_ever(page: Page) -> None:
    page.goto(f"{FILE}?server=ftp://")
    # The page waits at once, and the browser does not slow its failures down.
    page.evaluate("""() => {
        Math.random = () => -1;
        window.tries = 0;
        window.WebSocket = class {
            constructor() { window.tries++; setTimeout(() => this.onclose({code: 1006})); }
            close() {}
        };
    }""")
    page.fill("#address", "ws://localhost:1/")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("and not trying. The connection failed")
    assert page.evaluate("tries") == 8
    # Whoever comes back to the page has perhaps started a server.
    page.evaluate("dispatchEvent(new Event('focus'))")
    assert page.evaluate("tries") == 9


def test_a_password_in_the_address_is_not_shown_in_the_state(page: Page) -> None:
    page.goto(f"{FILE}?server=ws://user:secret@localhost:1/")
    expect(page.locator("#state")).to_contain_text("ws://localhost:1/")
    expect(page.locator("#state")).not_to_contain_text("secret")


def test_a_million_in_bulk_costs_the_same_at_its_end_as_at_its_start(page: Page) -> None:
    page.goto(f"{FILE}?server=ftp://")
    # Counts what the display sorts: time is no measure on a machine that does other things.
    counted = page.evaluate("""() => {
        const plain = Float64Array.prototype.sort;
        let sorted = 0;
        Float64Array.prototype.sort = function () {
            sorted += this.length;
            return plain.call(this);
        };
        window.WebSocket = class { close() {} send() {} };
        const view = Object.create(BulkView.prototype);
        for (const id of ["done", "rate", "chart", "legend"]) {
            view[id] = document.getElementById(id);
        }
        Object.assign(view, {columns: [], running: true});
        view.run = new Bulk("", CHECKS.number, 1_000_000, () => {});
        view.run.socket.onopen();
        const cost = [];
        for (let i = 0; i < 1_000_000; i++) {
            view.run.receive(`Request ${i}: 7`);
            if (i % 100_000 === 50_000) {
                sorted = 0;
                view.show();
                view.show();
                cost.push(sorted);
            }
        }
        const points = document.querySelector("#chart .p50").getAttribute("points");
        return {cost, columns: points.split(" ").length, verified: view.run.verified};
    }""")
    assert counted["verified"] == 1_000_000
    assert max(counted["cost"]) <= 200_000
    assert counted["cost"][-1] <= counted["cost"][1]
    assert counted["columns"] <= 50


def test_a_bulk_run_without_replies_shows_no_latency(page: Page) -> None:
    async def hear(websocket: ServerConnection) -> None:
        async for _ in websocket:
            pass

    with liars.serving(hear) as url:
        page.goto(f"{FILE}?server={url}")
        page.click("#more summary")
        page.click("#bulk")
        expect(page.locator("#rate")).to_have_text(
            re.compile("^no reply yet; no reply for \\d.* s$")
        )
        expect(page.locator("#legend")).to_be_empty()
        page.click("#stop")
        expect(page.locator("#result")).to_have_text("0 of 10,000 replies right. Stopped.")
        page.goto("about:blank")


@pytest.mark.parametrize("amount", ["0", "-1", "1.5", "many", "1000001"])
def test_an_amount_that_cannot_be_sent_is_said(
    page: Page, server: ServerProcess, amount: str
) -> None:
    page.goto(server.page)
    expect(page.locator("#state")).to_contain_text("Connected to")
    page.click("#more summary")
    page.fill("#amount", amount)
    page.click("#bulk")
    expect(page.locator("#result")).to_have_text(
        "Not started: the amount must be from 1 to 1,000,000."
    )
    page.fill("#amount", "12")
    page.click("#bulk")
    expect(page.locator("#result")).to_contain_text("12 of 12 replies right")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_show_buttons_as_buttons(
    browser: Browser, server: ServerProcess, scheme: str
) -> None:
    context = browser.new_context(forced_colors="active", color_scheme=scheme)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.goto(server.page)
        expect(page.locator("#state")).to_contain_text("Connected to")
        page.click("#more summary")
        for button in ("#send", "#server button", "#bulk", "#stop"):
            style = page.locator(button).evaluate(
                "(element) => { const {borderTopWidth, borderTopColor, backgroundColor} ="
                " getComputedStyle(element); return [borderTopWidth, borderTopColor,"
                " backgroundColor]; }"
            )
            width, border, background = style
            assert width != "0px"
            assert border not in (background, "rgba(0, 0, 0, 0)")
        for line in (".p50", ".p99"):
            stroke = page.locator(line).evaluate("(element) => getComputedStyle(element).stroke")
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert stroke != ground
    finally:
        context.close()
