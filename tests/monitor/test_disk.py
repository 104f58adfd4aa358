from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from resource_gate.monitor.disk import DiskReader, Forecast, existing

GIB = 1024**3


def usage(total=100 * GIB, used=60 * GIB, free=35 * GIB):
    return SimpleNamespace(total=total, used=used, free=free)


def test_places_on_one_file_system_make_one_reading(tmp_path, clock):
    (tmp_path / "output").mkdir()
    (tmp_path / "temp").mkdir()
    places = {"output": tmp_path / "output", "temp": tmp_path / "temp", "database": tmp_path}
    readings = DiskReader(places, usage=lambda path: usage(), device=lambda path: 1, clock=clock).read()
    assert [(r.path, r.roles) for r in readings] == [(str(tmp_path / "output"), ("output", "temp", "database"))]


def test_places_on_two_file_systems_make_two(tmp_path, clock):
    places = {"output": tmp_path, "temp": tmp_path / "x"}
    (tmp_path / "x").mkdir()
    readings = DiskReader(places, usage=lambda p: usage(), device=lambda p: int(p.name == "x"), clock=clock).read()
    assert [r.roles for r in readings] == [("output",), ("temp",)]


def test_what_only_root_may_write_is_not_free(tmp_path, clock):
    [reading] = DiskReader({"output": tmp_path}, usage=lambda p: usage(), clock=clock).read()
    assert reading.fraction == pytest.approx(0.65)


def test_a_folder_that_does_not_exist_yet_is_told_by_its_parent(tmp_path, clock):
    [reading] = DiskReader({"output": tmp_path / "a/b"}, usage=lambda p: usage(), clock=clock).read()
    assert reading.path == str(tmp_path)
    assert existing(Path("nowhere/at/all")) == Path()


def test_steady_growth_tells_when_the_disk_is_full():
    forecast = Forecast()
    seen = [forecast.full_in(at, 100 * GIB - int(at) * GIB // 10) for at in range(0, 61, 10)]
    assert seen[:3] == [None, None, None]
    assert seen[-1] == pytest.approx(940)  # 94 GiB left at 0.1 GiB a second


def test_no_growth_and_shrinking_tell_nothing():
    steady, shrinking = Forecast(), Forecast()
    assert [steady.full_in(at, GIB) for at in range(0, 100, 10)] == [None] * 10
    assert [shrinking.full_in(at, GIB + at) for at in range(0, 100, 10)] == [None] * 10


def test_growth_that_fills_in_more_than_a_week_tells_nothing():
    forecast = Forecast()
    assert [forecast.full_in(at, 10**15 - at) for at in range(0, 100, 10)][-1] is None


def test_growth_of_long_ago_is_forgotten():
    forecast = Forecast()
    for at in range(0, 100, 10):
        forecast.full_in(at, 100 * GIB - at * GIB // 10)
    seen = [forecast.full_in(at, 90 * GIB) for at in range(100, 1500, 10)]
    assert seen[0] is not None
    assert seen[-1] is None


def test_each_disk_has_a_forecast_of_its_own(tmp_path, clock):
    (tmp_path / "x").mkdir()
    free = {0: 100 * GIB, 1: 100 * GIB}
    reader = DiskReader(
        {"output": tmp_path, "temp": tmp_path / "x"},
        usage=lambda p: usage(free=free[int(p.name == "x")]),
        device=lambda p: int(p.name == "x"),
        clock=clock,
    )
    for _ in range(10):
        output, temp = reader.read()
        clock.pass_(10)
        free[1] -= GIB
    assert output.full_in is None
    assert temp.full_in == pytest.approx(910)


@pytest.mark.parametrize("call", ["device", "usage"])
def test_a_place_that_cannot_be_read_leaves_the_others_and_is_told_once(tmp_path, caplog, call):
    """An output folder on a server that is gone: `Stale file handle`."""

    def stale(path, found):
        if path.name == "server":
            raise OSError(116, "Stale file handle")
        return found

    for name in ("server", "here"):
        (tmp_path / name).mkdir()
    calls = {"device": lambda p: int(p.name == "here"), "usage": lambda p: usage(free=7 * GIB)}
    inner = calls[call]
    calls[call] = lambda p: stale(p, inner(p))
    reader = DiskReader({"output": tmp_path / "server", "temp": tmp_path / "here"}, **calls)
    for _ in range(3):
        assert [(d.roles, d.free) for d in reader.read()] == [(("temp",), 7 * GIB)]
    assert len(caplog.records) == 1 and "Stale file handle" in caplog.text


def test_where_no_place_can_be_read_that_is_an_error(tmp_path):
    def stale(path):
        raise OSError(116, "Stale file handle")

    with pytest.raises(OSError, match="Stale"):
        DiskReader({"output": tmp_path}, device=stale).read()


def test_the_real_disk_agrees_with_statvfs(tmp_path):
    [reading] = DiskReader({"output": tmp_path}).read()
    told = os.statvfs(tmp_path)
    assert reading.total == told.f_blocks * told.f_frsize
