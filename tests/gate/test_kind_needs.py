"""Workflows that were never seen whole, of node kinds that were."""

from __future__ import annotations

import pytest

from resource_gate.batch.trial.sample_jobs import node
from resource_gate.gate.prediction.features import CHANNELS, FLOAT, features_of
from resource_gate.gate.prediction.history import DIED, Run
from resource_gate.gate.prediction.kind_needs import REMEMBERED, UNSEEN, KindNeeds
from resource_gate.gate.prediction.lesson import pixels_by_kind
from resource_gate.gate.prediction.predict import UNKNOWN_BYTES, Predictor

MB = 1024**2
GB = 1024**3
WIDTH, HEIGHT = 640, 360
FACTORS = {"EmptyImage": 1.5, "ImageInvert": 1.0, "ImageBlend": 4.0, "ImageBlur": 2.0}
"""What one pixel of these takes in this file's world, in sizes of the pixel."""


def chain(*kinds, frames=65, vae=False):
    graph = {"0": node("EmptyImage", width=WIDTH, height=HEIGHT, batch_size=frames, color=0)}
    for n, kind in enumerate(kinds, 1):
        graph[str(n)] = node(kind, image=[str(n - 1), 0])
    if vae:
        graph["vae"] = node("VAELoader", vae_name="vae.safetensors")
        graph["9"] = node("VAEDecode", samples=["0", 0], vae=["vae", 0])
    return graph


def size_of(frames):
    return WIDTH * HEIGHT * frames * CHANNELS * FLOAT


def run_of(graph, *, loads=0, by_kinds=0):
    """The run of a graph in a process where each output is kept and each kind takes its factor."""
    features = features_of(graph)
    kept = peak = loads
    nodes = {"VAELoader": loads} if loads else {}
    for step in features.steps:
        size = step.pixels * CHANNELS * FLOAT
        takes = FACTORS.get(step.kind, 0.0) * size
        if takes:
            nodes[step.kind] = int(takes)
        peak, kept = max(peak, kept + takes), kept + min(size, takes)
    ran = {step.id for step in features.steps}
    return Run(
        *(features.family, features.sizes, int(peak), 0, 1.0, bool(loads)),
        nodes=nodes,
        pixels=pixels_by_kind(features, ran),
        by_kinds=by_kinds,
        kinds=features.kinds,
        models=features.models,
    )


def taught(predictor, *graphs):
    for graph in graphs:
        predictor.learn(run_of(graph, by_kinds=predictor.need(graph).by_kinds))
    return predictor


SEEN = [chain("ImageInvert", frames=n) for n in (17, 33, 65)] + [chain("ImageBlend", frames=n) for n in (25, 49)]
NEVER = chain("ImageBlend", "ImageInvert", "ImageInvert", frames=81)


def test_a_workflow_never_seen_of_kinds_that_were_is_told_by_what_those_took():
    need = taught(Predictor(), *SEEN).need(NEVER)
    true = run_of(NEVER).ram
    assert not need.known and true <= need.ram < 1.3 * true
    assert need.by_kinds == pytest.approx(true, rel=0.01)
    fresh = Predictor().need(NEVER).ram
    assert fresh == Predictor().need(chain("ImageInvert", frames=81)).ram < true, "to arithmetic they are the same"


def test_where_most_of_it_is_of_kinds_never_seen_arithmetic_tells_as_before():
    predictor = taught(Predictor(), *SEEN)
    strange = chain("Strange", "Stranger", frames=81)
    assert predictor.need(strange).ram > predictor.need(chain(frames=81)).ram
    needs = KindNeeds()
    for graph in SEEN:
        needs.learn(run_of(graph))
    told = needs.need(features_of(strange), cold=False)
    assert told.guessed == pytest.approx(2 * UNSEEN * size_of(81), rel=0.01)


def test_a_kind_that_changed_its_ways_is_known_anew_after_as_many_runs_as_count():
    needs = KindNeeds()
    blend = run_of(chain("ImageBlend"))
    for _ in range(50):
        needs.learn(blend)
    grown = blend._replace(ram=2 * blend.ram, nodes={**blend.nodes, "ImageBlend": 2 * blend.nodes["ImageBlend"]})
    before = needs.need(features_of(chain("ImageBlend")), cold=False).ram
    for _ in range(REMEMBERED):
        needs.learn(grown)
    after = needs.need(features_of(chain("ImageBlend")), cold=False).ram
    assert after - before == pytest.approx(blend.nodes["ImageBlend"], rel=0.01)


def test_a_run_that_failed_or_was_too_small_to_tell_says_nothing_of_its_kinds():
    needs = KindNeeds()
    needs.learn(run_of(chain("ImageBlend"))._replace(outcome=DIED))
    needs.learn(run_of(chain("ImageBlend", frames=1)))
    told = needs.need(features_of(chain("ImageBlend")), cold=False)
    assert told.guessed == pytest.approx(2 * UNSEEN * size_of(65), rel=0.01)


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_one_run_of_this_process_is_believed_against_a_file(factor):
    true = run_of(chain("ImageBlend"))
    lie = true._replace(ram=int(true.ram * factor), nodes={k: int(v * factor) for k, v in true.nodes.items()})
    poisoned = KindNeeds()
    for _ in range(20):
        poisoned.learn(lie, hearsay=True)
    poisoned.learn(true)
    assert poisoned.need(features_of(chain("ImageBlend")), cold=False).ram == pytest.approx(true.ram, rel=0.01)


def test_a_kind_never_takes_more_than_its_run_did_whatever_a_file_says():
    needs = KindNeeds()
    needs.learn(run_of(chain("ImageBlend"))._replace(ram=GB, nodes={"ImageBlend": 2**60}), hearsay=True)
    assert needs.need(features_of(chain("ImageBlend")), cold=False).ram < 2 * GB


def test_what_runs_took_that_is_nothing_like_what_their_kinds_said_is_no_measure_of_others():
    predictor = taught(Predictor(), *SEEN)
    for n in range(20):
        run = run_of(chain("ImageInvert"), by_kinds=1 + n)
        predictor.learn(run._replace(family=f"absurd{n}"))
    true = run_of(NEVER).ram
    assert true <= predictor.need(NEVER).ram < 1.3 * true


def test_weights_are_as_large_as_their_file_and_the_first_to_be_loaded_bring_libraries():
    asked = []

    def model_bytes(name):
        asked.append(name)
        return 320 * MB

    predictor = taught(Predictor(model_bytes=model_bytes), *SEEN)
    told = predictor.need(chain("ImageInvert", vae=True))
    tensors = run_of(chain("ImageInvert")).ram
    assert 320 * MB + tensors + UNKNOWN_BYTES < told.ram < 320 * MB + 4 * tensors + UNKNOWN_BYTES
    first = run_of(chain("ImageBlend", vae=True), loads=320 * MB)
    predictor.learn(first)
    predictor.models_gone()
    assert predictor.need(chain("ImageInvert", vae=True)).ram < told.ram
    assert set(asked) == {"vae.safetensors"} and len(asked) == 1, "a file is looked at once"


def test_weights_that_nobody_knows_are_still_taken_to_be_as_large_as_the_largest_run():
    predictor = taught(Predictor(), *SEEN)
    largest = max(run_of(graph).ram for graph in SEEN)
    assert predictor.need(chain("ImageInvert", frames=5, vae=True)).ram >= 1.2 * largest


def test_what_loaded_its_models_before_needs_less_by_them_once_they_are_loaded():
    graph = chain("ImageInvert", vae=True)
    predictor = Predictor()
    predictor.learn(run_of(graph, loads=GB))
    warm = predictor.need(graph)
    predictor.models_gone()
    cold = predictor.need(graph)
    assert cold.known and cold.ram - warm.ram > 0.9 * GB


def test_weights_do_not_grow_with_the_clip():
    predictor, small, large = Predictor(), *(chain("ImageInvert", frames=n, vae=True) for n in (33, 97))
    predictor.learn(run_of(small, loads=GB))
    predictor.models_gone()
    assert run_of(large, loads=GB).ram < predictor.need(large).ram < 1.7 * run_of(large, loads=GB).ram


def test_what_ran_of_a_prompt_is_kept_by_kind_loaders_first_and_not_what_came_from_the_cache():
    features = features_of(chain("ImageInvert", "ImageInvert", vae=True))
    kept = pixels_by_kind(features, {"vae", "0", "1"})
    assert kept == {"VAELoader": 0.0, "EmptyImage": WIDTH * HEIGHT * 65, "ImageInvert": WIDTH * HEIGHT * 65}
    assert next(iter(kept)) == "VAELoader"
