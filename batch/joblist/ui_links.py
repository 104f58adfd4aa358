"""Where a link of the UI's graph really comes from, past everything that is only there on the screen.

Reroutes, primitives, Set and Get nodes, the walls of subgraphs, muted and bypassed nodes do not exist in a prompt.
Followed: `ExecutableNodeDTO.resolveInput` and `resolveOutput` of ComfyUI's frontend 1.49.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .ui_file import BYPASSED, MUTED, SUBGRAPH_INPUT, Slot, UiNode
from .ui_scope import PRIMITIVE, Scope, Scopes

REROUTES = frozenset({"Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss"})
"""Nodes that only lead a link elsewhere on the screen."""
GETTER, SETTER = "GetNode", "SetNode"
"""A pair, by name, in place of a link; widely used, of no server's knowledge."""
ANY = ("*", "")


@dataclass(frozen=True)
class FromNode:
    """The link comes from that output of a node that runs."""

    id: str
    slot: int


@dataclass(frozen=True)
class FromValue:
    """The link brings a value that a widget holds."""

    value: Any


Origin = FromNode | FromValue | None
"""Where a link comes from; None: from nowhere, the input stays as if nothing were linked."""


class LinkError(ValueError):
    """A link of the file leads in a circle or to something that is not there."""


def connects(one: str, other: str) -> bool:
    """Say whether an output of one type fits an input of the other, as the UI decides it."""
    first, second = one.lower().split(","), other.lower().split(",")
    return bool({"*", ""} & {*first, *second}) or bool(set(first) & set(second))


class Links:
    """Follows the links of one workflow."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes

    def origin(self, scope: Scope, node: UiNode, slot: Slot) -> Origin:
        """Return where the link that ends at this input of a node comes from.

        Raises:
            LinkError: it cannot be followed.
        """
        return self._input(scope, node, slot, slot.type, set())

    def _input(self, scope: Scope, node: UiNode, slot: Slot, wanted: str, seen: set[tuple[str, str]]) -> Origin:
        if slot.link is None:
            return None
        place = (scope.id_of(node), slot.name)
        if place in seen:
            raise LinkError(f"its link leads in a circle through node {place[0]}")
        seen.add(place)
        link = scope.graph.links.get(slot.link)
        if link is None:
            raise LinkError(f"link {slot.link} is not in the file")
        if link.origin == SUBGRAPH_INPUT and scope.parent is not None:
            return self._from_outside(scope, link.origin_slot, wanted, seen)
        origin = scope.graph.nodes.get(link.origin)
        if origin is None:
            raise LinkError(f"it is linked to node {link.origin}, which is not in the file")
        return self._output(scope, origin, link.origin_slot, wanted, seen)

    def _from_outside(self, scope: Scope, number: int, wanted: str, seen: set[tuple[str, str]]) -> Origin:
        """Follow a link out of a subgraph: to what its host is linked to, or to the host's own widget."""
        host, parent = scope.host, scope.parent
        if host is None or parent is None or number >= len(scope.graph.inputs):
            raise LinkError(f"it is linked to input {number} of a subgraph that has no such input")
        name = scope.graph.inputs[number].name
        slot = next((slot for slot in host.inputs if slot.name == name), None)
        if slot is not None and slot.link is not None:
            return self._input(parent, host, slot, wanted, seen)
        return FromValue(scope.port_values[name]) if name in scope.port_values else None

    def _output(self, scope: Scope, node: UiNode, number: int, wanted: str, seen: set[tuple[str, str]]) -> Origin:
        if node.mode == MUTED:
            return None
        if node.mode == BYPASSED:
            slot = _bypass(node, number, wanted)
            return None if slot is None else self._input(scope, node, slot, wanted, seen)
        if node.id in scope.children:
            return self._from_inside(scope.children[node.id], number, wanted, seen)
        if node.type == PRIMITIVE:
            values = list(self._scopes.values(scope, node).values())
            return FromValue(values[0]) if values else None
        if node.type == GETTER:
            return self._from_setter(scope, node, wanted, seen)
        if node.type in REROUTES or node.type == SETTER:
            return self._input(scope, node, node.inputs[0], wanted, seen) if node.inputs else None
        return FromNode(scope.id_of(node), number)

    def _from_inside(self, inner: Scope, number: int, wanted: str, seen: set[tuple[str, str]]) -> Origin:
        """Follow a link into a subgraph, to what its output is linked to there."""
        if number >= len(inner.graph.outputs):
            raise LinkError(f"it is linked to output {number} of a subgraph that has no such output")
        for link_id in inner.graph.outputs[number].links:
            link = inner.graph.links.get(link_id)
            if link is None:
                continue
            if link.origin == SUBGRAPH_INPUT:
                return self._from_outside(inner, link.origin_slot, wanted, seen)
            node = inner.graph.nodes.get(link.origin)
            return None if node is None else self._output(inner, node, link.origin_slot, wanted, seen)
        return None

    def _from_setter(self, scope: Scope, getter: UiNode, wanted: str, seen: set[tuple[str, str]]) -> Origin:
        name = getter.values[0] if getter.values else None
        level: Scope | None = scope
        while level is not None:
            for node in level.graph.nodes.values():
                if node.type == SETTER and node.values and node.values[0] == name and node.inputs:
                    return self._input(level, node, node.inputs[0], wanted, seen)
            level = level.parent
        raise LinkError(f"no Set node is named {name!r}, from which node {getter.id} would get its value")


def _bypass(node: UiNode, number: int, wanted: str) -> Slot | None:
    """Return the input that a bypassed node hands on at that output: the same slot if it fits, else the first."""
    inputs, made = node.inputs, node.outputs[number] if number < len(node.outputs) else "*"
    if not inputs:
        return None
    if wanted in ANY:
        return inputs[number] if number < len(inputs) else inputs[0]
    if number < len(inputs) and connects(inputs[number].type, made) and connects(inputs[number].type, wanted):
        return inputs[number]
    exact = next((slot for slot in inputs if slot.type == wanted), None)
    if exact is not None:
        return exact
    return next((slot for slot in inputs if connects(slot.type, made) and connects(slot.type, wanted)), None)
