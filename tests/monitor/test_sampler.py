"""When the sampler looks and what it tells, turn by turn on a clock that the test moves."""

from __future__ import annotations

import pytest

from resource_gate.monitor.aside import Aside
from resource_gate.monitor.readings import CpuReading, DiskReading, GpuReading, Level, PressureReading, TempReading
from resource_gate.settings import Monitor, Settings, Tiers

from .sampled import GIB, LONG, MIB, Process, Ram, answered, aside_of, sampler_of


def test_a_full_sample_holds_every_reading_and_its_level(clock, heard, ram):
    gpu = GpuReading(0, "Card", 24 * GIB, 24 * GIB, "nvml", evictable=1 * GIB)
    disk = DiskReading("/x", ("output", "temp"), 88 * GIB, 100 * GIB, 12 * GIB)
    temp = TempReading("/t", 100, 3)
    sampler = sampler_of(
        clock,
        heard,
        ram,
        process=Process(),
        cpu=lambda: CpuReading(0.92, 1.0, 4),
        pressure=lambda: PressureReading(some=0.5),
        nvml=aside_of((gpu,), clock),
        disks=aside_of((disk,), clock),
        temp=answered(aside_of(temp, clock)),
    )
    sampler.tick()
    [sample] = heard
    assert (sample.at, sample.time, sample.gpus, sample.disks, sample.temp) == (clock(), 1e9, (gpu,), (disk,), temp)
    assert (sample.process.peak, sample.cpu.cores, sample.pressure.some) == (9, 4, 0.5)
    assert sample.levels == {
        "ram": Level.NORMAL,
        "cpu": Level.CRITICAL,
        "vram0": Level.EMERGENCY,
        "disk_output": Level.WARNING,
    }
    assert sample.ages == {"nvml": 0.0, "disks": 0.0, "temp": 0.0}
    assert sample.problems == {}
    assert sampler.last is sample


def test_at_rest_a_full_sample_comes_at_the_interval_of_rest(clock, heard, ram):
    sampler = sampler_of(clock, heard, ram)
    for _ in range(4):
        rest = sampler.tick()
        assert rest == 5.0
        clock.pass_(rest)
    assert len(heard) == 4
    assert heard[-1].interval == 5.0


def test_someone_looking_on_shortens_the_interval_at_once(clock, heard, ram):
    sampler = sampler_of(clock, heard, ram)
    sampler.tick()
    sampler.watched = True
    assert sampler.watched
    assert sampler.tick() == 1.0
    assert len(heard) == 2
    sampler.watched = False
    assert sampler.tick() == 5.0


def test_short_of_memory_ram_is_looked_at_between_full_samples(clock, heard):
    ram = Ram(int(1.68 * GIB), 2 * GIB)
    sampler = sampler_of(clock, heard, ram)
    rest = sampler.tick()
    assert rest == pytest.approx(0.1)
    for _ in range(10):
        clock.pass_(rest)
        rest = sampler.tick()
    assert len(heard) == 1
    assert ram.reads == 11


def test_a_look_that_finds_another_level_brings_a_full_sample_at_once(clock, heard):
    ram = Ram(int(1.68 * GIB), 2 * GIB)
    sampler = sampler_of(clock, heard, ram)
    clock.pass_(sampler.tick())
    ram.used = int(1.71 * GIB)
    sampler.tick()
    assert [s.levels["ram"] for s in heard] == [Level.NORMAL, Level.WARNING]
    clock.pass_(0.1)
    ram.used = GIB
    sampler.tick()
    assert heard[-1].levels["ram"] is Level.NORMAL


@pytest.mark.parametrize("start", [100 * MIB, 900 * MIB, 1500 * MIB, 1700 * MIB])
@pytest.mark.parametrize("idle", [0.0, 1.3, 4.9])
def test_a_hog_of_500_mb_a_second_is_heard_of_within_one_shortest_interval(clock, heard, start, idle):
    """However the hog's start falls between two samples: the threshold is 85 % of 2 GiB."""
    ram = Ram(start, 2 * GIB)
    sampler = sampler_of(clock, heard, ram)
    began = clock() + idle
    due = clock()
    while not heard or heard[-1].levels["ram"] < Level.WARNING:
        clock.now = due
        ram.used = start + int(max(0.0, clock() - began) * 500e6)
        due = clock() + sampler.tick()
        assert ram.used < 2 * GIB
    crossed = began + (0.85 * 2 * GIB - start) / 500e6
    assert clock() - crossed <= Settings().monitor.interval_min + 1e-6


def test_a_card_that_fills_brings_the_next_full_sample_forward(clock, heard, ram):
    used = iter([2 * GIB, 12 * GIB, 12 * GIB])
    nvml = Aside(
        "nvml",
        lambda: (GpuReading(0, "Card", next(used), 24 * GIB, "nvml"),),
        wait=LONG,
        clock=clock,
        cpu=lambda: 0.0,
    )
    sampler = sampler_of(clock, heard, ram, nvml=nvml)
    clock.pass_(sampler.tick())
    rest = sampler.tick()
    assert rest == pytest.approx(0.5 * (0.85 * 24 - 12) / 2)  # 10 GiB in 5 s
    clock.pass_(rest)
    assert sampler.tick() == 5.0


def test_a_card_that_fills_with_what_gives_way_by_itself_is_at_no_level_and_hastens_nothing(clock, heard, ram):
    weights = iter([0, 10 * GIB, 22 * GIB])

    def look():
        paged = next(weights)
        return (GpuReading(0, "Card", 2 * GIB + paged, 24 * GIB, "nvml", evictable=paged),)

    nvml = Aside("nvml", look, wait=LONG, clock=clock, cpu=lambda: 0.0)
    sampler = sampler_of(clock, heard, ram, nvml=nvml)
    for _ in range(3):
        assert sampler.tick() == 5.0
        clock.pass_(5.0)
    assert heard[-1].gpus[0].used == 24 * GIB and heard[-1].levels["vram0"] == Level.NORMAL


def test_a_card_that_torch_does_not_use_is_at_no_level_and_one_of_which_torch_told_nothing_is(clock, heard, ram):
    full = (GpuReading(0, "Card", 24 * GIB, 24 * GIB, "nvml"),)
    sampler_of(clock, heard, ram, nvml=aside_of(full, clock)).tick()
    sampler_of(clock, heard, ram, nvml=aside_of(full, clock), torch=aside_of([], clock)).tick()
    assert [s.levels["vram0"] for s in heard] == [Level.EMERGENCY, Level.NORMAL]


def test_the_fill_rate_is_told(clock, heard, ram):
    sampler = sampler_of(clock, heard, ram)
    clock.pass_(sampler.tick())
    ram.used += 500 * MIB
    sampler.tick()
    assert heard[-1].fill_rate == 100 * MIB


def test_lateness_is_the_most_since_the_last_full_sample(clock, heard):
    ram = Ram(int(1.68 * GIB), 2 * GIB)
    sampler = sampler_of(clock, heard, ram)
    clock.pass_(sampler.tick() + 0.7)
    clock.pass_(sampler.tick())
    ram.used = int(1.75 * GIB)
    clock.pass_(sampler.tick())
    assert heard[-1].late == pytest.approx(0.7)
    ram.used = int(1.85 * GIB)
    sampler.tick()
    assert heard[-1].late == pytest.approx(0.0)


def test_new_settings_hold_from_the_next_turn(clock, heard):
    ram = Ram(40 * GIB, 64 * GIB)
    sampler = sampler_of(clock, heard, ram)
    sampler.tick()
    sampler.apply(
        Settings(ram=Tiers(warning=0.5), monitor=Monitor(interval=2.0, ram_limit=3 * GIB)),
    )
    assert sampler.tick() == 2.0
    assert heard[-1].levels["ram"] is Level.WARNING
    assert ram.hand_limit == 3 * GIB


def test_a_sample_asked_for_by_another_does_not_reach_the_listeners_nor_hide_a_level_from_them(clock, heard):
    ram = Ram(int(1.68 * GIB), 2 * GIB)
    sampler = sampler_of(clock, heard, ram)
    clock.pass_(sampler.tick())
    ram.used = int(1.75 * GIB)
    assert sampler.sample().levels["ram"] is Level.WARNING
    assert len(heard) == 1
    sampler.tick()
    assert heard[-1].levels["ram"] is Level.WARNING
