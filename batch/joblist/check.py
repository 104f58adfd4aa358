"""Whether a server would take a prompt, found before it is sent: what ComfyUI's `validate_prompt` would say, and more.

ComfyUI stops at the first broken output and runs the rest; here everything that is wrong is named at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .definitions import DYNAMIC_COMBO, Definitions, InputSpec
from .job import Problem
from .values import expected_of, in_range

Place = tuple[str, str]
"""(node id, input)."""


def node_label(graph: Mapping[str, Any], node: str) -> str:
    """Return what a person knows a node by: `node 5 (Load Video)`."""
    entry = graph.get(node)
    entry = entry if isinstance(entry, Mapping) else {}
    title = (entry.get("_meta") or {}).get("title") or entry.get("class_type") or "?"
    return f"node {node} ({title})"


def link_of(value: Any) -> tuple[str, int] | None:
    """Return (node id, output) where an input's value is a link; None where it is a value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int)) and type(value[1]) is int:
        return str(value[0]), value[1]
    return None


def check_shape(graph: Any) -> list[Problem]:
    """Check what needs no definitions: the entries' shape, links to nodes that are there, no circles."""
    if not isinstance(graph, Mapping) or not graph:
        return [Problem(None, "", "it has no nodes", "a workflow in API format, or as ComfyUI's UI saves it")]
    problems = []
    for node, entry in graph.items():
        shaped = isinstance(entry, Mapping) and isinstance(entry.get("inputs"), Mapping)
        if not shaped or not isinstance(entry.get("class_type"), str):
            problems.append(Problem(None, f"node {node}", "it is no node", '{"class_type": …, "inputs": {…}}'))
            continue
        for name, value in entry["inputs"].items():
            place = f"{node_label(graph, node)}, input {name}"
            link = link_of(value)
            if isinstance(value, list) and link is None:
                problems.append(Problem(None, place, f"{value!r} is no link", "[node id, number of its output]"))
            elif link is not None and link[0] not in graph:
                problems.append(Problem(None, place, f"it is linked to node {link[0]}", "a node of this workflow"))
    return problems or _circles(graph)


def _sources(graph: Mapping[str, Any], node: str) -> Iterable[str]:
    links = (link_of(value) for value in graph[node]["inputs"].values())
    return [link[0] for link in links if link is not None and link[0] in graph]


def _circles(graph: Mapping[str, Any]) -> list[Problem]:
    """Find a circle of links; without recursion, for a workflow may be longer than Python's stack is deep."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        todo = [(start, False)]
        while todo:
            node, leaving = todo.pop()
            if leaving:
                path.pop()
                done.add(node)
            elif node in path:
                circle = " → ".join([node, *reversed(path[path.index(node) :])])
                return [Problem(None, node_label(graph, node), f"links lead in a circle: {circle}", "no circle")]
            elif node not in done:
                path.append(node)
                todo.append((node, True))
                todo += [(source, False) for source in _sources(graph, node)]
    return []


def check_graph(graph: Mapping[str, Any], definitions: Definitions, skip: Collection[Place] = ()) -> list[Problem]:
    """Check a graph of good shape against what the server knows.

    Args:
        graph: API format.
        definitions: the server's.
        skip: inputs whose values are still to come.
    """
    problems = []
    for node, entry in graph.items():
        if entry["class_type"] not in definitions:
            found = f"the server has no node {entry['class_type']!r}"
            problems.append(Problem(None, node_label(graph, node), found, _near(entry["class_type"], definitions)))
    ends = [node for node in graph if (known := definitions.get(graph[node]["class_type"])) and known.output_node]
    if not ends and not problems:
        found = "no node of it keeps anything"
        problems.append(Problem(None, "", found, "a node that saves or shows, such as Save Video or Preview Image"))
    for node in _needed(graph, ends):
        problems += check_node(graph, node, definitions, skip)
    return problems


def _near(name: str, definitions: Definitions) -> str:
    close = difflib.get_close_matches(name, definitions, 1, 0.8)
    return f"{close[0]!r}, or that what brings it is installed there" if close else "that what brings it is installed"


def _needed(graph: Mapping[str, Any], ends: Iterable[str]) -> list[str]:
    """Return what the server would run to reach these ends, in the graph's order: it looks at nothing else."""
    needed: set[str] = set()
    todo = list(ends)
    while todo:
        node = todo.pop()
        if node not in needed:
            needed.add(node)
            todo += _sources(graph, node)
    return [node for node in graph if node in needed]


def check_node(
    graph: Mapping[str, Any], node: str, definitions: Definitions, skip: Collection[Place] = ()
) -> list[Problem]:
    """Check the inputs of one node; nothing is said of a node that the server does not know."""
    known = definitions.get(graph[node]["class_type"])
    if known is None:
        return []
    problems = []
    values = graph[node]["inputs"]
    for name, spec in known.expanded(values).items():
        place = f"{node_label(graph, node)}, input {name}"
        if (node, name) in skip:
            continue
        if name not in values:
            # A choice within a choice (`format.codec` of SaveVideo): ComfyUI 0.33 runs prompts that leave it out.
            if spec.required and not ("." in name and spec.choices):
                problems.append(Problem(None, place, "it is missing", expected_of(spec)))
            continue
        link = link_of(values[name])
        found = _link_problem(graph, link, spec, definitions) if link else _value_problem(values[name], spec)
        if found:
            problems.append(Problem(None, place, found, expected_of(spec)))
    return problems


def _link_problem(graph: Mapping[str, Any], link: tuple[str, int], spec: InputSpec, definitions: Definitions) -> str:
    origin = definitions.get(graph[link[0]]["class_type"])
    if origin is None:
        return ""
    if not 0 <= link[1] < len(origin.outputs):
        return f"it is linked to output {link[1]} of {node_label(graph, link[0])}, which has {len(origin.outputs)}"
    made = origin.outputs[link[1]]
    wanted = str(spec.options.get("slotType") or spec.type)
    return "" if _fits(made, wanted) else f"it is linked to {node_label(graph, link[0])}, which makes {made}"


def _fits(made: str, wanted: str) -> bool:
    """As ComfyUI's `comfy_execution/validation.py`: equal, anything, matched by the UI, or a type in common."""
    if "COMFY_MATCHTYPE_V3" in (made, wanted) or wanted == DYNAMIC_COMBO:
        return True
    one, other = ({part.strip() for part in kind.split(",")} for kind in (made, wanted))
    return "*" in one | other or bool(one & other)


def _value_problem(value: Any, spec: InputSpec) -> str:
    """Say what is wrong with a value; empty where the server would take it. It converts what can be converted."""
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    try:
        if spec.type in ("INT", "FLOAT"):
            number = int(value) if spec.type == "INT" else float(value)
            return "" if in_range(number, spec) else f"{value!r} is out of range"
    except (TypeError, ValueError, OverflowError):
        return f"{value!r} is no number"
    if spec.choices is None or (spec.takes_file and _below_input(value)):
        return ""
    if not spec.choices and not spec.takes_file and not spec.options.get("remote"):
        return ""  # choices that the UI fills in: the node itself takes any
    chosen = value if isinstance(value, list) and spec.options.get("multiselect") else [value]
    missing = [each for each in chosen if each not in spec.choices]
    if not missing:
        return ""
    where = "is not in the server's input folder" if spec.takes_file else "is none of the choices"
    return f"{missing[0]!r} {where}"


def _below_input(value: Any) -> bool:
    """Whether it names a file that the list of choices does not hold though it may be there: `sub/a.png [temp]`."""
    return isinstance(value, str) and ("/" in value or value.endswith("]"))
