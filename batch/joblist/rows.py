"""The rows of a batch: a CSV file, a JSONL file, or the files that a pattern finds."""

from __future__ import annotations

import csv
import glob
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .job import JobListError, Problem

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between the cells of a CSV file; a spreadsheet's depends on the country it was set up for."""
UTF8 = "UTF-8 (in Excel: save as “CSV UTF-8”)"
FILE, STEM = "file", "stem"
"""The columns of rows that a pattern found: the path, and its last part without the ending."""


@dataclass(frozen=True)
class Rows:
    """A table: column → text, a row a job."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    source: str
    """Where they came from, for people."""
    folder: Path
    """Against which a relative path in a cell is taken."""


def rows_from_csv(path: Path) -> Rows:
    """Read a CSV file with a header; the delimiter is found from the header.

    Raises:
        JobListError: it cannot be read, is not UTF-8, or its cells do not fit its header.
    """
    text = _text(path)
    lines = text.splitlines(keepends=True)
    delimiter = None
    if lines and lines[0].strip().lower().startswith("sep=") and len(lines[0].strip()) == len("sep=") + 1:
        delimiter, lines = lines[0].strip()[-1], lines[1:]  # Excel's own way of telling
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter or _delimiter(lines), strict=True)
    problems: list[Problem] = []
    header: list[str] = []
    rows: list[Mapping[str, str]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        problems += _header_problems(path, header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            rows.append(dict(zip(header, cells, strict=False)))
            if len(cells) != len(header):
                expected = f"{len(header)}, as the header has (a cell that holds the delimiter needs quotes)"
                problems.append(Problem(len(rows), "", f"it has {len(cells)} cells", expected, path.name))
    except csv.Error as error:
        expected = 'quotes in pairs, and a quote inside a quoted cell written twice ("")'
        problems.append(Problem(len(rows) + 1, "", f"it cannot be read ({error})", expected, path.name))
    return _rows(tuple(header), rows, path.name, path.absolute().parent, problems)


def _delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that the header has most of, quoted cells left out. Columns have plain names."""
    header = re.sub(r'"[^"]*"', "", lines[0]) if lines else ""
    return max(DELIMITERS, key=header.count)


def _header_problems(path: Path, header: Sequence[str]) -> list[Problem]:
    problems = []
    for number, name in enumerate(header):
        if not name:
            problems.append(
                Problem(
                    None, f"column {number + 1}", "it has no name", "a name for each column in the header", path.name
                )
            )
        elif name in header[:number]:
            problems.append(
                Problem(None, f"column {name}", "it stands twice in the header", "each name once", path.name)
            )
    return problems


def rows_from_jsonl(path: Path) -> Rows:
    """Read a file with one JSON object a line.

    Raises:
        JobListError: it cannot be read, is not UTF-8, or a line is no object of plain values.
    """
    problems: list[Problem] = []
    rows: list[Mapping[str, str]] = []
    columns: dict[str, None] = {}
    for line in _text(path).split("\n"):  # not splitlines: a JSON text may hold U+2028
        if not line.strip():
            continue
        row, found = _json_row(line, len(rows) + 1, path.name)
        problems += found
        rows.append(row)
        columns.update(dict.fromkeys(row))
    return _rows(tuple(columns), rows, path.name, path.absolute().parent, problems)


def _json_row(line: str, number: int, source: str) -> tuple[dict[str, str], list[Problem]]:
    problems: list[Problem] = []

    def once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                problems.append(Problem(number, key, "it stands twice", "each name once", source))
            found[key] = value
        return found

    try:
        data = json.loads(line, object_pairs_hook=once)
    except ValueError as error:
        return {}, [Problem(number, "", f"it is not JSON ({error})", 'one object a line, {"file": "a.mp4"}', source)]
    if not isinstance(data, dict):
        return {}, [Problem(number, "", f"it is {_kind(data)}", 'one object a line, {"file": "a.mp4"}', source)]
    row = {}
    for key, value in data.items():
        if isinstance(value, (dict, list)) or (isinstance(value, float) and not math.isfinite(value)):
            problems.append(Problem(number, key, f"it is {_kind(value)}", "a text, a number, true or false", source))
        else:
            row[key] = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return row, problems


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), f"the number {value}")


def rows_from_pattern(pattern: str) -> Rows:
    """Make a row of each file that the pattern finds, in natural order (clip2 before clip10); `**` goes deeper.

    Raises:
        JobListError: it finds none.
    """
    found = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - a pattern may be absolute
    files = sorted((path.absolute() for path in found if path.is_file()), key=_natural)
    if not files:
        what = "it finds only folders" if found else "it finds nothing"
        raise JobListError([Problem(None, f"--each {pattern}", what, "a pattern of files, in quotes: 'clips/*.mp4'")])
    rows = [{FILE: str(path), STEM: path.stem} for path in files]
    return Rows((FILE, STEM), tuple(rows), pattern, Path.cwd())


def _natural(path: Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    parts = re.split(r"([0-9]+)", str(path))
    key = tuple((0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part.casefold()) for part in parts)
    return key, str(path)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JobListError([Problem(None, "", f"it cannot be read ({error.strerror})", "a file", str(path))]) from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise JobListError([Problem(None, "", "it is UTF-16", UTF8, path.name)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"line {line} holds byte 0x{data[error.start]:02x}, which is not UTF-8"
        raise JobListError([Problem(None, "", found, UTF8, path.name)]) from error


def _rows(
    columns: tuple[str, ...], rows: Sequence[Mapping[str, str]], source: str, folder: Path, problems: list[Problem]
) -> Rows:
    if not problems and not columns:
        problems.append(Problem(None, "", "it is empty", "a header and a row for each job", source))
    elif not problems and not rows:
        problems.append(Problem(None, "", "it has a header and no rows", "a row for each job", source))
    if problems:
        raise JobListError(problems)
    return Rows(columns, tuple(rows), source, folder)
