from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.monitor.peak import CgroupPeak, PeakMeter
from resource_gate.monitor.process import ProcessReader, Resident
from resource_gate.monitor.readings import ProcessReading, Sample

GIB = 1024**3
MIB = 1024**2


class Portable:
    """A system without a peak reset: its peak only ever rises."""

    def __init__(self) -> None:
        self.now = Resident(100, 100, 80)

    def __call__(self) -> Resident:
        return self.now


def without_reset(portable):
    return ProcessReader(None, portable=portable)


def sample(rss, anonymous):
    return Sample(at=0.0, time=0.0, process=ProcessReading(rss, 0, anonymous))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_the_peak_of_a_job_is_exact_where_the_kernel_resets_it():
    meter = PeakMeter(ProcessReader())
    big = b"\1" * (200 * MIB)
    del big
    meter.start()
    before = ProcessReader().resident().rss
    big = b"\1" * (80 * MIB)
    del big
    peak = meter.stop()
    assert meter.how == "process"
    assert 75 * MIB < peak - before < 110 * MIB


def test_without_a_reset_a_peak_that_the_job_raised_is_exact():
    portable = Portable()
    meter = PeakMeter(without_reset(portable))
    meter.start()
    portable.now = Resident(120, 900, 90)
    assert meter.stop() == 900
    assert meter.how == "process"


def test_an_earlier_peak_that_is_near_is_not_worth_a_reset_and_may_be_told_as_the_jobs():
    portable = Portable()
    portable.now = Resident(100 * MIB, 103 * MIB, 80 * MIB)
    meter = PeakMeter(without_reset(portable))
    meter.start()
    assert (meter.stop(), meter.how) == (103 * MIB, "process")
    meter.start(Resident(100 * MIB, 105 * MIB, 80 * MIB))
    assert (meter.stop(), meter.how) == (100 * MIB, "samples")


def test_a_job_below_an_earlier_peak_is_told_by_samples():
    portable = Portable()
    portable.now = Resident(100, 5000, 80)
    meter = PeakMeter(without_reset(portable), near=0)
    meter.start()
    meter.note(sample(700, 600))
    meter.note(sample(300, 200))
    portable.now = Resident(200, 5000, 100)
    assert meter.stop() == 700
    assert (meter.how, meter.anonymous) == ("samples", 600)


def test_samples_of_the_job_before_do_not_count():
    portable = Portable()
    portable.now = Resident(100, 5000, 80)
    meter = PeakMeter(without_reset(portable), near=0)
    meter.start()
    meter.note(sample(4000, 3900))
    meter.stop()
    meter.start()
    assert meter.stop() == 100
    assert meter.anonymous == 80


def test_the_cgroups_peak_counts_before_samples_where_the_job_raised_it(docker_v1):
    portable = Portable()
    portable.now = Resident(100, 5000, 80)
    counter = docker_v1.sys / "memory/memory.max_usage_in_bytes"
    counter.write_text("1000\n")
    meter = PeakMeter(without_reset(portable), CgroupPeak(docker_v1.proc, docker_v1.sys), near=0)
    meter.start()
    assert meter.stop() == 100
    meter.start()
    counter.write_text("2000\n")
    assert meter.stop() == 2000
    assert meter.how == "cgroup"
    assert counter.read_text() == "2000\n"  # the counter of v1 is everyone's: it is never written


def test_the_v2_counter_is_reset_for_the_own_file_only(runpod):
    """A plain file stands for the kernel's: what is written is then read, as zero would be right after a reset."""
    counter = runpod.sys / "memory.peak"
    counter.write_text("5000\n")
    peak = CgroupPeak(runpod.proc, runpod.sys)
    peak.start()
    counter.write_text("700\n")
    assert peak.read() == 700
    peak.close()


def test_a_v2_counter_that_cannot_be_reset_counts_only_where_the_job_raised_it(runpod):
    def refuse(path):
        raise PermissionError(13, "Read-only file system")

    counter = runpod.sys / "memory.peak"
    counter.write_text("5000\n")
    peak = CgroupPeak(runpod.proc, runpod.sys, to_write=refuse)
    peak.start()
    assert peak.read() is None
    counter.write_text("6000\n")
    assert peak.read() == 6000


def test_a_machine_without_groups_has_no_cgroup_peak(wsl2):
    peak = CgroupPeak(wsl2.proc, wsl2.sys)
    peak.start()
    assert peak.read() is None


class Devices:
    def __init__(self) -> None:
        self.counting = 0

    def reset(self) -> None:
        self.counting += 1

    def read(self):
        return {0: 3 * GIB}

    def weights(self):
        return {0: 7 * GIB}


def test_the_gpus_peak_is_torchs_own_count():
    devices = Devices()
    meter = PeakMeter(without_reset(Portable()), devices=devices)
    meter.start()
    meter.stop()
    assert (devices.counting, meter.vram, meter.weights) == (1, {0: 3 * GIB}, {0: 7 * GIB})
