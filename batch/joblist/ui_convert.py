"""From the UI's own workflow format to a prompt: what the UI does when one presses Run.

Followed: `graphToPrompt` of ComfyUI's frontend 1.49.6. What changes a value from run to run there (a seed's
"control after generate", the choice in `{this|that}`) is not done here: a batch puts such values in by `--set`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .check import node_label
from .definitions import Definitions
from .job import Problem
from .ui_file import BYPASSED, MUTED, UiNode, read_ui_workflow
from .ui_links import GETTER, REROUTES, SETTER, FromNode, FromValue, LinkError, Links
from .ui_scope import PRIMITIVE, Scope, Scopes
from .ui_texts import plain_text

SCREEN_ONLY = REROUTES | {PRIMITIVE, GETTER, SETTER, "Note", "MarkdownNote", "Label (rgthree)", "Bookmark (rgthree)"}
"""Types of nodes that exist in the UI alone."""
BROWSER_TYPES = ("LOAD_3D", "LOAD_3D_ANIMATION", "WEBCAM")
"""Types of inputs whose value the browser makes from what it shows."""
CHOICE = "of {this|that} the first is taken in every job; the UI would pick one at random."
GROUP_PREFIXES = ("workflow>", "workflow/")
"""How the types of group nodes begin, which subgraphs have replaced."""


@dataclass(frozen=True)
class Converted:
    """A workflow in API format, and what came up on the way."""

    graph: dict[str, Any]
    aliases: Mapping[tuple[str, str], tuple[tuple[str, str], ...]]
    """(id of a subgraph's node, input shown on it) → the (node id, input) pairs inside that it stands for."""
    titles: Mapping[str, str]
    """The ids of the subgraphs' nodes → their titles."""
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()
    """What differs from what the UI would send, a sentence each."""


def convert(data: Mapping[str, Any], definitions: Definitions) -> Converted:
    """Make a prompt of a workflow that the UI saved.

    Args:
        data: the file's parsed JSON.
        definitions: of the server that shall run it.

    Raises:
        ValueError: the file's shape is not that of a workflow.
    """
    scopes = Scopes(read_ui_workflow(data), definitions)
    links = Links(scopes)
    graph: dict[str, Any] = {}
    problems: list[Problem] = []
    aliases: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    titles: dict[str, str] = {}
    for scope in scopes.root.walk():
        if scope.host is not None and scope.parent is not None:
            host = scope.parent.id_of(scope.host)
            titles[host] = scope.host.title
            for name, places in scope.promoted.items():
                aliases[host, name] = tuple(places)
        for node in scope.graph.nodes.values():
            if node.mode in (MUTED, BYPASSED) or node.id in scope.children or node.type in SCREEN_ONLY:
                continue
            if node.type not in definitions:
                problems += _unknown(scope, node)
                continue
            problems += _filled_by_browser(definitions, scope, node)
            graph[scope.id_of(node)] = _entry(scopes, links, scope, node, problems)
    _drop_links_to_nothing(graph)
    notes = [note for node in graph for note in _settle_texts(graph, node, definitions)]
    return Converted(graph, aliases, titles, tuple(problems), tuple(notes))


def _settle_texts(graph: Mapping[str, Any], node: str, definitions: Definitions) -> list[str]:
    """Take comments and choices out of the texts in which the UI allows them; say where there was a choice."""
    known, inputs = definitions.get(graph[node]["class_type"]), graph[node]["inputs"]
    notes = []
    for spec in known.expanded(inputs).values() if known is not None else ():
        value = inputs.get(spec.name)
        if spec.options.get("dynamicPrompts") and isinstance(value, str):
            inputs[spec.name], picked = plain_text(value)
            if picked:
                notes.append(f"{node_label(graph, node)}, input {spec.name}: {CHOICE}")
    return notes


def _unknown(scope: Scope, node: UiNode) -> list[Problem]:
    """Say that the server has no such node; a node that is linked to nothing is a thing of the screen."""
    place = f"node {scope.id_of(node)} ({node.title or node.type})"
    if node.type.startswith(GROUP_PREFIXES):
        why = "a subgraph in its place (in the UI: right-click → Convert to Subgraph, and save)"
        return [Problem(None, place, "it is a group node, which only the UI can expand", why)]
    used = any(link.origin == node.id for link in scope.graph.links.values())
    if not used and not any(slot.link for slot in node.inputs):
        return []
    return [
        Problem(
            None, place, f"the server has no node {node.type!r}", "one that it has: install what brings it, or mute it"
        )
    ]


def _filled_by_browser(definitions: Definitions, scope: Scope, node: UiNode) -> list[Problem]:
    """Say that a node's value is a picture that only the browser can take, at the moment of Run."""
    known = definitions.get(node.type)
    if known is None or not any(spec.type in BROWSER_TYPES for spec in known.inputs):
        return []
    place = f"node {scope.id_of(node)} ({node.title or known.title})"
    return [Problem(None, place, "the browser fills it in", "a workflow saved by “Export (API)”, which has its value")]


def _entry(scopes: Scopes, links: Links, scope: Scope, node: UiNode, problems: list[Problem]) -> dict[str, Any]:
    """Make the prompt's entry of one node."""
    definition = scopes.definitions.get(node.type)
    inputs: dict[str, Any] = {name: _wrapped(value) for name, value in scopes.values(scope, node).items()}
    for slot in node.inputs:
        try:
            origin = links.origin(scope, node, slot)
        except LinkError as error:
            place = f"node {scope.id_of(node)} ({node.title or node.type}), input {slot.name}"
            problems.append(Problem(None, place, str(error), "a link that leads somewhere"))
            continue
        if isinstance(origin, FromValue):
            inputs[slot.name] = _wrapped(origin.value)
        elif isinstance(origin, FromNode):
            inputs[slot.name] = [origin.id, origin.slot]
    title = node.title or (definition.title if definition else node.type)
    return {"class_type": node.type, "inputs": inputs, "_meta": {"title": title}}


def _wrapped(value: Any) -> Any:
    """Wrap a list that is a value: a bare one in a prompt is a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _drop_links_to_nothing(graph: Mapping[str, Any]) -> None:
    for entry in graph.values():
        inputs = entry["inputs"]
        for name in [name for name, value in inputs.items() if isinstance(value, list) and value[0] not in graph]:
            del inputs[name]
