"""How long a run is without any open connection."""

import pytest

from cli_client.engine.outage import Outage


def test_only_times_without_any_connection_count() -> None:
    outage = Outage()
    outage.note_opened(1.0)
    outage.note_opened(2.0)
    outage.note_ended(3.0)
    assert outage.total == 0.0
    outage.note_ended(4.0)
    outage.note_opened(4.5)
    outage.note_ended(5.0)
    outage.stop(7.0)
    outage.note_ended(9.0)
    assert (outage.longest, outage.total) == (2.0, pytest.approx(2.5))


def test_what_lies_before_the_first_connection_does_not_count() -> None:
    outage = Outage()
    outage.stop(5.0)
    assert (outage.longest, outage.total) == (0.0, 0.0)
