"""What the machines' own servers foretell, and what placing makes of it."""

from __future__ import annotations

import pytest

from resource_gate.batch.fleet.foresight import AT_ONCE, HOLD, SETTLED, Foresight
from resource_gate.batch.fleet.machine import Memory, Reading
from resource_gate.batch.fleet.placement import Room, Wish, choose, fits, nowhere
from resource_gate.batch.needs.graph_need import Frames, graph_need

GIB = 1024**3


def told(gib: float, lean: float = 0.0, known: bool = True) -> dict[str, object]:
    return {"ram": int(gib * GIB), "lean": int(lean * GIB), "known": known}


@pytest.fixture
def asked():
    return []


@pytest.fixture
def foresight(asked):
    return Foresight(lambda machine, key, graph: asked.append((machine, key)))


def test_each_size_of_a_workflow_is_asked_once_of_each_machine(foresight, asked, clip):
    jobs = [clip(0, frames=97), clip(1, frames=97), clip(2, frames=24)]
    foresight.ask(jobs, ["a", "b"], 0.0)
    assert len(asked) == len(set(asked)) == 4
    foresight.ask(jobs, ["a", "b"], 1.0)
    assert len(asked) == 4


def test_what_a_server_knows_is_its_own_and_what_it_only_guesses_counts_for_nothing(foresight, asked, clip):
    job = clip(0)
    foresight.ask([job], ["a", "b"], 0.0)
    key = asked[0][1]
    foresight.take("a", key, told(3, 1))
    foresight.take("b", key, told(5, known=False))
    assert foresight.need(job, "a") == (3 * GIB, GIB)
    assert foresight.need(job, "b") is None and foresight.need(job, "c") is None


@pytest.mark.parametrize("answer", [None, {}, {"known": True}, {"known": True, "ram": "much", "lean": 1}, {"ram": 5}])
def test_an_answer_that_says_nothing_leaves_it_to_what_the_batch_has_learned(foresight, asked, clip, answer):
    foresight.ask([clip(0)], ["a"], 0.0)
    foresight.take("a", asked[0][1], answer)
    assert foresight.need(clip(0), "a") is None and not foresight.is_awaited(clip(0), "a", 0.0)


def test_a_job_is_kept_from_a_machine_until_its_server_has_answered_but_not_for_long(foresight, asked, clip):
    job = clip(0)
    assert not foresight.is_awaited(job, "a", 0.0)
    foresight.ask([job], ["a"], 0.0)
    assert foresight.is_awaited(job, "a", HOLD - 0.1) and not foresight.is_awaited(job, "a", HOLD)
    foresight.take("a", asked[0][1], told(1))
    assert not foresight.is_awaited(job, "a", 0.1)


def test_a_server_is_asked_again_when_it_has_learned_more_and_seldom_once_it_has_learned_much(foresight, asked, clip):
    job = clip(0)
    for _ in range(40):
        foresight.ask([job], ["a"], 0.0)
        foresight.take("a", asked[0][1], told(1))
        foresight.did("a", job)
    assert SETTLED < len(asked) < 20
    assert foresight.need(job, "a") == (GIB, 0)


def test_while_it_is_asked_again_the_old_answer_holds(foresight, asked, clip):
    job = clip(0)
    foresight.ask([job], ["a"], 0.0)
    foresight.take("a", asked[0][1], told(2))
    foresight.did("a", job)
    foresight.ask([job], ["a"], 1.0)
    assert len(asked) == 2
    assert foresight.need(job, "a") == (2 * GIB, 0) and not foresight.is_awaited(job, "a", 1.0)


def test_a_server_is_not_flooded(foresight, asked, clip):
    jobs = [clip(n, frames=n + 1) for n in range(100)]
    foresight.ask(jobs, ["a"], 0.0)
    assert len(asked) == AT_ONCE
    for machine, key in list(asked):
        foresight.take(machine, key, None)
    foresight.ask(jobs, ["a"], 0.0)
    assert len(asked) == 2 * AT_ONCE


def room(name: str, limit: float) -> Room:
    made = Room(name)
    made.take(Reading(0.0, ram=Memory(GIB, int(limit * GIB)), gated=True))
    return made


def test_placing_goes_by_what_each_machine_foretells():
    small, large = room("small", 4), room("large", 32)
    # The batch thinks that it fits anywhere; the small machine has run its like and knows better.
    wish = Wish("x", GIB, foretold={"small": (5 * GIB, GIB)})
    assert not fits(wish, small) and fits(wish, large)
    assert [r.name for _, r in choose([wish], [small, large], 0.0)] == ["large"]
    # And the other way round.
    assert fits(Wish("x", 9 * GIB, foretold={"small": (GIB, 0)}), small)


def test_a_machine_that_is_about_to_answer_gets_the_job_later_and_another_at_once():
    rooms = [room("a", 32), room("b", 4)]
    assert [r.name for _, r in choose([Wish("x", GIB, awaited=frozenset({"a"}))], rooms, 0.0)] == ["b"]
    assert choose([Wish("x", GIB, awaited=frozenset({"a", "b"}))], rooms, 0.0) == []
    assert nowhere(Wish("x", 99 * GIB, awaited=frozenset({"a"})), rooms) == ""


def test_a_job_that_fits_nowhere_says_what_the_machines_foretold():
    reason = nowhere(Wish("x", None, foretold={"a": (40 * GIB, 35 * GIB)}), [room("a", 16)])
    assert "a has room for 13.4 GB" in reason and "and foretells 40.0 GB for it" in reason


def test_the_dispatcher_asks_before_it_gives_and_goes_by_the_answer(bench, clip, reading):
    one = bench([clip(0)])
    one.hands.foretells = lambda machine, graph: told(99) if machine == "roomy" else None
    one.see("roomy", reading(limit=16))
    one.see("other", reading(limit=8))
    assert one.run() == ""
    assert sorted(machine for machine, _ in one.hands.asked) == ["other", "roomy"]
    assert one.hands.given == [("clip000", "other")]


def test_a_job_sized_by_its_files_is_not_asked_for(bench, clip, reading, tmp_path):
    one = bench([clip(0)])
    one.learned._probe = lambda value: Frames(97, 1280, 720)
    one.see("a", reading())
    assert one.run() == "" and one.hands.asked == []


def test_a_graph_says_whether_files_told_its_size():
    graph = {
        "1": {"class_type": "LoadVideo", "inputs": {"file": "a.mp4"}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "width": 64, "height": 64}},
    }
    assert graph_need(graph, lambda value: Frames(9, 32, 32)).from_files
    assert not graph_need(graph).from_files
