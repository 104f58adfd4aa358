"""Failed prompts that somebody asks for once more."""

from __future__ import annotations

import pytest

from resource_gate.gate.host import Job, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.retry_failed import RetryFailed

GRAPH = {"1": {"class_type": "Save", "inputs": {"text": "ä"}}}


class Host:
    """A queue that takes what it is not told to refuse."""

    def __init__(self):
        self.queue, self.after, self.refuses = [], [], {}

    def number_after(self, number):
        self.after.append(number)

    def refusal(self, prompt):
        found = self.refuses.get(prompt.graph["1"]["inputs"]["text"], "")
        if isinstance(found, Exception):
            raise found
        return found

    def put_again(self, prompt):
        self.queue.append(prompt)


class Process:
    """A journal, a queue, and prompts that end as the test says."""

    def __init__(self, folder, machine):
        self.journal = Journal(folder, wall=machine.wall, clock=machine.clock)
        self.journal.open()
        self.host = Host()
        ids = iter(f"new{n}" for n in range(1, 100))
        self.again = RetryFailed(self.journal.rows, self.host, self.journal.accepted, lambda: next(ids))

    def run(self, name, error_type="ValueError", number=0.0, graph=None, **extra):
        self.journal.accepted(Queued(name, number, graph or GRAPH, ("1",), extra))
        self.journal.started(Job(name, number))
        self.journal.ended(Outcome(name, not error_type, error_type, "no", "1"))

    def job(self, name):
        return self.journal.rows.job(name)


@pytest.fixture
def process(tmp_path, machine):
    made = Process(tmp_path, machine)
    yield made
    made.journal._store.close()


def test_a_failed_prompt_is_queued_again_last_with_all_it_had_and_a_new_id(process):
    process.run("a", number=4.0, client_id="me", extra_pnginfo={"workflow": {"nodes": [1]}})
    process.run("well", "", number=7.0)
    assert process.job("a")["can_retry"] and process.again.possible == 1
    assert process.again.retry() == {"queued": [{"id": "new1", "of": "a"}], "refused": []}
    extra = {"client_id": "me", "extra_pnginfo": {"workflow": {"nodes": [1]}}}
    assert process.host.queue == [Queued("new1", 8.0, GRAPH, ("1",), extra)]
    assert process.host.after == [8]
    assert (process.job("new1")["state"], process.job("a")["retried_as"]) == ("queued", "new1")


def test_it_is_queued_again_once_only(process):
    process.run("a")
    process.again.retry(["a", "a"])
    (refused,) = process.again.retry(["a"])["refused"]
    assert refused == {"id": "a", "why": "it was queued again already, as new1", "cause": {"code": "again"}}
    assert process.again.retry() == {"queued": [], "refused": []}
    assert len(process.host.queue) == 1


def test_what_somebody_cancelled_comes_again_only_when_it_is_named(process):
    process.run("a", "interrupted")
    assert process.again.retry()["queued"] == []
    assert process.job("a")["can_retry"]
    assert process.again.retry(["a"])["queued"] == [{"id": "new1", "of": "a"}]


def test_several_keep_their_order(process):
    for name in ("a", "b", "c"):
        process.run(name)
    process.again.retry()
    assert [prompt.number for prompt in process.host.queue] == [1.0, 2.0, 3.0]
    assert [job["title"] for job in process.journal.rows.jobs(3)] == ["Save"] * 3


@pytest.mark.parametrize(
    ("name", "why", "cause"),
    [
        ("unknown", "no job with this id is in the journal", {"code": "unknown"}),
        ("well", "it has not failed, its state is done", {"code": "state", "state": "done"}),
        ("waits", "it has not failed, its state is queued", {"code": "state", "state": "queued"}),
        (
            "secret",
            "it held a key or password (1.api_key), which the journal does not keep; queue it once more",
            {"code": "secret", "what": "1.api_key"},
        ),
    ],
)
def test_what_cannot_is_refused_with_the_reason_and_its_parts(process, name, why, cause):
    process.run("well", "")
    process.run("secret", graph={"1": {"class_type": "S", "inputs": {"api_key": "abcdefgh"}}})
    process.journal.accepted(Queued("waits", 9.0, GRAPH, ("1",)))
    assert process.again.retry([name]) == {"queued": [], "refused": [{"id": name, "why": why, "cause": cause}]}
    assert process.host.queue == []


def test_what_the_server_would_not_take_stays_as_it_is(process):
    process.run("a", graph={"1": {"class_type": "Gone", "inputs": {"text": "gone"}}})
    process.run("b", graph={"1": {"class_type": "Odd", "inputs": {"text": "odd"}}})
    process.host.refuses = {"gone": "no node Gone", "odd": RuntimeError("broken")}
    refused = process.again.retry()["refused"]
    assert [r["why"] for r in refused] == ["no node Gone", "it could not be checked (RuntimeError: broken)"]
    assert [r.get("cause") for r in refused] == [None, {"code": "unchecked", "what": "RuntimeError: broken"}]
    assert process.job("a")["can_retry"] and process.host.queue == []


def test_it_outlives_the_process(process, tmp_path, machine):
    process.run("a")
    process.again.retry()
    process.journal.close()
    later = Journal(tmp_path, wall=machine.wall, clock=machine.clock)
    later.open()
    left = [prompt.id for prompt, _ in later.rows.to_restore()]
    later.close()
    assert left == ["new1"]
