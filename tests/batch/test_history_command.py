from __future__ import annotations

import json

import pytest

from resource_gate.cli import main
from resource_gate.gate.prediction.history import Run
from resource_gate.gate.prediction.history_file import FILE, HistoryFile

GB = 1024**3
RUN = Run(
    *("f" * 16, (1e7, 2e7, 0.0), 2 * GB, 0, 1.5),
    expected=(2.2 * GB, 0.0, 1.4, 1.0, 2.0),
    machine="m",
    time=1.7e9,
    kinds=("A", "B", "C", "D", "E", "F"),
    models=("m.safetensors",),
    nodes={"A": GB},
)


@pytest.fixture
def file(tmp_path):
    made = HistoryFile(tmp_path, "m")
    for n in range(4):
        made.add(RUN._replace(seconds=1.5 + n))
    made.add(RUN._replace(family="a" * 16, machine="elsewhere", expected=()))
    return made.path


def test_each_family_is_told_with_what_it_took_and_how_right_that_was(file, capsys):
    assert main(["history", "--file", str(file)]) == 0
    told = capsys.readouterr().out
    assert "ffffffff  A, B, C, D, E and 1 more  [m.safetensors]" in told
    assert "4 runs (4 ok)" in told and "peak 2.0 GB RAM, 3.0 s" in told
    assert "0% of 4 took more than expected, 10% expected and not used, 25% ended within the time told" in told
    assert "1 on other machines, which teach nothing here" in told


def test_how_different_its_runs_were_is_told_where_they_were(file, capsys):
    HistoryFile(file.parent, "m").add(RUN._replace(sizes=(4e7, 8e7, 0.0), ram=5 * GB, seconds=6.0))
    assert main(["history", "--file", str(file)]) == 0
    assert "of 10.0 to 40.0 million pixels: 2.0 GB to 5.0 GB, 1.5 to 6.0 s" in capsys.readouterr().out


def test_as_json_it_is_the_view(file, capsys):
    assert main(["history", "--file", str(file), "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    assert {f["family"][0]: f["runs"] for f in view["families"]} == {"f": 4, "a": 1}


def test_exported_it_can_be_read_again_elsewhere(file, tmp_path, capsys):
    target = tmp_path / "elsewhere" / FILE
    assert main(["history", "--file", str(file), "--export", str(target)]) == 0
    assert sorted(r.family for r in HistoryFile(target.parent, "m").load()) == ["f" * 16] * 4
    assert "5 runs in" in capsys.readouterr().out


def test_a_family_is_forgotten_and_the_others_stay(file, capsys):
    assert main(["history", "--file", str(file), "--forget", "ffff"]) == 0
    assert main(["history", "--file", str(file), "--forget", "ffff"]) == 1
    assert "nothing was changed" in capsys.readouterr().out
    assert [r.family for r in HistoryFile(file.parent, "elsewhere").load()] == ["a" * 16]


def test_no_file_is_said_and_nothing_is_made(tmp_path, capsys):
    assert main(["history", "--file", str(tmp_path / "x")]) == 1
    assert "there is no" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_damaged_file_is_told_of(file, capsys):
    file.write_text(file.read_text() + "{\n")
    main(["history", "--file", str(file)])
    assert "1 lines of" in capsys.readouterr().out
