"""The table of the README is made of stored figures: all rows, in order, with what is missing told."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest


@pytest.fixture(scope="module")
def made(root):
    spec = importlib.util.spec_from_file_location("bench_table", root / "bench" / "table.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


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
    assert text.count("not measured") == len(made.ROWS) - 1
    assert text.endswith("Measured on 2 cores, 2026-01-01.")


def test_figures_of_another_shape_are_told_and_spoil_no_other_row(made):
    results = {"react": result({}), "start_up": result({"import_ms": 41.0})}
    text = made.table(results)
    assert "not told by the figures ('p50_ms')" in text and "| ≤ 50 ms | 41 ms |" in text


def test_only_what_lies_between_the_markers_is_written(made):
    text = f"# Title\n\n{made.BEGIN}\nold\n{made.END}\n\nafter\n"
    written = made.with_table(text, "| new |")
    assert written == f"# Title\n\n{made.BEGIN}\n\n| new |\n\n{made.END}\n\nafter\n"
    assert made.with_table(written, "| new |") == written
    assert made.with_table("# no place for it\n", "| new |") is None


def test_the_readme_tells_the_stored_figures(made, root):
    """Where both are there: figures that were measured again must be in the table, and none may be written by hand."""
    text = (root / "README.md").read_text("utf-8")
    stored = root / "bench" / "results.json"
    if made.BEGIN in text:
        assert made.with_table(text, made.table(json.loads(stored.read_text("utf-8")))) == text
    else:
        assert made.END not in text
