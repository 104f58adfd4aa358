"""ComfyUI's prompt worker from the inside: its executor, and the node it is about to run, read from its frames.

ComfyUI offers no official way to either. Frames are only read, on the worker thread itself, so nothing is patched
and nothing can be half-written; what is not found where it is expected makes the feature degrade, not the prompt.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, NamedTuple

MAX_DEPTH = 16
"""Frames to walk up at most; ComfyUI 0.3.64 to 0.33.0 need 5, wrappers of other extensions add a few."""


class NodeFrame(NamedTuple):
    """What the executor's frames tell of the node about to run."""

    prompt_id: str
    node_id: str
    class_type: str
    execution_list: Any
    pending_subgraph_results: Mapping[str, Any]
    runs: int = 1
    """Times the node runs: once for each entry of the longest list that it is given."""


def calling_executor() -> Any | None:
    """The `PromptExecutor` of the `prompt_worker` that called us, or None. Only from within `queue.get`."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(MAX_DEPTH):
        if frame is None:
            return None
        if frame.f_code.co_name == "prompt_worker":
            return frame.f_locals.get("e")
        frame = frame.f_back
    return None


def calling_node() -> tuple[NodeFrame, Mapping[str, Any]] | None:
    """The node whose execution called us and its inputs, or None (a lazy check, or frames of another shape).

    The inputs come apart: who keeps the frame beyond the call must not keep tensors alive by it.

    Only from within `nodes.before_node_execution`.
    """
    frame: FrameType | None = sys._getframe(1)
    inputs: Mapping[str, Any] = {}
    runs = 1
    for _ in range(MAX_DEPTH):
        if frame is None:
            return None
        name = frame.f_code.co_name
        if name == "process_inputs":
            inputs = frame.f_locals.get("inputs") or {}
        elif name == "_async_map_node_over_list":
            found = frame.f_locals  # once: up to Python 3.12 each look copies all of them
            if found.get("func") == "check_lazy_status":
                return None
            runs = 1 if found.get("input_is_list") else int(found.get("max_len_input") or 1)
        elif name == "execute" and "execution_list" in frame.f_code.co_varnames:
            found = frame.f_locals
            node = NodeFrame(
                str(found.get("prompt_id")),
                str(found.get("unique_id")),
                str(found.get("class_type")),
                found.get("execution_list"),
                found.get("pending_subgraph_results") or {},
                runs,
            )
            return node, inputs
        frame = frame.f_back
    return None
