"""A short name for a prompt, for a person who looks at a list of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 80
"""Characters of a title."""


def title_of(graph: Mapping[str, Any], outputs: Sequence[str], extra: Mapping[str, Any] | None = None) -> str:
    """The workflow's own name; else the first output node's `filename_prefix`, its title on the canvas, or its class.

    ComfyUI's browser sends no file name of the workflow; a client may send one as `extra_pnginfo.workflow.name`.
    Empty where the graph has a shape that cannot be read.
    """
    info = (extra or {}).get("extra_pnginfo")
    workflow = info.get("workflow") if isinstance(info, Mapping) else None
    found = _text(workflow.get("name")) if isinstance(workflow, Mapping) else ""
    nodes = [graph.get(node_id) for node_id in (*outputs, *graph)]
    for node in nodes:
        if found:
            break
        if isinstance(node, Mapping):
            found = _title_of_node(node)
    return found[:LONGEST]


def _title_of_node(node: Mapping[str, Any]) -> str:
    inputs, meta = node.get("inputs"), node.get("_meta")
    prefix = inputs.get("filename_prefix") if isinstance(inputs, Mapping) else None
    title = meta.get("title") if isinstance(meta, Mapping) else None
    return _text(prefix) or _text(title) or _text(node.get("class_type"))


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
