"""A batch on a machine whose memory is counted node by node: by need it fares no worse than by the thresholds."""

from __future__ import annotations

import random

import pytest

from resource_gate.gate.admission import Admission
from resource_gate.gate.brake import Brake
from resource_gate.gate.gate import Gate
from resource_gate.gate.host import Job, NodeStart, Outcome, Queued
from resource_gate.gate.prediction.prediction import Prediction
from resource_gate.gate.progress import BatchProgress
from resource_gate.monitor.readings import ProcessReading

from .conftest import Machine

GB = 1024**3
LIMIT = 100 * GB
SIDE = 4096
FRAME = SIDE * SIDE * 3 * 4
"""Bytes of one frame; 16 of them are 3 GB."""


def clip(frames):
    """Frames, scaled to four times as many pixels, saved."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": SIDE, "height": SIDE, "batch_size": frames}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "width": 2 * SIDE, "height": 2 * SIDE}},
        "3": {"class_type": "SaveVideo", "inputs": {"images": ["2", 0]}},
    }


def greedy(frames):
    """Frames through a node that takes four times what it is given."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": SIDE, "height": SIDE, "batch_size": frames}},
        "2": {"class_type": "Greedy", "inputs": {"image": ["1", 0]}},
    }


class Pictures:
    """As a tensor shows itself."""

    dtype = "float32"

    def __init__(self, frames, side=SIDE):
        self.shape = (frames, side, side, 3)


class World:
    """One machine; `begin` starts a process on it, which knows of earlier ones what lies in the file."""

    def __init__(self, machine, folder, base, predict):
        self.machine, self.folder, self.base = machine, folder, int(base * GB)
        machine.set(gate={"predict": predict})
        self.rng = random.Random(3)
        self.deaths = self.count = 0
        self.waited = 0.0
        self.begin()

    def begin(self):
        machine = self.machine
        machine.used, machine.cached = self.base, 0
        prediction = Prediction(self.folder, lambda: machine.settings, clock=machine.clock, wall=machine.wall)
        prediction.open()
        admission = Admission(
            *(machine.ladder, machine.read, lambda: machine.settings),
            forecast=prediction,
            clock=machine.clock,
            wall=machine.wall,
        )
        brake = Brake(
            *(machine.ladder, machine.read, lambda: machine.settings),
            peak=machine.peak,
            resident=lambda: ProcessReading(machine.used, machine.used, 0),
        )
        self.gate = Gate(admission, brake, BatchProgress(machine.clock), prediction=prediction, clock=machine.clock)

    def run(self, graph):
        self.count += 1
        job = Job(f"job{self.count}", self.count, graph, (max(graph),))
        self.gate.accepted(Queued(job.id, job.number, graph, job.outputs))
        while not (verdict := self.gate.may_start(job)).start:
            self.waited += verdict.again_in
            self.machine.wait(verdict.again_in)
        self.gate.started(job)
        frames = graph["1"]["inputs"]["batch_size"]
        made = 0
        for node_id, node in graph.items():
            kind = node["class_type"]
            size = 2 * SIDE if kind == "SaveVideo" else SIDE
            inputs = {**node["inputs"], **({"image": Pictures(frames, size)} if node_id != "1" else {})}
            self.gate.before_node(NodeStart(job.id, node_id, kind, inputs))
            output, passing = {
                "EmptyImage": (frames * FRAME, 0),
                "ImageScale": (4 * frames * FRAME, 0),
                "Greedy": (frames * FRAME, 3 * frames * FRAME),
                "SaveVideo": (0, frames * FRAME // 4),
            }[kind]
            self.machine.peak.value = int(self.machine.used + (output + passing) * self.rng.uniform(1, 1.02))
            if self.machine.peak.value > LIMIT:
                self.deaths += 1
                self.begin()
                return
            self.machine.used += output
            made += output
            self.machine.wait(1)
        self.gate.ended(Outcome(job.id, True))
        # What the last clip left, if it still lies there, goes when this one's takes its place.
        self.machine.used -= self.machine.cached
        self.machine.cached = made


def batch(machine, folder, base, predict):
    world = World(machine, folder, base, predict)
    for number in range(24):
        world.run(clip(random.Random(number).randrange(16, 24) if number % 2 else 4))
    return world


@pytest.mark.parametrize("base", [15, 62, 64, 68, 72, 76])
def test_clips_of_two_sizes_die_no_more_wait_no_longer_and_lose_no_more_than_without(tmp_path, base):
    by_need, by_thresholds = (batch(Machine(), tmp_path / str(predict), base, predict) for predict in (True, False))
    assert by_need.deaths <= by_thresholds.deaths
    assert by_need.waited <= by_thresholds.waited
    freed = [sum(a.freed for a in world.machine.actions.all()) for world in (by_need, by_thresholds)]
    assert freed[0] <= freed[1] and (freed[0] < freed[1]) == (base in (64, 68)), "exactly enough, where that is less"


def after_restarts(machine, folder, predict):
    world = World(machine, folder, 20, predict)
    for frames in (40, 32):
        world.run(greedy(frames))
    for _ in range(4):
        world.begin()
        world.run(clip(56))
        world.run(greedy(40))
    return world


def test_after_a_restart_what_a_greedy_prompt_takes_is_known_only_to_who_predicts(tmp_path):
    by_need, by_thresholds = (after_restarts(Machine(), tmp_path / str(p), p) for p in (True, False))
    assert by_thresholds.deaths == 4 and by_need.deaths == 0
