"""A running prompt interrupted for us: back in line with its number, unseen by pollers and by WebSocket clients."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from resource_gate.host.comfyui_requeue import unanswered


@pytest.fixture
def running(server):
    """A server whose prompts run until interrupted or let go, and that keeps what it sent."""
    server.sent = []
    server.queue.server = SimpleNamespace(send_sync=lambda event, data, sid=None: server.sent.append((event, data)))
    server.interrupt, server.let_go = threading.Event(), threading.Event()
    server.nodes.interrupt_processing = lambda value=True: server.interrupt.set()
    server.began = threading.Semaphore(0)

    def run(item):
        server.interrupt.clear()
        server.began.release()
        while not server.let_go.is_set():
            if server.interrupt.wait(0.01):
                tell(server, "execution_interrupted", {"prompt_id": item[1], "node_id": "1"})
                tell(server, "executing", {"prompt_id": item[1], "node": None})
                return False, [("execution_interrupted", {"node_id": "1"})]
        tell(server, "execution_success", {"prompt_id": item[1]})
        return True, []

    server.run = run
    return server.start()


def tell(server, event, data):
    server.queue.server.send_sync(event, data, None)


def test_it_runs_again_with_its_id_before_those_that_wait_and_ends_once(running):
    running.put("a", 1)
    running.put("b", 2)
    assert running.began.acquire(timeout=10)
    assert running.hooks.requeue("a")
    assert running.began.acquire(timeout=10)
    assert running.queue.history == {}
    running.let_go.set()
    running.wait_for(3)
    assert running.executed == ["a", "a", "b"]
    assert running.queue.history["a"]["status"].completed
    assert [e for e in running.listener.events if e[0] == "ended"] == [("ended", "a"), ("ended", "b")]


def test_who_listens_hears_nothing_of_the_first_end_but_all_of_the_second(running):
    running.put("a", 1)
    assert running.began.acquire(timeout=10)
    running.hooks.requeue("a")
    assert running.began.acquire(timeout=10)
    assert running.sent == []
    running.let_go.set()
    running.wait_for(2)
    assert running.sent == [("execution_success", {"prompt_id": "a"})]


def test_events_of_other_prompts_are_never_held_back(running):
    running.put("a", 1)
    assert running.began.acquire(timeout=10)
    running.hooks.requeue("a")
    tell(running, "execution_interrupted", {"prompt_id": "other"})
    tell(running, "executing", {"prompt_id": "a", "node": "7"})
    assert ("execution_interrupted", {"prompt_id": "other"}) in running.sent
    assert ("executing", {"prompt_id": "a", "node": "7"}) in running.sent
    running.let_go.set()


def test_a_prompt_that_does_not_run_is_not_interrupted(running):
    running.put("a", 1)
    assert running.began.acquire(timeout=10)
    assert not running.hooks.requeue("b")
    assert not running.interrupt.is_set()
    running.let_go.set()


def test_one_that_ended_before_it_noticed_is_over(running):
    running.put("a", 1)
    assert running.began.acquire(timeout=10)
    running.nodes.interrupt_processing = lambda value=True: None
    running.let_go.set()
    running.hooks.requeue("a")
    running.wait_for(1)
    assert running.executed == ["a"]
    assert running.queue.history["a"]["status"].completed


def test_a_users_interrupt_afterwards_ends_it(running):
    running.put("a", 1)
    assert running.began.acquire(timeout=10)
    running.hooks.requeue("a")
    assert running.began.acquire(timeout=10)
    running.interrupt.set()
    running.wait_for(2)
    assert not running.queue.history["a"]["status"].completed
    assert running.sent[0] == ("execution_interrupted", {"prompt_id": "a", "node_id": "1"})


def test_who_asks_in_the_last_moment_keeps_nobody_from_hearing_the_end(running):
    running.listener.ended = lambda outcome: running.hooks.requeue("a")
    running.put("a", 1)
    assert running.began.acquire(timeout=10)
    running.let_go.set()
    running.wait_for(1)
    tell(running, "executing", {"prompt_id": "a", "node": None})
    assert running.sent[-1] == ("executing", {"prompt_id": "a", "node": None})
    assert running.executed == ["a"]


def test_its_nodes_are_asked_anew_whether_they_changed_and_the_graph_that_ran_stays_as_it_is():
    ran = {"1": {"class_type": "A", "inputs": {"x": 1}, "is_changed": [100]}, "2": {"class_type": "B", "inputs": {}}}
    again = unanswered(ran)
    assert again == {"1": {"class_type": "A", "inputs": {"x": 1}}, "2": {"class_type": "B", "inputs": {}}}
    assert ran["1"]["is_changed"] == [100]
