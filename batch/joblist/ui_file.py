"""A workflow as ComfyUI's UI saves it (schema versions 0.4 and 1), read into nodes, links and subgraphs.

Version 0.4 writes a link as `[id, origin node, origin slot, target node, target slot, type]`, version 1 and every
subgraph as an object. Ids are numbers or texts; here they are always texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SUBGRAPH_INPUT = "-10"
"""The id that links inside a subgraph give as their origin where they come from outside."""
SUBGRAPH_OUTPUT = "-20"
"""The id that links inside a subgraph give as their target where they leave it."""
MUTED = 2
"""The mode of a node that does not run."""
BYPASSED = 4
"""The mode of a node that hands its inputs on."""


@dataclass(frozen=True)
class Slot:
    """One input of a node as the file has it."""

    name: str
    type: str
    link: str | None
    """The id of the link that ends here."""
    widget: str | None = None
    """The widget behind the input, where it is one that was made an input."""


@dataclass(frozen=True)
class Link:
    """From an output to an input."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True)
class UiNode:
    """One node as the file has it."""

    id: str
    type: str
    title: str
    """As the user named it; empty where it was left."""
    mode: int
    inputs: tuple[Slot, ...]
    outputs: tuple[str, ...]
    """The types of its outputs."""
    values: tuple[Any, ...] = ()
    """The widgets' values in the order of the widgets."""
    named: Mapping[str, Any] = field(default_factory=dict)
    """The widgets' values by name, where the file has them so."""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """An input or output of a subgraph as a whole."""

    name: str
    type: str
    links: tuple[str, ...]
    """The ids of the links inside that begin (or end) here."""


@dataclass(frozen=True)
class UiGraph:
    """One level: the workflow itself, or a subgraph's inside."""

    nodes: Mapping[str, UiNode]
    links: Mapping[str, Link]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()


@dataclass(frozen=True)
class UiWorkflow:
    """The whole file."""

    root: UiGraph
    subgraphs: Mapping[str, UiGraph]
    """By id, which is the type of the nodes that stand for it."""


def is_ui_format(data: Any) -> bool:
    """Say whether that is a workflow in the UI's own format, and not one in API format."""
    return isinstance(data, Mapping) and isinstance(data.get("nodes"), Sequence) and "links" in data


def read_ui_workflow(data: Mapping[str, Any]) -> UiWorkflow:
    """Read the parsed JSON of a workflow file.

    Raises:
        ValueError: its shape is not that of a workflow; the text says what was found where.
    """
    try:
        raw = (data.get("definitions") or {}).get("subgraphs") or ()
        return UiWorkflow(_read_graph(data), {str(each["id"]): _read_graph(each) for each in raw})
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no workflow that ComfyUI's UI saved ({type(error).__name__}: {error})") from error


def _read_graph(data: Mapping[str, Any]) -> UiGraph:
    nodes = [_read_node(each) for each in data["nodes"]]
    return UiGraph(
        {node.id: node for node in nodes},
        dict(_read_link(each) for each in data.get("links") or () if each is not None),
        tuple(_read_port(each) for each in data.get("inputs") or ()),
        tuple(_read_port(each) for each in data.get("outputs") or ()),
    )


def _read_node(raw: Mapping[str, Any]) -> UiNode:
    values = raw.get("widgets_values")
    named = raw.get("widgets_values_named") or (values if isinstance(values, Mapping) else {})
    return UiNode(
        str(raw["id"]),
        str(raw["type"]),
        str(raw.get("title") or ""),
        int(raw.get("mode") or 0),
        tuple(_read_slot(each) for each in raw.get("inputs") or ()),
        tuple(_type_name(each.get("type")) for each in raw.get("outputs") or ()),
        tuple(values) if isinstance(values, list) else (),
        named if isinstance(named, Mapping) else {},
        raw.get("properties") or {},
    )


def _read_slot(raw: Mapping[str, Any]) -> Slot:
    link, widget = raw.get("link"), raw.get("widget")
    name = str(raw.get("name", ""))
    behind = str(widget.get("name", name)) if isinstance(widget, Mapping) else None
    return Slot(name, _type_name(raw.get("type")), None if link is None else str(link), behind)


def _type_name(raw: Any) -> str:
    return "COMBO" if isinstance(raw, list) else str("*" if raw in (None, 0, -1) else raw)


def _read_link(raw: Any) -> tuple[str, Link]:
    if isinstance(raw, Mapping):
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
        number, origin, origin_slot, target, target_slot = (raw[key] for key in keys)
    else:
        number, origin, origin_slot, target, target_slot = raw[:5]
    return str(number), Link(str(origin), int(origin_slot), str(target), int(target_slot))


def _read_port(raw: Mapping[str, Any]) -> Port:
    return Port(str(raw.get("name", "")), _type_name(raw.get("type")), tuple(map(str, raw.get("linkIds") or ())))
