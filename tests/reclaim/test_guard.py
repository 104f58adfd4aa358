from __future__ import annotations

import pytest

from resource_gate.monitor.level import level_of
from resource_gate.monitor.levels import Levels
from resource_gate.monitor.readings import CpuReading, DiskReading, GpuReading, Level, MemoryReading, Sample
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.guard import Guard, name_of, shortage_of
from resource_gate.reclaim.host import Place
from resource_gate.reclaim.ladder import Ladder
from resource_gate.settings import Settings, Tiers, changed

GB = 1024**3
MB = 1024**2
LIMIT = 64 * GB


class House:
    """A guard over one RAM reading, with one rung on any thread and one on the worker."""

    def __init__(self, fakes, clock, host, **settings):
        self.clock, self.host = clock, host
        self.memory = fakes.Memory(0)
        self.settings = changed(Settings(), settings)
        self.anywhere = fakes.FakeRung(self.memory, "anywhere")
        self.nodes = fakes.FakeRung(self.memory, "between nodes", place=Place.BETWEEN_NODES)
        self.critical = fakes.FakeRung(self.memory, "critical", level=Level.CRITICAL)
        self.emergency = fakes.FakeRung(self.memory, "emergency", level=Level.EMERGENCY)
        rungs = [self.anywhere, self.nodes, self.critical, self.emergency]
        self.actions = ActionLog()
        ladder = Ladder({"ram": rungs, "vram": rungs, "disk": rungs}, self.memory.measure, self.actions, clock=clock)
        self.guard = Guard(ladder, host, lambda: self.settings, clock)
        self.levels = Levels(self.settings)

    def see(self, fraction, seconds=1.0):
        """A sample with RAM at this share, its level with hysteresis; then time passes."""
        ram = MemoryReading(int(fraction * LIMIT), LIMIT, "host")
        self.memory.used = ram.used
        self.guard.on_sample(Sample(0, 0, ram=ram, levels=self.levels.update(ram, None, (), ())))
        self.clock.now += seconds

    def acted(self):
        return [[s.name for s in a.steps] for a in self.actions.all()]


@pytest.fixture
def house(fakes, clock, host):
    return lambda **settings: House(fakes, clock, host, **settings)


def test_nothing_is_done_at_the_normal_level(house):
    h = house()
    h.anywhere.has = GB
    h.see(0.84)
    assert h.acted() == [] and h.host.work == []


def test_crossing_the_warning_level_frees_down_to_where_it_is_left(house):
    h = house()
    h.anywhere.has = 10 * GB
    h.see(0.86)
    action = h.actions.last
    assert h.acted() == [["anywhere"]]
    assert action.goal == pytest.approx(0.06 * LIMIT, abs=2) and action.met
    assert action.why == "RAM 86% of 64.0 GB (warning)"


def test_nothing_is_done_where_reclaiming_is_switched_off(house):
    h = house(reclaim={"enabled": False})
    h.anywhere.has = 10 * GB
    h.see(0.99)
    assert h.acted() == [] and h.host.work == []


def test_a_reading_that_jitters_around_a_threshold_for_ten_minutes_causes_one_action(house):
    h = house()
    cache = h.anywhere.has = int(0.055 * LIMIT)
    freed = 0
    for second in range(600):
        jitter = 0.004 if second % 2 else -0.004
        freed = cache - h.anywhere.has
        h.see(0.85 + jitter - freed / LIMIT)
    assert h.acted() == [["anywhere"]]


def test_a_jitter_that_nothing_can_end_causes_a_handful_of_tries_not_hundreds(house):
    h = house()
    h.anywhere.guess = None
    for second in range(600):
        h.see(0.85 + (0.004 if second % 2 else -0.004))
        h.host.at_boundary()
    assert 1 <= len(h.anywhere.goals) <= 6


def test_a_jitter_over_a_cache_that_refills_causes_at_most_one_action_a_pause(house):
    h = house(reclaim={"pause": 15})
    for second in range(600):
        h.anywhere.has = GB
        h.see(0.85 + (0.004 if second % 2 else -0.004))
    assert 1 <= len(h.acted()) <= 600 / 15 + 1


def test_the_next_action_at_the_same_level_comes_after_the_pause(house):
    h = house(reclaim={"pause": 15})
    for _ in range(31):
        h.anywhere.has = 10 * GB
        h.see(0.86)
    assert len(h.acted()) == 3


def test_a_higher_level_acts_at_once(house):
    h = house()
    h.anywhere.has = 10 * GB
    h.see(0.86)
    h.anywhere.has = 10 * GB
    h.see(0.91)
    assert [a.level for a in h.actions.all()] == [Level.WARNING, Level.CRITICAL]


def test_a_lower_level_within_the_pause_does_not_act(house):
    h = house()
    h.anywhere.has = 20 * GB
    h.see(0.91)
    h.anywhere.has = 20 * GB
    h.see(0.83)
    assert len(h.acted()) == 1


def test_an_action_that_freed_too_little_lets_the_next_go_one_level_further(house):
    h = house(reclaim={"pause": 15})
    h.anywhere.has, h.critical.has = MB, 10 * GB
    h.see(0.86, seconds=15)
    assert h.acted() == [["anywhere"]]
    h.see(0.86)
    assert h.acted()[1:] == [["critical"]]


def test_an_action_that_freed_enough_does_not_go_further(house):
    h = house(reclaim={"pause": 15})
    h.anywhere.has, h.critical.has = GB, 10 * GB
    h.see(0.86, seconds=15)
    h.see(0.86)
    assert h.acted() == [["anywhere"]] and h.critical.has == 10 * GB


def test_after_normal_times_the_pause_is_forgotten(house):
    h = house()
    h.anywhere.has = 10 * GB
    h.see(0.86)
    h.see(0.70)
    h.anywhere.has = 10 * GB
    h.see(0.86)
    assert len(h.acted()) == 2


def test_what_is_short_after_an_action_is_asked_of_the_worker_once(house):
    h = house(reclaim={"pause": 1})
    h.nodes.has = 10 * GB
    for _ in range(20):
        h.see(0.86)
    assert len(h.host.work) == 1
    h.host.at_boundary()
    assert h.acted() == [["between nodes"]]
    h.see(0.86, seconds=2)
    h.see(0.86)
    assert len(h.host.work) == 1


def test_the_worker_is_not_asked_where_the_goal_was_met(house):
    h = house()
    h.anywhere.has = 10 * GB
    h.see(0.86)
    assert h.host.work == []


def test_the_worker_frees_nothing_for_a_shortage_that_is_over(house):
    h = house()
    h.nodes.has = 10 * GB
    h.see(0.86)
    assert len(h.host.work) == 1
    h.see(0.60, seconds=300)
    h.host.at_boundary()
    assert h.acted() == [] and h.nodes.has == 10 * GB


def test_the_worker_goes_by_the_newest_shortage(house):
    h = house()
    h.nodes.has = 30 * GB
    h.see(0.86, seconds=20)
    h.see(0.97)
    h.host.at_boundary()
    assert h.actions.last.goal == pytest.approx(0.17 * LIMIT, abs=2)
    assert h.actions.last.level == Level.EMERGENCY


def test_the_worker_frees_nothing_once_reclaiming_was_switched_off(house):
    h = house()
    h.nodes.has = 30 * GB
    h.see(0.86)
    h.settings = changed(h.settings, {"reclaim": {"enabled": False}})
    h.see(0.86)
    h.host.at_boundary()
    assert h.acted() == []


def gpu_sample(used, index=0):
    gpu = GpuReading(index, "card", used, 24 * GB, "nvml")
    return Sample(0, 0, gpus=(gpu,), levels={f"vram{index}": level_of(used, 24 * GB, Tiers())})


def test_vram_is_never_taken_further_than_critical(house):
    h = house(reclaim={"pause": 1})
    h.emergency.has = 10 * GB
    for _ in range(10):
        h.guard.on_sample(gpu_sample(24 * GB))
        h.host.at_boundary(Place.BETWEEN_PROMPTS)
        h.clock.now += 20
    assert h.emergency.has == 10 * GB
    assert all(a.level <= Level.CRITICAL for a in h.actions.all())


def test_what_gives_way_by_itself_is_no_part_of_what_a_card_is_short_of(house):
    h = house()
    h.critical.has = 20 * GB
    gpu = GpuReading(0, "card", 24 * GB, 24 * GB, "nvml", evictable=2 * GB)
    h.guard.on_sample(Sample(0, 0, gpus=(gpu,), levels={"vram0": Level.CRITICAL}))
    h.host.at_boundary(Place.BETWEEN_PROMPTS)
    [action] = h.actions.all()
    assert action.goal == pytest.approx((22 - 24 * 0.8) * GB, abs=10)


def test_ram_is_taken_to_the_emergency_level(house):
    h = house()
    h.emergency.has = 20 * GB
    h.see(0.96)
    assert h.acted() == [["emergency"]]


def test_a_disk_that_fills_is_acted_on_and_the_cpu_is_not(house):
    h = house()
    h.anywhere.has = 10 * GB
    disk = DiskReading("/out", ("output", "temp"), 95 * GB, 100 * GB, 5 * GB)
    cpu = CpuReading(1.0, 8.0, 8)
    levels = {"disk_output": Level.EMERGENCY, "cpu": Level.EMERGENCY}
    h.guard.on_sample(Sample(0, 0, disks=(disk,), cpu=cpu, levels=levels))
    assert [a.resource for a in h.actions.all()] == ["disk_output"]
    assert "disk (output) 95%" in h.actions.last.why


def test_a_level_without_its_reading_is_left_alone(house):
    h = house()
    h.guard.on_sample(Sample(0, 0, levels={"ram": Level.EMERGENCY, "vram3": Level.EMERGENCY}))
    assert h.acted() == []


@pytest.mark.parametrize(
    ("tiers", "used", "goal"),
    [
        ({}, 0.9, 0.1),
        ({"leave": 0.0}, 0.9, 0.05),
        ({"warning_free": 32 * GB}, 0.6, 0.15),
        ({"critical_free": 32 * GB}, 0.6, 0.15),
        ({"emergency_free": 16 * GB}, 0.76, 0.06),
        ({"emergency_free": GB}, 0.9, 0.1),
    ],
)
def test_the_goal_is_where_every_level_is_left_by_share_and_by_bytes_free(tiers, used, goal):
    wanted = shortage_of("ram", int(used * LIMIT), LIMIT, Level.WARNING, changed(Settings(), {"ram": tiers}).ram)
    assert wanted.goal == pytest.approx(goal * LIMIT, abs=2)
    assert wanted.cause == {"code": "level", "fraction": pytest.approx(used), "limit": LIMIT}


@pytest.mark.parametrize(
    ("resource", "name"), [("ram", "RAM"), ("vram0", "VRAM 0"), ("vram12", "VRAM 12"), ("disk_output", "disk (output)")]
)
def test_resources_are_named_as_a_person_reads_them(resource, name):
    assert name_of(resource) == name
