from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.monitor.pressure import PortablePressure, PressureReader, pressure_reader

GIB = 1024**3
PSI = "some avg10=12.50 avg60=1.00 avg300=0.10 total=2500000\nfull avg10=4.00 avg60=0.50 avg300=0.05 total=900000\n"


def reader(tree, clock):
    return PressureReader(tree.proc, tree.sys, clock=clock)


def write_psi(tree):
    (tree.proc / "pressure").mkdir()
    (tree.proc / "pressure/memory").write_text(PSI)


def test_stalls_are_shares_and_seconds(bare_host, clock):
    write_psi(bare_host)
    told = reader(bare_host, clock).read()
    assert (told.some, told.full, told.stalled) == (0.125, 0.04, 2.5)


def test_the_cgroups_own_stalls_come_before_the_machines(runpod, clock):
    write_psi(runpod)
    (runpod.sys / "memory.pressure").write_text(PSI.replace("12.50", "50.00"))
    assert reader(runpod, clock).read().some == 0.5


def test_a_kernel_without_stall_counters_tells_none(bare_host, clock):
    told = reader(bare_host, clock).read()
    assert (told.some, told.full, told.stalled) == (None, None, None)


def test_stall_counters_that_are_switched_off_tell_none(bare_host, clock):
    """The file is there and reading it fails (EOPNOTSUPP), as reading a folder does."""
    (bare_host.proc / "pressure/memory").mkdir(parents=True)
    assert reader(bare_host, clock).read().some is None


def test_swap_is_told_in_bytes(bare_host, clock):
    told = reader(bare_host, clock).read()
    assert (told.swap_used, told.swap_total) == (1 * GIB, 8 * GIB)


@pytest.mark.parametrize(("machine", "kills"), [("docker_v1", 3), ("docker_v2_nested", 1)])
def test_kills_are_those_of_the_own_cgroup(machine, kills, request, clock):
    assert reader(request.getfixturevalue(machine), clock).read().oom_kills == kills


def test_kills_on_a_machine_without_groups_are_the_machines_looked_at_now_and_then(wsl2, clock):
    (wsl2.proc / "vmstat").write_text("nr_free_pages 5\noom_kill 7\n")
    pressure = reader(wsl2, clock)
    assert pressure.read().oom_kills == 7
    (wsl2.proc / "vmstat").write_text("nr_free_pages 5\noom_kill 8\n")
    assert pressure.read().oom_kills == 7
    clock.pass_(5.1)
    assert pressure.read().oom_kills == 8


def test_a_machine_that_counts_no_kills_tells_none(wsl2, clock):
    assert reader(wsl2, clock).read().oom_kills is None


def test_other_systems_tell_swap_alone():
    told = PortablePressure(lambda: SimpleNamespace(used=5, total=9)).read()
    assert (told.swap_used, told.swap_total, told.some, told.oom_kills) == (5, 9, None, None)
    assert isinstance(pressure_reader("win32"), PortablePressure)
