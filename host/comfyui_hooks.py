"""Which of ComfyUI's functions are ours at this moment: another pack may have put its own in front or in place."""

from __future__ import annotations

from functools import partial
from typing import Any

QUEUE_HOOKS = {
    "get": "asks the gate before a prompt starts",
    "task_done": "tells how a prompt ended",
    "put": "journals what is queued",
    "delete_queue_item": "journals what is deleted",
    "wipe_queue": "journals what is cleared",
}
NODE_HOOK = "before_node_execution"

OURS = __name__.rpartition(".host.")[0]
"""The name under which this package was loaded, which ComfyUI makes of its path."""


def hooks_in_force(queue: Any, nodes_module: Any) -> dict[str, str]:
    """Name → what it does for us, or who holds it instead. Looks only; any thread."""
    found = {f"prompt_queue.{name}": _told(getattr(queue, name, None), use) for name, use in QUEUE_HOOKS.items()}
    found[f"nodes.{NODE_HOOK}"] = _told(getattr(nodes_module, NODE_HOOK, None), "looks at the memory before a node")
    return found


def _told(function: Any, use: str) -> str:
    if function is None:
        return "not there in this ComfyUI"
    inner = function.func if isinstance(function, partial) else function
    module = str(getattr(inner, "__module__", "?"))
    if module.startswith(OURS):
        return use
    # A wrapper of another pack may well call ours: that cannot be seen from outside.
    owner = str(getattr(inner, "__qualname__", ""))
    own = getattr(inner, "__self__", None) is not None or module == "nodes"
    return "not hooked" if own else f"held by {module}.{owner}, which may call ours"
