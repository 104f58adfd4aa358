"""A prompt that shows no progress for far longer than any node of the same workflow ever took."""

from __future__ import annotations

import logging

import pytest

from resource_gate.gate.host import Job, NodeStart, Outcome
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.stuck import FACTOR, FLOOR, StuckWatch, signature

GRAPH = {
    "1": {"class_type": "Load", "inputs": {"name": "a"}},
    "2": {"class_type": "Sample", "inputs": {"model": ["1", 0], "seed": 1, "steps": 20, "text": "a cat"}},
}


class World:
    def __init__(self, folder, machine):
        self.machine = machine
        self.journal = Journal(folder, wall=machine.wall, clock=machine.clock)
        self.journal.open()
        self.share = None
        self.watch = StuckWatch(self.journal.times, lambda: self.share, machine.clock)

    def node(self, node_id, seconds=0.0):
        self.watch.before_node(NodeStart("a", node_id, GRAPH[node_id]["class_type"]))
        self.wait(seconds)

    def wait(self, seconds):
        for _ in range(int(seconds // 5)):
            self.machine.wait(5)
            self.watch.look()

    def run(self, *seconds, ok=True, graph=GRAPH):
        self.watch.started(Job("a", 0.0, graph))
        for node_id, took in zip("12", seconds, strict=True):
            self.node(node_id, took)
        self.watch.ended(Outcome("a", ok))
        self.watch.look()

    def hang(self, seconds, graph=GRAPH):
        self.watch.started(Job("a", 0.0, graph))
        self.node("1")
        self.node("2", seconds)
        return self.watch.problem


@pytest.fixture
def world(tmp_path, machine):
    one = World(tmp_path, machine)
    yield one
    one.journal.close()


def test_a_node_far_beyond_what_this_workflow_ever_took_is_told_loudly_once(world, caplog):
    world.run(10, 100)
    with caplog.at_level(logging.WARNING):
        problem = world.hang(FLOOR + 120)
    assert "prompt a is stuck: node 2 Sample" in problem
    assert "took was 100 s (2 Sample)" in problem
    assert world.watch.cause == {
        "code": "stuck",
        "node": "2 Sample",
        "still": pytest.approx(FLOOR, abs=130),
        "longest": 100,
    }
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    world.watch.ended(Outcome("a", False, "interrupted"))
    world.watch.look()
    assert world.watch.problem is None and world.watch.cause is None


def test_a_first_run_is_never_called_stuck(world):
    assert world.hang(20 * FLOOR) is None


def test_nor_one_of_another_size(world):
    world.run(10, 10)
    larger = {**GRAPH, "2": {**GRAPH["2"], "inputs": {**GRAPH["2"]["inputs"], "steps": 500}}}
    assert world.hang(20 * FLOOR, larger) is None


def test_nor_one_that_a_failed_run_would_make_look_slow(world):
    world.run(1, 1, ok=False)
    assert world.hang(20 * FLOOR) is None


def test_a_workflow_that_takes_long_has_its_own_measure(world):
    world.run(10, FLOOR)
    assert world.hang(FACTOR * FLOOR - 60) is None
    world.wait(240)
    assert world.watch.problem is not None


def test_a_progress_bar_that_moves_is_progress(world):
    world.run(1, 1)
    world.watch.started(Job("a", 0.0, GRAPH))
    world.node("2")
    for step in range(10):
        world.share = step / 10
        world.wait(FLOOR / 2)
    assert world.watch.problem is None
    world.wait(FLOOR + 60)
    assert world.watch.problem is not None


def test_a_machine_that_slept_was_not_stuck(world, machine):
    world.run(1, 1)
    world.hang(60)
    machine.wait(10 * FLOOR)
    world.watch.look()
    assert world.watch.problem is None


def test_a_gate_node_waits_because_it_is_told_to(world):
    world.run(1, 1)
    world.watch.started(Job("a", 0.0, GRAPH))
    world.watch.before_node(NodeStart("a", "2", "ResourceGate"))
    world.wait(3 * FLOOR)
    assert world.watch.problem is None


def test_what_was_learned_outlives_the_process(world, tmp_path, machine):
    world.run(10, 100)
    world.journal.close()
    later = World(tmp_path, machine)
    assert later.hang(FLOOR + 120) is not None
    later.journal.close()


def test_seeds_and_texts_make_no_other_workflow_but_numbers_and_links_do():
    def changed(**inputs):
        return {**GRAPH, "2": {**GRAPH["2"], "inputs": {**GRAPH["2"]["inputs"], **inputs}}}

    assert signature(changed(seed=7, text="a dog")) == signature(GRAPH)
    assert len({signature(GRAPH), signature(changed(steps=30)), signature(changed(model=["1", 1]))}) == 3
    assert signature({"1": "no node"}) != signature({})
