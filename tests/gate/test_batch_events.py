"""What is told of a batch while it goes on: to who watches, to the time line, to the journal; and stopping it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.gate.admission import GateState
from resource_gate.gate.batch_events import SETTLED, BatchEvents
from resource_gate.gate.batch_view import BatchView
from resource_gate.gate.brake import JobPeak
from resource_gate.gate.host import Job, Outcome, Queued, QueueView, Verdict
from resource_gate.gate.job_story import JobStories
from resource_gate.gate.observed import ObservedGate
from resource_gate.gate.progress import QUIET, BatchProgress
from resource_gate.gate.stop_after import StopAfterCurrent
from resource_gate.monitor.history import SPAN
from resource_gate.monitor.readings import Level, Sample
from resource_gate.reclaim.action import Action, Step
from resource_gate.reclaim.host import Place

GRAPH = {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "cats"}}}


class Gate:
    """Counts as the real one does, and starts all; what it meets on its way is done in `during`."""

    def __init__(self, progress):
        self.progress = progress
        self.during = lambda: None
        self.paused = False
        self.error = None

    def accepted(self, prompt): ...

    def removed(self, ids): ...

    def may_start(self, job):
        self.progress.waiting()
        self.during()
        return Verdict(not self.paused)

    def nothing_waits(self): ...

    def started(self, job):
        self.progress.started(job)
        if self.error is not None:
            raise self.error

    def before_node(self, node): ...

    def retry(self, outcome):
        self.put_back(outcome.job_id)
        return True

    def put_back(self, job_id):
        self.progress.put_back(job_id)

    def ended(self, outcome):
        self.progress.ended(outcome, JobPeak(7))


class Batch:
    """Jobs as a host tells of them."""

    def __init__(self, machine):
        self.machine = machine
        self.pending = 0
        self.told = []
        progress = BatchProgress(machine.clock, wall=machine.wall)
        self.gate = Gate(progress)
        self.stories = JobStories(machine.wall)
        self.stop = StopAfterCurrent(self._pause)
        self.events = BatchEvents(
            self.stories,
            self.stop,
            progress,
            lambda: self.pending,
            lambda: 7,
            lambda *event: self.told.append(event),
            machine.clock,
        )
        self.listener = ObservedGate(self.gate, self.events)
        rows = SimpleNamespace(restorable=2, quarantined=1, aside=[])
        host = SimpleNamespace(view=lambda: QueueView(["a"], self.pending, "5 Sampler", 0.5))
        self.state = GateState()
        self.view = BatchView(
            host, lambda: self.state, progress, self.stories, self.stop, rows, lambda: JobPeak(9, {0: 4})
        )

    def _pause(self):
        self.gate.paused = True
        self.state = GateState("paused")

    def start(self, name):
        if not self.listener.may_start(Job(name, 0.0, GRAPH, ("1",))).start:
            return False
        self.listener.started(Job(name, 0.0, GRAPH, ("1",)))
        return True

    def end(self, name, ok=True):
        self.listener.ended(Outcome(name, ok))

    def sample(self, **levels):
        found = {name: Level[level.upper()] for name, level in levels.items()}
        self.events.on_sample(Sample(0.0, 0.0, levels=found))

    def free(self, size, dry_run=False):
        step = Step("cache", size, 0.1)
        self.events.on_action(
            Action(0.0, Level.WARNING, "ram", "why", Place.BETWEEN_NODES, (step,), None, True, dry_run)
        )

    @property
    def kinds(self):
        return [(kind, *ids) for kind, ids, _ in self.told]


@pytest.fixture
def batch(machine):
    return Batch(machine)


def test_each_step_of_a_job_is_told_once(batch):
    batch.listener.accepted(Queued("a", 0.0, GRAPH, ("1",)))
    batch.start("a")
    batch.listener.retry(Outcome("a", False))
    batch.start("a")
    batch.listener.put_back("a")
    batch.start("a")
    batch.end("a")
    batch.listener.removed(["b", "c"])
    started, retried = ("started", "a"), ("retried", "a")
    assert batch.kinds == [started, retried, started, retried, started, ("ended", "a"), ("deleted", "b", "c")]


def test_the_highest_level_and_what_was_freed_count_for_the_job_that_ran(batch):
    batch.sample(ram="emergency")
    batch.start("a")
    batch.sample(ram="warning", vram0="critical", disk_output="emergency", cpu="emergency")
    batch.sample(ram="normal")
    batch.free(100)
    batch.free(50)
    batch.free(1000, dry_run=True)
    assert batch.stories.of("a").columns == ("critical", 2, 150)
    batch.end("a")
    batch.free(100)
    batch.start("b")
    assert batch.stories.of("b").columns == ("normal", 0, 0)


def test_what_was_freed_to_let_a_job_in_counts_for_it(batch):
    batch.gate.during = lambda: batch.free(100)
    batch.start("a")
    assert batch.stories.of("a").columns == ("normal", 1, 100)


def test_what_ran_before_a_retry_counts_too(batch):
    batch.start("a")
    batch.sample(ram="emergency")
    batch.free(5)
    batch.listener.retry(Outcome("a", False))
    batch.start("a")
    assert batch.stories.of("a").columns == ("emergency", 1, 5)


def test_running_jobs_are_told_with_their_node_and_peak(batch):
    batch.start("a")
    assert batch.view.running() == [
        {
            "id": "a",
            "title": "cats",
            "node": "5 Sampler",
            "progress": 0.5,
            "started_at": 5000.0,
            "peak_ram": 9,
            "peak_vram": {"vram0": 4},
        }
    ]
    batch.end("a")
    assert batch.view.running() == []


def test_the_state_is_one_word(batch):
    def state():
        return batch.view.as_dict()["state"]

    assert state() == "idle"
    batch.state = GateState("waiting", "RAM 90%", 4990.0, None, "a")
    assert (state(), batch.view.as_dict()["waiting_since"]) == ("waiting", 4990.0)
    batch.state = GateState()
    batch.start("a")
    assert state() == "running"
    batch.stop.ask()
    assert (state(), batch.view.as_dict()["stop_after_current"]) == ("stopping", True)
    batch.end("a")
    assert (state(), batch.view.as_dict()["stop_after_current"]) == ("paused", False)


def test_the_batch_has_counts_a_start_and_bounds_of_the_time_left(batch):
    batch.start("a")
    told = batch.view.as_dict()
    assert (told["total"], told["started_at"], told["restorable"], told["quarantined"]) == (1, 5000.0, 2, 1)
    assert (told["eta_low"], told["eta_high"]) == (None, None)


def test_stop_with_nothing_running_pauses_at_once(batch):
    batch.stop.ask()
    assert batch.gate.paused and not batch.stop.asked


def test_stop_lets_the_current_job_have_its_retries(batch):
    batch.start("a")
    batch.stop.ask()
    batch.listener.retry(Outcome("a", False))
    assert not batch.gate.paused
    assert batch.start("a")
    batch.end("a")
    assert batch.gate.paused
    assert not batch.start("b")


def test_stop_lets_nothing_overtake_a_job_that_waits_for_its_retry(batch):
    batch.start("a")
    batch.stop.ask()
    batch.listener.retry(Outcome("a", False))
    assert not batch.start("in front")
    assert batch.gate.paused


def test_stop_is_over_when_the_job_was_deleted_while_it_waited(batch):
    batch.start("a")
    batch.stop.ask()
    batch.listener.retry(Outcome("a", False))
    batch.listener.nothing_waits()
    assert batch.gate.paused and not batch.stop.asked


def test_stop_can_be_undone(batch):
    batch.start("a")
    batch.stop.ask()
    batch.stop.undo()
    batch.end("a")
    assert not batch.gate.paused and batch.start("b")


def test_a_batch_is_over_when_nothing_came_for_a_moment(batch, machine):
    batch.start("a")
    batch.free(30)
    machine.wait(10)
    batch.end("a")
    batch.pending = 1
    machine.wait(SETTLED)
    batch.sample()
    batch.pending = 0
    batch.start("b")
    machine.wait(SETTLED)
    batch.sample()
    assert batch.events.summary is None
    batch.end("b", ok=False)
    batch.sample()
    assert batch.events.summary is None
    machine.wait(SETTLED)
    batch.sample()
    batch.sample()
    summary = {"done": 1, "failed": 1, "retried": 0, "seconds": 14.0, "peak_ram": 7, "freed": 30, "actions": 1}
    assert [event for event in batch.told if event[0] == "batch_ended"] == [("batch_ended", [], summary)]
    assert batch.events.summary == summary


def test_a_clock_that_is_set_back_neither_keeps_a_batch_open_nor_makes_it_shorter(batch, machine):
    batch.start("a")
    machine.wait(10)
    machine.wall.now -= 3600
    batch.end("a")
    machine.wait(SETTLED)
    machine.wall.now -= 3600
    batch.sample()
    [summary] = [summary for kind, _, summary in batch.told if kind == "batch_ended"]
    assert summary["seconds"] == 10


def test_the_next_batch_begins_anew(batch, machine):
    for name in ("a", "b"):
        batch.start(name)
        batch.free(30)
        batch.end(name)
        machine.wait(QUIET + 1)
        batch.sample()
    assert [(s["done"], s["freed"]) for _, _, s in batch.told if s] == [(1, 30), (1, 30)]


def test_marks_show_what_ran_within_the_hour(batch, machine):
    batch.start("a")
    machine.wait(5)
    batch.end("a")
    batch.start("b")
    assert batch.stories.marks(0.0) == [
        {"id": "a", "title": "cats", "start": 5000.0, "end": 5005.0, "ok": True},
        {"id": "b", "title": "cats", "start": 5005.0, "end": None, "ok": None},
    ]
    assert [mark["id"] for mark in batch.stories.marks(5005.0)] == ["b"]
    machine.wait(SPAN)
    assert [mark["id"] for mark in batch.stories.marks(0.0)] == ["b"]


def test_who_watches_cannot_harm_a_prompt(batch):
    batch.events.started = None
    batch.events.at_gate = None
    assert batch.start("a")
    batch.end("a")
    assert batch.kinds == [("ended", "a")]


def test_an_error_of_the_gate_is_the_hosts_to_contain_and_the_job_is_told_all_the_same(batch):
    batch.gate.error = RuntimeError("broken")
    with pytest.raises(RuntimeError):
        batch.start("a")
    assert batch.kinds == [("started", "a")]
