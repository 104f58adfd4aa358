from __future__ import annotations

import re

import pytest

from resource_gate.monitor.metrics import Metric, counter, gauge, prometheus
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

parser = pytest.importorskip("prometheus_client.parser")

SAMPLE = Sample(
    at=1.0,
    time=1.5e9,
    ram=MemoryReading(800, 1000, 'cgroup v2 /odd "name"\\x\n'),
    process=ProcessReading(500, 700, 400, 20),
    cpu=CpuReading(0.5, 1.25, 4, (1.0, 2.0, 3.0)),
    gpus=(
        GpuReading(0, "Card A", 5, 10, "nvml", 2, 0.5, 60.0, 200.5, "hot"),
        GpuReading(1, "Card B", 6, 12, "torch"),
    ),
    disks=(DiskReading("/out", ("output", "temp"), 70, 100, 25, 3600.5),),
    temp=TempReading("/t", 7, 1, 0.5),
    pressure=PressureReading(0.1, 0.05, 2.5, 3, 9, 1),
    fill_rate=1e6,
    levels={"ram": Level.WARNING, "vram0": Level.NORMAL},
    interval=0.1,
    late=0.01,
    problems={"torch": "no"},
)


def parsed(text):
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


def values(family):
    return {tuple(sorted(s.labels.items())): s.value for s in family.samples}


def test_the_text_passes_prometheus_own_parser():
    families = parsed(prometheus(SAMPLE))
    ram = families["resource_gate_ram_used_bytes"]
    assert (ram.type, ram.samples[0].value) == ("gauge", 800.0)
    assert ram.samples[0].labels == {"source": 'cgroup v2 /odd "name"\\x\n'}
    assert values(families["resource_gate_level"]) == {
        (("resource", "ram"),): 1.0,
        (("resource", "vram0"),): 0.0,
    }
    assert families["resource_gate_oom_kills"].type == "counter"
    assert families["resource_gate_gpu_throttled"].samples[0].value == 1.0
    assert families["resource_gate_disk_full_in_seconds"].samples[0].value == 3600.5


def test_every_metric_has_help_and_type_once_and_no_name_comes_twice():
    text = prometheus(SAMPLE)
    named = re.findall(r"^(resource_gate_\w+)", text, re.M)
    for name in set(named):
        assert len(re.findall(rf"^# HELP {name} \S", text, re.M)) == 1
        assert len(re.findall(rf"^# TYPE {name} (gauge|counter)$", text, re.M)) == 1


def test_names_keep_prometheus_conventions():
    for name, family in parsed(prometheus(SAMPLE)).items():
        assert name.startswith("resource_gate_")
        assert not re.search(r"_(ms|mb|kb|gb|percent|count|celcius)(_|$)", name)
        assert family.type in ("gauge", "counter")


def test_a_figure_that_no_reader_tells_is_left_out():
    families = parsed(prometheus(SAMPLE))
    temperatures = values(families["resource_gate_gpu_temperature_celsius"])
    assert temperatures == {(("gpu", "0"), ("name", "Card A")): 60.0}
    bare = prometheus(Sample(at=0.0, time=0.0))
    assert "ram" not in bare
    assert "resource_gate_sample_interval_seconds 0\n" in bare


def test_before_the_first_sample_only_what_others_add_is_written():
    extra = [counter("jobs_total", "Jobs done.", 5, state="done"), gauge("paused", "1 while paused.", None)]
    text = prometheus(None, extra)
    assert text == (
        "# HELP resource_gate_jobs_total Jobs done.\n"
        "# TYPE resource_gate_jobs_total counter\n"
        'resource_gate_jobs_total{state="done"} 5\n'
    )
    assert prometheus(None) == ""


def test_several_values_of_one_metric_stand_together():
    jobs = Metric("jobs_total", "Jobs.", (({"state": "done"}, 1), ({"state": "failed"}, 2.5)), "counter")
    assert values(parsed(prometheus(None, [jobs]))["resource_gate_jobs"]) == {
        (("state", "done"),): 1.0,
        (("state", "failed"),): 2.5,
    }
