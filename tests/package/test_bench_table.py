"""The table of the README is made of stored figures: all rows, in order, with what is missing told."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest


def loaded(root, name):
    spec = importlib.util.spec_from_file_location(name, root / "bench" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(root):
    """The table, which finds its rows beside it, as it does when it is run."""
    names = ("table_rows", "table")
    yield [loaded(root, name) for name in names][-1]
    for name in names:
        del sys.modules[name]


def result(figures):
    return {"day": "2026-01-01", "machine": "2 cores", "figures": figures}


def test_each_row_names_a_bench_that_there_is_and_its_file(made, root):
    benches = {bench.name: bench for bench in made.BENCHES}
    for row in made.ROWS:
        assert (root / benches[row.bench].command.split()[1]).is_file()


def test_figures_stand_in_their_row_beside_target_and_command(made):
    results = {"react": result({"p50_ms": 27.4, "most_ms": 100.2, "runs": 20, "p99_ms": 1})}
    text = made.table(results)
    (line,) = [line for line in text.splitlines() if "bench/react.py" in line]
    assert "| ≤ 150 ms | 27 ms, slowest of 20: 100 ms | `python bench/react.py` |" in line
    assert text.count("not measured yet") == len(made.ROWS) - 1
    assert text.endswith("Measured on 2 cores, 2026-01-01.")


def test_figures_of_another_shape_are_told_and_spoil_no_other_row(made):
    results = {"react": result({}), "start_up": result({"import_ms": 41.0, "import_cpu_ms": 40.0, "start_ms": 60.0})}
    text = made.table(results)
    assert (
        "not told by the figures ('p50_ms')" in text
        and "| ≤ 50 ms | 41 ms (40 ms CPU); 60 ms with all that it starts |" in text
    )


def test_only_what_lies_between_the_markers_is_written(made):
    text = f"# Title\n\n{made.BEGIN}\nold\n{made.END}\n\nafter\n"
    written = made.with_table(text, "| new |")
    assert written == f"# Title\n\n{made.BEGIN}\n\n| new |\n\n{made.END}\n\nafter\n"
    assert made.with_table(written, "| new |") == written
    assert made.with_table("# no place for it\n", "| new |") is None


def test_a_bench_is_named_once_and_every_one_has_a_row(made):
    names = [bench.name for bench in made.BENCHES]
    assert len(set(names)) == len(names)
    assert {row.bench for row in made.ROWS} == set(names)


def test_every_bench_of_the_table_writes_its_figures_where_it_is_told(made, root):
    for bench in made.BENCHES:
        assert '"--json", type=Path' in (root / bench.command.split()[1]).read_text("utf-8")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_tells_the_stored_figures(made, root, name):
    """Figures that were measured again must be in the table, and none may be written by hand."""
    text = (root / name).read_text("utf-8")
    stored = json.loads((root / "bench" / "results.json").read_text("utf-8"))
    assert made.with_table(text, made.table(stored)) == text


def test_what_tests_show_is_told_with_what_they_recorded(made, tmp_path):
    by_test = loaded(Path(made.__file__).parents[1], "by_test")
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.live.test_temp" name="test_a_long_batch_leaves_little">'
        '<properties><property name="share" value="0.2"/></properties></testcase>'
        '<testcase classname="tests.live.test_temp" name="test_other"><failure/></testcase>'
        '<testcase classname="tests.live.test_more" name="test_other"><skipped/></testcase></testsuite></testsuites>'
    )
    figures = by_test.told_by(report)
    assert {kind: figures[kind] for kind in ("passed", "failed", "skipped")} == {"passed": 1, "failed": 1, "skipped": 1}
    lines = [line for line in made.table({"live": result(figures)}).splitlines() if "by_test.py tests/live" in line]
    assert any("| ≤ 30 % | 20%; passed |" in line for line in lines)
    assert any("| 1 passed, 1 failed, 1 skipped |" in line for line in lines)
    assert any("| not told by the figures" in line for line in lines), "a test that did not run is no success"
    del sys.modules["by_test"]
