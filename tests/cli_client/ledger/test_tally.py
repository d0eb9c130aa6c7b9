"""The tally: values are counted however they come."""

from collections import Counter

from cli_client.ledger.tally import BATCH, Tally


def test_values_are_counted_alone_and_many_at_once() -> None:
    tally = Tally()
    for value in range(100):
        tally.add([value % 7])
    tally.add([3] * (2 * BATCH))
    tally.add_times(3, 5)
    tally.add_times(8, 2)
    expected = Counter(value % 7 for value in range(100))
    expected[3] += 2 * BATCH + 5
    expected[8] += 2
    assert tally.counts() == expected


def test_what_is_taken_is_not_counted_again() -> None:
    tally = Tally()
    tally.add([1, 2, 2])
    assert tally.take() == {1: 1, 2: 2}
    tally.add([2])
    assert tally.counts() == {2: 1}
