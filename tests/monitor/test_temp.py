from __future__ import annotations

import pytest

from resource_gate.monitor.temp import TempReader


def fill(folder, sizes):
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)


def test_it_counts_files_of_all_depths(tmp_path, clock):
    fill(tmp_path, {"a": 10})
    fill(tmp_path / "deep/deeper", {"b": 5, "c": 7})
    reading = TempReader(tmp_path, clock=clock).read()
    assert (reading.bytes, reading.files, reading.complete) == (22, 3, True)


def test_links_are_not_followed(tmp_path, clock):
    temp, elsewhere = tmp_path / "temp", tmp_path / "elsewhere"
    fill(temp, {"a": 10})
    fill(elsewhere, {"big": 5000})
    (temp / "folder").symlink_to(elsewhere)
    (temp / "round").symlink_to(temp)
    (temp / "file").symlink_to(elsewhere / "big")
    reading = TempReader(temp, clock=clock).read()
    assert reading.bytes < 1000
    assert reading.files == 4


def test_growth_is_bytes_a_second_since_the_look_before(tmp_path, clock):
    fill(tmp_path, {"a": 100})
    reader = TempReader(tmp_path, clock=clock)
    assert reader.read().growth == 0.0
    clock.pass_(30)
    fill(tmp_path, {"b": 600})
    assert reader.read().growth == 20.0
    clock.pass_(30)
    (tmp_path / "b").unlink()
    assert reader.read().growth == -20.0


def test_a_folder_that_does_not_exist_is_empty(tmp_path, clock):
    reading = TempReader(tmp_path / "none", clock=clock).read()
    assert (reading.bytes, reading.files, reading.complete) == (0, 0, True)


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, clock):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        TempReader(tmp_path / "file", clock=clock).read()


def test_a_walk_that_takes_too_long_is_cut_and_says_so(tmp_path, clock):
    fill(tmp_path, {str(i): 10 for i in range(50)})

    def slow() -> float:
        clock.pass_(0.1)
        return clock()

    reader = TempReader(tmp_path, budget=1.0, clock=slow)
    reading = reader.read()
    assert not reading.complete
    assert 0 < reading.files < 50


def test_a_walk_that_was_cut_tells_no_growth(tmp_path, clock):
    fill(tmp_path, {str(i): 10 for i in range(50)})
    steps = iter([0.0] * 60 + [0.1] * 1000)

    def slow() -> float:
        clock.pass_(next(steps))
        return clock()

    reader = TempReader(tmp_path, budget=1.0, clock=slow)
    assert reader.read().complete
    again = reader.read()
    assert (again.complete, again.growth) == (False, 0.0)
