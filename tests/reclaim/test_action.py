from __future__ import annotations

import pytest

from resource_gate.monitor.readings import Level
from resource_gate.reclaim.action import Action, ActionLog, Step, human
from resource_gate.reclaim.host import Place

MB = 1024**2


def action(*steps, goal=None, met=True, dry=False):
    return Action(1.0, Level.CRITICAL, "ram", "RAM 91%", Place.BETWEEN_NODES, steps, goal, met, dry)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (2048, "2 KB"), (812 * MB, "812 MB"), (2.3 * 1024**3, "2.3 GB"), (-MB, "-1 MB")]
)
def test_bytes_read_as_a_person_writes_them(size, text):
    assert human(size) == text


def test_the_line_says_why_what_and_what_came_of_it():
    text = action(Step("a", 800 * MB, 0.1, "dropped a"), Step("b", 12 * MB, 0.02, "dropped b")).text
    assert text == "RAM 91%: dropped a; dropped b; 812 MB freed in 120 ms"


def test_steps_that_gave_nothing_are_left_out_where_others_gave_something():
    text = action(Step("a", 0, 0.1, "collected"), Step("b", 12 * MB, 0.0, "dropped b")).text
    assert "collected" not in text and "dropped b" in text


def test_where_no_step_gave_anything_all_are_named():
    assert "collected" in action(Step("a", 0, 0.1, "collected"), goal=MB, met=False).text


def test_a_goal_that_was_missed_says_by_how_much():
    assert action(Step("a", MB, 0.0, "x"), goal=3 * MB, met=False).text.endswith(", 2 MB short of the goal")


def test_an_action_without_steps_says_so():
    assert action().text == "RAM 91%: nothing to give back here"


def test_the_log_keeps_the_newest_and_tells_its_listeners():
    log, heard = ActionLog(size=2), []
    log.listen(heard.append)
    actions = [action(goal=n) for n in range(3)]
    for one in actions:
        log.add(one)
    assert heard == actions and log.all() == actions[1:] and log.last is actions[2]


def test_an_empty_log_has_no_last():
    assert ActionLog().last is None and ActionLog().all() == []
