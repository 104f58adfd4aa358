"""How long a batch will take, and whether the interval covers what it says: on runs recorded from real ComfyUI."""

from __future__ import annotations

import gzip
import json
import math
import random
from pathlib import Path

import pytest

from resource_gate.gate.host import Job, Outcome
from resource_gate.gate.prediction.eta import LENGTHS, Pace, Sums, remaining
from resource_gate.gate.prediction.features import features_of
from resource_gate.gate.prediction.history import Run
from resource_gate.gate.prediction.predict import INTERVAL, Predictor
from resource_gate.gate.progress import BatchProgress

TRACE = Path(__file__).parents[2] / "bench" / "data" / "comfyui_trace.jsonl.gz"


@pytest.fixture(scope="module")
def trace():
    rows = [json.loads(line) for line in gzip.decompress(TRACE.read_bytes()).decode().splitlines()]
    made = []
    for row in rows:
        f = features_of(row["graph"])
        made.append((f, Run(f.family, f.sizes, row["ram"], 0, row["seconds"], kinds=f.kinds)))
    return made


def test_the_interval_of_a_job_covers_what_it_says_on_the_recorded_trace(trace):
    within, predictor = 0, Predictor()
    for number, (features, run) in enumerate(trace):
        need = predictor.need_of(features)
        within += number >= 20 and need.low <= run.seconds <= need.high
        predictor.learn(run)
    assert within / (len(trace) - 20) == pytest.approx(INTERVAL, abs=0.12)


def test_peaks_of_the_recorded_trace_are_seldom_under_predicted(trace):
    under, over, used, predictor = 0, 0, 0, Predictor()
    for features, run in trace:
        need = predictor.need_of(features)
        under, over, used = under + (need.ram < run.ram), over + max(0, need.ram - run.ram), used + run.ram
        predictor.learn(run)
    assert under / len(trace) <= 0.05 and over / used <= 0.18


@pytest.mark.parametrize("left", [1, 5, 20, 100])
def test_the_interval_of_a_sum_covers_what_it_says_where_jobs_differ_by_chance(left):
    random.seed(left)
    within = 0
    for _ in range(400):
        took = sum(random.gauss(10, 1) for _ in range(left))
        eta = remaining([(10, 10 - 1.28, 10 + 1.28)] * left)
        within += eta.low <= took <= eta.high
    assert within / 400 >= 0.74


def test_where_neighbours_are_late_together_the_interval_of_their_sum_covers_what_it_says():
    """Jobs of a machine that is slower by up to three for dozens of them, and then is not."""
    random.seed(2)
    sums, inside, asked = Sums(), 0, 0
    slow = [math.exp(random.gauss(0, 0.4)) for _ in range(60)]
    times = [10 * slow[n // 25] * random.gauss(1, 0.05) for n in range(1500)]
    pace = 1.0
    for at, took in enumerate(times):
        if 100 <= at < len(times) - 16:
            eta = remaining([(10 * pace, 9.4 * pace, 10.6 * pace)] * 16, Pace(pace, sums.ends))
            inside, asked = inside + (eta.low <= sum(times[at : at + 16]) <= eta.high), asked + 1
        sums.learn(10, pace, took)
        pace *= (took / 10 / pace) ** 0.25
    assert 0.7 <= inside / asked <= 0.9


def test_on_a_steady_machine_the_interval_becomes_narrow():
    sums = Sums()
    before = sums.ends
    for _ in range(100):
        sums.learn(10, 1.0, 10.0)
    assert all(sums.ends[length] < before[length] / 2 for length in LENGTHS)
    assert Pace(1.0, sums.ends).ends(1000) == sums.ends[32] and Pace().ends(5) == 0.0


def test_the_longer_the_batch_the_narrower_relatively_but_not_without_end():
    widths = [(e.high - e.low) / e.seconds for e in (remaining([(10, 8, 12)] * n) for n in (1, 10, 100, 10_000))]
    assert widths == sorted(widths, reverse=True) and widths[-1] > 0.05


def test_a_pace_that_swings_widens_it_and_a_slow_one_goes_back_to_the_usual():
    jobs = [(20, 16, 24)] * 100  # now twice as long as usual
    assert remaining(jobs, Pace(2.0, {1: 0.3, 32: 0.5})).high > remaining(jobs, Pace(2.0)).high
    assert 1000 < remaining(jobs, Pace(2.0)).seconds < 1500
    assert remaining(jobs[:1], Pace(2.0)).seconds == pytest.approx(20)


def test_nothing_left_takes_nothing():
    assert remaining([]) == remaining([(0, 0, 0)])


def told(progress, pending):
    batch = progress.as_dict(pending)
    return batch["eta_low"], batch["eta_seconds"], batch["eta_high"]


def test_jobs_whose_like_is_known_are_told_before_any_of_the_batch_has_ended(machine):
    known = {"a": (10, 8, 12), "b": (30, 25, 36)}
    progress = BatchProgress(machine.clock, known.get)
    for name in known:
        progress.queued(name)
    low, eta, high = told(progress, 2)
    assert eta == 40 and 25 < low < 40 < high < 55
    progress.started(Job("a", 0))
    machine.wait(4)
    assert told(progress, 1)[1] == pytest.approx(36)
    machine.wait(100)
    assert told(progress, 1)[1] == pytest.approx(30)


def test_one_of_which_nothing_is_known_takes_as_long_as_the_others_did_and_else_nothing_is_told(machine):
    progress = BatchProgress(machine.clock, {"a": (10, 8, 12)}.get)
    progress.queued("a")
    progress.queued("strange")
    assert told(progress, 2) == (None, None, None)
    progress.started(Job("a", 0))
    machine.wait(12)
    progress.ended(Outcome("a", True))
    low, eta, high = told(progress, 1)
    assert eta == 12 and low < 12 < high


def test_restored_jobs_that_nobody_told_of_count_like_those_that_are_known(machine):
    progress = BatchProgress(machine.clock, {"a": (10, 8, 12)}.get)
    progress.queued("a")
    assert told(progress, 3)[1] == 30


def test_a_job_taken_out_of_the_queue_counts_no_more(machine):
    progress = BatchProgress(machine.clock, {"a": (10, 8, 12), "b": (30, 25, 36)}.get)
    progress.queued("a")
    progress.queued("b")
    progress.removed(["b"])
    assert told(progress, 1)[1] == 10
