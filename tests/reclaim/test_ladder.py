from __future__ import annotations

import logging
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resource_gate.monitor.readings import Level
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import Place
from resource_gate.reclaim.ladder import BACKOFF_FIRST, WORTHWHILE, Ladder, Shortage

MB = 1024**2
BIG = 100 * MB


def short(goal: int | None = None, level: Level = Level.EMERGENCY, resource: str = "ram") -> Shortage:
    return Shortage(resource, level, "test", goal)


def build(memory, clock, *rungs, kind="ram", **more):
    actions = ActionLog()
    return Ladder({kind: rungs}, memory.measure, actions, clock=clock, wall=lambda: 5.0, **more), actions


def names(action):
    return [step.name for step in action.steps]


def test_it_stops_once_the_goal_is_met(fakes, memory, clock):
    rungs = [fakes.FakeRung(memory, name, BIG) for name in "abc"]
    ladder, actions = build(memory, clock, *rungs)
    action = ladder.climb(short(2 * BIG), Place.ANYWHERE)
    assert names(action) == ["a", "b"]
    assert rungs[2].has == BIG
    assert action.met and action.freed == 2 * BIG and actions.last is action


def test_without_a_goal_it_does_all_that_the_level_allows(fakes, memory, clock):
    ladder, _ = build(memory, clock, *[fakes.FakeRung(memory, n, BIG) for n in "abc"])
    action = ladder.climb(short(None), Place.ANYWHERE)
    assert names(action) == ["a", "b", "c"] and action.met


def test_each_rung_is_told_how_much_is_still_wanted(fakes, memory, clock):
    first, second = fakes.FakeRung(memory, "a", 30 * MB), fakes.FakeRung(memory, "b", BIG)
    ladder, _ = build(memory, clock, first, second)
    ladder.climb(short(50 * MB), Place.ANYWHERE)
    assert first.goals == [50 * MB] and second.goals == [20 * MB]


def test_a_goal_that_is_not_met_is_said_with_what_is_missing(fakes, memory, clock):
    ladder, _ = build(memory, clock, fakes.FakeRung(memory, "a", BIG))
    action = ladder.climb(short(3 * BIG), Place.ANYWHERE)
    assert not action.met and "200 MB short of the goal" in action.text


def test_a_goal_of_nothing_touches_nothing(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", BIG)
    ladder, actions = build(memory, clock, rung)
    assert ladder.climb(short(0), Place.ANYWHERE).steps == ()
    assert rung.has == BIG and actions.last is None


def test_rungs_above_the_level_stay_untouched(fakes, memory, clock):
    low = fakes.FakeRung(memory, "low", BIG)
    high = fakes.FakeRung(memory, "high", BIG, level=Level.CRITICAL)
    ladder, _ = build(memory, clock, low, high)
    assert names(ladder.climb(short(level=Level.WARNING), Place.ANYWHERE)) == ["low"]
    assert high.has == BIG


def test_rungs_that_need_a_later_place_stay_untouched(fakes, memory, clock):
    between = fakes.FakeRung(memory, "between", BIG, place=Place.BETWEEN_NODES)
    ladder, _ = build(memory, clock, between)
    assert ladder.climb(short(), Place.ANYWHERE).steps == ()
    assert names(ladder.climb(short(), Place.BETWEEN_PROMPTS)) == ["between"]


@pytest.mark.parametrize(("resource", "kind"), [("vram0", "vram"), ("vram12", "vram"), ("disk_output", "disk")])
def test_a_resource_finds_the_rungs_of_its_kind(fakes, memory, clock, resource, kind):
    ladder, _ = build(memory, clock, fakes.FakeRung(memory, "a", BIG), kind=kind)
    assert names(ladder.climb(short(resource=resource), Place.ANYWHERE)) == ["a"]


def test_a_resource_without_rungs_is_no_error(memory, clock):
    ladder, _ = build(memory, clock)
    assert ladder.climb(short(resource="cpu"), Place.ANYWHERE).steps == ()


def test_a_rung_that_raises_is_told_once_and_the_next_goes_on(fakes, memory, clock, caplog):
    broken = fakes.FakeRung(memory, "broken", BIG, error=OSError("no way"))
    ladder, _ = build(memory, clock, broken, fakes.FakeRung(memory, "next", BIG))
    with caplog.at_level(logging.WARNING):
        action = ladder.climb(short(), Place.ANYWHERE)
        clock.now += 10_000
        ladder.climb(short(), Place.ANYWHERE)
    assert names(action) == ["broken", "next"] and action.freed == BIG
    assert len(broken.goals) == 2
    assert len([r for r in caplog.records if "no way" in r.getMessage()]) == 1


def test_an_estimate_that_raises_is_told_once_and_the_rung_left_out(fakes, memory, clock, caplog):
    broken = fakes.FakeRung(memory, "broken", BIG, estimate_error=ValueError("odd"))
    ladder, _ = build(memory, clock, broken, fakes.FakeRung(memory, "next", BIG))
    with caplog.at_level(logging.WARNING):
        action = ladder.climb(short(), Place.ANYWHERE)
        ladder.climb(short(), Place.ANYWHERE)
    assert names(action) == ["next"] and broken.goals == []
    assert len([r for r in caplog.records if "odd" in r.getMessage()]) == 1


def test_a_rung_that_gave_nothing_rests_and_its_pause_doubles(fakes, memory, clock):
    barren = fakes.FakeRung(memory, "barren", 0, guess=None)
    ladder, _ = build(memory, clock, barren)
    tried = []
    for second in range(700):
        before = len(barren.goals)
        ladder.climb(short(), Place.ANYWHERE)
        if len(barren.goals) > before:
            tried.append(second)
        clock.now += 1
    assert tried == [0, BACKOFF_FIRST, 3 * BACKOFF_FIRST, 7 * BACKOFF_FIRST, 15 * BACKOFF_FIRST]


def test_a_resting_rung_is_tried_again_once_its_estimate_has_grown(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", 0, guess=BIG)
    ladder, _ = build(memory, clock, rung)
    ladder.climb(short(), Place.ANYWHERE)
    clock.now += 1
    assert ladder.climb(short(), Place.ANYWHERE).steps == ()
    rung.guess = BIG + WORTHWHILE - 1
    assert ladder.climb(short(), Place.ANYWHERE).steps == ()
    rung.guess = BIG + WORTHWHILE
    assert names(ladder.climb(short(), Place.ANYWHERE)) == ["a"]


def test_a_rung_that_gave_something_does_not_rest(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", BIG)
    ladder, _ = build(memory, clock, rung)
    ladder.climb(short(), Place.ANYWHERE)
    rung.has = BIG
    assert names(ladder.climb(short(), Place.ANYWHERE)) == ["a"]


def test_what_a_rung_gives_nothing_to_one_resource_it_may_give_to_another(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", 0, guess=None)
    ladder = Ladder({"ram": [rung], "vram": [rung]}, memory.measure, ActionLog(), clock=clock)
    ladder.climb(short(), Place.ANYWHERE)
    assert names(ladder.climb(short(resource="vram0"), Place.ANYWHERE)) == ["a"]


def test_memory_that_grew_while_a_rung_worked_is_no_loss_in_the_sum(fakes, memory, clock):
    grows = fakes.FakeRung(memory, "grows", 0, guess=None)
    grows.free = lambda *a: (setattr(memory, "used", memory.used + BIG), (None, "grew"))[1]
    ladder, _ = build(memory, clock, grows, fakes.FakeRung(memory, "b", BIG))
    action = ladder.climb(short(BIG), Place.ANYWHERE)
    assert action.freed == BIG and action.met


def test_a_dry_run_names_the_rungs_and_does_nothing(fakes, memory, clock):
    rungs = [fakes.FakeRung(memory, "a", BIG), fakes.FakeRung(memory, "b", BIG), fakes.FakeRung(memory, "c", BIG)]
    ladder, actions = build(memory, clock, *rungs, dry_run=lambda: True)
    action = ladder.climb(short(2 * BIG), Place.ANYWHERE)
    assert names(action) == ["a", "b"] and action.dry_run
    assert [r.goals for r in rungs] == [[], [], []] and memory.used == 1 << 40
    assert "would have tried" in actions.last.text


def test_one_climb_at_a_time_and_who_does_not_want_to_wait_does_not(fakes, memory, clock):
    entered, leave = threading.Event(), threading.Event()
    slow = fakes.FakeRung(memory, "slow", BIG)
    inner = slow.free

    def free(*args):
        entered.set()
        assert leave.wait(10)
        return inner(*args)

    slow.free = free
    other = fakes.FakeRung(memory, "other", BIG)
    ladder = Ladder({"ram": [slow], "vram": [other]}, memory.measure, ActionLog(), clock=clock)
    first = threading.Thread(target=ladder.climb, args=(short(), Place.ANYWHERE))
    first.start()
    try:
        assert entered.wait(10)
        assert ladder.climb(short(resource="vram0"), Place.ANYWHERE, wait=False) is None
        assert other.has == BIG
        waiting = threading.Thread(target=ladder.climb, args=(short(resource="vram0"), Place.ANYWHERE))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive() and other.has == BIG
    finally:
        leave.set()
        first.join(10)
    waiting.join(10)
    assert other.has == 0


def test_a_measurement_that_fails_does_not_keep_the_ladder_locked(fakes, memory, clock):
    failing = [OSError("gone")]

    def measure(resource):
        if failing:
            raise failing.pop()
        return memory.used

    ladder = Ladder({"ram": [fakes.FakeRung(memory, "a", BIG)]}, measure, ActionLog(), clock=clock)
    with pytest.raises(OSError, match="gone"):
        ladder.climb(short(), Place.ANYWHERE)
    assert names(ladder.climb(short(), Place.ANYWHERE, wait=False)) == ["a"]


rung_specs = st.lists(
    st.tuples(st.integers(0, 400 * MB), st.sampled_from(list(Level)[1:]), st.sampled_from(list(Place)), st.booleans()),
    max_size=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rung_specs, st.none() | st.integers(0, 1 << 30), st.sampled_from(list(Level)), st.sampled_from(list(Place)))
def test_no_climb_breaks_its_promises(specs, goal, level, place):
    memory_used = [1 << 40]

    class Rung:
        def __init__(self, number, spec):
            self.name = str(number)
            self.has, self.level, self.place, self.fails = spec

        def estimate(self, resource, at):
            return self.has

        def free(self, resource, at, wanted):
            assert goal is None or 0 < wanted <= goal
            if self.fails:
                raise RuntimeError("broken")
            memory_used[0] -= self.has
            freed, self.has = self.has, 0
            return None, f"{freed}"

    rungs = [Rung(i, spec) for i, spec in enumerate(specs)]
    actions = ActionLog()
    ladder = Ladder({"ram": rungs}, lambda r: memory_used[0], actions, clock=lambda: 0.0)
    before = memory_used[0]
    action = ladder.climb(Shortage("ram", level, "property", goal), place)
    used = [int(s.name) for s in action.steps]
    assert used == sorted(set(used))
    assert all(rungs[i].level <= level and rungs[i].place <= place for i in used)
    assert action.freed == before - memory_used[0]
    if goal is not None:
        assert action.met == (action.freed >= goal)
        assert not action.steps or sum(s.freed for s in action.steps[:-1]) < goal
    assert (actions.last is action) == bool(action.steps)
    assert action.text and action.as_dict()["freed"] == action.freed
