"""Prompt graphs in API format: which nodes of two of them are the same, and which ones a prompt will really run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Graph = Mapping[str, Any]


def is_link(value: Any) -> bool:
    """Whether an input is a link: `[node id, output number]`; ComfyUI takes a float for the number, too."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    return isinstance(value[0], str) and isinstance(value[1], (int, float))


def links_of(node: Mapping[str, Any]) -> list[str]:
    """Ids of the nodes whose outputs this node takes."""
    return [v[0] for v in (node.get("inputs") or {}).values() if is_link(v)]


def signatures(graph: Graph) -> dict[str, int]:
    """A number for each node, the same for two nodes that have the same class, values and ancestors.

    ComfyUI's own cache key says the same, but can be made only inside a running prompt. Nodes in a cycle, or that
    link to a node that is not there, are left out.
    """
    known: dict[str, int] = {}
    failed: set[str] = set()
    open_: set[str] = set()
    """The nodes on the way from the start to where we stand: a link back to one of them closes a cycle."""

    def sign(start: str) -> None:
        stack = [start]
        while stack:
            node_id = stack[-1]
            node = graph.get(node_id)
            if node_id in known or node_id in failed:
                stack.pop()
                continue
            if not isinstance(node, Mapping):
                failed.add(node_id)
                continue
            missing = [i for i in links_of(node) if i not in known]
            if missing and node_id not in open_:
                open_.add(node_id)
                stack += [i for i in missing if i not in open_ and i not in failed]
                continue
            stack.pop()
            open_.discard(node_id)
            if missing:
                failed.add(node_id)
            else:
                known[node_id] = _sign_one(node, known)

    for node_id in graph:
        sign(node_id)
    return known


def _sign_one(node: Mapping[str, Any], known: Mapping[str, int]) -> int:
    parts: list[Any] = [node.get("class_type")]
    for name, value in sorted((node.get("inputs") or {}).items()):
        parts.append((name, known[value[0]], value[1]) if is_link(value) else (name, json.dumps(value, sort_keys=True)))
    return hash(tuple(parts))


def nodes_taken_from_cache(graph: Graph, cached: Callable[[str], bool], outputs: list[str]) -> set[str]:
    """The cached nodes that running `graph` would read: those at the edge of what must run.

    ComfyUI schedules every output node, cached or not, and with it whatever of its inputs is not cached.

    Args:
        cached: whether a node's output is there.
        outputs: ids of the output nodes.
    """
    taken: set[str] = set()
    seen: set[str] = set()
    scheduled = set(outputs)
    stack = list(outputs)
    while stack:
        node_id = stack.pop()
        if node_id in seen or node_id not in graph:
            continue
        seen.add(node_id)
        if cached(node_id):
            taken.add(node_id)
        if node_id in scheduled or not cached(node_id):
            stack += links_of(graph[node_id])
    return taken
