"""Giving memory back after a while without a prompt."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.gate.host import QueueView
from resource_gate.gate.idle import IdleRelease
from resource_gate.monitor.readings import Sample
from resource_gate.settings import Settings, changed

BUSY, EMPTY = QueueView(["a"], 0), QueueView([], 0)


@pytest.fixture
def machine():
    made = SimpleNamespace(
        view=EMPTY, now=0.0, freed=[], settings=changed(Settings(), {"reclaim": {"idle_minutes": 10}})
    )
    host = SimpleNamespace(view=lambda: made.view)
    idle = IdleRelease(host, lambda: made.settings, made.freed.append, lambda: made.now)

    def at(minutes, view):
        made.now, made.view = minutes * 60.0, view
        idle.on_sample(Sample(0.0, 0.0))

    made.at = at
    return made


def test_it_frees_once_after_the_time_and_again_only_after_another_prompt(machine):
    machine.at(0, BUSY)
    machine.at(1, EMPTY)
    machine.at(10.9, EMPTY)
    assert machine.freed == []
    machine.at(11, EMPTY)
    machine.at(60, EMPTY)
    assert machine.freed == ["no prompt for 10 minutes"]
    machine.at(61, BUSY)
    machine.at(62, EMPTY)
    machine.at(72, EMPTY)
    assert len(machine.freed) == 2


def test_a_server_that_never_ran_a_prompt_has_nothing_to_give_back(machine):
    machine.at(0, EMPTY)
    machine.at(600, EMPTY)
    assert machine.freed == []


def test_a_prompt_that_waits_is_no_idleness(machine):
    machine.at(0, BUSY)
    machine.at(1, QueueView([], 1))
    machine.at(60, QueueView([], 1))
    assert machine.freed == []


def test_it_is_off_by_default(machine):
    machine.settings = Settings()
    machine.at(0, BUSY)
    machine.at(1, EMPTY)
    machine.at(600, EMPTY)
    assert machine.freed == []
