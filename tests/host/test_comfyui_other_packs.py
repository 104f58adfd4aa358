"""Packs that have put functions of their own into ComfyUI's queue, before us or after: in the ways of published ones.

Queue Manager keeps its queue in a database and feeds ComfyUI's one by one; Usgromana and Sentinel keep users apart;
others patch the class.
"""

from __future__ import annotations

import heapq
import threading
from functools import partial
from types import SimpleNamespace

import pytest

from resource_gate.gate.host import Verdict
from resource_gate.host.comfyui_items import take_out_of_turn


@pytest.fixture
def failing(server):
    """Each prompt fails once, is tried again, and clients hear of it."""
    server.sent = []
    server.queue.server = SimpleNamespace(send_sync=lambda event, data, sid=None: server.sent.append(event))
    server.listener.again = lambda outcome: True

    def run(item):
        error = {"prompt_id": item[1], "exception_type": "E"}
        server.queue.server.send_sync("execution_error", error, "me")
        return False, [("execution_error", error)]

    server.run = run
    return server


def test_a_pack_that_takes_the_end_of_a_prompt_by_names_gets_it_by_names(server):
    ended, original = [], server.queue.task_done

    def task_done(item_id, history_result, **kwargs):
        ended.append(sorted(kwargs))
        original(item_id, history_result, **kwargs)

    server.queue.task_done = task_done
    server.start().put("a")
    server.wait_for(1)
    assert server.alive and ended == [["process_item", "status"]]
    assert server.listener.outcomes[0].ok


def test_a_pack_that_keeps_what_runs_in_another_shape_gets_its_prompts_ended(server):
    queue = server.queue

    def get(timeout=None):
        taken = type(queue).get(queue, timeout)
        if taken is not None:
            queue.currently_running[taken[1]] = {"prompt": taken[0], "user": "me"}
        return taken

    ended = []
    queue.get, queue.task_done = get, lambda item_id, *args, **kwargs: ended.append(item_id)
    server.start().put("a")
    server.wait_for(1)
    server.put("b")
    server.wait_for(1)
    assert server.alive and ended == [0, 1]


def test_a_prompt_that_a_pack_holds_back_keeps_the_worker_waiting_not_spinning(server):
    queue, open_ = server.queue, threading.Event()
    queue.get = lambda timeout=None: type(queue).get(queue, timeout) if open_.is_set() else None
    server.start().put("a")
    assert server.listener.asked.wait(10)
    queue.set_flag("free_memory", True)
    assert server.flagged.wait(10)  # it comes by for flags, as it would without us
    assert [e for e in server.listener.events if e[0] == "started"] == []
    open_.set()
    server.wait_for(1)
    assert server.executed == ["a"]


def test_prompts_that_a_pack_keeps_elsewhere_and_hands_over_itself_all_run(server):
    queue, stored = server.queue, [(n, f"p{n}", {}, {}, ["1"], {}) for n in range(5)]

    def get(timeout=None):
        with queue.mutex:
            if not queue.queue and stored:
                heapq.heappush(queue.queue, stored.pop(0))
            return type(queue).get(queue, timeout)

    queue.get = get
    server.start().wait_for(5)
    assert server.executed == [f"p{n}" for n in range(5)]
    assert [e for e in server.listener.events if e[0] != "may start"] == [
        (what, f"p{n}") for n in range(5) for what in ("started", "ended")
    ]
    assert "hands prompts over by itself" in server.hooks.degraded["holding prompts of another pack"]


def test_with_such_a_pack_what_lies_in_the_queue_is_still_asked_about(server):
    queue = server.queue
    queue.get = lambda timeout=None: type(queue).get(queue, timeout)
    server.listener.decide = lambda job: Verdict(False, "short", 0.01)
    server.start().put("a")
    assert server.listener.asked.wait(10)
    assert server.executed == []
    server.listener.decide = lambda job: Verdict(True)
    server.wait_for(1)
    assert server.hooks.degraded == {}


def test_with_such_a_pack_one_that_is_queued_in_the_last_moment_is_asked_about_too(server):
    queue = server.queue
    queue.get = lambda timeout=None: type(queue).get(queue, timeout)

    def put_once(executor, job):
        if job is None and not server.boundaries[1:]:
            server.put("late")

    server.between_prompts = put_once
    server.start().wait_for(1)
    assert server.listener.events[:2] == [("may start", "late"), ("started", "late")]


def test_where_a_pack_hands_out_another_prompt_that_one_is_said_to_start(server):
    queue = server.queue

    def get(timeout=None):
        with queue.mutex:
            if not queue.queue:
                return type(queue).get(queue, timeout)
            last = max(queue.queue)
            first, queue.queue = queue.queue, [last]
            taken = type(queue).get(queue, timeout)
            queue.queue = [item for item in first if item is not last]
            return taken

    server.put("a", 1)
    server.put("b", 2)
    queue.get = get
    server.start().wait_for(2)
    assert server.executed == ["b", "a"]
    assert [name for what, name in server.listener.events if what == "started"] == ["b", "a"]


def test_a_pack_that_patches_the_class_after_us_is_in_force(comfyui):
    class Queue(comfyui.PromptQueue):
        pass

    server, seen = comfyui.Server(queue=Queue()), []

    def watched(name, original):
        def patched(self, *args, **kwargs):
            seen.append(name)
            return original(self, *args, **kwargs)

        return patched

    try:
        server.hooks.install(server.listener)
        for name in ("put", "get", "task_done", "wipe_queue"):
            setattr(Queue, name, watched(name, getattr(Queue, name)))
        server.thread.start()
        server.put("a")
        server.wait_for(1)
        server.queue.wipe_queue()
        assert {"put", "get", "task_done", "wipe_queue"} == set(seen)
    finally:
        server.stop()


def test_a_pack_that_patches_the_servers_class_after_us_hears_of_events(failing):
    """As Dev-Utils does, which shows on each node how long it took."""

    class PromptServer:
        def send_sync(self, event, data, sid=None):
            failing.sent.append(event)

    def patched(self, event, data, sid=None, original=PromptServer.send_sync):
        heard.append(event)
        original(self, event, data, sid)

    heard, failing.queue.server = [], PromptServer()
    failing.listener.again = lambda outcome: False
    failing.start()
    PromptServer.send_sync = patched
    failing.queue.server.send_sync("progress", {})
    failing.put("a")
    failing.wait_for(1)
    assert heard == failing.sent == ["progress", "execution_error"]


def test_a_prompt_that_is_not_given_out_of_turn_stays_in_line(comfyui):
    queue = comfyui.PromptQueue()
    for number, name in enumerate("abc"):
        queue.put((number, name, {}, {}, []))
    assert take_out_of_turn(queue, "b", lambda timeout: None, lambda what, error: None) is None
    assert sorted(item[1] for item in queue.queue) == ["a", "b", "c"]


def test_a_prompt_that_cannot_be_put_back_ends_and_its_client_hears_its_error(failing):
    queue = failing.queue

    def put(item):
        if failing.executed:
            raise RuntimeError("this one was queued already")
        type(queue).put(queue, item)

    queue.put = put
    failing.put("a")
    failing.start().wait_for(1)
    assert failing.alive and not queue.history["a"]["status"].completed
    assert failing.sent == ["execution_error"] and queue.currently_running == {}
    assert "queued already" in failing.hooks.degraded["requeue"]


def with_a_pack_after_us(server, *names, calls_ours=False):
    """Start with these of the queue's functions replaced after ours were put in place."""
    server.hooks.install(server.listener)
    for name in names:
        ours = getattr(server.queue, name)
        theirs = partial(getattr(type(server.queue), name), server.queue)
        setattr(server.queue, name, partial(ours) if calls_ours else theirs)
    server.thread.start()


@pytest.mark.parametrize("names", [("get", "put", "task_done"), ("task_done",)])
def test_where_a_pack_has_put_ours_out_of_force_clients_hear_of_errors_as_they_would_without_us(failing, names):
    with_a_pack_after_us(failing, *names)
    for name in "ab":
        failing.put(name)
        failing.wait_for(1)
    assert failing.executed == ["a", "b"] and failing.sent == ["execution_error"] * 2


def test_a_prompt_whose_end_we_would_not_hear_of_is_not_interrupted_for_us(server):
    interrupted, began, go = [], threading.Event(), threading.Event()
    server.queue.server = SimpleNamespace(send_sync=lambda event, data, sid=None: None)
    server.nodes.interrupt_processing = interrupted.append
    server.run = lambda item: (began.set(), go.wait(10), (True, []))[-1]
    with_a_pack_after_us(server, "task_done")
    server.put("a")
    assert began.wait(10)
    assert not server.hooks.requeue("a") and interrupted == []
    go.set()
    server.wait_for(1)


def test_a_pack_that_calls_ours_is_found_to_after_the_first_prompt(failing):
    failing.run, fails = lambda item: (True, []), failing.run
    with_a_pack_after_us(failing, "task_done", calls_ours=True)
    failing.put("a")
    failing.wait_for(1)
    tries = [True, False]
    failing.run, failing.listener.again = fails, lambda outcome: tries.pop(0)
    failing.put("b")
    failing.wait_for(2)
    assert failing.executed == ["a", "b", "b"] and failing.sent == ["execution_error"]


@pytest.mark.parametrize("messages", [None, [("execution_error",)], [("execution_error", None)]])
def test_an_end_that_cannot_be_read_is_an_end_all_the_same(server, messages):
    server.run = lambda item: (False, messages)
    server.start().put("a")
    server.wait_for(1)
    server.put("b")
    server.wait_for(1)
    assert server.alive and list(server.queue.history) == ["a", "b"]
