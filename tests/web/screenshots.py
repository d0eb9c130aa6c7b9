"""Takes the pictures of the page that the README shows: python -m tests.web.screenshots."""

import os
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from wire.private_server import private_server

DOCS = Path(__file__).parents[2] / "docs"
SHOTS = {
    "before": {"viewport": {"width": 720, "height": 600}},
    "after": {"viewport": {"width": 720, "height": 600}},
    "dark": {"viewport": {"width": 720, "height": 600}, "color_scheme": "dark"},
    "forced": {"viewport": {"width": 720, "height": 600}, "forced_colors": "active"},
    "bulk": {"viewport": {"width": 720, "height": 1320}},
    "phone": {"viewport": {"width": 320, "height": 700}},
}


def main() -> None:
    """Take all pictures, each of a page of its own."""
    with private_server() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        for name, options in SHOTS.items():
            page = browser.new_page(**options)  # type: ignore[arg-type]
            page.goto("http" + url.removeprefix("ws"))
            expect(page.locator("#state")).to_contain_text("Connected")
            if name != "before":
                page.click("#send")
                expect(page.locator("#counts")).to_contain_text("1 as expected")
            if name == "bulk":
                page.click("#more summary")
                page.click("#bulk")
                expect(page.locator("#result")).to_contain_text("p99")
            page.screenshot(path=DOCS / f"page-{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
