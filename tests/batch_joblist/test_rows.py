from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.joblist.job import JobListError
from resource_gate.batch.joblist.rows import rows_from_csv, rows_from_jsonl, rows_from_pattern

Write = Callable[[str, Any], Path]


@pytest.mark.parametrize(
    "text",
    [
        "file,text\na.mp4,red car\nb.mp4,blue\n",
        "file;text\r\na.mp4;red car\r\nb.mp4;blue\r\n",
        "file\ttext\na.mp4\tred car\n\nb.mp4\tblue",
        "sep=|\nfile|text\na.mp4|red car\nb.mp4|blue\n",
        '\ufeff"file","text"\n"a.mp4","red car"\nb.mp4,blue\n',
    ],
)
def test_a_csv_of_any_country_reads_the_same(text: str, write: Write) -> None:
    rows = rows_from_csv(write("jobs.csv", text.encode()))
    assert rows.columns == ("file", "text")
    assert [dict(row) for row in rows.rows] == [
        {"file": "a.mp4", "text": "red car"},
        {"file": "b.mp4", "text": "blue"},
    ]


def test_a_quoted_cell_may_hold_the_delimiter_a_quote_and_a_line_break(write: Write) -> None:
    rows = rows_from_csv(write("jobs.csv", 'file,text\na.mp4,"a ""big"", red\ncar"\n'))
    assert rows.rows[0]["text"] == 'a "big", red\ncar'


def test_jsonl_values_become_texts(write: Write) -> None:
    lines = '{"file": "a.mp4", "frames": 12, "fast": true, "text": "x\u2028y"}\n\n{"file": "b.mp4", "seed": null}\n'
    rows = rows_from_jsonl(write("jobs.jsonl", lines))
    assert rows.columns == ("file", "frames", "fast", "text", "seed")
    assert dict(rows.rows[0]) == {"file": "a.mp4", "frames": "12", "fast": "true", "text": "x\u2028y"}
    assert dict(rows.rows[1]) == {"file": "b.mp4", "seed": ""}


def test_a_pattern_finds_files_in_the_order_a_person_counts(write: Write, tmp_path: Path) -> None:
    for name in ("clip10.mp4", "clip2.mp4", "Clip1.mp4", "notes.txt"):
        write(name, b"x")
    (tmp_path / "folder.mp4").mkdir()
    rows = rows_from_pattern(str(tmp_path / "*.mp4"))
    assert [row["stem"] for row in rows.rows] == ["Clip1", "clip2", "clip10"]
    assert rows.rows[0]["file"] == str(tmp_path / "Clip1.mp4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "jobs.csv: it is empty; expected a header and a row for each job"),
        (b"file,text\n", "jobs.csv: it has a header and no rows"),
        (b"file,text,file\na,b,c\n", "jobs.csv, column file: it stands twice in the header"),
        (b"file,,text\na,b,c\n", "jobs.csv, column 2: it has no name"),
        (b"file,text\na,b\nc\n", "jobs.csv, row 2: it has 1 cells; expected 2, as the header has"),
        (b'file,text\na,"b\n', "jobs.csv, row 1: it cannot be read"),
        (b"file,text\na,b\nc,caf\xe9\n", "jobs.csv: line 3 holds byte 0xe9, which is not UTF-8; expected UTF-8"),
        ("file,text\na,b\n".encode("utf-16"), "jobs.csv: it is UTF-16; expected UTF-8 (in Excel"),
    ],
)
def test_a_broken_csv_is_refused_with_its_place(content: bytes, message: str, write: Write) -> None:
    with pytest.raises(JobListError) as error:
        rows_from_csv(write("jobs.csv", content))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"file": "a"}\n{"file": \n', "jobs.jsonl, row 2: it is not JSON"),
        ('["a"]\n', "jobs.jsonl, row 1: it is a list"),
        ('{"file": {"a": 1}}\n', "jobs.jsonl, row 1, column file: it is an object; expected a text, a number"),
        ('{"file": "a", "file": "b"}\n', "jobs.jsonl, row 1, column file: it stands twice"),
        ('{"n": NaN}\n', "jobs.jsonl, row 1, column n: it is the number nan"),
        ("", "jobs.jsonl: it is empty"),
    ],
)
def test_a_broken_jsonl_is_refused_with_its_place(content: str, message: str, write: Write) -> None:
    with pytest.raises(JobListError) as error:
        rows_from_jsonl(write("jobs.jsonl", content))
    assert str(error.value).startswith(message)


def test_every_broken_row_is_told_at_once(write: Write) -> None:
    with pytest.raises(JobListError) as error:
        rows_from_csv(write("jobs.csv", "a,b\n1\n1,2\n1,2,3\n"))
    assert [problem.row for problem in error.value.problems] == [1, 3]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobListError, match=r"nowhere\.csv: it cannot be read"):
        rows_from_csv(tmp_path / "nowhere.csv")


def test_a_pattern_that_finds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobListError, match="it finds nothing"):
        rows_from_pattern(str(tmp_path / "*.mov"))
