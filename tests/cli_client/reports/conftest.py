"""The browser that pages are opened in is the one of the tests of the web page."""

from tests.web.conftest import browser

__all__ = ["browser"]
