"""A prompt that failed and is tried again: one job with one end, for pollers and for WebSocket clients."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.gate.host import Verdict


@pytest.fixture
def failing(server):
    """A server whose prompts fail so often as `server.fails` says, and that keeps what it sent."""
    server.sent = []
    server.queue.server = SimpleNamespace(
        send_sync=lambda event, data, sid=None: server.sent.append((event, data.get("prompt_id"), sid))
    )
    server.fails = {}

    def run(item):
        send = server.queue.server.send_sync
        send("execution_start", {"prompt_id": item[1]}, "me")
        left = server.fails.get(item[1], 0)
        server.fails[item[1]] = left - 1
        if left > 0:
            error = {"prompt_id": item[1], "node_id": "3", "exception_type": "E", "exception_message": "no\n"}
            send("execution_error", error, "me")
            return False, [("execution_error", error)]
        send("execution_success", {"prompt_id": item[1]}, "me")
        return True, []

    server.run = run
    return server


def ends(server, name):
    return [event for event, prompt_id, _ in server.sent if prompt_id == name and event != "execution_start"]


def test_it_keeps_its_place_and_ends_once_and_well(failing):
    failing.fails["a"] = 2
    failing.listener.again = lambda outcome: True
    failing.put("a", 1)
    failing.put("b", 2)
    failing.start().wait_for(4)
    assert failing.executed == ["a", "a", "a", "b"]
    assert failing.queue.history["a"]["status"].completed
    assert ends(failing, "a") == ["execution_success"]
    assert [e for e in failing.listener.events if e[0] == "ended"] == [("ended", "a"), ("ended", "b")]
    assert failing.listener.accepted_prompts == []
    assert [(o.error_type, o.error, o.node_id) for o in failing.listener.failures] == [("E", "no\n", "3")] * 2


def test_one_that_is_not_tried_again_tells_its_error_to_its_client_once(failing):
    failing.fails["a"] = 1
    failing.start().put("a")
    failing.wait_for(1)
    assert ("execution_error", "a", "me") in failing.sent
    assert ends(failing, "a") == ["execution_error"]
    assert not failing.queue.history["a"]["status"].completed


def test_the_error_comes_before_the_history_shows_it(failing):
    known = []
    failing.fails["a"] = 1
    failing.start()
    original = failing.queue.server.send_sync
    inner = failing.sent.append
    failing.sent = SimpleNamespace(append=lambda sent: (known.append(dict(failing.queue.history)), inner(sent)))
    failing.put("a")
    failing.wait_for(1)
    assert known and all(history == {} for history in known)
    assert original is failing.queue.server.send_sync


def test_when_the_tries_are_used_up_the_last_error_is_told(failing):
    failing.fails["a"] = 9
    tries = [True, True, False]
    failing.listener.again = lambda outcome: tries.pop(0)
    failing.start().put("a")
    failing.wait_for(3)
    assert failing.executed == ["a"] * 3
    assert ends(failing, "a") == ["execution_error"]


def test_a_listener_that_fails_to_decide_lets_the_prompt_end(failing):
    def broken(outcome):
        raise RuntimeError("undecided")

    failing.fails["a"] = 1
    failing.listener.again = broken
    failing.start().put("a")
    failing.wait_for(1)
    assert ends(failing, "a") == ["execution_error"]
    assert "undecided" in failing.hooks.degraded["requeue"]
    assert not failing.queue.history["a"]["status"].completed


def test_a_prompt_that_waits_for_its_next_try_can_be_deleted(failing):
    def again(outcome):
        failing.listener.decide = lambda job: Verdict(False, "waiting to retry", 0.01)
        return True

    failing.fails["a"] = 9
    failing.listener.again = again
    failing.start().put("a")
    failing.wait_for(1)
    assert [item[1] for item in failing.queue.queue] == ["a"]
    failing.queue.delete_queue_item(lambda item: item[1] == "a")
    assert failing.queue.queue == []
    assert failing.listener.removed_ids == ["a"]


def test_events_that_are_no_end_pass_as_they_are(failing):
    failing.start()
    send = failing.queue.server.send_sync
    send("progress", {"prompt_id": "a", "value": 1}, "me")
    send("executing", {"prompt_id": "a", "node": "3"}, "me")
    send("executing", {"prompt_id": "a", "node": None}, "me")
    assert [event for event, *_ in failing.sent] == ["progress", "executing", "executing"]
