from __future__ import annotations

import random
import statistics

import pytest

from resource_gate.batch.progress.eta import WINDOW, estimate
from resource_gate.batch.progress.wording import duration, remaining, size


def test_nothing_is_told_before_the_first_job_has_ended() -> None:
    assert estimate([], 5) is None


def test_a_spread_needs_three_jobs() -> None:
    two = estimate([10.0, 20.0], 4)
    three = estimate([10.0, 20.0, 15.0], 4)
    assert two is not None and three is not None
    assert (two.expected, two.low) == (60.0, None)
    assert three.low is not None and three.high is not None
    assert 0 <= three.low < three.expected == 60.0 < three.high


def test_the_spread_holds_what_comes_in_four_of_five_batches() -> None:
    chance = random.Random(7)
    inside = 0
    for _ in range(2000):
        seen = [chance.gammavariate(9, 5) for _ in range(12)]
        left = sum(chance.gammavariate(9, 5) for _ in range(30))
        eta = estimate(seen, 30)
        assert eta is not None and eta.low is not None and eta.high is not None
        inside += eta.low <= left <= eta.high
    assert inside / 2000 == pytest.approx(0.8, abs=0.06)


def test_what_a_running_job_has_done_is_taken_off_and_never_more() -> None:
    assert estimate([10.0], 1, running=[4.0]).expected == 16.0  # type: ignore[union-attr]
    assert estimate([10.0], 1, running=[400.0]).expected == 10.0  # type: ignore[union-attr]


def test_servers_share_the_work_as_long_as_there_is_work_for_each() -> None:
    assert estimate([10.0], 8, lanes=4).expected == 20.0  # type: ignore[union-attr]
    assert estimate([10.0], 1, lanes=4).expected == 10.0  # type: ignore[union-attr]


def test_the_latest_jobs_count() -> None:
    eta = estimate([1.0] * 1000 + [9.0] * WINDOW, 1)
    assert eta is not None
    assert eta.expected == 9.0


def test_the_same_durations_leave_no_spread_to_tell() -> None:
    eta = estimate([statistics.fmean([5, 5])] * 5, 4)
    assert remaining(eta) == "about 20 s left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(-1, "0.0 s"), (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (99.4, "99 s")],
        *[(100, "2 min"), (5940, "99 min"), (7500, "2 h 05 min")],
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_read_well() -> None:
    assert size(1.5 * 1024**3) == "1.5 GB"
    assert size(310 * 1024**2) == "310 MB"
