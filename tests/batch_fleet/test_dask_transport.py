"""The way to the machines, on a Dask client of the test's own: what happens there is one message each."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed.scheduler import KilledWorker

from resource_gate.batch.fleet.dask_transport import CARRIERS, DaskTransport
from resource_gate.batch.fleet.machine import Reading
from resource_gate.batch.fleet.messages import Broken, CalledOff, Ended, Foretold, Left, Seen, Told
from resource_gate.batch.fleet.worker_side import LOOKS, as_dict, at_desk, call_off, foretell, let_go, stop_lease
from resource_gate.batch.joblist.job import InputFile, Job
from resource_gate.batch.runner.options import RunOptions
from resource_gate.batch.runner.result import INPUT, JobResult
from resource_gate.version import __version__

HERE = "tcp://10.0.0.1:1"


class FakeFuture:
    def __init__(self) -> None:
        self.status, self.value, self.error, self.released = "pending", None, None, False
        self._then: list[Callable[[Any], None]] = []

    def add_done_callback(self, then: Callable[[Any], None]) -> None:
        self._then.append(then)

    def become(self, status: str, value: Any = None, error: Exception | None = None) -> None:
        self.status, self.value, self.error = status, value, error
        for then in self._then:
            then(self)

    def result(self) -> Any:
        return self.value

    def exception(self) -> Exception | None:
        return self.error

    def release(self) -> None:
        self.released = True


class FakeClient:
    """A cluster with one worker, whose folder is of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.topics: dict[str, Callable[[Any], None]] = {}
        self.futures: list[FakeFuture] = []
        self.submitted: list[tuple[Any, dict[str, Any]]] = []
        self.stopped: list[str] = []
        self.let_go: list[str] = []
        self.there = {HERE: 1}
        self.unreachable = False
        self.answers = threading.Event()
        """Whether servers answer what is asked of them."""
        self.answers.set()

    def subscribe_topic(self, topic: str, handler: Callable[[Any], None]) -> None:
        self.topics[topic] = handler

    def nthreads(self) -> dict[str, int]:
        return self.there

    def submit(self, function: Any, order: Any, **how: Any) -> FakeFuture:
        self.submitted.append((order, how))
        self.futures.append(FakeFuture())
        return self.futures[-1]

    def run(self, function: Any, *arguments: Any, workers: list[str], on_error: str = "raise") -> dict[str, Any]:
        if self.unreachable:
            raise OSError("Timed out trying to connect")
        if function is call_off:
            return {workers[0]: ["gone"] * len(arguments[0])}
        if function is let_go:
            self.let_go.append(arguments[0])
            return {}
        if function is stop_lease:
            self.stopped.append(arguments[0])
            return {}
        if function is foretell:
            assert self.answers.wait(60)
            return {workers[0]: {"ram": 7, "of": arguments[0]}}
        assert function is at_desk
        return {workers[0]: arguments[0](self.folder, *arguments[1])}

    def look(self, address: str = HERE, version: str = __version__) -> None:
        told = {"machine": "a", "url": "http://a", "address": address, "version": version}
        self.topics[LOOKS]((0.0, {**told, "reading": Reading(1.0).as_dict()}))


class Way:
    def __init__(self, tmp_path: Path, here: bool, silent: float = 600.0) -> None:
        self.client = FakeClient(tmp_path / "worker")
        self.client.folder.mkdir()
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.aside: list[Any] = []
        self.options = RunOptions(tmp_path / "out", "id")
        self.transport = DaskTransport(
            self.client, self.inbox, self.options, here=here, names=None, silent=silent, watch=0.05
        )

    def next(self, kind: type) -> Any:
        """The next message of that kind; the others keep."""
        while True:
            for message in self.aside:
                if isinstance(message, kind):
                    self.aside.remove(message)
                    return message
            self.aside.append(self.inbox.get(timeout=30))

    def give(self, job: Job | None = None) -> FakeFuture:
        self.client.look()
        self.next(Seen)
        count = len(self.client.futures)
        self.transport.give("lease", job or Job(0, "clip", {}), "a", 2)
        give_up = time.monotonic() + 30
        while len(self.client.futures) == count and time.monotonic() < give_up:
            time.sleep(0.005)
        return self.client.futures[-1]


@pytest.fixture(params=[True, False], ids=["here", "elsewhere"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    made = Way(tmp_path, request.param)
    with made.transport:
        yield made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Way]:
    made = Way(tmp_path, here=False)
    with made.transport:
        yield made


def test_a_job_is_tied_to_one_process_and_its_result_is_let_go_of_at_once(way):
    future = way.give()
    order, how = way.client.submitted[0]
    assert how["workers"] == [HERE] and how["allow_other_workers"] is False
    assert (order.first_attempt, how["retries"], how["pure"]) == (2, 0, False)
    future.become("finished", as_dict(JobResult(True, attempts=2)))
    assert way.next(Ended) == Ended("lease", JobResult(True, attempts=2))
    assert future.released


def test_a_worker_that_ends_breaks_the_lease_once(way):
    future = way.give()
    way.client.there = {}
    assert way.next(Broken).lease == "lease"
    future.become("error", error=KilledWorker("task", SimpleNamespace(address=HERE, name="a"), 0))
    future.become("finished", as_dict(JobResult(True)))
    assert way.next(Left).machine == "a"
    time.sleep(0.1)
    assert not any(isinstance(message, (Broken, Ended)) for message in [*way.aside, *way.inbox.queue])
    assert future.released


def test_a_worker_that_dask_says_was_killed_breaks_the_lease(way):
    way.give().become("error", error=KilledWorker("task", SimpleNamespace(address=HERE, name="a"), 0))
    assert "worker process ended" in way.next(Broken).reason


def test_a_new_process_in_the_place_of_the_old_one_breaks_the_lease(way):
    way.give()
    way.client.there = {HERE: 1, "tcp://10.0.0.1:2": 1}
    way.client.look("tcp://10.0.0.1:2")
    assert "another one took its place" in way.next(Broken).reason


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Way]:
    made = Way(tmp_path, here=True, silent=0.3)
    with made.transport:
        yield made


def test_a_silent_machine_has_left_and_lets_go_of_the_job_should_it_be_heard_again(impatient):
    way = impatient
    way.give()
    left = way.next(Left)
    assert "has not been heard of" in left.reason and left.cause == {"code": "silent", "seconds": 0.3}
    assert way.next(Broken).lease == "lease"
    way.client.look()
    give_up = time.monotonic() + 30
    while not way.client.let_go and time.monotonic() < give_up:
        time.sleep(0.005)
    assert way.client.let_go == ["lease"] and way.client.stopped == []


def test_prompts_are_called_off_through_the_worker_and_where_that_fails_it_is_said(way):
    way.client.look()
    way.next(Seen)
    way.transport.call_off("a", 3, ["x", "y"])
    assert way.next(CalledOff) == CalledOff("a", 3, ["gone", "gone"])
    way.client.unreachable = True
    way.transport.call_off("a", 3, ["x"])
    assert way.next(CalledOff) == CalledOff("a", 3, None)


def test_servers_that_take_their_time_to_answer_keep_no_job_from_its_machine(way):
    way.client.look()
    way.next(Seen)
    way.client.answers.clear()
    try:
        for number in range(3 * CARRIERS):
            way.transport.ask("a", str(number), {})
        way.give().become("finished", as_dict(JobResult(True)))
        assert way.next(Ended).result.ok
    finally:
        way.client.answers.set()


def test_an_error_of_the_task_itself_ends_the_job_with_it(way):
    way.give().become("error", error=ValueError("what it said"))
    ended = way.next(Ended)
    assert not ended.result.ok and "ValueError: what it said" in ended.result.error


def test_a_job_for_a_machine_that_has_just_left_is_broken(way):
    way.transport.give("lease", Job(0, "clip", {}), "a", 1)
    assert way.next(Broken) == Broken("lease", "its machine has just left", reached=False)


def test_a_machine_that_leaves_in_the_moment_it_is_given_a_job_holds_it_for_ever_no_more(way):
    """What ended with it was looked for before the job was written down, and its address was asked for before that."""
    way.client.look()
    way.next(Seen)
    giving = threading.Thread(target=way.transport.give, args=("lease", Job(0, "clip", {}), "a", 1))
    with way.transport._lock:  # as whoever looks for the jobs of a machine that left
        giving.start()
        giving.join(0.2)  # it has come as far as it can
        way.transport._attendance._addresses.clear()
    giving.join(30)
    assert way.next(Broken) == Broken("lease", "its machine has just left", reached=False)


def test_dropping_a_job_has_its_worker_stop_it(way):
    way.give()
    way.transport.drop("lease")
    give_up = time.monotonic() + 30
    while not way.client.stopped and time.monotonic() < give_up:
        time.sleep(0.005)
    assert way.client.stopped == ["lease"]


def test_a_worker_of_another_version_gets_no_job_and_says_why(way):
    way.client.look(version="9.9")
    seen = way.next(Seen)
    assert seen.reading.state == "ill" and "Resource Gate 9.9" in seen.reading.reason


def test_events_of_jobs_come_under_their_leases(way):
    way.client.topics["resource-gate-batch-id"]((0.0, {"lease": "lease", "event": {"event": "progress"}}))
    assert way.next(Told) == Told("lease", {"event": "progress"})


def test_inputs_go_to_the_worker_and_outputs_come_from_it(elsewhere, tmp_path):
    (tmp_path / "in.mp4").write_bytes(b"input")
    future = elsewhere.give(Job(0, "clip", {}, (InputFile("1", "file", tmp_path / "in.mp4"),)))
    order, _ = elsewhere.client.submitted[0]
    assert [(elsewhere.client.folder / path).read_bytes() for path in order.files] == [b"input"]
    made = elsewhere.client.folder / "leases" / "lease" / "out" / "clip.mp4"
    made.parent.mkdir()
    made.write_bytes(b"output")
    future.become("finished", as_dict(JobResult(True, outputs=(Path("clip.mp4"),))))
    ended = elsewhere.next(Ended)
    assert ended.result.outputs == (tmp_path / "out" / "clip.mp4",)
    assert ended.result.outputs[0].read_bytes() == b"output"
    give_up = time.monotonic() + 30
    while made.exists() and time.monotonic() < give_up:
        time.sleep(0.005)
    assert not made.exists()


def test_an_input_that_is_missing_here_ends_the_job_and_a_way_that_breaks_does_not(elsewhere, tmp_path):
    elsewhere.client.look()
    job = Job(0, "clip", {}, (InputFile("1", "file", tmp_path / "missing.mp4"),))
    elsewhere.transport.give("lease", job, "a", 1)
    assert elsewhere.next(Ended).result.error_kind == INPUT
    (tmp_path / "missing.mp4").write_bytes(b"there now")
    elsewhere.client.unreachable = True
    elsewhere.client.look()
    elsewhere.transport.give("again", job, "a", 1)
    assert "Timed out" in elsewhere.next(Broken).reason


def test_a_way_that_breaks_while_outputs_come_does_not_end_the_job(elsewhere):
    future = elsewhere.give()
    elsewhere.client.unreachable = True
    future.become("finished", as_dict(JobResult(True, outputs=(Path("clip.mp4"),))))
    assert elsewhere.next(Broken).lease == "lease"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_disk_that_is_full_here_is_told_apart_from_an_output_that_is_broken(elsewhere, tmp_path):
    future = elsewhere.give()
    made = elsewhere.client.folder / "leases" / "lease" / "out" / "clip.mp4"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"output")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.mp4.part").symlink_to("/dev/full")
    future.become("finished", as_dict(JobResult(True, outputs=(Path("clip.mp4"),))))
    result = elsewhere.next(Ended).result
    assert (result.ok, result.error_kind) == (False, "disk") and "No space left" in result.error


def test_a_disk_that_is_full_at_a_machine_is_that_machines_fault(elsewhere):
    elsewhere.give().become("finished", as_dict(JobResult(False, "disk", "x cannot be written")))
    assert elsewhere.next(Ended).result.error_kind == "server"


def test_a_machines_server_is_asked_through_its_worker_and_what_cannot_be_asked_foretells_nothing(way):
    way.client.look()
    way.next(Seen)
    way.transport.ask("a", "key", {"1": {}})
    assert way.next(Foretold) == Foretold("a", "key", {"ram": 7, "of": {"1": {}}})
    way.transport.ask("never seen", "key", {})
    assert way.next(Foretold) == Foretold("never seen", "key", None)
    way.client.unreachable = True
    way.transport.ask("a", "other", {})
    assert way.next(Foretold) == Foretold("a", "other", None)
