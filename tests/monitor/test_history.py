from __future__ import annotations

import json
import sys

import pytest

from resource_gate.monitor.history import History, figures
from resource_gate.monitor.readings import (
    CpuReading,
    DiskReading,
    GpuReading,
    Level,
    MemoryReading,
    PressureReading,
    ProcessReading,
    Sample,
    TempReading,
)


def sample(at, used=100, level=Level.NORMAL, **more):
    return Sample(at=at, time=1e9 + at, ram=MemoryReading(used, 1000, "host"), levels={"ram": level}, **more)


def whole(at):
    return sample(
        at,
        process=ProcessReading(50, 60, 40),
        cpu=CpuReading(0.5, 1.5, 4),
        gpus=(
            GpuReading(0, "a", 5, 10, "nvml", utilization=0.5, temperature=60.0),
            GpuReading(1, "b", 9, 10, "nvml", evictable=3),
        ),
        disks=(DiskReading("/", ("output",), 70, 100, 25),),
        temp=TempReading("/t", 7, 1),
        pressure=PressureReading(swap_used=3),
    )


def test_figures_are_flat_and_named_as_the_resources():
    assert figures(whole(0.0)) == {
        "time": 1e9,
        "level": 0.0,
        "ram": 100,
        "ram_limit": 1000,
        "rss": 50,
        "anonymous": 40,
        "cpu": 0.5,
        "process_cores": 1.5,
        "vram0": 5,
        "vram0_limit": 10,
        "gpu0_utilization": 0.5,
        "gpu0_temperature": 60.0,
        "vram1": 6,
        "vram1_limit": 10,
        "disk_output": 75,
        "disk_output_limit": 100,
        "temp": 7,
        "swap": 3,
    }


def test_points_come_back_oldest_first_as_json_can_hold_them():
    history = History()
    for at in range(5):
        history.add(sample(float(at), used=at))
    told = json.loads(json.dumps(history.since(1e9 + 1, 100)))
    assert [p["ram"] for p in told] == [2, 3, 4]
    assert told[0]["level"] == "normal"


def test_samples_within_a_second_become_one_point_with_the_highest_of_each():
    history = History()
    for i, used in enumerate([100, 900, 300]):
        history.add(sample(10.0 + i / 10, used, Level.CRITICAL if used > 850 else Level.NORMAL))
    [point] = history.since(0, 100)
    assert (point["ram"], point["level"], point["time"]) == (900, "critical", 1e9 + 10.2)


def test_a_point_keeps_a_figure_that_only_one_of_its_samples_had():
    history = History()
    history.add(sample(10.0))
    history.add(sample(10.5, cpu=CpuReading(0.5, 1.0, 4)))
    [point] = history.since(0, 10)
    assert (point["cpu"], point["ram"]) == (0.5, 100)


def test_thinning_hides_no_peak():
    history = History()
    for at in range(1000):
        history.add(sample(float(at), used=999 if at == 637 else 100))
    told = history.since(0, 50)
    assert len(told) == 50
    assert max(p["ram"] for p in told) == 999
    assert told[-1]["time"] == 1e9 + 999


@pytest.mark.parametrize(("points", "count"), [(1, 1), (0, 1), (3, 3), (7, 5), (10, 10), (99, 10)])
def test_no_more_points_come_than_asked_for(points, count):
    history = History()
    for at in range(10):
        history.add(sample(float(at)))
    assert len(history.since(0, points)) == count


def test_nothing_comes_of_nothing():
    assert History().since(0, 10) == []


def test_what_is_older_than_the_span_goes():
    history = History(span=60)
    for at in range(200):
        history.add(sample(float(at)))
    assert next(p["time"] - 1e9 for p in history) == 139


def test_a_clock_set_back_lets_it_grow_no_longer_than_the_span():
    history = History(span=60)
    for at in range(100):
        history.add(sample(float(at)))
    for at in range(100, 1000):
        history.add(sample(float(at))._replace(time=1e9 + at - 86_400))
    times = [p["time"] for p in history]
    assert len(times) <= 62 and times[-1] == 1e9 + 999 - 86_400


def test_an_hour_of_ten_samples_a_second_stays_within_two_megabytes():
    history = History()
    for at in range(36_100):
        history.add(whole(at / 10))
    kept = list(history._points)
    assert len(kept) <= 3602
    names = {id(n): sys.getsizeof(n) for n, _ in kept}
    size = sum(sys.getsizeof(v) + sys.getsizeof((n, v)) for n, v in kept) + sum(names.values())
    assert size < 2 * 1024**2
