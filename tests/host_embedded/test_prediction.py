"""The whole extension on the embedded host: it learns, foretells, refuses, and chooses sizes."""

from __future__ import annotations

import pytest

from resource_gate.extension import Extension
from resource_gate.gate.host import Verdict
from resource_gate.host.embedded_pass import add_nodes
from resource_gate.host.embedded_worker import REFUSED


@pytest.fixture
def extension(host):
    made = Extension(host)
    made.start()
    add_nodes(host, made.nodes())
    yield made
    made.stop()


@pytest.fixture
def adaptive(clip):
    """A tiny clip whose number of frames is chosen."""

    def graph(color, prefix="clip", **widgets):
        made = clip(color=color, prefix=prefix)
        made["1"]["inputs"]["batch_size"] = ["n", 0]
        given = {"wanted": 9, "step": 4, "plus_one": True, "keep_free": 0.0, **widgets}
        made["n"] = {"class_type": "ResourceGateBatchSize", "inputs": given}
        return made

    return graph


def nodes_run(extension, host, run, graph):
    """Ids of the nodes that were not taken from the cache."""
    entry = run(graph)
    assert entry["status"]["completed"], entry["status"]["messages"]
    cached = dict(entry["status"]["messages"])["execution_cached"]["nodes"]
    return set(graph) - set(cached)


def test_what_clips_take_is_learned_and_told(extension, run, clip):
    for color in range(4):
        run(clip(color=color, frames=5 + 4 * color))
    (family,) = extension.prediction.view()["families"]
    assert family["outcomes"] == {"ok": 4} and family["checked"] == 3
    assert extension.prediction.problem is None
    assert extension.prediction.predictor.need(clip(frames=5)).known


def test_the_end_of_what_waits_is_foretold_before_any_of_it_has_run(extension, host, run, clip):
    for color in range(3):
        run(clip(color=color))
    extension.gate.admission.pause()
    host.submit(clip(color=8))
    host.submit(clip(color=9))
    batch = extension.status()["batch"]
    assert 0 <= batch["eta_low"] < batch["eta_seconds"] < batch["eta_high"]
    extension.gate.admission.resume()


def test_a_refused_prompt_ends_as_failed_with_the_reason_and_the_next_one_runs(host, recorder, run, clip):
    told = recorder(verdict=lambda job: Verdict(False, "needs too much", refused=True))
    host.attach(told)
    entry = run(clip(color=1))
    error = dict(entry["status"]["messages"])["execution_error"]
    assert not entry["status"]["completed"] and entry["outputs"] == {}
    assert error["exception_type"] == REFUSED and "needs too much" in error["exception_message"]
    assert [o.error_type for o in told.outcomes] == [REFUSED] and len(told.began) == 1
    told.verdict = lambda job: Verdict(True)
    assert run(clip(color=2))["status"]["completed"]


def test_a_chosen_size_makes_a_clip_of_so_many_frames(extension, host, run, adaptive, decoded):
    entry = run(adaptive(1))
    (file,) = entry["outputs"]["4"]["images"]
    assert decoded(host.folders.output / file["subfolder"] / file["filename"]).frames == 9
    (learned,) = extension.prediction.file.all()
    assert learned.sizes_chosen == {"n": 9}


def test_an_unchanged_workflow_is_taken_from_the_cache_whole(extension, host, run, adaptive):
    nodes_run(extension, host, run, adaptive(1))
    assert nodes_run(extension, host, run, adaptive(1)) == set()


def test_with_the_last_node_changed_only_that_runs_again(extension, host, run, adaptive):
    nodes_run(extension, host, run, adaptive(1))
    assert nodes_run(extension, host, run, adaptive(1, prefix="other")) == {"4"}


def test_another_size_makes_all_that_follows_anew(extension, host, run, adaptive):
    nodes_run(extension, host, run, adaptive(1))
    assert nodes_run(extension, host, run, adaptive(1, wanted=13)) == {"n", "1", "2", "3", "4"}


def test_a_prediction_that_breaks_is_told_and_prompts_run(extension, run, clip):
    extension.prediction.predictor = None
    assert run(clip(color=1))["status"]["completed"]
    assert "thresholds alone" in extension.status()["degraded"]["prediction"]


def test_a_later_prompt_runs_first_where_the_listener_names_it(host, recorder, until, clip):
    told = recorder()
    host.attach(told)
    told.verdict = lambda job: Verdict(False, "paused", 0.01)
    first, second = host.submit(clip(color=1)), host.submit(clip(color=2))
    told.verdict = lambda job: Verdict(False, "no room", 0.01, second.id) if not told.began else Verdict(True)
    until(lambda: host.queue.entry(first.id))
    assert told.began == [second.id, first.id]
