from __future__ import annotations

import logging
import threading

import pytest

from resource_gate.gate.host import Verdict
from resource_gate.reclaim.host import Place

NOT_YET = Verdict(False, "short", 0.01)


def test_a_prompt_is_asked_about_then_starts_then_ends(server):
    server.start().put("a")
    server.wait_for(1)
    assert server.listener.events == [("may start", "a"), ("started", "a"), ("ended", "a")]
    assert server.queue.history["a"]["prompt"] == (0, "a", {}, {}, ["1"])


def test_prompts_run_in_the_order_of_the_queue_each_once(server):
    for number in range(20):
        server.put(f"p{number}", number)
    server.start().wait_for(20)
    assert server.executed == [f"p{n}" for n in range(20)]


def test_a_prompt_that_may_not_start_stays_pending_until_it_may(server):
    open_ = threading.Event()
    server.listener.decide = lambda job: Verdict(True) if open_.is_set() else NOT_YET
    server.start().put("a")
    assert server.listener.asked.wait(10)
    assert server.executed == [] and [i[1] for i in server.queue.queue] == ["a"]
    open_.set()
    server.wait_for(1)
    assert server.executed == ["a"]


def test_a_wait_for_a_long_time_is_cut_short_by_a_wake(server):
    verdicts = [Verdict(True), Verdict(False, "paused", 3600.0)]
    server.listener.decide = lambda job: verdicts.pop()
    server.start().put("a")
    assert server.listener.asked.wait(10)
    server.hooks.wake()
    server.wait_for(1)


def test_flags_are_seen_while_a_prompt_waits_however_long_it_is_to_wait(server):
    server.listener.decide = lambda job: Verdict(False, "short", 3600.0)
    server.start().put("a")
    assert server.listener.asked.wait(10)
    server.queue.set_flag("free_memory", True)
    assert server.flagged.wait(10)
    assert server.flags_seen == [{"free_memory": True}] and server.executed == []


def test_flags_are_seen_while_nothing_is_queued(server):
    server.start().queue.set_flag("unload_models", True)
    assert server.flagged.wait(10)


def test_a_listener_that_raises_lets_the_prompt_run_and_is_told_once(server, caplog):
    def broken(*args):
        raise RuntimeError("broken listener")

    server.listener.decide = broken
    server.listener.started = broken
    server.listener.ended = broken
    server.between_prompts = broken
    with caplog.at_level(logging.ERROR):
        server.start()
        for number in range(3):
            server.put(f"p{number}", number)
        server.wait_for(3)
    assert server.executed == ["p0", "p1", "p2"] and server.alive
    places = {"admission", "started", "end of prompt", "between prompts"}
    assert places <= set(server.hooks.degraded) and "broken listener" in server.hooks.degraded["admission"]
    assert len([r for r in caplog.records if "failed" in r.getMessage()]) == len(places)


def test_a_prompt_deleted_while_the_gate_decides_does_not_run(server):
    def delete(job):
        if job.id == "a":
            server.queue.delete_queue_item(lambda item: item[1] == "a")
        return Verdict(True)

    server.listener.decide = delete
    server.put("a", 0)
    server.put("b", 1)
    server.start().wait_for(1)
    assert server.executed == ["b"]
    assert ("may start", "b") in server.listener.events and ("started", "a") not in server.listener.events


def test_the_last_prompt_deleted_while_the_gate_decides_leaves_the_worker_waiting_not_dead(server):
    def delete(job):
        server.queue.delete_queue_item(lambda item: item[1] == "a")
        return Verdict(True)

    server.listener.decide = delete
    server.start().put("a")
    assert server.listener.asked.wait(10)
    server.listener.decide = lambda job: Verdict(True)
    server.put("b")
    server.wait_for(1)
    assert server.executed == ["b"]


def test_one_put_in_front_while_the_gate_decides_is_asked_about_itself(server):
    def put_in_front(job):
        if job.id == "a" and not server.executed and len(server.queue.queue) == 1:
            server.put("urgent", -1)
        return Verdict(True)

    server.listener.decide = put_in_front
    server.put("a", 0)
    server.start().wait_for(2)
    assert server.executed == ["urgent", "a"]
    assert server.listener.events[:3] == [("may start", "a"), ("may start", "urgent"), ("started", "urgent")]


def test_one_that_may_not_start_does_not_let_a_later_one_pass(server):
    server.listener.decide = lambda job: NOT_YET if job.id == "a" else Verdict(True)
    server.put("a", 0)
    server.put("b", 1)
    server.start()
    assert server.listener.asked.wait(10)
    server.put("first", -1)
    server.wait_for(1)
    assert server.executed == ["first"]


def test_work_runs_at_once_on_the_idle_worker(server):
    server.start()
    server.put("a")
    server.wait_for(1)
    done, seen = threading.Event(), []

    def work(place):
        seen.append((place, threading.current_thread()))
        done.set()

    server.hooks.on_worker(work)
    assert done.wait(10)
    assert seen == [(Place.BETWEEN_PROMPTS, server.thread)]


def test_work_asked_for_before_the_worker_first_looks_is_not_lost(server):
    done = threading.Event()
    server.hooks.on_worker(lambda place: done.set())
    server.start()
    assert done.wait(10)


def test_work_that_raises_keeps_neither_the_worker_nor_other_work(server):
    done = threading.Event()

    def broken(place):
        raise RuntimeError("broken work")

    server.start()
    server.hooks.on_worker(broken)
    server.hooks.on_worker(lambda place: done.set())
    assert done.wait(10)
    server.put("a")
    server.wait_for(1)
    assert "broken work" in server.hooks.degraded["work on the worker thread"]


def test_many_threads_ask_the_idle_worker_and_none_is_forgotten(server):
    server.start()
    done = threading.Semaphore(0)
    threads = [
        threading.Thread(target=lambda: [server.hooks.on_worker(lambda place: done.release()) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert all(done.acquire(timeout=10) for _ in range(400))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            [
                ("execution_start", {}),
                (
                    "execution_error",
                    {"exception_type": "torch.OutOfMemoryError", "exception_message": "m", "node_id": 3},
                ),
            ],
            ("torch.OutOfMemoryError", "m", "3"),
        ),
        ([("execution_interrupted", {"node_id": "4"})], ("interrupted", "interrupted by the user", "4")),
        ([], ("unknown", "", "")),
    ],
)
def test_a_failure_is_told_with_its_reason(server, messages, expected):
    server.run = lambda item: (False, messages)
    server.start().put("a")
    server.wait_for(1)
    (outcome,) = server.listener.outcomes
    assert not outcome.ok and (outcome.error_type, outcome.error, outcome.node_id) == expected


def test_a_prompt_that_succeeded_is_told_as_such(server):
    server.start().put("a")
    server.wait_for(1)
    assert server.listener.outcomes[0].ok and server.listener.outcomes[0].error_type == ""


def test_the_executor_and_the_worker_are_found(server):
    server.start().put("a")
    server.wait_for(1)
    assert (server.executor, "a") in server.boundaries
    assert server.hooks.worker is server.thread


def test_a_later_prompt_is_taken_out_of_turn_where_the_gate_names_it(server):
    server.listener.decide = lambda job: Verdict(False, "no room", 0.01, "c") if job.id == "a" else Verdict(True)
    for number, name in enumerate("abcd"):
        server.put(name, number)
    server.start().wait_for(1)
    assert server.executed == ["c"]
    assert [item[1] for item in sorted(server.queue.queue)] == ["a", "b", "d"]
    server.listener.decide = lambda job: Verdict(True)
    server.wait_for(3)
    assert server.executed == ["c", "a", "b", "d"]
    assert [job for event, job in server.listener.events if event == "started"] == ["c", "a", "b", "d"]


def test_one_that_is_not_there_any_more_changes_nothing(server):
    server.listener.decide = lambda job: Verdict(False, "no room", 0.01, "gone")
    server.put("a", 1)
    server.start()
    assert server.listener.asked.wait(10)
    assert [item[1] for item in server.queue.queue] == ["a"]
