"""Whether a hook of ours still holds is told by who the function belongs to."""

from __future__ import annotations

import types
from functools import partial

from resource_gate.host.comfyui_hooks import hooks_in_force
from resource_gate.host.comfyui_queue import QueueHooks


class Queue:
    """A queue's methods, as ComfyUI's has them."""

    def get(self): ...

    def put(self, item): ...

    def task_done(self): ...

    def wipe_queue(self): ...


def module(function):
    made = types.ModuleType("nodes")
    made.before_node_execution = function
    return made


def test_what_is_not_hooked_and_what_is_not_there_is_told():
    def before_node_execution(): ...

    before_node_execution.__module__ = "nodes"
    found = hooks_in_force(Queue(), module(before_node_execution))
    assert found["prompt_queue.get"] == "not hooked"
    assert found["prompt_queue.delete_queue_item"] == "not there in this ComfyUI"
    assert found["nodes.before_node_execution"] == "not hooked"


def test_ours_is_told_with_what_it_does_a_partial_of_ours_too():
    queue = Queue()
    queue.get = QueueHooks.wake
    queue.wipe_queue = partial(QueueHooks.wake, None)
    found = hooks_in_force(queue, module(QueueHooks.wake))
    assert found["prompt_queue.get"] == "asks the gate before a prompt starts"
    assert found["prompt_queue.wipe_queue"] == "journals what is cleared"
    assert found["nodes.before_node_execution"] == "looks at the memory before a node"


def test_another_pack_that_took_the_place_is_named():
    def theirs(): ...

    theirs.__module__ = "custom_nodes.other_pack.patches"
    queue = Queue()
    queue.get = theirs
    told = hooks_in_force(queue, module(theirs))["prompt_queue.get"]
    assert told.startswith("held by custom_nodes.other_pack.patches.") and told.endswith("which may call ours")
