"""Sending at a rate, for a time, gently at first: the open loop."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_client.engine.pacing import LONGEST_TURN, Pace
from cli_client.share import Share
from tests.cli_client.liars import ServerConnection, at, reply_to, serving
from tests.cli_client.sending import report


def test_a_rate_is_kept(server_url: str) -> None:
    done = report(server_url, "-n", 1000, "-r", 2000, "-c", 4)
    assert (done.status, done.faults) == (0, {})
    # Never faster than that; how much slower hangs on the machine.
    assert done.report["elapsed_s"] >= 999 / 2000
    assert done.report["raw_latency_ms"]["p50"] <= done.report["latency_ms"]["p50"]
    assert done.report["sender"]["schedule_lag_ms"]["max"] >= 0


def test_a_duration_ends_the_sending_and_all_that_was_sent_is_answered(server_url: str) -> None:
    done = report(server_url, "-z", "500ms", "-c", 2)
    ledger = done.report["ledger"]
    assert (done.status, done.faults) == (0, {})
    assert ledger["requests"] == ledger["verified"] > 100
    assert done.report["elapsed_s"] >= 0.5


def test_a_stall_is_in_the_corrected_latency_and_not_in_the_raw_one() -> None:
    async def stall(websocket: ServerConnection, request: str) -> None:
        await asyncio.sleep(0.5)
        await websocket.send(reply_to(request))

    with serving(at("Request 100", stall)) as url:
        done = report(url, "-n", 400, "-r", 400, "-w", 1)
    assert done.status == 0
    # One reply took long, the requests due meanwhile could not be sent; they were quick after it.
    assert done.report["raw_latency_ms"]["p95"] < 250
    assert done.report["latency_ms"]["p95"] > 250
    # That was the server's stall, not one of the sender.
    assert done.report["sender"]["schedule_lag_ms"]["p99"] < 250


@pytest.mark.parametrize("options", [["-r", 1000], []])
def test_a_ramp_begins_gently(server_url: str, options: list[object]) -> None:
    done = report(server_url, "-z", "1s", "--ramp", "1s", "-c", 4, *options)
    assert (done.status, done.faults) == (0, {})
    if options:
        assert 300 <= done.report["ledger"]["requests"] <= 501


@given(st.floats(4, 1e5), st.integers(2, 4), st.lists(st.floats(0, 1e6), min_size=4, max_size=4))
def test_shares_that_start_at_their_turns_send_at_even_distances(
    rate: float, of: int, ready: list[float]
) -> None:
    """Whenever each process is ready, by the clock of the machine."""
    due = []
    for index in range(of):
        pace = Pace(rate, share=Share(index, of))
        started = ready[index] + pace.until_turn(ready[index])
        assert ready[index] <= started <= ready[index] + LONGEST_TURN
        due.append((started + pace.due(0)) * rate)
    # In places of the whole run: each share has those of its index.
    for index, place in enumerate(due):
        assert (place - due[0] - index + of / 2) % of == pytest.approx(of / 2, abs=0.01)


def test_a_share_alone_and_a_slow_one_wait_for_no_turn() -> None:
    assert Pace(1000.0).until_turn(123.4567) == 0
    assert Pace(0.5, share=Share(1, 2)).until_turn(123.4567) == 0


@given(st.floats(0.1, 1e6), st.floats(0.1, 100) | st.just(0.0), st.integers(0, 10**6))
def test_as_many_requests_are_due_as_have_come_due(rate: float, ramp: float, place: int) -> None:
    pace = Pace(rate, ramp)
    assert pace.due(place) <= pace.due(place + 1)
    # At its very moment rounding may go either way.
    assert abs(pace.count(pace.due(place)) - (place + 1)) <= 1


@given(st.floats(0.1, 1e4), st.floats(0.1, 100))
def test_a_ramp_costs_half_of_its_requests(rate: float, ramp: float) -> None:
    steady, growing = Pace(rate), Pace(rate, ramp)
    assert steady.count(ramp * 2) - growing.count(ramp * 2) == pytest.approx(rate * ramp / 2, abs=2)
