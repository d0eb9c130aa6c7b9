"""What the terminal shows at the end of a run."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from cli_client.reports.summary import summary
from tests.cli_client.reports.samples import failing, interrupted, passing, recovered, unopened


def test_a_right_run_is_told_in_its_headline() -> None:
    assert summary(passing(), False).splitlines()[0] == (
        "PASS 10,000 of 10,000 replies right in 2.50 s, 4,000 messages/s"
    )


def test_what_was_not_verified_and_both_equations_come_next_also_where_all_is_right() -> None:
    assert summary(passing(), False).splitlines()[1:5] == [
        " unverified  listened 10 ms for late replies",
        "   requests  10,000 = 10,000 verified + 0 wrong + 0 missing + 0 never sent",
        "   received  10,000 = 10,000 verified + 0 wrong + 0 duplicate + 0 late",
        "               + 0 unsolicited",
    ]


def test_an_equation_that_does_not_hold_is_no_equation() -> None:
    report = passing()
    report["equations"][1] |= {"total": 10_001, "holds": False}
    assert "   received  10,001 ≠ 10,000 verified" in summary(report, False)
    assert "   received  10,001 != 10,000 verified" in summary(report, False, encoding="ascii")


def test_messages_that_are_seldom_are_shown_where_they_came() -> None:
    report = passing()
    report["equations"][1]["terms"]["pushes"] = 7
    assert "7 pushes" in summary(report, False)
    assert "pushes" not in summary(passing(), False)


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("parts", "1 part"),
        ("pushes", "1 push"),
        ("greetings", "1 greeting"),
        ("hello_replies", "1 hello reply"),
    ],
)
def test_one_message_is_named_in_the_singular(name: str, one: str) -> None:
    report = passing()
    report["equations"][1]["terms"][name] = 1
    assert summary(report, False).count(f"{one}\n") == 1


def test_a_recovered_run_says_how_many_of_each() -> None:
    lines = summary(recovered(), False).splitlines()
    assert lines[0].startswith("RECOVERED 10,000 of 10,000 replies right")
    assert lines[1] == "    because  5 handshakes failed; 8 connections lost; 512 sent again"
    text = "\n".join(lines)
    assert "16 opened, 5 handshakes failed" in text
    assert "5 failed (tcp): connection refused" in text
    assert "8 ended without a closing handshake: reset by the peer" in text


def test_replies_that_were_not_matched_are_not_called_right() -> None:
    report = passing()
    report["settings"]["expect"] = "any"
    assert summary(report, False).startswith("PASS 10,000 of 10,000 replies counted, not matched")


def test_long_gaps_are_named() -> None:
    text = summary(failing(), False)
    assert "no connection was open for 1.25 s, 1.75 s in all" in text
    assert "no reply came for 2.50 s while requests waited for one" in text
    for word in ("no connection", "no reply"):
        assert word not in summary(passing(), False)


def test_the_senders_own_stalls_are_named_with_the_latencies_without_them() -> None:
    report = failing()
    text = summary(report, False)
    assert "the sender itself stood still for 0.75 s at second 2.1" in text
    assert "touched 12 requests" in " ".join(text.split())
    values = [float(value) for value in table(report)["no stalls"]]
    assert values == pytest.approx(list(report["latency_without_stalls_ms"].values()), abs=0.006)
    report["stalls"] *= 7
    assert "and 2 more stalls" in summary(report, False)


def test_missing_shares_are_named() -> None:
    report = failing()
    report["missing_shares"] = ["share 2 of 2 was killed"]
    assert "    missing  share 2 of 2 was killed" in summary(report, False)


@pytest.mark.parametrize(
    ("rate", "text"), [(0.25, "0.25"), (4.5678, "4.57"), (99.94, "99.9"), (1234.6, "1,235")]
)
def test_a_low_rate_is_not_zero(rate: float, text: str) -> None:
    report = {**passing(), "rate": rate}
    assert summary(report, False).splitlines()[0].endswith(f" {text} messages/s")


def test_nothing_else_that_did_not_happen_is_shown() -> None:
    text = summary(passing(), False)
    for word in ("sent again", "reconnect", "corrected", "check", "error", "warning", "stall"):
        assert word not in text


def test_every_fault_is_shown_with_its_count() -> None:
    text = summary(failing(), False)
    assert text.startswith("FAIL 9,986 of 10,000 replies right in 4.25 s, 2,350 messages/s\n")
    for fault in (
        *("1 wrong", "2 missing", "11 never sent", "1 duplicate", "3 out of order"),
        *("1 unsolicited", "1 late"),
        "in flight when the connection died: 128, sent again; 2 reconnects",
    ):
        assert fault in text


@pytest.mark.parametrize(
    ("attempts", "line"),
    [
        ((1, 0, 0), "1 reconnect"),
        ((1, 5, 0), "in flight when the connection died: 5, none sent again; 1 reconnect"),
        ((2, 5, 3), "in flight when the connection died: 5, 3 sent again; 2 reconnects"),
        ((0, 0, 3), "3 sent again"),
    ],
)
def test_what_was_in_flight_is_accounted_for(attempts: tuple[int, ...], line: str) -> None:
    names = ("reconnects", "in_flight_when_lost", "resent")
    report = {**passing(), "attempts": dict(zip(names, attempts, strict=True))}
    assert " " * 13 + line in summary(report, False).splitlines()


def table(report: dict[str, Any]) -> dict[str, list[str]]:
    """The latencies of a summary: the line of their names, and those below it, by their labels."""
    lines = summary(report, False).splitlines()
    (head,) = (place for place, line in enumerate(lines) if line.startswith("latency, ms"))
    rows = lines[head : head + 4]
    return {line[:11].strip(): line[11:].split() for line in reversed(rows)}


def test_the_latency_has_all_its_figures() -> None:
    report = passing()
    latency = table(report)
    assert latency["latency, ms"] == list(report["latency_ms"])
    values = [float(value) for value in latency[""]]
    assert values == pytest.approx(list(report["latency_ms"].values()), abs=0.006)


def test_under_a_rate_corrected_and_raw_stand_one_above_the_other() -> None:
    report = failing()
    latency = table(report)
    assert latency["latency, ms"] == list(report["latency_ms"])
    for label, source in (("corrected", "latency_ms"), ("raw", "raw_latency_ms")):
        values = [float(value) for value in latency[label]]
        assert values == pytest.approx(list(report[source].values()), abs=0.006)


def test_the_sender_tells_of_its_own_health() -> None:
    text = summary(failing(), False)
    assert "0.98 of a core; event loop late by 8.40 ms (p99), 92.00 ms (max)" in text
    assert "requests sent late by 12.50 ms (p99), 90.00 ms (max)" in text


def test_a_run_without_replies_has_no_latency() -> None:
    report = passing()
    report["latency_ms"] = None
    assert "latency" not in summary(report, False)


def test_the_histogram_has_ten_rows_at_most_and_all_the_replies() -> None:
    report = passing()
    report["histogram"] = [
        {"from_ms": step, "to_ms": step + 1, "count": 0 if step < 3 else step} for step in range(40)
    ]
    bars = re.findall(r" to .* ms (\S*) ?\b([\d,]+)$", summary(report, False), re.MULTILINE)
    assert 5 <= len(bars) <= 10
    assert sum(int(count) for _, count in bars) == sum(range(3, 40))
    assert all(bar for bar, _ in bars)
    lengths = [len(bar) for bar, _ in bars]
    assert lengths[:-1] == sorted(lengths[:-1])


def test_bars_keep_to_the_encoding() -> None:
    report = failing()
    assert "█" in summary(report, False)
    plain = summary(report, False, encoding="ascii")
    assert plain.isascii()
    assert "###" in plain


def test_closes_are_told_by_whom_with_code_and_reason() -> None:
    text = summary(failing(), False)
    assert "1 ended without a closing handshake: reset by the peer" in text
    assert "1 closed by the server, code 1011: " in text
    assert "4 closed by the client, code 1000" in text


def test_checks_that_passed_and_failed() -> None:
    text = summary(failing(), False)
    assert "pass p99<5ms: 1.536 ms\n" in text
    assert "FAIL missing==0: 2" in text
    assert "FAIL raw_p99<1ms: not measured" in text


def test_errors_are_grouped_and_the_rest_is_counted() -> None:
    text = summary(failing(), False)
    assert "error: Request 5: its reply came after that to a later one (3 in all)\n" in text
    assert text.splitlines()[-1] == "and 3 more errors"
    assert summary({**failing(), "error_count": 5}, False).splitlines()[-1] == "and 1 more error"
    assert "more error" not in summary({**failing(), "error_count": 4}, False)


@pytest.mark.parametrize("make", [passing, recovered, failing, interrupted, unopened])
def test_no_line_is_wider_than_a_terminal(make: Callable[[], dict[str, Any]]) -> None:
    report = make()
    report["errors"] = [{"message": "word " * 60 + "long" * 60, "count": 1}]
    report["warnings"] = ["word " * 60]
    assert max(map(len, summary(report, False).splitlines())) <= 80


def test_for_a_program_each_error_is_one_line() -> None:
    report = failing()
    report["errors"] = [{"message": "word " * 60 + "end", "count": 1}]
    lines = summary(report, False, wrap=False).splitlines()
    assert f"error: {'word ' * 60}end" in lines


def test_a_server_cannot_control_the_terminal() -> None:
    text = summary(failing(), False)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert "\\x1b[2J" in text


def test_colours_change_nothing_but_colours() -> None:
    colourful = summary(failing(), True)
    assert "\x1b[31m\x1b[1mFAIL" in colourful
    lines = re.sub(r"\x1b\[[\d;]*m", "", colourful).splitlines()
    assert [line.rstrip() for line in lines] == summary(failing(), False).splitlines()
    assert "\x1b" not in summary(passing(), False)


def test_an_interrupted_run_says_so() -> None:
    assert summary(interrupted(), False).startswith("INTERRUPTED 10,000 of 20,000")
