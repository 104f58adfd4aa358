from __future__ import annotations

import logging
import threading

import pytest

from resource_gate.monitor.aside import Aside
from resource_gate.monitor.build import build_sampler
from resource_gate.monitor.readers import Readers
from resource_gate.monitor.readings import (
    CpuReading,
    DiskReading,
    GpuReading,
    Level,
    MemoryReading,
    PressureReading,
    ProcessReading,
    TempReading,
)
from resource_gate.monitor.sampler import Sampler
from resource_gate.settings import Monitor, Settings, Tiers

GIB = 1024**3
MIB = 1024**2
LONG = 10.0  # seconds a test waits for what must come at once; only a fault makes it that long


class Ram:
    def __init__(self, used: int = GIB, limit: int = 64 * GIB) -> None:
        self.used, self.limit = used, limit
        self.hand_limit = 0
        self.error: Exception | None = None
        self.reads = 0

    def read(self) -> MemoryReading:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return MemoryReading(self.used, self.limit, "host")


class Process:
    def read(self) -> ProcessReading:
        return ProcessReading(5, 9, 4, 1)


class Heard(list):
    """A listener that keeps what it is told, and on which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.some = threading.Semaphore(0)
        self.thread = None

    def __call__(self, sample) -> None:
        self.append(sample)
        self.thread = threading.current_thread()
        self.some.release()


@pytest.fixture
def ram():
    return Ram()


@pytest.fixture
def heard():
    return Heard()


def sampler_of(clock, heard, ram, settings=None, **readers):
    sampler = Sampler(Readers(ram=ram, **readers), settings or Settings(), clock=clock, wall=lambda: 1e9)
    sampler.listen(heard)
    return sampler


def answered(aside):
    aside.ask()
    aside.settle()
    return aside


def aside_of(value, clock, **more):
    return Aside("x", lambda: value, wait=LONG, clock=clock, cpu=lambda: 0.0, **more)


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


def test_a_reader_that_raises_is_told_and_the_others_go_on(clock, heard, ram, caplog):
    def broken():
        raise OSError("gone")

    sampler = sampler_of(clock, heard, ram, process=Process(), cpu=broken)
    for _ in range(5):
        clock.pass_(sampler.tick())
    assert heard[-1].problems == {"cpu": "OSError: gone"}
    assert heard[-1].process is not None
    assert "cpu" not in heard[-1].levels
    assert len(caplog.records) == 1


def test_ram_that_cannot_be_read_stops_nothing_and_comes_back(clock, heard, ram, caplog):
    sampler = sampler_of(clock, heard, ram, process=Process())
    clock.pass_(sampler.tick())
    ram.error = OSError("no /proc")
    clock.pass_(sampler.tick())
    assert (heard[-1].ram, heard[-1].problems) == (None, {"ram": "OSError: no /proc"})
    ram.error = None
    clock.pass_(61)
    sampler.tick()
    assert (heard[-1].ram.used, heard[-1].problems) == (GIB, {})


def test_a_driver_that_hangs_costs_its_reading_and_one_line(clock, heard, ram, caplog):
    let = threading.Event()
    nvml = Aside("nvml", lambda: (let.wait(LONG), ())[1], wait=0.01, patience=10, clock=clock)
    sampler = sampler_of(clock, heard, ram, process=Process(), nvml=nvml)
    for _ in range(40):
        clock.pass_(sampler.tick())
    let.set()
    assert len(heard) == 40
    assert heard[0].problems == {}
    assert heard[-1].problems == {"nvml": "HungError: no answer for 10 s"}
    assert [r.levelno for r in caplog.records] == [logging.WARNING]


def test_a_dropped_driver_is_not_asked_until_it_is_tried_again(clock, heard, ram):
    calls = []

    def lost():
        calls.append(clock())
        raise OSError("lost")

    nvml = Aside("nvml", lost, wait=LONG, clock=clock, cpu=lambda: 0.0)
    sampler = sampler_of(clock, heard, ram, nvml=nvml)
    for _ in range(13):
        clock.pass_(sampler.tick())
    assert [c - calls[0] for c in calls] == [0.0, 60.0]


def test_a_listener_that_raises_is_logged_once_and_kept_off_the_others(clock, heard, ram, caplog):
    sampler = Sampler(Readers(ram=ram), Settings(), clock=clock)

    def faulty(sample):
        raise KeyError("mine")

    sampler.listen(faulty)
    sampler.listen(heard)
    for _ in range(3):
        clock.pass_(sampler.tick())
    assert len(heard) == 3
    assert len(caplog.records) == 1


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


def test_the_thread_samples_and_ends(ram, heard):
    sampler = Sampler(Readers(ram=ram), Settings())
    sampler.listen(heard)
    assert not sampler.running
    sampler.start()
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    assert sampler.running
    assert heard.thread.daemon
    sampler.stop(LONG)
    assert not heard.thread.is_alive()
    assert not sampler.running
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    sampler.stop(LONG)


def test_a_running_thread_hears_at_once_of_new_settings_a_watcher_and_another_level(heard):
    ram = Ram(GIB, 64 * GIB)
    sampler = Sampler(Readers(ram=ram), Settings(monitor=Monitor(interval=60.0, interval_watched=60.0)))
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    sampler.apply(Settings(monitor=Monitor(interval=60.0, interval_watched=59.0)))
    assert heard.some.acquire(timeout=LONG)
    sampler.watched = True
    assert heard.some.acquire(timeout=LONG)
    ram.used = 63 * GIB
    sampler.sample()
    assert heard.some.acquire(timeout=LONG)
    sampler.stop(LONG)
    assert heard[-1].levels["ram"] is Level.EMERGENCY


def test_the_thread_outlives_a_fault_of_its_own(heard, ram, caplog):
    class Faulty(Sampler):
        turns = 0

        def tick(self) -> float:
            self.turns += 1
            if self.turns < 3:
                raise RuntimeError("a fault")
            return super().tick()

    sampler = Faulty(Readers(ram=ram), Settings(monitor=Monitor(interval=0.1)))
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    sampler.stop(LONG)
    assert len([r for r in caplog.records if "sampler failed" in r.getMessage()]) == 1


def test_a_listener_may_stop_the_sampler(ram, heard):
    sampler = Sampler(Readers(ram=ram), Settings())
    sampler.listen(lambda sample: sampler.stop())
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    heard.thread.join(LONG)
    assert not heard.thread.is_alive()


def test_the_real_sampler_tells_of_this_machine(tmp_path, heard):
    (tmp_path / "temp").mkdir()
    (tmp_path / "temp/a").write_bytes(b"x" * 10)
    sampler = build_sampler(
        Settings(),
        temp=tmp_path / "temp",
        output=tmp_path,
        database=None,
        torch_memory=lambda: [GpuReading(0, "torch's", 1, 2, "torch")],
    )
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    while sampler.sample().temp is None:
        threading.Event().wait(0.01)
    sampler.stop(LONG)
    sample = sampler.last
    assert 0 < sample.ram.used < sample.ram.limit
    assert sample.process.rss > 10 * MIB
    assert [d.roles for d in sample.disks] == [("output", "temp")]
    assert (sample.temp.bytes, sample.temp.files) == (10, 1)
    assert sample.gpus
    assert sample.problems == {}


def test_without_folders_and_torch_there_are_no_readers_for_them():
    readers = build_sampler(Settings(), temp=None, output=None, database=None).readers
    assert (readers.temp, readers.disks, readers.torch) == (None, None, None)
