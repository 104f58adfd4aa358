"""A dry run tells what would be done and what it would cost, and changes nothing."""

from __future__ import annotations

import pytest

from resource_gate.monitor.readings import GpuReading, Level, Sample
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import CachedOutput, LoadedModel, Place, Use
from resource_gate.reclaim.ladder import Ladder, Shortage
from resource_gate.reclaim.preview import FreePreview
from resource_gate.reclaim.rungs import Models, Outputs

MB = 1024**2


@pytest.fixture
def ladder(fakes, memory, clock, host):
    host.cached = [
        CachedOutput("a", "1 LoadImage", Use.EARLIER, 100 * MB),
        CachedOutput("b", "2 ImageScale", Use.DONE, 50 * MB),
        CachedOutput("c", "3 CheckpointLoader", Use.DONE, 400 * MB, models=400 * MB),
        CachedOutput("d", "4 KSampler", Use.NEEDED, 20 * MB),
    ]
    host.loaded = [LoadedModel("m", "Flux", 300 * MB, False), LoadedModel("n", "VAE", 10 * MB, True)]
    rungs = {
        "ram": [
            Outputs(host, "outputs of earlier prompts", [Use.EARLIER], Level.WARNING),
            Outputs(host, "outputs that no later node needs", [Use.EARLIER, Use.DONE], Level.CRITICAL),
            fakes.FakeRung(memory, "garbage", guess=None),
            fakes.FakeRung(memory, "broken", estimate_error=RuntimeError("no")),
            fakes.FakeRung(memory, "empty", 0),
            Outputs(host, "models", [Use.EARLIER, Use.DONE], Level.EMERGENCY, models=True),
        ],
        "vram": [
            Models(host, "idle models", lambda: 1 << 40),
            Models(host, "all models", lambda: 1 << 40, needed=True, place=Place.BETWEEN_PROMPTS),
        ],
    }
    return Ladder(rungs, memory.measure, ActionLog(), clock=clock)


@pytest.fixture
def preview(ladder, host):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    sample = Sample(0, 0, gpus=(GpuReading(0, "card", 1, 2, "nvml"),))
    return FreePreview(ladder, host, lambda: sample, lambda: True, lambda: 5000.0)


def rungs(answer):
    return {a["resource"]: {r["name"]: r["freed"] for r in a["rungs"]} for a in answer["actions"]}


def test_each_rung_tells_what_it_adds_to_those_before_it(preview):
    answer = preview.free(Level.EMERGENCY)
    assert rungs(answer) == {
        "ram": {
            "outputs of earlier prompts": 100 * MB,
            "outputs that no later node needs": 50 * MB,
            "garbage": None,
            "models": 400 * MB,
        },
        "vram0": {"idle models": 300 * MB, "all models": 10 * MB},
    }
    assert (answer["freed"], answer["would_free"], answer["deferred"]) == (0, 860 * MB, None)
    assert all(action["dry_run"] for action in answer["actions"])
    assert answer["actions"][0]["text"] == (
        "dry run: would try: outputs of earlier prompts (100 MB); outputs that no later node needs (50 MB); garbage; "
        "models (400 MB)"
    )


def test_a_level_is_not_exceeded(preview):
    assert rungs(preview.free(Level.WARNING)) == {"ram": {"outputs of earlier prompts": 100 * MB, "garbage": None}}


def test_nothing_is_freed_and_a_real_request_later_does_all_of_it(preview, ladder, host):
    preview.free(Level.EMERGENCY)
    preview.costs()
    assert (host.dropped, host.unloaded) == ([], [])
    action = ladder.climb(Shortage("ram", Level.CRITICAL, "asked"), Place.BETWEEN_PROMPTS)
    assert [step.name for step in action.steps][:2] == [
        "outputs of earlier prompts",
        "outputs that no later node needs",
    ]
    assert host.dropped == ["1 LoadImage", "2 ImageScale"]


def test_costs_name_the_nodes_that_run_again_and_the_models_that_load_again(preview):
    costs = preview.costs()
    assert costs["warning"] == {"bytes": 100 * MB, "text": "free.cost.warning", "reruns": 1, "reloads": []}
    assert costs["critical"] == {"bytes": 150 * MB, "text": "free.cost.critical", "reruns": 2, "reloads": []}
    assert (costs["emergency"]["bytes"], costs["emergency"]["reruns"]) == (860 * MB, 3)
    assert costs["emergency"]["reloads"] == ["3 CheckpointLoader", "Flux", "VAE"]
    assert costs["deferred"] is None


def test_while_a_node_runs_what_only_the_worker_knows_is_left_open(ladder, host):
    preview = FreePreview(ladder, host, lambda: None, lambda: False)
    answer = preview.free(Level.EMERGENCY)
    assert rungs(answer) == {"ram": {"garbage": None}}
    assert answer["deferred"].startswith("a node is running; ")
    costs = preview.costs()
    assert costs["emergency"] == {"bytes": None, "text": "free.cost.emergency", "reruns": None, "reloads": None}


def test_what_nobody_waits_for_any_more_does_not_keep_the_worker_from_its_next_node(ladder, host):
    """A client that asks each second, while a node runs for minutes, leaves hundreds of them."""
    preview = FreePreview(ladder, host, lambda: None, lambda: False)
    preview.free(Level.EMERGENCY)
    looked, outputs = [], host.outputs
    host.outputs = lambda: looked.append(True) or outputs()
    for work in host.work:
        work(Place.BETWEEN_NODES)
    assert len(host.work) == 1 and looked == []
