"""A workflow's levels once every subgraph is put in place: which nodes there are, and what their widgets hold.

A node that stands for a subgraph (its host) may show widgets of nodes inside; then the host's values count, and not
those that the definition of the subgraph was saved with. Two ways of saying so are read: the widget's input is
linked to an input of the subgraph, and the older list `proxyWidgets` of (node inside, widget).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .definitions import Definitions
from .ui_file import BYPASSED, MUTED, Slot, UiGraph, UiNode, UiWorkflow
from .ui_widgets import widget_values

MAX_DEPTH = 64
"""Levels of subgraphs in subgraphs, beyond which one must hold itself."""
PRIMITIVE = "PrimitiveNode"
"""The UI's node that only holds a value for the widgets it is linked to."""


@dataclass
class Scope:
    """One level in place: the workflow itself, or a subgraph at one of its hosts."""

    graph: UiGraph
    path: tuple[str, ...] = ()
    """The ids of the hosts on the way down to it."""
    host: UiNode | None = None
    parent: Scope | None = None
    children: dict[str, Scope] = field(default_factory=dict)
    """By the id of the host in this level."""
    port_values: dict[str, Any] = field(default_factory=dict)
    """What the host's widgets hold, by the name of the subgraph's input."""
    shown: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(node inside, widget) → the value that the host's older list of widgets gives it."""
    promoted: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """The subgraph's input → the (prompt node id, input) pairs inside that it feeds."""

    def id_of(self, node: UiNode) -> str:
        """Return the id that the node has in a prompt: `host:…:node`."""
        return ":".join((*self.path, node.id))

    def walk(self) -> Iterator[Scope]:
        """Yield this level and all those below it that run."""
        yield self
        for child in self.children.values():
            if child.host is not None and child.host.mode not in (MUTED, BYPASSED):
                yield from child.walk()


class Scopes:
    """All levels of one workflow.

    Args:
        workflow: the file.
        definitions: the server's.

    Raises:
        ValueError: a subgraph holds itself.
    """

    def __init__(self, workflow: UiWorkflow, definitions: Definitions) -> None:
        self.workflow = workflow
        self.definitions = definitions
        self.root = self._build(workflow.root, (), None, None)

    def _build(self, graph: UiGraph, path: tuple[str, ...], host: UiNode | None, parent: Scope | None) -> Scope:
        if len(path) > MAX_DEPTH:
            raise ValueError(f"subgraph {host.type if host else ''} holds itself")
        scope = Scope(graph, path, host, parent)
        for node in graph.nodes.values():
            inside = self.workflow.subgraphs.get(node.type)
            if inside is not None:
                scope.children[node.id] = self._build(inside, (*path, node.id), node, scope)
        # Those inside first: what a host shows of a host inside is that one's value.
        if host is not None:
            self._read_host(scope, host)
        return scope

    def _read_host(self, scope: Scope, host: UiNode) -> None:
        places: dict[str, tuple[str, str]] = {}
        for port in scope.graph.inputs:
            for link_id in port.links:
                found = self._widget_at(scope, link_id)
                if found is None:
                    continue
                node, slot, value = found
                if port.name not in places:
                    places[port.name] = (node.id, slot.widget or slot.name)
                    scope.port_values[port.name] = value
                inner = scope.children.get(node.id)
                deeper = inner.promoted.get(slot.name, []) if inner else [(scope.id_of(node), slot.name)]
                scope.promoted.setdefault(port.name, []).extend(deeper)
        for name, value in zip(list(scope.port_values), host.values, strict=False):
            scope.port_values[name] = value
        scope.port_values.update({name: host.named[name] for name in scope.port_values if name in host.named})
        self._read_proxies(scope, host, places)

    def _read_proxies(self, scope: Scope, host: UiNode, places: Mapping[str, tuple[str, str]]) -> None:
        proxies = host.properties.get("proxyWidgets")
        if not isinstance(proxies, list):
            return
        for entry, value in zip(proxies, host.values, strict=False):
            if not isinstance(entry, list) or len(entry) < 2:
                continue
            place = (str(entry[0]), str(entry[1]))
            linked = [name for name, inside in places.items() if inside == place]
            if place[0] == "-1" and place[1] in scope.port_values:
                linked = [place[1]]
            for name in linked[:1]:
                scope.port_values[name] = value
            if not linked and place[0] in scope.graph.nodes:
                scope.shown[place] = value

    def _widget_at(self, scope: Scope, link_id: str) -> tuple[UiNode, Slot, Any] | None:
        """Find the widget that a link from the subgraph's input ends at, with what it was saved with."""
        link = scope.graph.links.get(link_id)
        node = scope.graph.nodes.get(link.target) if link else None
        slot = next((slot for slot in node.inputs if slot.link == link_id), None) if node else None
        if node is None or slot is None:
            return None
        inner = scope.children.get(node.id)
        values = inner.port_values if inner is not None else self.values(scope, node)
        name = slot.name if inner is not None else slot.widget or slot.name
        return (node, slot, values[name]) if name in values else None

    def values(self, scope: Scope, node: UiNode) -> dict[str, Any]:
        """Return what the widgets of a node hold in this place, by input; empty where the server has no such node."""
        if node.type == PRIMITIVE:
            values = {"value": node.values[0]} if node.values else {}
        else:
            definition = self.definitions.get(node.type)
            values = {} if definition is None else widget_values(node, definition)
        for (shown_node, widget), value in scope.shown.items():
            if shown_node == node.id:
                values[widget] = value
        return values
