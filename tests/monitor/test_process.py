from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from resource_gate.monitor.process import PROC, PortableProcess, ProcessReader, QuickResident, Resident, peak_resident

MIB = 1024**2


def write_status(tree, rss=400, peak=900, anonymous=300):
    anon = "" if anonymous is None else f"RssAnon:\t{anonymous * 1024} kB\n"
    (tree.proc / "self/status").write_text(
        f"Name:\tpython\nVmPeak:\t9999999 kB\nVmHWM:\t{peak * 1024} kB\nVmRSS:\t{rss * 1024} kB\n{anon}"
    )
    (tree.proc / "self/clear_refs").write_text("")


def test_it_tells_resident_peak_anonymous_and_slack(tree):
    write_status(tree)
    reading = ProcessReader(tree.proc, slack=lambda anonymous: anonymous - 250 * MIB).read()
    assert (reading.rss, reading.peak, reading.anonymous) == (400 * MIB, 900 * MIB, 300 * MIB)
    assert reading.heap_slack == 50 * MIB


def test_a_kernel_that_leaves_the_anonymous_part_out_has_all_of_it_counted(tree):
    write_status(tree, anonymous=None)
    assert ProcessReader(tree.proc).anonymous_rss() == 400 * MIB


def test_after_a_reset_the_peak_since_the_start_is_still_told(tree):
    write_status(tree, peak=900)
    reader = ProcessReader(tree.proc)
    assert reader.reset_peak()
    assert (tree.proc / "self/clear_refs").read_text() == "5"
    write_status(tree, peak=500)
    assert reader.resident().peak == 500 * MIB
    assert reader.read().peak == 900 * MIB


def test_a_reset_that_the_system_refuses_is_told(tree):
    write_status(tree)
    reader = ProcessReader(tree.proc)
    (tree.proc / "self/clear_refs").unlink()
    (tree.proc / "self/clear_refs").mkdir()
    assert not reader.reset_peak()


def test_windows_tells_private_bytes_and_its_own_peak():
    info = SimpleNamespace(rss=400 * MIB, private=700 * MIB, peak_wset=800 * MIB)
    portable = PortableProcess(SimpleNamespace(memory_info=lambda: info), maximum=lambda: 0)
    reader = ProcessReader(None, portable=portable, slack=lambda anonymous: None)
    reading = reader.read()
    assert (reading.rss, reading.peak, reading.anonymous) == (400 * MIB, 800 * MIB, 700 * MIB)
    assert reader.anonymous_rss() == 700 * MIB
    assert not reader.reset_peak()


def test_a_mac_tells_the_peak_that_getrusage_knows():
    info = SimpleNamespace(rss=400 * MIB)
    portable = PortableProcess(SimpleNamespace(memory_info=lambda: info), maximum=lambda: 600 * MIB)
    reading = ProcessReader(None, portable=portable).read()
    assert (reading.peak, reading.anonymous) == (600 * MIB, 400 * MIB)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_the_kernel_and_psutil_agree_on_this_process():
    mine, others = ProcessReader().resident(), PortableProcess()()
    assert abs(mine.rss - others.rss) < 16 * MIB
    assert abs(peak_resident() - others.peak) < 16 * MIB
    assert 0 < mine.anonymous < mine.rss


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_the_real_peak_falls_at_a_reset_and_rises_with_the_next_job():
    reader = ProcessReader()
    big = b"\1" * (150 * MIB)
    del big
    assert reader.reset_peak()
    after = reader.resident()
    assert after.peak - after.rss < 50 * MIB
    big = b"\1" * (100 * MIB)
    del big
    assert reader.resident().peak - after.peak > 90 * MIB


@pytest.mark.skipif(PROC is None, reason="Linux only")
def test_the_quick_look_tells_what_status_tells_also_after_memory_has_grown_and_the_peak_was_reset():
    quick, slow = ProcessReader(), ProcessReader(Path("/proc/./"))
    slow._quick = None
    assert quick._quick is not None
    held = b"\1" * (64 * 1024**2)
    assert quick._quick.agrees(slow.resident())
    del held
    assert quick.reset_peak()
    assert quick.resident().peak < slow.resident().rss + 8 * 1024**2
    assert quick._quick.agrees(slow.resident())


def test_where_getrusage_tells_of_another_peak_status_is_asked(tmp_path):
    """A program that was started by a larger one inherits its peak, by getrusage alone."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self/statm").write_text("1000 10 2 1 0 900 0\n")
    with pytest.raises(ValueError, match="another size"):
        QuickResident(tmp_path, Resident(40960, 40960, 32768))
