"""What `--set Node.input=value` means: which inputs of which nodes, and which text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .check import Place, node_label
from .definitions import Definitions
from .job import Problem
from .templates import NUMBER, TemplateError, columns_in
from .ui_widgets import has_widget
from .workflow import Workflow


@dataclass(frozen=True)
class Setting:
    """One `--set`, understood."""

    option: str
    """As it was typed."""
    places: tuple[Place, ...]
    """The inputs that take the value; several where one input of a subgraph feeds several nodes."""
    template: str
    columns: tuple[str, ...]
    """The columns of the table that it takes."""


def read_setting(
    option: str, workflow: Workflow, definitions: Definitions | None, columns: Sequence[str]
) -> Setting | Problem:
    """Understand one `--set`: the node by id, title or class, in this order.

    Args:
        option: `Node.input=value`; titles and inputs may hold dots, `{column}` stands for a row's text.
        workflow: into which it is put.
        definitions: the server's, to know an input that the workflow does not name; None: only those named.
        columns: of the table.
    """
    place = f"--set {option}"
    target, equals, template = option.partition("=")
    if not equals or "." not in target:
        return Problem(None, place, "it is not understood", "Node.input=value, such as LoadVideo.file={file}")
    try:
        named = columns_in(template)
    except TemplateError as error:
        return Problem(None, place, str(error), "{column}, {{ or }}")
    unknown = [name for name in named if name not in columns and name != NUMBER]
    if unknown:
        return Problem(None, place, f"there is no column {unknown[0]!r}", f"one of {', '.join(columns)}")
    found = _places(target.strip(), workflow, definitions)
    if isinstance(found, Problem):
        return Problem(None, place, found.found, found.expected)
    return Setting(option, found, template, tuple(named))


def _places(target: str, workflow: Workflow, definitions: Definitions | None) -> tuple[Place, ...] | Problem:
    """Find the inputs; each dot may be the one between node and input, the first that fits wins."""
    problem: Problem | None = None
    for at in (number for number, letter in enumerate(target) if letter == "."):
        name, given = target[:at].strip(), target[at + 1 :].strip()
        nodes = _nodes(name, workflow)
        if len(nodes) > 1:
            listed = ", ".join(_label(workflow, node) for node in nodes)
            return Problem(None, "", f"{name!r} is {len(nodes)} nodes", f"one of them by its id: {listed}")
        if nodes:
            found = _inputs(nodes[0], given, workflow, definitions)
            if not isinstance(found, Problem):
                return found
            problem = problem or found
    return problem or _no_node(target, workflow)


def _nodes(name: str, workflow: Workflow) -> list[str]:
    """Return the ids of the nodes of that id, else of that title, else of that class; subgraphs too."""
    if name in workflow.graph or name in workflow.titles:
        return [name]
    titled = [node for node, entry in workflow.graph.items() if _title(entry) == name]
    titled += [node for node, title in workflow.titles.items() if title == name]
    return titled or [node for node, entry in workflow.graph.items() if entry["class_type"] == name]


def _title(entry: Mapping[str, Any]) -> str:
    return str((entry.get("_meta") or {}).get("title") or "")


def _label(workflow: Workflow, node: str) -> str:
    title = workflow.titles.get(node)
    return node_label(workflow.graph, node) if title is None else f"node {node} ({title or 'subgraph'})"


def _inputs(node: str, name: str, workflow: Workflow, definitions: Definitions | None) -> tuple[Place, ...] | Problem:
    if node in workflow.titles:
        inside = workflow.aliases.get((node, name))
        shown = [port for host, port in workflow.aliases if host == node]
        return inside or _no_input(_label(workflow, node), name, shown)
    entry = workflow.graph[node]
    known = definitions.get(entry["class_type"]) if definitions else None
    names = list(entry["inputs"])
    if known is not None:
        specs = known.expanded(entry["inputs"])
        names = [each for each in specs if each in entry["inputs"] or has_widget(specs[each])]
    return ((node, name),) if name in names else _no_input(_label(workflow, node), name, names)


def _no_input(label: str, name: str, names: Sequence[str]) -> Problem:
    expected = f"one of its inputs: {', '.join(names)}" if names else "a node with inputs"
    return Problem(None, "", f"{label} has no input {name!r}", expected)


def _no_node(target: str, workflow: Workflow) -> Problem:
    name = target.split(".", maxsplit=1)[0]
    known: Iterable[str] = {
        *(_title(entry) for entry in workflow.graph.values()),
        *(str(entry["class_type"]) for entry in workflow.graph.values()),
        *(title for title in workflow.titles.values() if title),
    }
    close = difflib.get_close_matches(name, known, 3, 0.6)
    expected = f"a node's title, class or id (like {', '.join(close)})" if close else "a node's title, class or id"
    return Problem(None, "", f"the workflow has no node {name!r}", expected)
