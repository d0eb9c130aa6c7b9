"""Checks: what can be asked of a run, what is answered, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_client.reports.checks import COUNTS, OPERATORS, parse_check
from tests.cli_client.reports.samples import failing, passing

PASSING = passing()
FAILING = failing()


@pytest.mark.parametrize(
    ("text", "value", "passed"),
    [
        ("p99<5ms", FAILING["latency_ms"]["p99"], True),
        ("p99<5", FAILING["latency_ms"]["p99"], True),
        ("p(99)<5ms", FAILING["latency_ms"]["p99"], True),
        ("p99.9 < 0.001 s", FAILING["latency_ms"]["p99.9"] / 1000, False),
        ("p(99.90)>=1us", FAILING["latency_ms"]["p99.9"] * 1000, True),
        ("min>0", FAILING["latency_ms"]["min"], True),
        ("mean<1us", FAILING["latency_ms"]["mean"] * 1000, False),
        ("avg<10s", FAILING["latency_ms"]["mean"] / 1000, True),
        ("med<1ms", FAILING["latency_ms"]["p50"], True),
        ("max<=1ms", FAILING["latency_ms"]["max"], False),
        ("raw_p99<100ms", FAILING["raw_latency_ms"]["p99"], True),
        ("raw_max<1ms", FAILING["raw_latency_ms"]["max"], False),
        ("rate>20000", 2349.9, False),
        ("errors==0", 7, False),
        ("errors!=0", 7, True),
        ("requests==10000", 10_000, True),
        ("verified==10000", 9_986, False),
        ("wrong==0", 1, False),
        ("missing==0", 2, False),
        ("never_sent<=11", 11, True),
        ("duplicate<=3", 1, True),
        ("out_of_order==0", 3, False),
        ("unsolicited==0", 1, False),
        ("late==0", 1, False),
        ("reconnects<2", 2, False),
        ("resent>=128", 128, True),
        ("in_flight_when_lost==128", 128, True),
        ("elapsed<10s", 4.25, True),
        ("elapsed<10", 4250, False),
        ("received==9990", 9_990, True),
        ("greetings==0", 0, True),
        ("handshakes<=12", 12, True),
        ("handshake_failures==0", 4, False),
        ("connections==6", 6, True),
        ("connections_given_up==0", 1, False),
        ("unanswered_closes==0", 1, False),
        ("breaches==0", 0, True),
        ("outage_max<1s", 1.25, False),
        ("outage<2s", 1.75, True),
        ("outage_total<1000ms", 1750, False),
        ("silence_max<1s", 2.5, False),
        ("silence_max<2600", 2500, True),
        ("stalls==0", 1, False),
        ("stall_max<1s", 0.75, True),
        ("p_value>0.001", 1.5e-12, False),
    ],
)
def test_a_check_finds_its_figure_and_judges_it(text: str, value: float, passed: bool) -> None:
    judged = parse_check(text).judge(FAILING)
    assert judged.pop("unit") in ("", "us", "ms", "s")
    assert judged == {"check": text, "value": pytest.approx(value), "passed": passed}


@pytest.mark.parametrize(
    ("text", "unit"), [("p99<5s", "s"), ("p99<5us", "us"), ("p99<5", "ms"), ("rate>5", "")]
)
def test_the_figure_of_a_check_comes_with_its_unit(text: str, unit: str) -> None:
    assert parse_check(text).judge(FAILING)["unit"] == unit


@pytest.mark.parametrize(("text", "percentile"), [("p98<1ms", 98), ("p(99.99)<9ms", 99.99)])
def test_any_percentile_comes_from_the_histogram(text: str, percentile: float) -> None:
    latencies = sorted(200 + 7 * (i % 101) + (i % 977 == 0) * 4000 for i in range(10_000))
    exact = latencies[math.ceil(percentile / 100 * len(latencies)) - 1] / 1000
    assert parse_check(text).judge(PASSING)["value"] == pytest.approx(exact, rel=0.002)


@pytest.mark.parametrize("text", ["raw_p99<5ms", "p_value>=0", "p99>=0", "p98>=0"])
def test_what_was_not_measured_does_not_pass(text: str) -> None:
    report = passing()
    report["latency_ms"] = report["numbers"] = None
    judged = parse_check(text).judge(report)
    assert (judged["value"], judged["passed"]) == (None, False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no check such as 'p99<5ms'"),
        ("p99", "one of <= >= == != < >"),
        ("p99=5ms", "one of <= >= == != < >"),
        ("p99<fast", "a number"),
        ("p99<-1ms", "a number"),
        ("p99<5ms\nrate>1", "no check"),
        ("p99<٥", "a number"),
        ("p99<5min", "there are us, ms, s"),
        ("rate>20000ms", "without a unit"),
        ("p101<5ms", "from 0 to 100"),
        ("speed>1", "there are p50, .* elapsed, outage, .* rate, errors"),
        ("p(99<5ms", "no figure 'p\\(99'"),
        ("raw_p98<5ms", "p50, p90, p95, p99, p99.9"),
        ("raw_rate>1", "no figure 'raw_rate'"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_check(text)
    assert "\n" not in str(caught.value)


def test_a_histogram_that_cannot_be_decoded_is_said_in_one_line() -> None:
    check = parse_check("p98<1ms")
    for broken in ("", "HISTFAAAA...", "AAAA", "zwölf", PASSING["hdr"][:-40]):
        with pytest.raises(ValueError, match="no HdrHistogram") as caught:
            check.judge({**PASSING, "hdr": broken})
        assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[a-z_]{1,12}\(?[0-9.]{0,6}\)?[<>=!]{0,2}[0-9.]{0,20}[a-z]{0,2}"))
def test_no_text_does_more_than_raise_value_error(text: str) -> None:
    try:
        check = parse_check(text)
    except ValueError as refused:
        error = str(refused)
    else:
        error = ""
        assert set(check.judge(FAILING)) == {"check", "value", "unit", "passed"}
    assert len(error.splitlines()) <= 1


@settings(deadline=None)
@given(
    st.sampled_from([*COUNTS, "min", "mean", "max", "p50", "elapsed"]),
    st.sampled_from(list(OPERATORS)),
    st.floats(0, 1e9),
)
def test_a_check_says_what_the_comparison_says(name: str, comparison: str, limit: float) -> None:
    text = f"{name}{comparison}{limit:.9f}"
    judged = parse_check(text).judge(FAILING)
    assert judged["passed"] is OPERATORS[comparison](judged["value"], float(f"{limit:.9f}"))
