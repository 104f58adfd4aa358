from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import pytest

from resource_gate.nodes.free_memory import FreeMemoryNode
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import CachedOutput, LoadedModel, Use

MB = 1024**2


class Host:
    def __init__(self):
        self.did = []
        self.actions = ActionLog()
        self.ram, self.vram = 900 * MB, 700 * MB
        self.cached = [
            CachedOutput(1, "earlier", Use.EARLIER, 100 * MB),
            CachedOutput(2, "done", Use.DONE, 50 * MB),
            CachedOutput(3, "needed", Use.NEEDED, 25 * MB),
            CachedOutput(4, "reusable", Use.REUSABLE, 10 * MB),
            CachedOutput(5, "old loader", Use.EARLIER, 300 * MB, models=300 * MB),
        ]
        self.loaded = [LoadedModel(1, "used", 400 * MB, True), LoadedModel(2, "idle", 200 * MB, False)]

    def outputs(self):
        return self.cached

    def drop_outputs(self, outputs):
        for one in list(outputs):
            self.did.append(one.node)
            self.ram -= one.ram

    def models(self):
        return self.loaded

    def unload_models(self, models):
        for one in list(models):
            self.did.append(one.name)
            self.vram -= one.vram

    def empty_device_cache(self):
        self.did.append("device cache")


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def run(host, context):
    def go(**widgets):
        node = FreeMemoryNode(
            host,
            ram_used=lambda: host.ram,
            vram_used=lambda: host.vram,
            actions=host.actions,
            trim=lambda: host.did.append("trim"),
        )
        node.run(context, **widgets)
        return host.did

    return go


def test_as_it_is_set_it_frees_what_costs_nobody_anything_and_tells_how_much(run, context):
    assert run() == ["earlier", "idle", "device cache", "trim"]
    assert context.shown[-1] == "freed 100 MB RAM, 200 MB VRAM; unloaded idle" and context.again == 1


def test_each_step_is_told_on_the_node_while_it_is_done(host, run, context):
    seen = []
    host.empty_device_cache = lambda: seen.append((context.shown[-1], context.bar[-1]))
    run(collect_garbage=False)
    assert seen == [("emptying the device cache …", (2, 3))]
    assert context.shown[:2] == ["dropping cached outputs …", "unloading models …"]
    assert context.bar[-1] == (3, 3)


def test_the_log_tells_what_each_step_freed(run, host):
    run()
    action = host.actions.last
    assert action.why == "Free Memory (node 5)" and action.freed == 300 * MB
    assert [(s.name, s.freed // MB) for s in action.steps if s.freed] == [
        ("dropped cached outputs", 100),
        ("unloaded idle", 200),
    ]


def test_outputs_of_this_run_go_only_where_that_was_set_and_what_is_needed_or_reused_never(run):
    assert run(drop_outputs=True)[:2] == ["earlier", "done"]


@pytest.mark.parametrize(("models", "gone"), [("none", []), ("unused", ["idle"]), ("all", ["used", "idle"])])
def test_just_the_models_that_were_asked_for_are_unloaded(run, models, gone):
    assert [d for d in run(models=models) if d in ("used", "idle")] == gone


def test_what_was_switched_off_is_not_done(run):
    assert run(models="none", empty_cache=False, collect_garbage=False) == ["earlier"]


def test_garbage_goes_before_the_device_cache_is_emptied_because_it_holds_blocks(host, run):
    class Holder:
        pass

    held = Holder()
    held.self = held
    gone = weakref.ref(held)
    del held
    seen = []
    host.empty_device_cache = lambda: seen.append(gone())
    gc.disable()
    try:
        run()
    finally:
        gc.enable()
    assert seen == [None]


def test_without_a_gpu_vram_is_not_spoken_of(host, run, context):
    host.vram, host.loaded = 0, []
    run()
    assert context.shown[-1] == "freed 100 MB RAM"


def test_memory_that_grew_meanwhile_is_not_told_as_a_negative_gain(host, run, context):
    host.drop_outputs = lambda outputs: setattr(host, "ram", host.ram + 5 * MB)
    run(models="none")
    assert context.shown[-1] == "freed 0 bytes RAM, 0 bytes VRAM"


def test_an_interrupt_comes_before_anything_is_freed(host, run, context, kinds):
    context.interrupt_at = 0
    with pytest.raises(kinds.Interrupted):
        run()
    assert host.did == []


def test_the_widgets_are_the_arguments_with_the_same_defaults(host, context):
    node = FreeMemoryNode(host, ram_used=lambda: 0, vram_used=lambda: 0, actions=ActionLog(), trim=lambda: None)
    node.spec.run(context, **{w.name: w.default for w in node.spec.widgets})
    assert node.spec.id == "ResourceGateFreeMemory" and host.did == ["earlier", "idle", "device cache"]


def test_choices_hold_their_default(host):
    node = FreeMemoryNode(host, ram_used=lambda: 0, vram_used=lambda: 0, actions=ActionLog())
    choices = [w for w in node.spec.widgets if w.kind == "choice"]
    assert choices and all(w.default in w.choices for w in choices)
    assert SimpleNamespace(**{w.name: w for w in node.spec.widgets}).drop_outputs.default is False
