"""What a person is told about a machine that is too small, and about what is switched off."""

from __future__ import annotations

import pytest

from resource_gate.doctor.advice import advice

GB = 1024**3


def told(machine, **more):
    return advice({"machine": machine, **more})


def memory(limit, source="host"):
    return {"used": 0, "limit": limit, "source": source}


def test_a_machine_with_room_is_told_nothing(machine):
    assert told(machine()) == []


@pytest.mark.parametrize(
    ("size", "words"), [(8, "little for video"), (24, "tight for workflows with two video models")]
)
def test_little_ram_is_told_by_how_little(machine, size, words):
    lines = told(machine(ram=memory(size * GB), host_memory=[memory(size * GB)]))
    assert len(lines) == 1 and words in lines[0] and f"{size}.0 GB" in lines[0]


@pytest.mark.parametrize("size", [32, 64])
def test_enough_ram_is_enough_from_the_first_byte(machine, size):
    assert told(machine(ram=memory(size * GB), host_memory=[memory(size * GB)])) == []


def test_a_container_limit_is_told_with_the_machine_behind_it(machine):
    (line,) = told(machine(ram=memory(40 * GB, "cgroup v2 /docker/x")))
    assert line.startswith("Container: the limit is 40.0 GB of the machine's 64.0 GB")


@pytest.mark.parametrize(("total", "held"), [(0, "no swap"), (2 * GB, "2.0 GB of swap")])
def test_little_swap_is_told_where_ram_is_not_plenty(machine, total, held):
    small = machine(host_memory=[memory(40 * GB)], ram=memory(40 * GB), swap={"total": total, "free": total})
    (line,) = told(small)
    assert line.startswith(f"Swap: there is {held}.")
    assert told(machine(swap={"total": total, "free": total})) == []


def test_windows_is_told_of_its_page_file_and_not_of_swap(machine):
    windows = machine(
        host_memory=[memory(64 * GB), memory(68 * GB, "commit")], swap={"total": 0, "free": 0}, overcommit=None
    )
    (line,) = told(windows)
    assert line.startswith("Page file: it adds 4.0 GB to RAM") and "1455" in line
    windows["host_memory"][1] = memory(80 * GB, "commit")
    assert told(windows) == []


def test_strict_overcommit_is_told(machine):
    assert "vm.overcommit_memory is 2" in told(machine(overcommit=2))[0]
    assert told(machine(overcommit=1)) == []


def test_one_full_disk_is_told_once_with_all_its_roles(machine):
    full = {"free": 3 * GB, "total": 100 * GB}
    (line,) = told(machine(disks={"output": full, "temp": dict(full), "data": {"free": 90 * GB, "total": 100 * GB}}))
    assert line.startswith("Disk (output, temp): 3.0 GB free")


def test_a_missing_or_a_wrong_nvidia_library_is_told(machine):
    assert "nvidia-ml-py is missing" in told(machine(libraries={"torch": "2.11.0+cu130"}))[0]
    assert told(machine(libraries={"torch": "2.11.0+cpu"})) == []
    both = {"torch": "2.11.0+cu130", "nvidia-ml-py": "13.0", "pynvml": "11.5"}
    assert "Uninstall pynvml" in told(machine(libraries=both))[0]


def test_what_cannot_be_read_leads_to_no_advice_and_no_error(machine):
    unknown = "cannot be read: no /proc"
    nothing = machine(ram=unknown, host_memory=unknown, swap=unknown, overcommit=None, disks={"output": unknown})
    assert told(nothing) == []


def test_what_is_off_is_told(machine):
    lines = told(
        machine(),
        off={"brake": "this ComfyUI has no hook"},
        settings={"gate": {"enabled": False}, "reclaim": {"enabled": False, "dry_run": True}},
        worker_alive=False,
    )
    assert [line.split(":")[0] for line in lines] == ["brake", "Settings", "Settings", "Settings", "Worker"]


def test_settings_that_differ_otherwise_are_no_advice(machine):
    assert told(machine(), off={}, settings={"gate": {"enabled": True}, "reclaim": {}}, worker_alive=None) == []
