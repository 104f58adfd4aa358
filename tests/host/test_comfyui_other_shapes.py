from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest


@pytest.mark.parametrize("missing", ["mutex", "not_empty", "currently_running", "task_done"])
def test_a_queue_of_another_shape_is_left_as_it_is_and_that_is_said(comfyui, caplog, missing):
    class Fork:
        """A queue class of a fork, which lacks one thing."""

        def __init__(self):
            inner = comfyui.PromptQueue()
            names = ("queue", "mutex", "not_empty", "currently_running", "task_done", "put", "get_flags", "set_flag")
            for name in names:
                if name != missing:
                    setattr(self, name, getattr(inner, name))
            self.get = inner.get

    queue = Fork()
    get = queue.get
    server = comfyui.Server(queue=queue)
    with caplog.at_level(logging.WARNING):
        server.hooks.install(server.listener)
    assert queue.get is get
    assert missing in server.hooks.degraded["gate"]
    assert len([r for r in caplog.records if "gate is off" in r.getMessage()]) == 1
    queue.put((0, "a", {}, {}, [], {}))
    assert queue.get(timeout=1)[0][1] == "a"
    server.hooks.wake()
    server.hooks.on_worker(lambda place: None)
    assert server.hooks.head() is None


def test_a_comfyui_without_the_hook_between_nodes_keeps_the_gate(comfyui):
    server = comfyui.Server(nodes=SimpleNamespace())
    try:
        server.start().put("a")
        server.wait_for(1)
        assert set(server.hooks.degraded) == {"brake"} and ("may start", "a") in server.listener.events
    finally:
        server.stop()


def test_the_head_is_the_prompt_that_would_run_next(server):
    assert server.hooks.head() is None
    server.put("b", 5)
    server.put("a", 1, {"1": {"class_type": "Load", "inputs": {}}})
    head = server.hooks.head()
    assert (head.id, head.number, head.outputs) == ("a", 1.0, ("1",)) and "1" in head.graph


def test_items_of_an_older_comfyui_have_five_parts(server):
    server.start().put("", item=(0, "old", {}, {}, ["9"]))
    server.wait_for(1)
    assert server.executed == ["old"]


def test_a_graph_of_another_shape_runs_all_the_same(server):
    server.start().put("", item=(0, "odd", ["no", "graph"], {}, ["9"], {}))
    server.wait_for(1)
    assert server.executed == ["odd"]


def test_an_item_of_another_shape_does_not_kill_the_worker(server):
    server.start().put("", item=(0, "odd", {}, {}, None, {}))
    server.wait_for(1)
    server.put("next")
    server.wait_for(1)
    assert server.executed == ["odd", "next"]
