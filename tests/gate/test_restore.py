"""By which rule, in which order, and how often what an earlier process left comes back."""

from __future__ import annotations

import queue
import threading

import pytest

from resource_gate.gate.admission import GateState
from resource_gate.gate.batch import Batch
from resource_gate.gate.batch_view import BatchView
from resource_gate.gate.brake import JobPeak
from resource_gate.gate.host import Job, Outcome, Queued, QueueView
from resource_gate.gate.job_story import JobStories
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.progress import BatchProgress
from resource_gate.gate.restore import NOBODY, Restore, in_a_while, on_a_thread
from resource_gate.gate.retry_failed import RetryFailed
from resource_gate.gate.stop_after import StopAfterCurrent


class Host:
    """A queue that takes what it is not told to refuse."""

    def __init__(self):
        self.queue = []
        self.numbers_after = []
        self.refuses = {}

    def number_after(self, number):
        self.numbers_after.append(number)

    def refusal(self, prompt):
        found = self.refuses.get(prompt.id, "")
        if isinstance(found, Exception):
            raise found
        return found

    def put_again(self, prompt):
        self.queue.append(prompt)

    def view(self):
        return QueueView([], len(self.queue))


class Start:
    """One process: its journal, host and restore; what is to be done later is kept for the test to do."""

    def __init__(self, folder, machine):
        self.journal = Journal(folder, wall=machine.wall, clock=machine.clock)
        self.journal.open()
        self.host = Host()
        self.seen = False
        self.on_worker, self.later, self.told = [], [], []
        self.restore = Restore(
            self.journal.rows,
            self.host,
            lambda: machine.settings,
            lambda: self.seen,
            self.on_worker.append,
            start=lambda work: work(),
            later=lambda seconds, work: self.later.append((seconds, work)),
            wall=machine.wall,
            about_to_wait=self.waits,
            restored=self.told.append,
        )
        self.progress = BatchProgress(machine.clock, lambda job_id: (10.0, 8.0, 12.0))
        self.pauses = []
        stop = StopAfterCurrent(lambda: self.pauses.append("paused"))
        rows = self.journal.rows
        view = BatchView(self.host, GateState, BatchProgress(), JobStories(machine.wall), stop, rows, JobPeak)
        self.batch = Batch(
            self.journal, self.restore, RetryFailed(rows, self.host, self.journal.accepted), view, stop.ask, dict
        )

    def waits(self, prompt):
        assert prompt not in self.host.queue
        self.progress.queued(prompt.id)

    def begin(self):
        self.restore.begin()
        return self

    def worker_starts(self):
        for work in self.on_worker:
            work()
        return self

    @property
    def counts(self):
        return {"restorable": self.journal.rows.restorable, "quarantined": self.journal.rows.quarantined}

    @property
    def queued(self):
        return [prompt.id for prompt in self.host.queue]


@pytest.fixture
def start(tmp_path, machine):
    begun = []

    def start():
        begun.append(Start(tmp_path, machine))
        return begun[-1]

    yield start
    for one in begun:
        one.journal._store.close()


@pytest.fixture
def left(start):
    """Three prompts that a process left: one ran, two waited."""
    first = start()
    for number, name in enumerate("abc"):
        first.journal.accepted(Queued(name, float(number), {"1": {"class_type": name}}, ("1",), {"client_id": "me"}))
    first.journal.started(Job("a", 0.0))


def test_now_puts_all_back_in_order_once_the_worker_is_there(left, start, machine):
    machine.set(gate={"restore": "now"})
    second = start().begin()
    assert second.queued == []
    second.worker_starts()
    assert second.queued == ["a", "b", "c"]
    assert second.host.queue[1] == Queued("b", 1.0, {"1": {"class_type": "b"}}, ("1",), {"client_id": "me"})
    assert second.host.numbers_after == [2.0]
    assert second.counts == {"restorable": 0, "quarantined": 0}


def test_ask_waits_for_an_answer_where_somebody_is_there(left, start):
    second = start().begin().worker_starts()
    second.seen = True
    ((seconds, unless_seen),) = second.later
    unless_seen()
    assert (seconds, second.queued, second.counts["restorable"]) == (NOBODY, [], 3)


def test_ask_puts_all_back_after_a_minute_where_nobody_is(left, start):
    second = start().begin().worker_starts()
    second.later[0][1]()
    assert second.queued == ["a", "b", "c"]


def test_never_leaves_them_and_they_can_still_be_asked_for(left, start, machine):
    machine.set(gate={"restore": "never"})
    second = start().begin()
    assert (second.on_worker, second.later, second.queued) == ([], [], [])
    assert second.batch.restore(["b"], False) == {"restored": ["b"], "refused": []}
    assert second.counts["restorable"] == 2


def test_a_second_answer_restores_nothing_twice(left, start):
    second = start().begin()
    second.batch.restore(None, False)
    assert second.batch.restore(None, False)["restored"] == []
    assert second.queued == ["a", "b", "c"]


def test_of_what_is_restored_it_is_known_when_it_will_be_done(left, start):
    second = start()
    second.batch.restore(None, False)
    assert second.progress.as_dict(pending=3)["eta_seconds"] == 30.0


def test_what_is_discarded_does_not_come_back(left, start):
    second = start()
    assert second.batch.restore(["a", "b"], True) == {"discarded": ["a", "b"]}
    assert second.counts["restorable"] == 1
    third = start()
    assert third.batch.restore(None, False)["restored"] == ["c"]


def test_where_nothing_is_left_nothing_is_said_or_begun(start, caplog):
    one = start().begin()
    assert one.on_worker == [] and one.later == [] and caplog.text == ""


def test_what_is_to_be_done_later_is_done_on_a_thread_that_keeps_no_process_alive():
    done: queue.Queue[bool] = queue.Queue()
    on_a_thread(lambda: done.put(threading.current_thread().daemon))
    assert done.get(timeout=30)
    in_a_while(0.0, lambda: done.put(threading.current_thread().daemon))
    assert done.get(timeout=30)


def test_what_is_done_is_not_run_again(left, start):
    second = start()
    second.batch.restore(None, False)
    second.journal.started(Job("a", 0.0))
    second.journal.ended(Outcome("a", True))
    assert start().batch.restore(None, False)["restored"] == ["b", "c"]


def test_a_prompt_that_cannot_be_run_any_more_fails_with_the_reason_and_the_others_come(left, start):
    second = start()
    second.host.refuses = {"a": "node Gone is not installed", "b": RuntimeError("no loop")}
    answer = second.batch.restore(None, False)
    assert (answer["restored"], second.queued) == (["c"], ["c"])
    assert answer["refused"][0] == {"id": "a", "reason": "node Gone is not installed"}
    assert "no loop" in answer["refused"][1]["reason"]
    errors = {job["id"]: (job["state"], job["error"]) for job in second.batch.jobs(10, None)["jobs"]}
    assert errors["a"] == ("failed", "not restored: node Gone is not installed")
    assert start().batch.restore(None, False)["restored"] == ["c"]


def test_a_prompt_whose_key_was_not_kept_is_not_run_without_it(start):
    first = start()
    first.journal.accepted(Queued("a", 0.0, {"1": {"class_type": "Ask", "inputs": {"api_key": "sk-1"}}}, ("1",)))
    answer = start().batch.restore(None, False)
    assert answer["restored"] == []
    assert "1.api_key" in answer["refused"][0]["reason"]
    assert answer["refused"][0]["cause"] == {"code": "secret", "what": "1.api_key"}


def test_a_job_in_quarantine_is_released_by_hand_only(left, start, machine):
    machine.set(gate={"restore": "now"})
    second = start().begin().worker_starts()
    second.journal.started(Job("a", 0.0))
    third = start().begin().worker_starts()
    assert third.queued == ["b", "c"]
    assert third.counts == {"restorable": 0, "quarantined": 1}
    page = third.batch.jobs(1, None)
    assert [(job["id"], job["deaths"]) for job in page["quarantined"]] == [("a", 2)]
    assert third.batch.release("b") is None
    assert third.batch.release("a") == {"restored": ["a"], "refused": []}
    assert third.queued == ["b", "c", "a"]
    assert third.batch.release("a") is None


def test_new_numbers_come_after_those_in_quarantine_too(left, start, machine):
    second = start()
    second.batch.restore(["a"], False)
    second.journal.started(Job("a", 0.0))
    second.batch.restore(["b", "c"], True)
    third = start().begin()
    assert third.host.numbers_after == [0.0]


def test_pages_tell_where_the_next_begins(left, start):
    batch = start().batch
    first = batch.jobs(2, None)
    assert ([job["id"] for job in first["jobs"]], first["next"]) == (["c", "b"], first["jobs"][-1]["seq"])
    second = batch.jobs(2, first["next"])
    assert ([job["id"] for job in second["jobs"]], second["next"]) == (["a"], None)


def test_what_would_be_restored_is_told_in_its_order_and_who_watches_hears_when_it_is(left, start):
    second = start()
    page = second.batch.jobs(1, None)
    assert [(job["id"], job["restorable"]) for job in page["left"]] == [("a", True), ("b", True), ("c", True)]
    second.batch.restore(None, False)
    assert second.told == [["a", "b", "c"]]
    second.batch.restore(None, False)
    assert (second.batch.jobs(1, None)["left"], second.told) == ([], [["a", "b", "c"]])


def test_stop_answers_how_the_batch_stands(start):
    batch = start().batch
    assert batch.stop()["state"] == "idle"
    assert batch.jobs(1, None)["running"] == []
