"""The file of runs may hold anything: what is believed of it must never make things worse than no file."""

from __future__ import annotations

import json

import pytest

from resource_gate.gate.prediction.features import Features
from resource_gate.gate.prediction.history import Run, machine_id, parsed
from resource_gate.gate.prediction.history_file import FAMILIES, KEPT, UNWRITTEN, HistoryFile
from resource_gate.gate.prediction.predict import Predictor

GB = 1024**3
HERE = "this"
RUN = Run("f" * 16, (1e7, 2e7, 0.0), GB, 0, 1.5, machine=HERE, time=1000.0, kinds=("A", "B"), nodes={"A": GB})
FEATURES = Features("f" * 16, ("A", "B"), (), 1e7, 2e7, 0.0)


@pytest.fixture
def file(tmp_path):
    return HistoryFile(tmp_path, HERE, 64 * GB)


def again(file):
    return HistoryFile(file.path.parent, HERE, 64 * GB)


def test_what_was_added_is_there_at_the_next_start(file):
    runs = [RUN._replace(seconds=float(n)) for n in range(5)]
    for run in runs:
        file.add(run)
    assert again(file).load() == runs


def test_no_file_is_no_problem(file):
    assert file.load() == [] and file.problem is None


def test_a_run_is_the_same_after_writing_and_reading_it():
    run = RUN._replace(expected=(1.0, 2.0, 3.0, 4.0, 5.0), sizes_chosen={"7": 81}, models=("m.safetensors",), level=2)
    run = run._replace(pixels={"A": 1e7}, by_kinds=GB)
    assert parsed(run.line()) == run


def test_a_run_that_an_older_version_wrote_is_read():
    old = json.loads(RUN.line())
    del old["pixels"], old["by_kinds"]
    assert parsed(json.dumps(old)) == RUN


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_file_cut_off_anywhere_costs_one_line_and_the_next_run_is_kept(file, cut):
    for n in range(3):
        file.add(RUN._replace(seconds=float(n)))
    data = file.path.read_bytes()
    file.path.write_bytes(data[: len(data) - cut])
    second = again(file)
    left = second.load()
    assert [r.seconds for r in left] == [0.0, 1.0, 2.0][: len(left)] and len(left) >= 2
    second.add(RUN._replace(seconds=9.0))
    assert [r.seconds for r in again(file).load()] == [*(r.seconds for r in left), 9.0]


@pytest.mark.parametrize(
    "change",
    [
        {"ram": -1},
        {"ram": 65 * GB},
        {"ram": 1e300},
        {"ram": "much"},
        {"ram": True},
        {"seconds": -3},
        {"seconds": 1e12},
        {"sizes": [1, 2]},
        {"sizes": [1, 2, -3]},
        {"sizes": None},
        {"outcome": "splendid"},
        {"family": ""},
        {"family": 7},
        {"nodes": []},
        {"nodes": {"A": -GB}},
        {"nodes": {"A": 1e300}},
        {"share": 2},
        {"level": 9},
        {"v": 99},
        {"expected": [1]},
    ],
)
def test_an_absurd_line_is_passed_over_and_the_others_are_kept(file, change):
    good = RUN.line()
    file.path.write_text(good + "\n" + json.dumps({**json.loads(good), **change}) + "\n" + good + "\n")
    assert len(file.load()) == 2 and file.passed_over == 1
    assert len(again(file).load()) == 2 and again(file).passed_over == 0


@pytest.mark.parametrize(
    "content",
    [b"\x00\xff" * 5000, b"[" * 100_000, b'{"v":1}\n' * 50, b"NaN\n", b'{"v":1,"ram":NaN}\n', "ü€".encode("utf-16")],
)
def test_a_file_of_something_else_is_none(file, content):
    file.path.write_bytes(content)
    assert file.load() == [] and file.problem is None
    file.add(RUN)
    assert again(file).load() == [RUN]


def test_runs_of_another_machine_teach_nothing_and_are_kept(file):
    file.add(RUN._replace(machine="other", ram=50 * GB))
    file.add(RUN)
    second = again(file)
    assert second.load() == [RUN]
    assert len(second.all()) == 2


def test_it_is_bounded_by_family_and_in_families(file):
    for n in range(3 * KEPT):
        file.add(RUN._replace(seconds=float(n)))
    assert [r.seconds for r in again(file).load()][-1] == 3 * KEPT - 1
    assert len(again(file).load()) == KEPT
    for n in range(FAMILIES + 20):
        file.add(RUN._replace(family=f"{n:016x}"))
    assert len({r.family for r in again(file).load()}) == FAMILIES
    assert len(file.path.read_text().splitlines()) < 4 * (KEPT + FAMILIES)


def test_forgetting_takes_the_family_out_of_the_file(file):
    file.add(RUN)
    file.add(RUN._replace(family="a" * 16))
    assert file.forget("ffff") == 1 and file.forget("ffff") == 0
    assert [r.family for r in again(file).load()] == ["a" * 16]


def test_where_the_file_cannot_be_made_anew_it_is_appended_to_and_nothing_piles_up(file, caplog):
    file.path.with_suffix(".part").mkdir()
    for n in range(4 * KEPT):
        file.add(RUN._replace(seconds=float(n)))
    assert file._unwritten == [] and len(caplog.records) == 1 and "cannot be written" in str(file.problem)
    assert [r.seconds for r in again(file).load()][-1] == 4 * KEPT - 1
    file.path.with_suffix(".part").rmdir()
    file.add(RUN)
    assert file.problem is None and len(file.path.read_text().splitlines()) == KEPT


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_raised(tmp_path):
    (tmp_path / "file").write_text("")
    file = HistoryFile(tmp_path / "file", HERE)
    file.load()
    file.add(RUN)
    assert "cannot be" in str(file.problem) and file.all() == [RUN]


def test_the_machine_is_the_same_at_each_start_and_another_with_other_ram():
    assert machine_id((), 24 * GB) == machine_id((), 24 * GB)
    assert machine_id((), 24 * GB) != machine_id((), 64 * GB) != machine_id(("H200",), 64 * GB)


@pytest.mark.parametrize("factor", [0.001, 0.2, 5.0, 50.0])
def test_what_a_file_says_is_dropped_as_soon_as_one_run_of_this_process_belies_it(factor):
    true = 4 * GB
    poisoned = Predictor(RUN._replace(ram=int(true * factor)) for _ in range(40))
    assert not poisoned.need_of(FEATURES).confirmed
    poisoned.learn(RUN._replace(ram=true))
    none = Predictor()
    none.learn(RUN._replace(ram=true))
    assert poisoned.need_of(FEATURES).ram == none.need_of(FEATURES).ram


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_the_same_of_times(factor):
    poisoned = Predictor(RUN._replace(seconds=20.0 * factor) for _ in range(40))
    poisoned.learn(RUN._replace(seconds=20.0))
    assert poisoned.need_of(FEATURES).seconds == pytest.approx(20.0, rel=0.1)


def test_what_is_borne_out_is_kept_and_confirmed():
    predictor = Predictor([RUN] * 10)
    assert predictor.need_of(FEATURES).known and not predictor.need_of(FEATURES).confirmed
    predictor.learn(RUN)
    assert predictor.need_of(FEATURES).confirmed and predictor.need_of(FEATURES).runs == 11


def test_runs_that_may_wait_are_written_together(tmp_path):
    file = HistoryFile(tmp_path, RUN.machine)
    file.load()
    for _ in range(3):
        file.add(RUN, later=True)
    assert (len(file.all()), file.path.exists()) == (3, False)
    file.flush()
    assert len(file.path.read_text().splitlines()) == 3
    file.flush()
    file.add(RUN, later=True)
    file.add(RUN)
    assert len(file.path.read_text().splitlines()) == 5


def test_not_too_many_wait(tmp_path):
    file = HistoryFile(tmp_path, RUN.machine)
    file.load()
    for _ in range(UNWRITTEN):
        file.add(RUN, later=True)
    assert len(file.path.read_text().splitlines()) == UNWRITTEN
