"""The node that runs and how far it is, read from ComfyUI's progress registry. Looks only; any thread."""

from __future__ import annotations

from typing import Any


def running_node(state: Any, running: Any) -> tuple[str, float | None]:
    """Id and class of the running node, and the share of its progress bar; empty and None where nothing is known.

    A bar that a node moves from a thread of its own may be booked on a node that is none of this prompt's.

    Args:
        state: ComfyUI's `ProgressRegistry`.
        running: its `NodeState.Running`.
    """
    told = ""
    own: float | None = None
    astray: float | None = None
    for node_id, node in list(state.nodes.items()):
        if node["state"] != running:
            continue
        share = node["value"] / node["max"] if (node["max"] or 0) > 1 else None
        if not state.dynprompt.has_node(node_id):
            astray = share if astray is None else astray
        elif not told:
            told, own = f"{node_id} {state.dynprompt.get_node(node_id).get('class_type', '')}".strip(), share
    return told, astray if own is None else own
