"""The page in a real browser, served and as a file, with servers that go, come back and lie."""

import base64
import hashlib
import json
import re
import socket
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, WebSocket, expect
from websockets.asyncio.server import ServerConnection

from tests.certificates import make_pair
from tests.cli_client import liars
from tests.conftest import ServerProcess, skip_unless_ci
from tests.web.conftest import FILE

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "web" / "index.html").read_text()
CASES = json.loads((ROOT / "tests" / "contract.json").read_text())

RESPONSE = re.compile(r"^Response for Request (\d+): ([1-9]|[1-9]\d|100)$")


def open_at(page: Page, server: ServerProcess, how: str) -> None:
    """Open the page in one of its two ways, and wait until it is connected."""
    page.goto(server.page if how == "served" else f"{FILE}?server={server.url}")
    expect(page.locator("#state")).to_contain_text("Connected to")


@pytest.fixture(params=["served", "as a file"])
def opened(request: pytest.FixtureRequest, page: Page, server: ServerProcess) -> Page:
    """The page, connected."""
    open_at(page, server, request.param)
    return page


def test_before_the_first_press_there_is_no_response(opened: Page) -> None:
    expect(opened.locator("h1")).to_be_visible()
    expect(opened.locator("#response")).to_have_text("No response yet.")


def test_each_press_shows_a_reply_in_place_of_the_last_one(opened: Page) -> None:
    for count in range(3):
        opened.click("#send")
        expect(opened.locator("#response")).to_have_text(
            re.compile(rf"^Response for Request {count}: ([1-9]|[1-9]\d|100)$")
        )
    expect(opened.locator("#timing")).to_contain_text("ms")


def test_ten_fast_presses_end_with_the_last_reply(opened: Page) -> None:
    opened.evaluate("for (let i = 0; i < 10; i++) document.getElementById('send').click()")
    expect(opened.locator("#response")).to_have_text(re.compile("^Response for Request 9: "))


def test_the_keyboard_does_all_of_it(opened: Page) -> None:
    opened.keyboard.press("Tab")
    expect(opened.locator("#send")).to_be_focused()
    opened.keyboard.press("Enter")
    expect(opened.locator("#response")).to_have_text(RESPONSE)
    opened.keyboard.press("Space")
    expect(opened.locator("#response")).to_have_text(re.compile("^Response for Request 1: "))


def test_it_says_when_the_server_goes_and_finds_it_again(
    opened: Page, server: ServerProcess
) -> None:
    opened.click("#send")
    server.kill()
    expect(opened.locator("#state")).to_contain_text("Not connected to")
    expect(opened.locator("#send")).to_have_attribute("aria-disabled", "true")
    server.start()
    expect(opened.locator("#state")).to_contain_text("Connected to")
    opened.click("#send")
    expect(opened.locator("#response")).to_have_text(re.compile("^Response for Request 1: "))


def test_try_now_does_not_wait(page: Page, server: ServerProcess) -> None:
    open_at(page, server, "served")
    page.evaluate("Math.random = () => 1000")  # the next try is far away
    server.kill()
    expect(page.locator("#state")).to_contain_text("Not connected to")
    server.start()
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#state")).to_contain_text("Connected to")


@pytest.mark.parametrize(
    ("lie", "shown"),
    [
        (liars.wrong_number, "Not as expected: “Request 0: 101”"),
        (liars.echo, "Not as expected: “Request 0”"),
        (liars.binary, "Not as expected: binary, 12 bytes: 52 65 71"),
        (liars.another_request, "Not as expected: “Request 99999: 7”"),
        (liars.close, "Request 0 got no reply. Closed by the server (code 1011, “out of numbers”)"),
        (liars.cut, "Request 0 got no reply. The connection was lost (code 1006"),
    ],
)
def test_a_lie_is_shown_as_an_error_and_never_as_a_response(
    page: Page, lie: object, shown: str
) -> None:
    with liars.serving(liars.at("Request 0", lie)) as url:  # type: ignore[arg-type]
        page.goto(f"{FILE}?server={url}")
        page.click("#send")
        expect(page.locator("#response")).to_contain_text(shown)
        expect(page.locator("#response")).to_have_class("wrong")
        # The connection serves the next press at once, or a new one does.
        expect(page.locator("#state")).to_contain_text("Connected to")
        page.click("#send")
        expect(page.locator("#response")).to_have_text("Response for Request 1: 7")
        page.goto("about:blank")


def test_a_duplicate_reply_is_counted_and_does_not_hide_the_first(page: Page) -> None:
    with liars.serving(liars.at("Request 0", liars.twice)) as url:
        page.goto(f"{FILE}?server={url}")
        page.click("#send")
        expect(page.locator("#unasked")).to_have_text("Not asked for: “Request 0: 7”")
        expect(page.locator("#response")).to_have_text("Response for Request 0: 7")
        expect(page.locator("#counts")).to_have_text("Messages: 1 sent, 1 as expected, 1 unasked")
        page.goto("about:blank")


def test_a_server_that_lost_a_reply_does_not_spoil_the_later_ones(page: Page) -> None:
    with liars.serving(liars.at("Request 0", liars.nothing)) as url:
        page.goto(f"{FILE}?server={url}")
        page.click("#send")
        page.click("#send")
        expect(page.locator("#response")).to_have_text("Response for Request 1: 7")
        expect(page.locator("#timing")).not_to_contain_text("out of order")
        page.goto("about:blank")


def test_replies_in_the_wrong_order_are_named(page: Page) -> None:
    with liars.serving(liars.at("Request 0", liars.after_the_next)) as url:
        page.goto(f"{FILE}?server={url}")
        page.click("#send")
        page.click("#send")
        expect(page.locator("#counts")).to_have_text("Messages: 2 sent, 2 as expected")
        expect(page.locator("#response")).to_have_text("Response for Request 0: 7")
        expect(page.locator("#timing")).to_contain_text("out of order")
        page.goto("about:blank")


def test_the_button_says_what_it_waits_for(page: Page) -> None:
    with liars.serving(liars.at("Request 0", liars.nothing)) as url:
        page.goto(f"{FILE}?server={url}")
        page.click("#send")
        expect(page.locator("#send")).to_have_text(
            re.compile(r"^Waiting for Request 0 · \d\.\d s$")
        )
        page.click("#send")
        expect(page.locator("#response")).to_have_text("Response for Request 1: 7")
        page.goto("about:blank")


def test_a_reply_that_never_comes_ends_the_wait_and_not_the_connection(page: Page) -> None:
    connections: list[WebSocket] = []
    page.on("websocket", lambda connection: connections.append(connection))
    with liars.serving(liars.at("Request 0", liars.nothing)) as url:
        page.clock.install()
        page.goto(f"{FILE}?server={url}")
        page.click("#send")
        page.clock.fast_forward(10_000)
        expect(page.locator("#response")).to_have_text(
            "Request 0 got no reply. None came for 10 seconds."
        )
        page.click("#send")
        expect(page.locator("#response")).to_have_text(RESPONSE)
        assert not connections[0].is_closed()
        page.goto("about:blank")


def test_what_came_instead_of_a_reply_stays_in_sight(page: Page) -> None:
    with liars.serving(liars.at("Request 0", liars.wrong_number)) as url:
        page.clock.install()
        page.goto(f"{FILE}?server={url}")
        page.click("#send")
        expect(page.locator("#response")).to_contain_text("Not as expected")
        page.clock.fast_forward(10_000)
        expect(page.locator("#response")).to_have_text(
            "Request 0 got no reply. None came for 10 seconds. What came instead: “Request 0: 101”"
        )
        page.goto("about:blank")


def test_requests_without_replies_have_a_bound(page: Page) -> None:
    async def hear(websocket: ServerConnection) -> None:
        async for _ in websocket:
            pass

    with liars.serving(hear) as url:
        page.goto(f"{FILE}?server={url}")
        expect(page.locator("#state")).to_contain_text("Connected to")
        page.evaluate("for (let i = 0; i <= 100; i++) document.getElementById('send').click()")
        expect(page.locator("#response")).to_have_text(
            "Not sent: 100 requests wait for their replies already."
        )
        page.goto("about:blank")


def test_a_handshake_that_never_ends_is_given_up(page: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        page.clock.install()
        page.goto(f"{FILE}?server=ws://127.0.0.1:{mute.getsockname()[1]}/")
        expect(page.locator("#state")).to_contain_text("Connecting to")
        page.clock.fast_forward(10_000)
        expect(page.locator("#state")).to_contain_text("Not connected to")
        page.goto("about:blank")


def test_an_open_connection_outlives_the_bound_on_opening_it(
    page: Page, server: ServerProcess
) -> None:
    connections: list[WebSocket] = []
    page.on("websocket", lambda connection: connections.append(connection))
    page.clock.install()
    open_at(page, server, "served")
    page.clock.fast_forward(20_000)
    page.click("#send")
    expect(page.locator("#response")).to_have_text(RESPONSE)
    assert not connections[0].is_closed()


def test_the_waits_grow_for_a_server_that_closes_at_once(page: Page) -> None:
    async def close(websocket: ServerConnection) -> None:
        await websocket.close(1013)

    with liars.serving(close) as url:
        page.goto(f"{FILE}?server=ws://localhost:1/")
        page.evaluate("Math.random = () => 1")
        page.evaluate("(url) => { document.getElementById('address').value = url }", url)
        page.evaluate("document.getElementById('server').requestSubmit()")
        expect(page.locator("#state")).to_contain_text(
            "Next try in 4 s. Closed by the server (code 1013)", timeout=30_000
        )
        page.goto("about:blank")


def test_coming_back_in_the_history_connects_again(page: Page, server: ServerProcess) -> None:
    open_at(page, server, "served")
    page.evaluate("addEventListener('pageshow', (event) => { window.kept = event.persisted })")
    page.click("#more summary")
    page.click("#bulk")
    page.goto(f"{server.page}?server=ftp://")
    page.go_back(wait_until="commit")
    expect(page.locator("#state")).to_contain_text("Connected to")
    assert page.evaluate("window.kept") is True, "the back-forward cache did not keep the page"
    expect(page.locator("#result")).to_contain_text("The page was left")
    page.click("#send")
    expect(page.locator("#response")).to_have_text(RESPONSE)


def test_ten_thousand_in_the_page(opened: Page) -> None:
    opened.click("#more summary")
    opened.click("#bulk")
    expect(opened.locator("#result")).to_contain_text("10,000 of 10,000 replies right")
    expect(opened.locator("#result")).to_contain_text("p99")
    assert opened.evaluate("document.getElementById('done').value") == 10_000
    assert opened.locator("#chart .p50").get_attribute("points")
    # The button is for another run now, and the one request still works.
    expect(opened.locator("#bulk")).to_have_attribute("aria-disabled", "false")
    opened.click("#send")
    expect(opened.locator("#response")).to_have_text(RESPONSE)


def test_a_duplicate_reply_at_the_end_of_a_bulk_run_is_named(page: Page) -> None:
    with liars.serving(liars.at("Request 9999", liars.twice)) as url:
        page.goto(f"{FILE}?server={url}")
        page.click("#more summary")
        page.click("#bulk")
        expect(page.locator("#result")).to_contain_text(
            "10,000 of 10,000 replies right, 1 other (the first: “Request 9999: 7”)"
        )
        expect(page.locator("#result")).to_have_class("wrong")
        page.goto("about:blank")


def test_a_screen_reader_hears_only_the_result_of_a_bulk_run(opened: Page) -> None:
    said = opened.evaluate("""() => new Promise((resolve) => {
        const result = document.getElementById("result"), said = [];
        new MutationObserver(() => {
            said.push(result.textContent);
            if (result.textContent.includes("p99")) resolve(said);
        }).observe(result, {childList: true, characterData: true, subtree: true});
        document.getElementById("bulk").click();
    })""")
    assert [text for text in said if text] == [said[-1]]


@pytest.mark.parametrize("button", ["#send", "#bulk"])
def test_a_button_without_effect_says_so(page: Page, server: ServerProcess, button: str) -> None:
    open_at(page, server, "served")
    page.evaluate("Math.random = () => 1000")
    page.click("#more summary")
    page.click("#bulk")
    server.kill()
    expect(page.locator("#state")).to_contain_text("Not connected to")
    expect(page.locator("#stop")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(button)).to_have_attribute("aria-disabled", "true")
    page.locator(button).evaluate("(element) => element.click()")
    said = {"#send": "#response", "#bulk": "#result"}[button]
    expect(page.locator(said)).to_contain_text("there is no connection")


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (liars.wrong_number, "(the first: “Request 5: 101”). Request 5 got no reply"),
        (liars.binary, "the first: binary, 12 bytes: 52 65"),
        (liars.nothing, "99 of 100 replies right. Request 5 got no reply for 10 seconds"),
        (liars.twice, "1 other (the first: “Request 5: 7”)"),
        (liars.after_the_next, "100 of 100 replies right, 1 out of order"),
        (liars.close, "Closed by the server (code 1011, “out of numbers”)"),
        (liars.cut, "The connection was lost"),
    ],
)
def test_a_lie_in_bulk_is_named(page: Page, lie: object, said: str) -> None:
    with liars.serving(liars.at("Request 5", lie)) as url:  # type: ignore[arg-type]
        page.goto(f"{FILE}?server={url}")
        page.evaluate("Bulk.SILENCE = 1500")
        page.click("#more summary")
        page.fill("#amount", "100")
        page.click("#bulk")
        expect(page.locator("#result")).to_contain_text(
            said.replace("10 seconds", "1.5 seconds"), timeout=30_000
        )
        expect(page.locator("#result")).to_have_class("wrong")
        page.goto("about:blank")


def test_a_bulk_run_can_be_stopped(page: Page) -> None:
    with liars.serving(liars.at("Request 9999", liars.nothing)) as url:
        page.goto(f"{FILE}?server={url}")
        page.click("#more summary")
        page.click("#bulk")
        page.click("#stop")
        expect(page.locator("#result")).to_contain_text("replies right. Stopped.")
        page.goto("about:blank")


def test_another_server_can_be_named_in_the_field(page: Page, server: ServerProcess) -> None:
    page.goto(f"{FILE}?server=ws://localhost:1/")
    expect(page.locator("#state")).to_contain_text("no server there, or it refuses this page")
    page.click("#more summary")
    page.fill("#address", "ftp://nonsense")
    page.keyboard.press("Enter")
    expect(page.locator("#address-error")).to_contain_text("“ftp://nonsense” is not an address")
    expect(page.locator("#address")).to_have_attribute("aria-invalid", "true")
    page.fill("#address", server.url.removeprefix("ws://"))
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text(f"Connected to {server.url}")
    expect(page.locator("#address")).to_have_value(server.url)
    expect(page.locator("#address-error")).to_be_empty()
    expect(page.locator("#response")).to_have_text("No response yet.")


def test_a_refused_origin_is_said(page: Page) -> None:
    # On all addresses, a page from a file may not connect.
    server = ServerProcess("--host", "0.0.0.0")
    server.start()
    try:
        page.goto(f"{FILE}?server=ws://127.0.0.1:{server.port}/")
        expect(page.locator("#state")).to_contain_text("it refuses this page")
    finally:
        server.stop()


def test_over_https_it_talks_wss(browser: Browser, tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    server = ServerProcess("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    server.start()
    context = browser.new_context(ignore_https_errors=True)
    try:
        page = context.new_page()
        open_at(page, server, "served")
        expect(page.locator("#state")).to_contain_text("wss://")
        page.click("#send")
        expect(page.locator("#response")).to_have_text(RESPONSE)
    finally:
        context.close()
        server.stop()


def test_an_address_that_the_browser_refuses_is_said(browser: Browser, tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    server = ServerProcess("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    server.start()
    context = browser.new_context(ignore_https_errors=True)
    try:
        page = context.new_page()
        # No connection is tried: a page from https may not talk ws to another machine.
        page.goto(f"{server.page}?server=ws://192.0.2.1/")
        expect(page.locator("#state")).to_contain_text("The browser refuses to connect")
        expect(page.locator("#send")).to_have_attribute("aria-disabled", "true")
    finally:
        context.close()
        server.stop()


@pytest.mark.parametrize("address", ["ftp://localhost/", "ws://", "ws://a b/", "ws://a/%23b"])
def test_a_bad_server_address_can_be_mended_in_its_field(
    page: Page, server: ServerProcess, address: str
) -> None:
    page.goto(f"{FILE}?server={address}")
    expect(page.locator("#state")).to_contain_text("is not an address such as ws://localhost:8765/")
    expect(page.locator("#address")).to_be_visible()
    expect(page.locator("#address-error")).to_contain_text("is not an address")
    page.fill("#address", server.url)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Connected to")
    page.click("#send")
    expect(page.locator("#response")).to_have_text(RESPONSE)


ADDRESSES = [
    ("localhost:8765", "ws://localhost:8765/"),
    (" example.org ", "ws://example.org/"),
    ("example.org:443", "wss://example.org/"),
    ("example.org:443/chat?a=b", "wss://example.org/chat?a=b"),
    ("[::1]:9", "ws://[::1]:9/"),
    ("http://example.org/ws", "ws://example.org/ws"),
    ("HTTPS://example.org/", "wss://example.org/"),
    ("ws://example.org:443/", "ws://example.org:443/"),
    ("", None),
    ("ftp://example.org", None),
    ("ws://", None),
    ("ws://example.org:99999/", None),
    ("ws://example.org/#part", None),
    ("two words", None),
    ("javascript:alert(1)", None),
]


@pytest.mark.parametrize(("text", "address"), ADDRESSES)
def test_an_address_needs_no_scheme(page: Page, text: str, address: str | None) -> None:
    page.goto(f"{FILE}?server=ftp://")
    checked = """(text) => {
        try { return wsroll.checkAddress(text); } catch (error) { return error.message; }
    }"""
    expected = address or f"“{text}” is not an address such as ws://localhost:8765/"
    assert page.evaluate(checked, text) == expected


def test_a_file_talks_to_the_usual_address(page: Page) -> None:
    page.goto(FILE)
    expect(page.locator("#state")).to_contain_text("ws://localhost:8765/")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_the_contract_is_that_of_the_table(page: Page, case: dict[str, str | int | None]) -> None:
    page.goto(f"{FILE}?server=ftp://")
    number = page.evaluate(
        "([request, reply]) => wsroll.checkReply(request, reply)", [case["request"], case["reply"]]
    )
    assert number == case["number"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, server: ServerProcess, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        open_at(page, server, "served")
        page.click("#send")
        expect(page.locator("#response")).to_have_text(RESPONSE)
        page.click("#more summary")
        page.fill("#amount", "100")
        page.click("#bulk")
        expect(page.locator("#result")).to_contain_text("p99")
        assert Axe().run(page).response["violations"] == []
        server.kill()
        expect(page.locator("#state")).to_contain_text("Not connected")
        assert Axe().run(page).response["violations"] == []
    finally:
        context.close()


@pytest.mark.parametrize("size", [16, 24])
@pytest.mark.parametrize("font", ["DejaVu Sans", "DejaVu Sans Mono", "Noto Sans"])
def test_a_narrow_screen_needs_no_sideways_scrolling(
    page: Page, server: ServerProcess, font: str, size: int
) -> None:
    page.set_viewport_size({"width": 320, "height": 600})
    open_at(page, server, "served")
    use_font(page, font, size)
    page.click("#send")
    expect(page.locator("#response")).to_have_text(RESPONSE)
    page.click("#more summary")
    page.fill("#amount", "100")
    page.click("#bulk")
    expect(page.locator("#result")).to_contain_text("p99")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    server.kill()
    expect(page.locator("#state")).to_contain_text("Not connected")
    page.fill("#address", "wss://" + "a-long-name" * 20)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("a-long-name")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def use_font(page: Page, font: str, size: int) -> None:
    """Show the page in an installed font, as a machine does that has it as its default."""
    # A font that is missing gives way to the next of its list, and so has two widths.
    widths = page.evaluate(
        """(font) => ["monospace", "serif"].map((other) => {
            const canvas = document.createElement("canvas").getContext("2d");
            canvas.font = `16px "${font}", ${other}`;
            return canvas.measureText("iiiiMMMM").width;
        })""",
        font,
    )
    if widths[0] != widths[1]:
        skip_unless_ci(f"the font {font}")
    page.evaluate(
        """([font, size]) => {
            document.body.style.fontFamily = `"${font}"`;
            document.documentElement.style.fontSize = `${size}px`;
        }""",
        [font, size],
    )


@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_has_the_hash_of_the_code(tag: str) -> None:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", SOURCE, re.DOTALL)
    assert found
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    assert f"{tag}-src 'sha256-{digest}'" in SOURCE


def test_the_page_is_small_and_needs_nothing_from_outside() -> None:
    assert len(SOURCE.encode()) < 40_000
    assert not re.search(r"(src|href)=\"(?!data:)", SOURCE)
