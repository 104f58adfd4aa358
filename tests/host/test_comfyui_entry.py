"""How the journal hears of ComfyUI's queue, and how prompts of an earlier process come into it."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import SimpleNamespace

import pytest

from resource_gate.gate.host import Queued, Verdict

HELD = Verdict(False, "held", 0.01)


@pytest.fixture
def held(server):
    """A server that starts nothing."""
    server.listener.decide = lambda job: HELD
    return server.start()


def test_a_prompt_is_told_before_it_is_in_the_queue_without_its_sensitive_part(held):
    known = []
    held.listener.accepted = lambda prompt: known.append((prompt, list(held.queue.queue)))
    held.queue.put((3, "a", {"1": {}}, {"client_id": "me"}, ["1"], {"api_key_comfy_org": "secret"}))
    prompt, queue = known[0]
    assert prompt == Queued("a", 3.0, {"1": {}}, ("1",), {"client_id": "me"})
    assert queue == []
    assert [item[1] for item in held.queue.queue] == ["a"]


def test_a_prompt_that_a_packs_queue_does_not_take_is_not_left_in_the_journal(server):
    def full(item):
        raise RuntimeError("no more than ten each")

    server.queue.put = full
    server.listener.decide = lambda job: HELD
    server.start()
    with pytest.raises(RuntimeError, match="no more than ten"):
        server.queue.put((3, "a", {"1": {}}, {}, ["1"]))
    assert [prompt.id for prompt in server.listener.accepted_prompts] == server.listener.removed_ids == ["a"]


@pytest.mark.parametrize(
    ("number", "told"),
    [(float("inf"), 2.0**52), (float("-inf"), -(2.0**52)), (10**400, 0.0), (7, 7.0), (-0.5, -0.5), ("x", 0.0)],
)
def test_a_number_that_no_count_goes_on_from_is_told_as_one(held, number, told):
    held.queue.put((number, "a", {"1": {}}, {}, ["1"]))
    assert held.listener.accepted_prompts[0].number == told
    assert held.queue.queue[0][0] == number


def test_no_number_at_all_is_told_as_one(held):
    held.queue.put((float("nan"), "a", {"1": {}}, {}, ["1"]))
    assert abs(held.listener.accepted_prompts[0].number) == 2.0**52


def test_a_journal_that_raises_keeps_no_prompt_out_of_the_queue(held):
    def broken(prompt):
        raise RuntimeError("disk on fire")

    held.listener.accepted = broken
    held.put("a")
    assert [item[1] for item in held.queue.queue] == ["a"]
    assert "disk on fire" in held.hooks.degraded["journal of queued prompts"]


def test_an_item_of_a_forks_own_shape_is_queued_as_it_is(held):
    item = object()
    held.queue.put(item)
    assert held.queue.queue == [item]
    assert held.listener.accepted_prompts == []
    held.queue.queue.clear()


def test_what_is_deleted_and_cleared_is_told(held):
    for number, name in enumerate("abcd"):
        held.put(name, number)
    assert held.queue.delete_queue_item(lambda item: item[1] == "b") is True
    assert held.queue.delete_queue_item(lambda item: item[1] == "x") is False
    held.queue.wipe_queue()
    assert held.listener.removed_ids == ["b", "a", "c", "d"]


def test_one_that_leaves_to_run_is_not_taken_for_removed(server):
    server.start().put("a")
    server.wait_for(1)
    assert server.listener.removed_ids == []


def test_a_prompt_of_an_earlier_process_is_put_in_its_place_and_not_accepted_twice(held):
    held.put("b", 5)
    held.hooks.entry.put_again(Queued("a", 2.0, {"1": {}}, ("1",), {"client_id": "me"}))
    assert held.queue.queue[0] == (2, "a", {"1": {}}, {"client_id": "me"}, ["1"], {})
    assert [prompt.id for prompt in held.listener.accepted_prompts] == ["b"]


def test_an_old_comfyui_gets_an_item_as_it_knows_it(comfyui):
    class Old(comfyui.PromptQueue):
        def task_done(self, item_id, history_result, status):
            raise NotImplementedError

    server = comfyui.Server(Old())
    server.hooks.install(server.listener)
    server.hooks.entry.put_again(Queued("a", 2.5, {}, ("1",), {}))
    assert server.queue.queue == [(2.5, "a", {}, {}, ["1"])]


@pytest.mark.parametrize(
    ("number", "after", "expected"),
    [(0, 7.0, 8), (20, 7.0, 20), (0, -3.0, 0), (0, 2.5, 3), (0, float("inf"), 0), (0, 1e300, 0)],
)
def test_later_prompts_are_numbered_behind(held, number, after, expected):
    held.queue.server = SimpleNamespace(number=number)
    held.hooks.entry.number_after(after)
    assert held.queue.server.number == expected


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, daemon=True)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join(10)
    made.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((True, None, ["1"], {}), ""),
        ((True, None, [], {}), "not all of its outputs can be made any more"),
        ((False, {"message": "no such node", "details": "Gone"}, [], {}), "no such node: Gone"),
    ],
)
def test_a_prompt_of_an_earlier_process_is_checked_as_a_new_one_is(held, loop, answer, reason):
    asked = []

    async def validate_prompt(prompt_id, graph, targets):
        asked.append((prompt_id, graph, targets))
        return answer

    execution = sys.modules.get("execution")
    sys.modules["execution"] = SimpleNamespace(validate_prompt=validate_prompt)
    try:
        held.queue.server = SimpleNamespace(loop=loop)
        assert held.hooks.entry.refusal(Queued("a", 0.0, {"1": {}}, ("1",), {})) == reason
    finally:
        del sys.modules["execution"]
        if execution is not None:
            sys.modules["execution"] = execution
    assert asked == [("a", {"1": {}}, ["1"])]


def test_the_end_is_told_before_the_history_shows_it(server):
    known = []
    server.listener.ended = lambda outcome: known.append((outcome.job_id, dict(server.queue.history)))
    server.start().put("a")
    server.wait_for(1)
    assert known == [("a", {})]
