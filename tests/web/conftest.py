"""A real browser: the system's Chromium, without a screen, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import skip_unless_ci

FILE = (Path(__file__).parents[2] / "web" / "index.html").as_uri()

# Chromium looks for its maker's servers at every start; here are none to be found.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser that all tests share."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        skip_unless_ci("the browser Chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[*QUIET, *sandbox],
            # People's browsers have this cache; Playwright would turn it off.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of this test's own; an error in its console fails the test."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    yield page
    context.close()
    # The browser itself logs each connection that fails; no page can keep it from that.
    assert [error for error in errors if not error.startswith("WebSocket connection to")] == []
