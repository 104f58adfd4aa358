"""The look at the machine: on this one, and where something cannot be read."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from resource_gate.doctor.machine import driver_version, machine_report
from resource_gate.monitor.readings import MemoryReading


class Nvml:
    """The driver's library as `pynvml` has it."""

    def __init__(self, version="580.65", error=None):
        self.version, self.error = version, error

    def nvmlInit(self):  # noqa: N802
        if self.error:
            raise self.error

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return self.version


def test_this_machine_is_told_in_whole(tmp_path):
    found = machine_report({"output": tmp_path})
    assert found["python"] == platform.python_version()
    assert 0 < found["ram"]["used"] <= found["ram"]["limit"] and found["ram"]["source"]
    assert found["host_memory"][0]["source"] == "host"
    assert found["disks"]["output"]["total"] > found["disks"]["output"]["free"] >= 0
    assert found["libraries"]["psutil"] and found["swap"]["total"] >= 0
    assert isinstance(found["driver"], str)


def test_what_cannot_be_read_is_told_and_the_rest_stays(tmp_path):
    def fails():
        raise OSError("no /proc here")

    found = machine_report({}, ram=fails, swap=fails, host=lambda: (MemoryReading(1, 2, "host"),), proc=tmp_path)
    assert found["ram"] == "cannot be read: no /proc here"
    assert found["swap"] == "cannot be read: no /proc here"
    assert found["host_memory"] == [{"used": 1, "limit": 2, "source": "host"}]
    assert found["overcommit"] is None


@pytest.mark.parametrize(("text", "value"), [("2\n", 2), ("odd", None)])
def test_overcommit_is_read_from_proc(tmp_path, text, value):
    (tmp_path / "sys/vm").mkdir(parents=True)
    (tmp_path / "sys/vm/overcommit_memory").write_text(text)
    assert machine_report({}, proc=tmp_path)["overcommit"] == value


def test_a_folder_that_is_not_there_yet_is_told_by_the_disk_it_will_lie_on(tmp_path):
    found = machine_report({"temp": tmp_path / "not" / "yet"})
    assert found["disks"]["temp"]["total"] > 0


def test_a_disk_that_cannot_be_looked_at_costs_its_line_and_not_the_report():
    class Stale(type(Path())):
        """A folder on a server that is gone."""

        def exists(self, **more):
            raise OSError(116, "Stale file handle")

    found = machine_report({"output": Stale("/mnt/server/output")})
    assert found["disks"]["output"].startswith("cannot be read: ") and found["ram"]


@pytest.mark.parametrize("version", ["580.65", b"580.65"])
def test_the_driver_is_told_as_text(version):
    assert driver_version(lambda: Nvml(version)) == "580.65"


def test_no_driver_and_no_library_are_told_apart():
    def no_library():
        raise ImportError

    assert driver_version(no_library) == "unknown: nvidia-ml-py is not installed"
    assert driver_version(lambda: Nvml(error=RuntimeError("Driver Not Loaded"))) == "none: Driver Not Loaded"
