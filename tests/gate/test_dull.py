"""Of runs that take next to nothing one in many is learned from, and of all others each."""

from __future__ import annotations

from resource_gate.gate.prediction.dull import BYTES, ONE_IN, SECONDS, SETTLED, DullFamilies


def test_the_first_small_runs_are_learned_from_and_then_one_in_many():
    dull = DullFamilies()
    learned = [not dull.passes_over("a", 0.01, 0, 0) for _ in range(ONE_IN * 10)]
    assert learned[:SETTLED] == [True] * SETTLED
    assert sum(learned) == SETTLED + 10


def test_a_run_that_takes_something_is_learned_from_and_so_are_those_after_it():
    for large in ((SECONDS, 0, 0), (0.01, BYTES, 0), (0.01, 0, BYTES)):
        dull = DullFamilies()
        for _ in range(ONE_IN * 3 - 1):
            dull.passes_over("a", 0.01, 0, 0)
        assert not dull.passes_over("a", *large)
        assert [dull.passes_over("a", 0.01, 0, 0) for _ in range(SETTLED)] == [False] * SETTLED


def test_families_are_counted_apart():
    dull = DullFamilies()
    for _ in range(ONE_IN - 1):
        dull.passes_over("a", 0.01, 0, 0)
    assert not dull.passes_over("b", 0.01, 0, 0)
