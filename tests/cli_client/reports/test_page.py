"""The page of a run: what a reader finds on it, and what a server cannot do to it."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from cli_client.reports.charts import POINTS, thinned
from cli_client.reports.page import page
from tests.cli_client.reports.samples import (
    HOSTILE,
    distribution,
    failing,
    interrupted,
    passing,
    recovered,
    second,
    unopened,
)

Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Open the page of a report as a file; whatever it asks for or complains about is a failure."""
    contexts, troubles = [], []

    def show(report: dict[str, Any], **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(15_000)
        tab.on("console", lambda message: troubles.append(message.text))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        file = tmp_path / "report.html"
        file.write_text(page(report), encoding="utf-8")
        tab.on("request", lambda request: request.url == file.as_uri() or asked(request.url))
        tab.goto(file.as_uri())
        return tab

    def asked(url: str) -> None:
        if not url.startswith("data:"):
            troubles.append(f"asked for {url}")

    yield show
    for context in contexts:
        context.close()
    assert troubles == []


def rows(tab: Page, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = tab.locator("section", has=tab.get_by_role("heading", name=heading, exact=True))
    return [
        row.locator("th, td").all_inner_texts()
        for row in section.locator("table").first.locator("tbody tr").all()
    ]


def test_the_verdict_and_the_ledger_come_first(opened: Opened) -> None:
    tab = opened(failing())
    expect(tab).to_have_title("FAIL: ws://localhost:8765/ – wsroll")
    header = tab.locator("header")
    expect(header).to_contain_text("✗ FAIL 9,986 of 10,000 replies right")
    expect(header).to_contain_text("1 wrong; 2 missing; 11 never sent")
    expect(header).to_contain_text("no connection was open for 1.25 s, 1.75 s in all")
    expect(header).to_contain_text("Not verified: listened 10 ms for late replies")
    expect(header).to_contain_text("in flight when the connection died: 128, sent again")
    headings = tab.get_by_role("heading", level=2).all_inner_texts()
    assert headings == [
        *("Ledger", "Checks", "Latency", "Over time", "Connections", "Numbers"),
        *("The sender itself", "Errors", "Warnings", "Settings"),
    ]
    ledger = {name: count for name, count, _ in rows(tab, "Ledger")}
    assert ledger == {
        name.replace("_", " "): f"{count:,}"
        for name, count in failing()["ledger"].items()
        if name in ("verified", "wrong", "missing", "never_sent")
    }
    section = tab.locator("section", has=tab.get_by_role("heading", name="Ledger"))
    for text in ("✓ requests: 10,000 = 9,986 verified", "✓ received: 9,990 = 9,986 verified"):
        expect(section).to_contain_text(text)
    expect(section).to_contain_text("3 out of order")


def test_a_right_run_passes_without_empty_sections(opened: Opened) -> None:
    tab = opened(passing())
    expect(tab.locator("header")).to_contain_text("✓ PASS 10,000 of 10,000 replies right")
    for absent in ("Checks", "Errors", "Warnings"):
        expect(tab.get_by_role("heading", name=absent)).to_have_count(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (recovered, "RECOVERED 10,000 of 10,000 replies right"),
        (interrupted, "INTERRUPTED 10,000 of 20,000 replies right"),
        (unopened, "✗ FAIL 0 of 10,000 replies right"),
    ],
)
def test_every_verdict_has_its_page(opened: Opened, make: Callable[[], Any], words: str) -> None:
    tab = opened(make(), viewport={"width": 360, "height": 800})
    expect(tab.locator("header")).to_contain_text(words)
    expect(tab.locator("header")).to_have_class("bad" if "FAIL" in words else "busy")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_tables_have_what_the_report_has(opened: Opened) -> None:
    tab = opened(failing())
    assert rows(tab, "Checks")[0] == ["p99<5ms", "1.536 ms", "✓ pass"]
    assert rows(tab, "Checks")[1] == ["missing==0", "2", "✗ fail"]
    assert rows(tab, "Checks")[2] == ["raw_p99<1ms", "not measured", "✗ fail"]
    assert rows(tab, "Latency")[2] == ["p50", "0.92", "0.46", "0.31"]
    assert rows(tab, "Connections")[0] == ["nobody", "1006", "reset by the peer", "1"]
    expect(tab.locator("section", has_text="4 of 12 failed")).to_contain_text("no answer in 10 s")
    expect(tab.locator("body")).to_contain_text("1 given up, 2 handshakes under way at the end")
    expect(tab.locator("body")).to_contain_text("stood still for 0.75 s at second 2.1")
    assert rows(tab, "The sender itself")[-1] == ["requests sent late by, max", "90.00 ms"]
    assert rows(tab, "Errors")[0][1] == "3"
    assert rows(tab, "Errors")[-1] == ["more, not listed", "3"]
    assert ["window", "64"] in rows(tab, "Settings")
    assert "cacert" not in dict(rows(tab, "Settings"))
    tab.click("summary")
    assert rows(tab, "Over time")[1] == ["1", "2,500", "2,400", "4", "0.55", "0.90", "91.50"]


def test_every_figure_says_in_words_what_it_shows(opened: Opened) -> None:
    tab = opened(failing())
    texts = [figure.get_attribute("aria-label") or "" for figure in tab.get_by_role("img").all()]
    assert len(texts) == 4
    assert "99 % within 1.53 ms" in texts[0]
    assert "most, 5882, between 0.80 ms and 1.60 ms" in texts[1]
    assert texts[2].endswith("from 107 to 3990. Errors came at second 1, 2, 3.")
    assert "p99 at most 40.00 ms" in texts[3]


def test_the_lines_and_the_marks_of_errors_are_drawn(opened: Opened) -> None:
    tab = opened(failing())
    throughput, latency = tab.locator("figure").nth(2), tab.locator("figure").nth(3)
    expect(throughput.locator(".chart.wide .of-answered path.line")).to_have_count(1)
    expect(throughput.locator(".chart.wide .of-errors circle")).to_have_count(3)
    for name in ("p50", "p99", "max"):
        expect(latency.locator(f".chart.wide .of-{name} path.line")).to_have_count(1)


def test_a_server_can_put_nothing_into_the_page(opened: Opened) -> None:
    report = failing()
    report["errors"][0]["message"] = report["checks"][0]["check"] = HOSTILE
    report["warnings"] = [HOSTILE]
    report["settings"] = {HOSTILE: HOSTILE, "headers": [["Cookie", HOSTILE]]}
    tab = opened(report)
    expect(tab.locator("script")).to_have_count(0)
    text = tab.locator("body").inner_text()
    assert text.count("<script>") == 9
    assert "\x1b" not in text
    assert "\u202e" not in text


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet="<>/&;\"'=- scriptbx!{}%\0\n\x1b\u202e\ud800é"))
def test_no_text_adds_an_element(text: str) -> None:
    report = failing()
    report["connections"]["closes"][1]["reason"] = "reason"
    plain = elements(page(report))
    report["connections"]["closes"][1]["reason"] = report["errors"][0]["message"] = text
    report["settings"]["template"] = text
    html = page(report)
    assert elements(html) == plain
    html.encode()  # whatever the text, it can be written


def elements(html: str) -> list[str]:
    """The elements of a page, in order."""
    found: list[str] = []

    class Collector(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(tag)

    Collector().feed(html)
    return found


@pytest.mark.parametrize("make", [passing, failing])
def test_the_page_needs_nothing_but_itself(make: Callable[[], dict[str, Any]]) -> None:
    html = page(make())
    assert "<script" not in html.replace("&lt;script", "")
    assert not re.findall(r"<(?:img|link|iframe|object|embed)[^>]*https?:", html)
    assert not re.findall(r"@import|url\(|xlink", html)
    assert page(make()) == html


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("make", [passing, failing])
def test_axe_finds_nothing(opened: Opened, scheme: str, make: Callable[[], Any]) -> None:
    tab = opened(make(), color_scheme=scheme, bypass_csp=True)
    tab.click("summary")
    assert Axe().run(tab).response["violations"] == []


def test_a_narrow_screen_has_charts_of_its_own_and_no_sideways_scrolling(opened: Opened) -> None:
    tab = opened(failing(), viewport={"width": 400, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    expect(tab.locator(".chart.wide").first).to_be_hidden()
    expect(tab.locator(".chart.narrow").first).to_be_visible()


def test_a_run_without_replies_has_a_page_without_charts(opened: Opened) -> None:
    report = failing()
    report["latency_ms"] = report["numbers"] = report["raw_latency_ms"] = None
    report["histogram"], report["timeline"] = [], []
    tab = opened(report)
    expect(tab.locator("header")).to_contain_text("FAIL")
    expect(tab.get_by_role("img")).to_have_count(0)


@pytest.mark.parametrize(
    "timeline",
    [
        [second(0, sent=1, answered=1)],
        [second(i, 0, 0, p50_ms=None, p99_ms=None, max_ms=None) for i in range(2)],
        [second(0, 1, 1), second(1, 0, 0, p50_ms=None, p99_ms=None, max_ms=None, errors=1)],
        [second(i, 9, 9, errors=1, max_ms=10.0 ** (i % 6)) for i in range(5_000)],
    ],
    ids=["one second", "no replies", "a second without a reply", "hours"],
)
def test_any_timeline_makes_a_page(timeline: list[Any]) -> None:
    report = {**failing(), "timeline": timeline, **distribution([1000])}
    assert len(page(report)) < 350_000


@pytest.mark.parametrize(("length", "said"), [(POINTS, ""), (POINTS * 4 - 5, "for 4 seconds")])
def test_the_page_says_when_a_point_is_more_than_a_second(length: int, said: str) -> None:
    html = page({**passing(), "timeline": [second(i, 10, 10) for i in range(length)]})
    assert ("Each point stands" in html) is bool(said)
    assert said in html


def test_a_long_timeline_is_thinned_without_losing_an_error() -> None:
    timeline = [second(i, 10, 10, errors=i == 777, max_ms=float(i)) for i in range(1_000)]
    points = thinned({**passing(), "timeline": timeline})
    assert len(points) <= POINTS
    assert sum(point.errors for point in points) == 1
    assert max(point.max_ms or 0 for point in points) == 999
    assert {point.answered for point in points} == {10}


def test_a_span_of_several_seconds_has_their_rate() -> None:
    timeline = [second(4 * i, 40, 40) for i in range(10)]
    points = thinned({**passing(), "timeline_step_s": 4, "timeline": timeline})
    assert {(point.sent, point.answered) for point in points} == {(10, 10)}
