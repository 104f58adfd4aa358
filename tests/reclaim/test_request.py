from __future__ import annotations

import threading

import pytest

from resource_gate.monitor.readings import GpuReading, Level, Sample
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import Place
from resource_gate.reclaim.ladder import Ladder, Shortage
from resource_gate.reclaim.request import BUSY_WAIT, FreeRequest

MB = 1024**2
BIG = 100 * MB


@pytest.fixture
def ladder(fakes, memory, clock):
    rungs = {
        "ram": [
            fakes.FakeRung(memory, "anywhere", BIG),
            fakes.FakeRung(memory, "between prompts", BIG, place=Place.BETWEEN_PROMPTS),
            fakes.FakeRung(memory, "emergency", BIG, level=Level.EMERGENCY),
        ],
        "vram": [fakes.FakeRung(memory, "device", BIG, place=Place.BETWEEN_NODES)],
        "disk": [fakes.FakeRung(memory, "temp", BIG)],
    }
    return Ladder(rungs, memory.measure, ActionLog(), clock=clock)


def told(freed):
    return [[a.resource, *(s.name for s in a.steps)] for a in freed.actions]


def sample():
    return Sample(0, 0, gpus=(GpuReading(1, "card", 1, 2, "nvml"),))


def test_with_an_idle_worker_everything_is_done_at_once(ladder, host):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    freed = FreeRequest(ladder, host, sample, lambda: True).free(Level.CRITICAL)
    assert told(freed) == [["ram", "anywhere", "between prompts"], ["vram1", "device"], ["disk", "temp"]]
    assert freed.deferred is None and freed.freed == 4 * BIG


def test_a_level_is_not_exceeded(ladder, host):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    freed = FreeRequest(ladder, host, sample, lambda: True).free(Level.EMERGENCY)
    assert told(freed)[0] == ["ram", "anywhere", "between prompts", "emergency"]


def test_a_goal_ends_it_for_ram(ladder, host):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    freed = FreeRequest(ladder, host, lambda: None, lambda: True).free(Level.CRITICAL, BIG)
    assert told(freed)[0] == ["ram", "anywhere"]
    assert freed.actions[0].goal == BIG and freed.actions[0].met


def test_with_a_busy_worker_what_may_be_done_is_done_and_the_rest_follows_between_nodes(ladder, host):
    freed = FreeRequest(ladder, host, sample, lambda: False).free(Level.CRITICAL)
    assert told(freed) == [["ram", "anywhere"], ["disk", "temp"]]
    assert "a node is running" in freed.deferred
    assert freed.as_dict()["ok"] is False and freed.as_dict()["error"]["message"] == freed.deferred
    assert freed.as_dict()["cause"] == {"code": "node"}
    host.at_boundary(Place.BETWEEN_PROMPTS)
    assert freed.as_dict()["deferred"] == freed.deferred and len(freed.actions) == 2


def test_the_same_asked_for_again_while_a_node_runs_follows_once(ladder, host):
    """A script that frees each second, while a node runs for minutes, must not keep the worker from its next node."""
    request = FreeRequest(ladder, host, lambda: None, lambda: False)
    for level in (Level.CRITICAL, Level.CRITICAL, Level.EMERGENCY):
        request.free(level)
    before = ladder.climbs
    host.at_boundary(Place.BETWEEN_PROMPTS)
    assert ladder.climbs - before == 2 * 2  # RAM and disk, for each of the two levels
    request.free(Level.CRITICAL)
    before = ladder.climbs
    host.at_boundary(Place.BETWEEN_PROMPTS)
    assert ladder.climbs - before == 2


def test_two_that_wait_for_an_idle_worker_are_both_answered(ladder, host):
    request = FreeRequest(ladder, host, lambda: None, lambda: True)
    answers = []
    both = [threading.Thread(target=lambda: answers.append(request.free(Level.CRITICAL))) for _ in range(2)]
    for thread in both:
        thread.start()
    for _ in range(10_000):
        if len(host.work) == 2:
            break
        threading.Event().wait(0.001)
    before = ladder.climbs
    host.at_boundary(Place.BETWEEN_PROMPTS)
    for thread in both:
        thread.join(10)
    assert ladder.climbs - before == 2 * 2 and [a.deferred for a in answers] == [None, None]


def test_a_worker_on_its_own_thread_is_waited_for(ladder, host):
    def on_worker(work):
        threading.Timer(BUSY_WAIT + 0.2, work, [Place.BETWEEN_PROMPTS]).start()

    host.on_worker = on_worker
    freed = FreeRequest(ladder, host, sample, lambda: True).free(Level.CRITICAL)
    assert freed.deferred is None and len(freed.actions) == 3


def test_the_answer_has_its_documented_form(ladder, host):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    answer = FreeRequest(ladder, host, lambda: None, lambda: True).free(Level.WARNING).as_dict()
    assert set(answer) == {"ok", "freed", "goal", "short", "actions", "deferred"} and answer["ok"] is True
    assert set(answer["actions"][0]) == {
        "time", "level", "resource", "why", "cause", "place", "rungs", "freed", "goal", "met", "dry_run", "text",
    }  # fmt: skip
    assert set(answer["actions"][0]["rungs"][0]) == {"name", "freed", "seconds", "detail"}


def test_a_climb_that_raises_on_the_worker_does_not_keep_the_caller_waiting(host, memory, clock):
    def measure(resource):
        raise OSError("gone")

    rung = type("Rung", (), {"name": "a", "level": Level.WARNING, "place": Place.ANYWHERE, "estimate": lambda *a: 1})
    ladder = Ladder({"ram": [rung()]}, measure, ActionLog(), clock=clock)

    def on_worker(work):
        with pytest.raises(OSError, match="gone"):
            work(Place.BETWEEN_PROMPTS)

    host.on_worker = on_worker
    assert FreeRequest(ladder, host, lambda: None, lambda: True).free(Level.WARNING).actions == ()


def test_a_goal_is_one_of_ram_and_what_is_short_of_it_is_told(ladder, host):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    freed = FreeRequest(ladder, host, sample, lambda: True).free(Level.CRITICAL, 10 * BIG)
    assert [a.resource for a in freed.actions] == ["ram"]
    answer = freed.as_dict()
    assert answer["goal"] == 10 * BIG and answer["short"] == 10 * BIG - freed.freed > 0


def test_where_there_is_nothing_to_give_back_a_goal_is_answered_with_the_reason(host, memory, clock):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    empty = Ladder({"ram": []}, memory.measure, ActionLog(), clock=clock)
    [action] = FreeRequest(empty, host, sample, lambda: True).free(Level.CRITICAL, BIG).actions
    assert (action.resource, action.freed, action.met) == ("ram", 0, False)
    assert action.text == "asked for: nothing to give back here, 100 MB short of the goal"


def test_what_gave_nothing_a_moment_ago_is_tried_again_where_somebody_asks(fakes, host, memory, clock):
    host.on_worker = lambda work: work(Place.BETWEEN_PROMPTS)
    rung = fakes.FakeRung(memory, "in vain", 0)
    ladder = Ladder({"ram": [rung]}, memory.measure, ActionLog(), clock=clock)
    rung.estimate = lambda resource, place: BIG
    tried = []

    def free(resource, place, goal):
        tried.append(goal)
        return 0, "did nothing"

    rung.free = free
    request = FreeRequest(ladder, host, lambda: None, lambda: True)
    ladder.climb(Shortage("ram", Level.CRITICAL, "the guard"), Place.BETWEEN_PROMPTS)
    ladder.climb(Shortage("ram", Level.CRITICAL, "the guard"), Place.BETWEEN_PROMPTS)
    assert len(tried) == 1
    request.free(Level.CRITICAL, BIG)
    request.free(Level.CRITICAL, BIG)
    assert len(tried) == 3


def test_freeing_soon_waits_for_nothing_and_is_done_at_the_next_boundary(ladder, host, memory):
    before = memory.used
    FreeRequest(ladder, host, sample, lambda: True).free_soon(Level.EMERGENCY, "nobody is here")
    assert memory.used == before and len(host.work) == 1
    host.at_boundary(Place.BETWEEN_PROMPTS)
    assert memory.used == before - 5 * BIG
