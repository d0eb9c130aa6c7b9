"""Takes the picture of a report that the README shows.

``python -m tests.cli_client.reports.screenshots``: a run whose server is killed and comes back.
"""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.conftest import ServerProcess

DOCS = Path(__file__).parents[3] / "docs"
SECONDS = 8
KILLED_AFTER = 3.0
AWAY = 0.5


def make_report(folder: Path) -> Path:
    """Send at a steady rate, take the server away in between, and return the page."""
    page = folder / "report.html"
    server = ServerProcess()
    server.start()

    def kill() -> None:
        server.kill()
        back.start()

    back = threading.Timer(AWAY, server.start)
    killing = threading.Timer(KILLED_AFTER, kill)
    killing.start()
    options = ["-z", f"{SECONDS}s", "-r", "5000", "-c", "8", "-q", "--html", str(page)]
    subprocess.run([sys.executable, "-m", "cli_client", server.url, *options], check=True)
    killing.join()
    back.join()
    server.kill()
    return page


def main() -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = browser.new_page(viewport={"width": 900, "height": 1510})
        page.goto(make_report(Path(folder)).as_uri())
        page.screenshot(path=DOCS / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
