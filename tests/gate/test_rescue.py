"""The last step before the kernel's: when a running prompt is interrupted, and when it is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.gate.host import Job, QueueView
from resource_gate.gate.rescue import Rescue
from resource_gate.monitor.readings import Level, MemoryReading, Sample
from resource_gate.reclaim.action import ActionLog
from resource_gate.settings import Settings, changed

GB = 1024**3
LIMIT = 100 * GB


class Host:
    def __init__(self) -> None:
        self.running = ["a"]
        self.requeued: list[str] = []
        self.runs = True

    def view(self) -> QueueView:
        return QueueView(self.running, 0)

    def requeue(self, job_id: str) -> bool:
        if self.runs:
            self.requeued.append(job_id)
        return self.runs


@pytest.fixture
def emergency():
    made = SimpleNamespace(host=Host(), used=97 * GB, actions=ActionLog(), again=[], settings=Settings())
    made.rescue = Rescue(
        made.host,
        lambda: MemoryReading(int(made.used), LIMIT, "host"),
        lambda: made.settings,
        made.actions,
        made.again.append,
        lambda: 5000.0,
    )
    made.sample = Sample(0.0, 5000.0, levels={"ram": Level.EMERGENCY}, fill_rate=10 * GB)
    return made


def test_memory_that_will_be_full_before_a_node_can_end_interrupts_and_says_why(emergency):
    emergency.rescue.on_sample(emergency.sample)
    assert emergency.host.requeued == ["a"] == emergency.again
    text = emergency.actions.last.text
    assert "RAM 97% of 100.0 GB (emergency), filling at 10.0 GB/s, full in 0.3 s" in text
    assert "put it back first in line" in text


def test_a_prompt_is_interrupted_once_and_never_again(emergency):
    for _ in range(5):
        emergency.rescue.on_sample(emergency.sample)
    assert emergency.host.requeued == ["a"]
    emergency.host.running = ["b"]
    emergency.rescue.on_sample(emergency.sample)
    assert emergency.host.requeued == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        {"levels": {"ram": Level.CRITICAL}},
        {"fill_rate": 0.0},
        {"fill_rate": -5.0 * GB},
        {"fill_rate": 1.0 * GB},
    ],
)
def test_where_there_is_time_or_no_rise_nothing_is_interrupted(emergency, change):
    emergency.rescue.on_sample(emergency.sample._replace(**change))
    assert emergency.host.requeued == []


def test_what_was_freed_since_the_sample_counts(emergency):
    emergency.used = 80 * GB
    emergency.rescue.on_sample(emergency.sample)
    assert emergency.host.requeued == []


@pytest.mark.parametrize("name", ["interrupt", "dry_run"])
def test_it_can_be_switched_off_and_a_dry_run_does_not_interrupt(emergency, name):
    emergency.settings = changed(Settings(), {"reclaim": {name: name == "dry_run"}})
    emergency.rescue.on_sample(emergency.sample)
    assert emergency.host.requeued == []


def test_a_prompt_that_ended_meanwhile_is_not_told_of(emergency):
    emergency.host.runs = False
    emergency.rescue.on_sample(emergency.sample)
    assert emergency.actions.last is None


def test_before_its_second_start_all_that_can_go_goes_whatever_the_level(machine):
    machine.at(10).cached = 5 * GB
    machine.admission.clear_before("a")
    assert machine.admission.may_start(Job("b", 0)).start and machine.cached == 5 * GB
    assert machine.admission.may_start(Job("a", 1)).start and machine.cached == 0
    machine.cached = 5 * GB
    assert machine.admission.may_start(Job("a", 1)).start and machine.cached == 5 * GB


def test_a_held_prompt_that_is_deleted_leaves_no_waiting_gate(machine):
    machine.at(97)
    assert not machine.admission.may_start(Job("a", 0)).start
    machine.admission.nothing_waits()
    assert machine.admission.state.state == "open"
