"""Ends a prompt that the gate refused, as if its first node had failed: history, event and journal tell the reason."""

from __future__ import annotations

import time
from typing import Any

REFUSED = "ResourceGateRefused"
"""The type of the error, as the history and the journal show it."""


def refuse(queue: Any, item: Any, item_id: Any, reason: str) -> None:
    """End `item`, just taken from `queue`, by its `task_done`; whoever has queued it is told. On the worker thread."""
    node_id = next(iter(item[4] if len(item) > 4 else ()), "") or next(iter(item[2]), "")
    node = item[2].get(node_id) or {}
    now = int(time.time() * 1000)
    error = {
        "prompt_id": item[1],
        "node_id": node_id,
        "node_type": node.get("class_type", ""),
        "executed": [],
        "exception_message": f"Resource Gate: this prompt {reason}",
        "exception_type": REFUSED,
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
        "timestamp": now,
    }
    messages = [("execution_start", {"prompt_id": item[1], "timestamp": now}), ("execution_error", error)]
    status = queue.ExecutionStatus("error", False, messages)
    # The sixth part of an item holds keys and tokens: the history must not show it.
    more = {"process_item": lambda prompt: prompt[:5] + prompt[6:]} if len(item) > 5 else {}
    server = getattr(queue, "server", None)
    client = item[3].get("client_id") if isinstance(item[3], dict) else None
    if server is not None and client is not None:
        for event, data in messages:
            server.send_sync(event, data, client)
    queue.task_done(item_id, {}, status, **more)
    if server is not None and client is not None:
        server.send_sync("executing", {"node": None, "prompt_id": item[1]}, client)
