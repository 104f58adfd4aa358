"""A prompt that the gate refuses ends as failed, with the reason, without having run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.gate.host import Verdict
from resource_gate.host.comfyui_refusal import REFUSED, refuse

REASON = "needs about 41.0 GB, 24.0 GB is the limit"


@pytest.fixture
def refusing(server):
    """A server whose gate refuses the prompts in `server.refused`, and that keeps what it sent."""
    server.sent, server.refused = [], {"a"}
    server.queue.server = SimpleNamespace(
        number=0, send_sync=lambda event, data, sid=None: server.sent.append((event, data.get("prompt_id"), sid))
    )
    server.listener.decide = lambda job: (
        Verdict(False, REASON, refused=True) if job.id in server.refused else Verdict(True)
    )
    return server


def test_it_is_in_the_history_with_the_reason_and_the_next_one_runs(refusing):
    refusing.put("a", 1)
    refusing.put("b", 2)
    refusing.start().wait_for(1)
    status = refusing.queue.history["a"]["status"]
    assert (status.status_str, status.completed) == ("error", False)
    error = dict(status.messages)["execution_error"]
    assert error["exception_type"] == REFUSED and REASON in error["exception_message"]
    assert refusing.executed == ["b"] and refusing.queue.currently_running == {}


def test_the_gate_hears_of_its_start_and_of_one_end_and_it_is_not_tried_again(refusing):
    refusing.put("a", 1)
    refusing.put("b", 2)
    refusing.start().wait_for(1)
    assert [e for e in refusing.listener.events if e[1] == "a" and e[0] != "may start"] == [
        ("started", "a"),
        ("ended", "a"),
    ]
    (outcome, *_) = refusing.listener.outcomes
    assert not outcome.ok and outcome.error_type == REFUSED


def test_who_queued_it_is_told_and_the_history_shows_no_key(server):
    told, done = [], []
    queue = SimpleNamespace(
        ExecutionStatus=server.queue.ExecutionStatus,
        server=SimpleNamespace(send_sync=lambda event, data, sid: told.append((event, sid))),
        task_done=lambda item_id, result, status, **more: done.append((item_id, status, more)),
    )
    item = (1, "a", {"9": {"class_type": "SaveVideo"}}, {"client_id": "me"}, ["9"], {"auth_token": "secret"})
    refuse(queue, item, 7, REASON)
    assert told == [("execution_start", "me"), ("execution_error", "me"), ("executing", "me")]
    ((item_id, status, more),) = done
    assert item_id == 7 and dict(status.messages)["execution_error"]["node_type"] == "SaveVideo"
    assert "secret" not in repr(more["process_item"](item))


def test_where_refusing_fails_it_runs_as_it_would_without_us(refusing):
    refusing.queue.ExecutionStatus = None
    refusing.put("a", 1)
    refusing.start().wait_for(1)
    assert refusing.executed == ["a"] and "refusing a prompt" in refusing.hooks.degraded
