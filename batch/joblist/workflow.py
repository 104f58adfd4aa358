"""A workflow file, in API format or as ComfyUI's UI saves it, as a graph that values can be put into."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .check import check_shape
from .definitions import Definitions
from .job import JobListError, Problem
from .ui_convert import convert
from .ui_file import is_ui_format


@dataclass(frozen=True)
class Workflow:
    """A graph in API format, of good shape."""

    path: Path
    graph: Mapping[str, Any]
    aliases: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """(id of a subgraph's node, input shown on it) → the (node id, input) pairs that it stands for."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """The ids of the subgraphs' nodes → their titles."""
    notes: tuple[str, ...] = ()
    """What differs from what the UI would send, a sentence each."""


def read_workflow(path: Path, definitions: Definitions | None) -> Workflow:
    """Read a workflow file.

    Args:
        path: a JSON file. An API answer's wrapping, `{"prompt": {…}}`, is taken off.
        definitions: the server's; the UI's own format cannot be read without them.

    Raises:
        JobListError: it is no workflow, or one that cannot be made a prompt.
    """
    data = _json(path)
    if is_ui_format(data):
        if definitions is None:
            expected = "a server that runs (its node definitions are needed), or a workflow saved by “Export (API)”"
            raise JobListError([Problem(None, "", "it is in the UI's own format", expected, path.name)])
        return _converted(path, data, definitions)
    if isinstance(data, Mapping) and isinstance(data.get("prompt"), Mapping) and "class_type" not in data["prompt"]:
        data = data["prompt"]
    problems = check_shape(data)
    if problems:
        raise JobListError([at_file(problem, path) for problem in problems])
    return Workflow(path, data)


def at_file(problem: Problem, path: Path) -> Problem:
    """Return the problem with the workflow file's name as its source."""
    return Problem(problem.row, problem.column, problem.found, problem.expected, problem.source or path.name)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        found = f"it cannot be read ({error.strerror})"
        raise JobListError([Problem(None, "", found, "a workflow file", str(path))]) from error
    except (ValueError, RecursionError) as error:
        found = f"it is not JSON ({error})"
        raise JobListError([Problem(None, "", found, "a workflow file", path.name)]) from error


def _converted(path: Path, data: Mapping[str, Any], definitions: Definitions) -> Workflow:
    try:
        made = convert(data, definitions)
    except ValueError as error:
        raise JobListError([Problem(None, "", str(error), "a workflow that loads in the UI", path.name)]) from error
    problems = made.problems or check_shape(made.graph)
    if problems:
        raise JobListError([at_file(problem, path) for problem in problems])
    return Workflow(path, made.graph, made.aliases, made.titles, made.notes)
