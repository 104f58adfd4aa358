from __future__ import annotations

import random

import pytest

from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip
from resource_gate.gate.prediction.features import Features, features_of
from resource_gate.gate.prediction.fit import Fit, Row, below_normal, normal
from resource_gate.gate.prediction.history import DIED, MEMORY, Run
from resource_gate.gate.prediction.predict import Predictor

GB = 1024**3
MPX = 1e6


def of_size(megapixels, family="f", models=()):
    return Features(family, ("EmptyImage", "SaveVideo"), models, megapixels * MPX, megapixels * MPX, 0.0)


def run(features, ram, seconds=1.0, **more):
    return Run(
        features.family, features.sizes, int(ram), 0, seconds, kinds=features.kinds, models=features.models, **more
    )


def taught(sizes, ram_of, predictor=None, **more):
    predictor = predictor or Predictor()
    for size in sizes:
        predictor.learn(run(of_size(size), ram_of(size), size / 10, **more))
    return predictor


def test_what_was_never_seen_is_told_by_tensor_arithmetic_and_called_unknown():
    features = features_of(plain_clip(0).graph)
    need = Predictor().need(plain_clip(0).graph)
    assert not need.known and not need.confirmed
    assert features.arithmetic < need.ram < 5 * features.arithmetic
    assert need.low < need.seconds < need.high


def test_after_a_few_runs_other_sizes_are_foretold():
    predictor = taught([10, 30, 20], lambda mpx: GB + mpx * 20e6)
    need = predictor.need_of(of_size(60))
    assert need.known and need.runs == 3
    assert GB + 60 * 20e6 < need.ram < 1.6 * (GB + 60 * 20e6)
    assert need.seconds == pytest.approx(6, rel=0.2)


def test_one_run_is_enough_to_know_the_family_and_a_larger_one_needs_more():
    predictor = taught([10], lambda mpx: GB)
    assert predictor.need_of(of_size(10)).ram > GB
    assert predictor.need_of(of_size(40)).ram > 2.5 * predictor.need_of(of_size(10)).ram_mean


def test_only_what_is_known_to_be_all_of_small_blocks_finds_room_inside_the_heap():
    predictor = taught([0.5, 40], lambda mpx: mpx * 30e6)
    predictor.learn(run(of_size(0.5, "model", ("a.safetensors",)), GB))
    assert predictor.need_of(of_size(0.5)).small
    assert not predictor.need_of(of_size(40)).small, "large blocks are mapped anew, whatever lies free"
    assert not predictor.need_of(of_size(0.5, "model", ("a.safetensors",))).small, "weights are large blocks"
    assert not predictor.need_of(of_size(0.0)).small, "of what no size can be read, nothing is known"


def test_runs_of_thumbnails_say_nothing_of_a_large_clip():
    # Five clips of 20 MB of pictures; but the first found room in what the process already held.
    predictor = taught([1.7] * 5, lambda mpx: 0)
    predictor.learn(run(of_size(1.7), 36e6))
    large = of_size(45)
    need = predictor.need_of(large)
    assert not need.known and need.ram > large.arithmetic
    predictor.learn(run(large, 2 * large.arithmetic))
    assert predictor.need_of(large).known


def test_a_line_through_thumbnails_is_not_drawn_on_to_a_large_clip():
    predictor = taught([0.4, 0.8, 1.2, 1.6], lambda mpx: mpx * 400e6)
    need = predictor.need_of(of_size(60))
    assert need.ram < 5 * of_size(60).arithmetic, "a library that the larger ones loaded is no slope"


def test_few_runs_take_more_than_was_expected_and_not_next_to_none_at_any_price():
    random.seed(3)
    under, predictor = 0, Predictor()
    for number in range(400):
        features = of_size(random.randint(10, 100))
        took = (GB + features.largest * 30) * random.gauss(1, 0.05)
        under += number >= 20 and predictor.need_of(features).ram < took
        predictor.learn(run(features, took))
    assert 0.005 < under / 380 <= 0.06


def test_a_higher_share_asks_for_more():
    predictor = taught(range(10, 40), lambda mpx: GB + mpx * 20e6 * (1.1 if mpx % 2 else 0.9))
    shares = [predictor.need_of(of_size(20), share=share).ram for share in (0.5, 0.8, 0.95, 0.99)]
    assert shares == sorted(shares) and shares[0] < shares[-1]


def test_loading_models_is_kept_apart_from_finding_them_loaded():
    predictor, features = (
        Predictor(),
        Features("f", ("L", "K"), ("m.safetensors",), MPX, MPX, MPX, 1, {}, frozenset("L")),
    )
    for number in range(8):
        predictor.learn(run(features, 6 * GB if number < 3 else 2 * GB, 30 if number < 3 else 5, cold=number < 3))
    warm, cold = predictor.need_of(features), predictor.need_of(features, cold=True)
    assert warm.ram_mean < 3 * GB < 5 * GB < cold.ram_mean
    assert warm.seconds < 10 < cold.seconds
    predictor.models_gone()
    assert predictor.need_of(features) == predictor.need_of(features, cold=True)


def test_a_prompt_with_other_models_or_none_leaves_the_first_ones_to_be_loaded_again():
    predictor, features = (
        Predictor(),
        Features("f", ("L", "K"), ("m.safetensors",), MPX, MPX, MPX, 1, {}, frozenset("L")),
    )
    for cold in (True, False, True, False):
        predictor.learn(run(features, (6 if cold else 2) * GB, cold=cold))
    warm = predictor.need_of(features)
    assert warm == predictor.need_of(features, cold=False)
    for models in (("other.safetensors",), ()):
        assert predictor.ran(models)
        assert predictor.need_of(features) == predictor.need_of(features, cold=True) != warm
        assert predictor.ran(features.models) and not predictor.ran(features.models)
        assert predictor.need_of(features) == warm


def test_a_similar_family_lends_what_it_knows():
    predictor = taught([10, 20, 30], lambda mpx: 10 * GB)
    need = predictor.need_of(of_size(20, "other"))
    assert not need.known and need.ram > 10 * GB


def test_models_that_nobody_has_seen_are_taken_to_be_as_large_as_the_largest():
    predictor = taught([10, 20, 30], lambda mpx: 10 * GB)
    strange = Features("s", ("Other", "Kinds"), ("new.safetensors",), MPX, MPX, 0)
    assert predictor.need_of(strange).ram >= 12 * GB
    assert Predictor().need_of(strange).ram < GB


def test_a_run_that_was_stopped_short_does_not_lower_what_is_expected_but_may_raise_it():
    predictor = taught([20] * 6, lambda mpx: 4 * GB)
    before = predictor.need_of(of_size(20)).ram
    predictor.learn(run(of_size(20), GB, outcome=MEMORY))
    assert predictor.need_of(of_size(20)).ram == before
    predictor.learn(run(of_size(20), 8 * GB, outcome=DIED))
    assert predictor.need_of(of_size(20)).ram > before


def test_a_run_taken_from_the_cache_teaches_nothing():
    predictor = taught([20] * 6, lambda mpx: 4 * GB)
    before = predictor.need_of(of_size(20))
    predictor.learn(run(of_size(20), 0, 0.01, share=0.1))
    assert predictor.need_of(of_size(20)) == before


def test_a_workflow_that_changed_its_ways_is_learned_anew():
    predictor = taught([10, 20, 30] * 5, lambda mpx: mpx * 0.1 * GB)
    taught([10, 20, 30] * 2, lambda mpx: mpx * 0.5 * GB, predictor)
    assert predictor.need_of(of_size(30)).ram_mean == pytest.approx(15 * GB, rel=0.15)


def test_one_absurd_run_among_many_is_outgrown():
    predictor = taught([10, 20, 30] * 3, lambda mpx: mpx * 0.1 * GB)
    predictor.learn(run(of_size(20), 60 * GB))
    taught([10, 20, 30] * 16, lambda mpx: mpx * 0.1 * GB, predictor)
    assert predictor.need_of(of_size(20)).ram < 3 * GB


def test_forgetting_a_family_forgets_it():
    predictor = taught([10, 20], lambda mpx: GB)
    predictor.forget("f")
    assert not predictor.need_of(of_size(10)).known


def test_a_line_never_falls():
    rows = [Row((10.0,), 5e9), Row((20.0,), 4e9), Row((30.0,), 3e9)]
    fit = Fit(rows, 1e6)
    assert fit.mean((100.0,)) >= fit.mean((10.0,)) - 1


def test_runs_of_one_size_still_make_a_line_that_rises():
    fit = Fit([Row((50.0, 50.0, 0.0), 5e9)] * 10, 1e6)
    assert fit.mean((50.0, 50.0, 0.0)) == pytest.approx(5e9, rel=0.02)
    assert fit.mean((100.0, 100.0, 0.0)) > 7e9


@pytest.mark.parametrize(("share", "z"), [(0.5, 0.0), (0.9, 1.2816), (0.95, 1.6449), (0.02, -2.0537)])
def test_quantiles_of_the_normal_distribution(share, z):
    assert normal(share) == pytest.approx(z, abs=1e-3)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.95])
def test_the_share_below_a_quantile_is_that_share(share):
    assert below_normal(normal(share)) == pytest.approx(share, abs=1e-3)


def near(factors):
    return Fit([Row((10.0 + k % 7,), (10.0 + k % 7) * 1e9 * f) for k, f in enumerate(factors)], 1e6, steady=True)


def test_the_more_runs_agree_the_smaller_the_margin():
    margins = [near([1.0] * count).margin((10.0,), None) for count in (1, 4, 12, 40)]
    assert margins == sorted(margins, reverse=True) and margins[0] > 0.12 and margins[-1] < 0.08


def test_readings_of_next_to_nothing_now_and_then_do_not_pull_the_line_down():
    factors = [0.0 if k % 6 == 5 else 1.0 for k in range(36)]
    assert near(factors).mean((12.0,)) == pytest.approx(12e9, rel=0.02)
    mean = Fit([Row((12.0,), 12e9 * f) for f in factors], 1e6).mean((12.0,))
    assert mean < 0.9 * 12e9, "where times are added, the mean is what counts"


def test_a_rare_run_far_above_the_others_is_not_covered_at_the_cost_of_all_and_a_frequent_one_is():
    seldom, often = ([1.2 if k % every == 0 else 1.0 for k in range(40)] for every in (20, 4))
    assert near(seldom).margin((10.0,), None) < 0.15
    assert near(often).margin((10.0,), None) > 0.2


@pytest.mark.parametrize("share", [0.5, 0.8, 0.94])
def test_so_many_runs_stay_below_a_quantile(share):
    random.seed(7)
    fit = near([random.gauss(1, 0.05) for _ in range(400)])
    below = sum(random.gauss(1, 0.05) <= 1 + fit.margin((10.0,), share) for _ in range(2000))
    assert below / 2000 == pytest.approx(share, abs=0.05)


def test_prediction_of_a_clip_by_its_graph():
    predictor = Predictor()
    for frames in (17, 33, 65):
        features = features_of(plain_clip(1, ClipSize(frames)).graph)
        predictor.learn(run(features, features.arithmetic * 1.3, frames / 40))
    need = predictor.need(plain_clip(2, ClipSize(97)).graph)
    assert need.ram_mean == pytest.approx(features_of(plain_clip(2).graph).arithmetic * 1.3, rel=0.1)


def test_times_follow_a_machine_that_has_become_slower_at_once_and_in_all_families():
    predictor = taught([10, 20, 30] * 5, lambda mpx: GB)
    for size in (10, 20, 30) * 5:
        predictor.learn(run(of_size(size, "g"), GB, size / 10))
    before = predictor.need_of(of_size(20, "g")).seconds
    for size in (10, 30, 20, 10):
        predictor.learn(run(of_size(size), GB, 3 * size / 10))
    assert predictor.need_of(of_size(20, "g")).seconds > 1.6 * before
    assert predictor.pace.factor > 1.6 and 0.1 < predictor.pace.ends(8) < 1


def test_intervals_widen_until_they_cover_what_they_are_to_cover():
    random.seed(1)
    within, predictor = 0, Predictor()
    for number in range(600):
        features = of_size(random.choice((10, 20, 30)))
        took = features.largest / 1e7 * random.choice((0.5, 0.8, 1.0, 1.1, 1.9))
        need = predictor.need_of(features)
        within += number >= 100 and need.low <= took <= need.high
        predictor.learn(run(features, GB, took))
    assert within / 500 == pytest.approx(0.8, abs=0.05)
