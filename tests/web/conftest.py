"""The page of a test, in the browser of its module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

FILE = (Path(__file__).parents[2] / "web" / "index.html").as_uri()

# Ten thousand replies take seconds on a machine that does other things as well.
expect.set_options(timeout=30_000)


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
