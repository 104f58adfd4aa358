"""What a batch consists of: jobs with everything filled in, and the error that names what is wrong with a list.

How outputs are named: `plan` gives every input `filename_prefix` of a node that writes files the value
`resource_gate/<job name>/<last part of the workflow's own prefix>`, so that what a job leaves on the server lies
in a folder of its own and two jobs never share a counter. A prefix named by `--set` stays as it was set. The
runner copies what the server's history lists for the job to `<out>/<job name>…` and needs no prefix for that.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

OUTPUT_FOLDER = "resource_gate"
"""The folder below the server's output folder that the jobs' own folders lie in."""


@dataclass(frozen=True)
class InputFile:
    """A local file that must reach the server's input folder before the job can start."""

    node: str
    """The node's id in the graph."""
    input: str
    """The name of the node's input that takes the file."""
    path: Path
    """Where it lies here; absolute."""


@dataclass(frozen=True)
class Job:
    """One prompt of a batch, with its values put in."""

    index: int
    """The row of the table, counted from 0."""
    name: str
    """Unique in the list and safe as a file's stem on every system; the same on every planning of the same list."""
    graph: Mapping[str, Any] = field(repr=False)
    """API format: node id → `{"class_type": …, "inputs": {…}}`. An input named by `files` holds the local path."""
    files: tuple[InputFile, ...] = ()
    row: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The row it was made from: column → text."""

    @cached_property
    def key(self) -> str:
        """What tells this job from another one on a resume: sha256 (hex) of its name and graph.

        A file that was only touched, or copied anew, does not make it another job; another path does.
        """
        text = json.dumps([self.name, self.graph], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def graph_with(self, names: Mapping[tuple[str, str], str]) -> dict[str, Any]:
        """Return a copy of the graph in which each file input holds the name by which the server knows the file.

        Args:
            names: (node id, input) → the server's name, as `POST /upload/image` answers it. What is not named
                there keeps the local path.
        """
        graph = {node: copy.deepcopy(content) for node, content in self.graph.items()}
        for (node, name), value in names.items():
            graph[node]["inputs"][name] = value
        return graph


@dataclass(frozen=True)
class JobList:
    """All jobs of a batch, checked."""

    jobs: tuple[Job, ...]
    workflow: Path
    source: str
    """Where the rows came from, for people: a file's name, or the pattern."""
    unchecked: tuple[str, ...] = ()
    """What could not be checked, or is not quite what the UI would run, a sentence each; mostly empty."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a workflow, a table or a setting, and where."""

    row: int | None
    """The line of a table, counted as a person does: the first row below the header is 1. None: not in a row."""
    column: str
    """The column, or `node 5 (LoadVideo), input file`, or the option; empty where it concerns the whole."""
    found: str
    expected: str
    source: str = ""
    """The file or option it was found in."""

    def __str__(self) -> str:
        row = "" if self.row is None else f"row {self.row}"
        column = self.column
        if column and self.row is not None and not column.startswith(("node ", "--")):
            column = f"column {column}"
        place = ", ".join(part for part in (self.source, row, column) if part)
        text = f"{self.found}; expected {self.expected}" if self.expected else self.found
        return f"{place}: {text}" if place else text


class JobListError(ValueError):
    """A list that cannot be run as it is; nothing was submitted. `problems` holds all of them, never none."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
