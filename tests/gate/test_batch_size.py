"""*Adaptive Batch Size* on a machine whose memory is a straight line in frames, with a little more to it each time."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip
from resource_gate.gate.batch_size import GIB, BatchSizes, Wish, bare_process
from resource_gate.gate.host import Job, Outcome
from resource_gate.gate.prediction.features import features_of
from resource_gate.gate.prediction.history import DIED, PRESSED, Run
from resource_gate.gate.prediction.prediction import Prediction
from resource_gate.monitor.readings import GpuReading, MemoryReading
from resource_gate.reclaim.host import CachedOutput, Use

MB = 1024**2
BASE, LIMIT = 700 * MB, 2300 * MB
BYTES_A_FRAME = 15 * MB


class World:
    """Runs clips of so many frames as a process with a limit would."""

    def __init__(self, machine, folder):
        self.machine, self.folder = machine, folder
        self.limit, self.spread, self.gpus = LIMIT, 0.0, []
        self.random = random.Random(5)
        self.runs = self.deaths = 0
        self.held = 0
        self.start()

    def start(self):
        self.prediction = Prediction(self.folder, lambda: self.machine.settings, clock=self.machine.clock)
        self.prediction.open()
        self.sizes = BatchSizes(
            self.prediction,
            lambda: MemoryReading(BASE + self.held, self.limit, "cgroup"),
            lambda: self.machine.settings,
            anonymous=lambda: BASE + self.held,
            floor=lambda: BASE,
            gpus=lambda: self.gpus,
        )

    def graph(self, seed):
        graph = plain_clip(seed, ClipSize(1)).graph
        graph["frames"]["inputs"]["batch_size"] = ["n", 0]
        graph["n"] = {"class_type": "ResourceGateBatchSize", "inputs": {"wanted": 1000}}
        return graph

    def choose(self, wish, seed=None):
        self.runs += 1
        job = Job(f"job{self.runs}", 0, self.graph(self.runs if seed is None else seed), ("save",))
        self.prediction.started(job)
        return job, self.sizes.choose("n", wish)

    def run(self, wish, seed=None):
        job, choice = self.choose(wish, seed)
        took = 60 * MB + choice.size * BYTES_A_FRAME * (1 + self.spread * abs(self.random.gauss(0, 1)))
        ok = BASE + took <= self.limit
        brake = SimpleNamespace(
            meter=SimpleNamespace(ram=int(min(took, self.limit - BASE)), lean=0, nodes={}),
            job_vram=0,
            ran={"frames", "scale", "video", "save"},
        )
        self.machine.wait(1)
        self.deaths += not ok
        self.prediction.ended(Outcome(job.id, ok, "" if ok else "MemoryError"), brake)
        self.held = int(took)  # its outputs stay in the cache
        return choice

    @property
    def most(self):
        return (self.limit - BASE - 60 * MB) // BYTES_A_FRAME


@pytest.fixture
def world(machine, tmp_path):
    return World(machine, tmp_path)


def test_it_is_near_the_largest_that_fits_within_six_runs_and_never_above_it(world):
    world.spread = 0.02
    sizes = [world.run(Wish(1000)).size for _ in range(12)]
    assert world.deaths == 0
    assert sizes[5] >= 0.9 * world.most and max(sizes) <= world.most
    assert len(set(sizes[6:])) == 1


def test_the_first_time_it_is_careful_and_says_by_what_it_goes(world):
    choice = world.run(Wish(1000))
    assert 0.2 * world.most < choice.size < 0.8 * world.most
    assert "by tensor arithmetic, the first time" in choice.reason


def test_all_that_is_wanted_is_given_where_it_fits(world):
    assert world.run(Wish(20)).size == 20


@pytest.mark.parametrize("step", [1, 4, 8, 30])
@pytest.mark.parametrize("plus_one", [False, True])
def test_only_steps_are_given(world, step, plus_one):
    for _ in range(4):
        assert (world.run(Wish(81, step, plus_one)).size - plus_one) % step == 0


@pytest.mark.parametrize(
    ("wish", "size"),
    [
        (Wish(81, 4, True), 81),
        (Wish(80, 4, True), 77),
        (Wish(1, 4, True), 1),
        (Wish(81, 4), 80),
        (Wish(3, 4), 4),
        (Wish(1), 1),
    ],
)
def test_the_largest_step_that_is_wanted(world, wish, size):
    world.limit = 2**40
    assert world.run(wish).size == size


def test_where_not_even_the_fewest_fit_it_gives_those_and_says_so(world):
    world.limit = BASE + MB
    choice = world.run(Wish(100, 16, True))
    assert choice.size == 1 and "the fewest allowed" in choice.reason


def test_memory_to_keep_free_is_kept_free(world):
    for _ in range(6):
        less = world.run(Wish(1000, keep_free=GIB // 2)).size
    assert BASE + 60 * MB + less * BYTES_A_FRAME < LIMIT - GIB // 2


def test_the_tightest_card_counts_too(world):
    world.gpus = [
        GpuReading(0, "A", 90 * GIB, 100 * GIB, "torch"),
        GpuReading(1, "B", 0, 8 * GIB, "torch"),
    ]
    assert world.choose(Wish(1000))[1].size >= 1
    run = Run(features_of(world.graph(1), ("save",), {"n": 100}).family, (1.0, 1.0, 0.0), 0, 0, 1.0)
    for frames in (20, 40, 80):
        sizes = features_of(world.graph(1), ("save",), {"n": frames}).sizes
        world.prediction.predictor.learn(Run(run.family, sizes, frames * MB, frames * 200 * MB, 1.0))
    _, choice = world.choose(Wish(1000))
    assert choice.size * 200 * MB < 8 * GIB and "VRAM" in choice.reason


def test_a_card_on_which_this_process_has_nothing_counts_for_nothing(world):
    full = GpuReading(1, "B", 8 * GIB, 8 * GIB, "torch")
    alone = world.choose(Wish(1000))[1].size
    world.gpus = [full]
    assert world.choose(Wish(1000))[1].size == 1 < alone
    world.gpus = [full._replace(in_use=False)]
    assert world.choose(Wish(1000))[1].size == alone


def test_an_unchanged_workflow_is_given_the_same_again_though_more_was_learned(world):
    first = world.run(Wish(1000), seed=7)
    for _ in range(5):
        world.run(Wish(1000))
    assert world.run(Wish(1000), seed=7) == first
    assert world.run(Wish(1000)).size > first.size


def test_one_prompt_gets_one_answer_however_often_it_is_asked(world):
    _, choice = world.choose(Wish(1000))
    world.held = GIB
    assert world.sizes.choose("n", Wish(1000)) is choice


def test_after_a_run_out_of_memory_it_takes_half_and_goes_up_again_but_not_to_what_failed(world):
    for _ in range(8):
        before = world.run(Wish(1000)).size
    world.limit -= 500 * MB  # another program takes it, unseen
    seen, world.limit = world.limit, LIMIT
    job, choice = world.choose(Wish(1000))
    brake = SimpleNamespace(
        meter=SimpleNamespace(ram=seen - BASE, lean=0, nodes={}), job_vram=0, ran={"frames", "scale", "save"}
    )
    world.prediction.ended(Outcome(job.id, False, "MemoryError"), brake)
    sizes = [world.run(Wish(1000)) for _ in range(5)]
    assert sizes[0].size == pytest.approx(before / 2, abs=1) and "half of that" in sizes[0].reason
    assert [c.size for c in sizes] == sorted(c.size for c in sizes)
    assert sizes[-1].size < before and f"{choice.size} were too many" in sizes[-1].reason


def test_the_same_workflow_is_not_given_what_it_failed_with(world):
    world.run(Wish(1000), seed=7)
    job, choice = world.choose(Wish(1000), seed=7)
    brake = SimpleNamespace(
        meter=SimpleNamespace(ram=GIB, lean=0, nodes={}), job_vram=0, ran={"frames", "scale", "save"}
    )
    world.prediction.ended(Outcome(job.id, False, "MemoryError"), brake)
    assert world.run(Wish(1000), seed=7).size <= choice.size / 2


def test_a_size_that_the_process_died_of_is_halved_after_the_restart(world):
    for _ in range(6):
        world.run(Wish(1000))
    _, choice = world.choose(Wish(1000))
    world.start()  # no end was told
    assert world.prediction.file.all()[-1].outcome == DIED
    assert world.run(Wish(1000)).size <= choice.size / 2


def test_with_nothing_running_it_gives_what_is_wanted(world):
    assert world.sizes.choose("n", Wish(50)).size == 50


def test_after_an_interrupt_because_memory_filled_it_takes_a_little_less(world):
    for _ in range(6):
        world.run(Wish(1000))
    job, choice = world.choose(Wish(1000))
    brake = SimpleNamespace(meter=SimpleNamespace(ram=GIB, lean=0, nodes={}), job_vram=0, ran={"frames"})
    world.prediction.ended(Outcome(job.id, False, PRESSED), brake, again=True)
    again = world.run(Wish(1000))
    assert 0.85 * choice.size < again.size <= 0.9 * choice.size and "a little less" in again.reason
    later = [world.run(Wish(1000)).size for _ in range(6)]
    assert max(later) <= 0.95 * choice.size and later[-1] >= again.size, "up again, and well below what was too many"


def output(ram, models=0):
    return CachedOutput("k", "1 X", Use.DONE, ram, models=models)


@pytest.mark.parametrize(
    ("floor", "own", "slack", "outputs", "bare"),
    [
        (None, 900, 0, [], None),
        (500, 900, 100, [output(200), output(50)], 550),
        (500, 900, 300, [output(200)], 500),
        (500, 900, 100, [output(200, models=90)], 500),
        (500, 900, None, [output(200)], 500),
    ],
    ids=["before the first run", "libraries were loaded", "as before", "models are part of the need", "no heap tells"],
)
def test_the_process_without_outputs_is_what_is_neither_output_nor_held_back(floor, own, slack, outputs, bare):
    assert bare_process(floor, own, slack, outputs) == bare
