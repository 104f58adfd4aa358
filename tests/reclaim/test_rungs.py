from __future__ import annotations

import gc
import weakref

import pytest

from resource_gate.monitor.readings import Level
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import CachedOutput, LoadedModel, Place, Use
from resource_gate.reclaim.ladder import Ladder, Shortage
from resource_gate.reclaim.rungs import (
    DeviceCache,
    GarbageCollection,
    HeapTrim,
    Models,
    Outputs,
    standard_rungs,
    trim_heap,
)

MB = 1024**2
AT = Place.BETWEEN_PROMPTS
EVERY = list(Use)


def output(node, ram=0, use=Use.EARLIER, vram=0, models=0, group=0):
    return CachedOutput(("key", node), node, use, ram, vram, models, group)


def rung(host, uses=(Use.EARLIER, Use.DONE), models=False):
    return Outputs(host, "outputs", uses, Level.WARNING, models=models)


def test_the_largest_outputs_go_first_and_only_as_many_as_needed(host):
    host.cached = [output("small", 10 * MB), output("large", 300 * MB), output("middle", 100 * MB)]
    _, said = rung(host).free("ram", AT, 350 * MB)
    assert host.dropped == ["large", "middle"]
    assert "large, middle" in said


def test_without_a_goal_all_outputs_that_hold_something_go(host):
    host.cached = [output("a", MB), output("b", 2 * MB), output("text", 0)]
    rung(host).free("ram", AT, None)
    assert host.dropped == ["b", "a"]


@pytest.mark.parametrize("kept", [u for u in EVERY if u not in (Use.EARLIER, Use.DONE)])
def test_what_a_node_to_run_needs_or_the_next_prompt_reuses_stays(host, kept):
    host.cached = [output("kept", 500 * MB, kept), output("free", MB)]
    one = rung(host)
    assert one.estimate("ram", AT) == MB
    one.free("ram", AT, None)
    assert host.dropped == ["free"]


def test_storage_shared_with_an_output_that_must_stay_stays_whole(host):
    host.cached = [
        output("needed", 0, Use.NEEDED, group=3),
        output("shares", 500 * MB, Use.DONE, group=3),
        output("alone", MB, Use.DONE, group=4),
    ]
    one = rung(host)
    assert one.estimate("ram", AT) == MB
    one.free("ram", AT, None)
    assert host.dropped == ["alone"]


def test_outputs_that_share_storage_go_together(host):
    host.cached = [output("a", 60 * MB, group=1), output("big", 80 * MB, group=2), output("b", 40 * MB, group=1)]
    rung(host).free("ram", AT, 90 * MB)
    assert host.dropped == ["a", "b"]


def test_outputs_without_a_group_are_not_one_group(host):
    host.cached = [output("needed", MB, Use.NEEDED), output("done", MB, Use.DONE)]
    rung(host).free("ram", AT, None)
    assert host.dropped == ["done"]


def test_models_stay_unless_they_are_allowed(host):
    host.cached = [output("loader", 900 * MB, models=900 * MB), output("image", MB)]
    assert rung(host).estimate("ram", AT) == MB
    rung(host).free("ram", AT, None)
    assert host.dropped == ["image"]
    assert rung(host, models=True).estimate("ram", AT) == 900 * MB


def test_a_dropped_model_whose_parts_refer_to_each_other_is_really_gone(host):
    class Part:
        pass

    model, patcher = Part(), Part()
    model.patcher, patcher.model = patcher, model
    gone = weakref.ref(model)
    host.cached = [CachedOutput([model], "loader", Use.EARLIER, 900 * MB, models=900 * MB)]
    del model, patcher
    gc.disable()
    try:
        rung(host, models=True).free("ram", AT, None)
        assert gone() is None
    finally:
        gc.enable()


def test_for_vram_only_bytes_on_the_device_count(host):
    host.cached = [output("image", 500 * MB), output("latent", 0, vram=20 * MB)]
    one = rung(host)
    assert one.estimate("vram0", AT) == 20 * MB
    one.free("vram0", AT, None)
    assert host.dropped == ["latent"]


def test_with_nothing_cached_there_is_nothing_to_do_and_no_error(host):
    one = rung(host, models=True)
    assert one.estimate("ram", AT) == 0
    one.free("ram", AT, None)
    assert host.dropped == []


class Ticking:
    """A clock on which each look costs `step` seconds."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def test_garbage_is_collected_no_more_than_its_share_of_the_time():
    clock = Ticking(0.0)
    share = 0.05
    one = GarbageCollection(lambda: share, clock)
    collected = 0.0
    while clock.now < 600:
        if one.estimate("ram", AT) is None:
            clock.step = 0.5  # free() looks twice: the collection took half a second
            one.free("ram", AT, None)
            clock.step = 0.0
            collected += 0.5
        clock.now += 0.1
    assert 0.03 <= collected / clock.now <= share


def test_garbage_is_not_collected_where_its_share_is_zero():
    assert GarbageCollection(lambda: 0.0).estimate("ram", AT) == 0


def test_collecting_garbage_really_does():
    class Node:
        pass

    node = Node()
    node.self = node
    gone = weakref.ref(node)
    del node
    gc.disable()
    try:
        _, said = GarbageCollection(lambda: 0.05).free("ram", AT, None)
        assert gone() is None and "objects" in said
    finally:
        gc.enable()


@pytest.mark.parametrize(("slack", "estimate"), [(100, 0), (512, 512), (9000, 9000), (None, None), (0, 0)])
def test_the_heap_is_trimmed_only_where_its_slack_is_worth_it(slack, estimate):
    one = HeapTrim("trim", Level.WARNING, lambda: slack, lambda: 512, lambda: None)
    assert one.estimate("ram", AT) == estimate


def test_trimming_calls_the_system_and_the_real_one_raises_nothing():
    called = []
    HeapTrim("trim", Level.WARNING, lambda: 1, lambda: 0, lambda: called.append(1)).free("ram", AT, None)
    assert called == [1]
    trim_heap()


def test_the_device_cache_is_emptied_when_it_holds_something(host):
    host.slack = 7 * MB
    one = DeviceCache(host)
    assert one.estimate("vram0", AT) == 7 * MB
    one.free("vram0", AT, None)
    assert host.emptied == 1 and one.estimate("vram0", AT) == 0


def models(host, room=1 << 40, needed=False):
    return Models(host, "models", lambda: room, needed=needed)


def model(name, size, needed=False):
    return LoadedModel(name, name, size * MB, needed)


def test_the_largest_model_that_suffices_goes_and_the_others_stay(host):
    host.loaded = [model("vae", 300), model("unet", 5000), model("clip", 900)]
    _, said = models(host).free("vram0", AT, 1000 * MB)
    assert host.unloaded == ["unet"] and "unet (4.9 GB)" in said


def test_models_that_are_still_needed_go_only_where_that_is_allowed(host):
    host.loaded = [model("used", 5000, needed=True), model("idle", 900)]
    assert models(host).estimate("vram0", AT) == 900 * MB
    models(host).free("vram0", AT, None)
    assert host.unloaded == ["idle"]
    models(host, needed=True).free("vram0", AT, None)
    assert host.unloaded == ["idle", "used"]


def test_a_model_that_finds_no_room_in_ram_stays_on_its_device(host):
    host.loaded = [model("unet", 5000), model("clip", 900), model("vae", 300)]
    one = models(host, room=1000 * MB)
    assert one.estimate("vram0", AT) == 900 * MB
    one.free("vram0", AT, None)
    assert host.unloaded == ["clip"]


def test_a_model_whose_weights_move_nowhere_needs_no_room_in_ram(host):
    host.loaded = [LoadedModel("unet", "unet", 5000 * MB, False, moves=False), model("clip", 900)]
    models(host, room=0).free("vram0", AT, None)
    assert host.unloaded == ["unet"]


def test_a_model_with_nothing_on_the_device_is_left_alone(host):
    host.loaded = [model("offloaded", 0)]
    assert models(host).estimate("vram0", AT) == 0


def standard(host, slack=lambda: 0, share=0.0):
    return standard_rungs(
        host,
        heap_slack=slack,
        trim_worth=lambda: 512 * MB,
        gc_share=lambda: share,
        ram_free=lambda: 1 << 40,
    )


def climb(host, memory, clock, level, place=Place.BETWEEN_PROMPTS, resource="ram", goal=None):
    host.on_drop = lambda going: setattr(memory, "used", memory.used - sum(o.ram for o in going))
    ladder = Ladder(standard(host), memory.measure, ActionLog(), clock=clock)
    return ladder.climb(Shortage(resource, level, "test", goal), place)


def full_house(host):
    host.cached = [
        output("earlier", 100 * MB, Use.EARLIER),
        output("done", 100 * MB, Use.DONE),
        output("needed", 100 * MB, Use.NEEDED),
        output("reusable", 100 * MB, Use.REUSABLE),
        output("idle loader", 100 * MB, Use.DONE, models=100 * MB),
        output("loader to come", 100 * MB, Use.REUSABLE, models=100 * MB),
        output("loader in use", 100 * MB, Use.NEEDED, models=100 * MB),
    ]


@pytest.mark.parametrize(
    ("level", "dropped"),
    [
        (Level.WARNING, ["earlier"]),
        (Level.CRITICAL, ["earlier", "done"]),
        (Level.EMERGENCY, ["earlier", "done", "idle loader", "reusable", "loader to come"]),
    ],
)
def test_each_level_costs_what_it_says_and_never_what_is_needed(host, memory, clock, level, dropped):
    full_house(host)
    climb(host, memory, clock, level)
    assert host.dropped == dropped
    assert {"needed", "loader in use"} <= {o.node for o in host.cached}


def test_the_cheapest_go_first_even_in_an_emergency(host, memory, clock):
    full_house(host)
    climb(host, memory, clock, Level.EMERGENCY, goal=150 * MB)
    assert host.dropped == ["earlier", "done"]


def test_beside_a_running_node_nothing_of_the_programs_own_is_touched(host, memory, clock):
    full_house(host)
    host.slack, host.loaded = 500 * MB, [model("unet", 5000)]
    climb(host, memory, clock, Level.EMERGENCY, Place.ANYWHERE)
    climb(host, memory, clock, Level.EMERGENCY, Place.ANYWHERE, "vram0")
    assert host.dropped == [] and host.unloaded == [] and host.emptied == 0


def test_for_vram_models_go_only_in_an_emergency_and_those_in_use_only_between_prompts(host, memory, clock):
    host.loaded = [model("used", 5000, needed=True), model("idle", 900)]
    climb(host, memory, clock, Level.CRITICAL, resource="vram0")
    assert host.unloaded == []
    climb(host, memory, clock, Level.EMERGENCY, Place.BETWEEN_NODES, "vram0")
    assert host.unloaded == ["idle"]
    climb(host, memory, clock, Level.EMERGENCY, resource="vram0")
    assert host.unloaded == ["idle", "used"]


def test_a_thorough_trim_follows_at_critical_where_the_slack_is_small(host, memory, clock):
    rungs = standard(host, slack=lambda: 100 * MB)["ram"]
    trims = [r for r in rungs if isinstance(r, HeapTrim)]
    assert [(t.level, t.estimate("ram", AT)) for t in trims[:2]] == [(Level.WARNING, 0), (Level.CRITICAL, 100 * MB)]


def test_all_models_are_taken_automatically_between_prompts_only(host):
    rungs = standard_rungs(
        host, heap_slack=lambda: 0, trim_worth=lambda: 0, gc_share=lambda: 0.05, ram_free=lambda: 1 << 40
    )
    [everything] = [r for r in rungs["vram"] if r.name == "all models"]
    assert everything.place == Place.BETWEEN_PROMPTS


def test_where_one_output_suffices_the_smallest_such_goes(host):
    host.cached = [output("huge", 1900 * MB), output("fits", 470 * MB), output("small", 20 * MB)]
    rung(host).free("ram", AT, 400 * MB)
    assert host.dropped == ["fits"]


def test_trimming_the_heap_of_this_process_raises_nothing_on_any_system():
    from resource_gate.reclaim.rungs import trim_heap

    block = [bytes(1000) for _ in range(1000)]
    del block
    trim_heap()
