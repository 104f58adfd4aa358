"""ComfyUI's queue items and the ends of its prompts, in the gate's words."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any

from ..gate.host import Job, Outcome


def job_of(item: Any) -> Job:
    """The waiting item as a job; its tuple is (number, id, graph, extra data, outputs to run, …) in all versions."""
    graph = item[2] if isinstance(item[2], Mapping) else {}
    return Job(str(item[1]), float(item[0]), graph, tuple(item[4]) if len(item) > 4 else ())


def id_of(item: Any) -> str | None:
    """A queue item's id; None where there is no item, or one of another shape: some packs keep others there."""
    try:
        return None if item is None else str(item[1])
    except (TypeError, LookupError):
        return None


def outcome_of(job_id: str, status: Any) -> Outcome:
    """How a prompt ended, from the `ExecutionStatus` that its worker hands over."""
    if status is None or getattr(status, "completed", True):
        return Outcome(job_id, True)
    for event, data in reversed(getattr(status, "messages", [])):
        if event == "execution_interrupted":
            return Outcome(job_id, False, "interrupted", "interrupted by the user", str(data.get("node_id", "")))
        if event == "execution_error":
            return Outcome(
                job_id,
                False,
                str(data.get("exception_type", "")),
                str(data.get("exception_message", "")),
                str(data.get("node_id", "")),
            )
    return Outcome(job_id, False, "unknown")


def take_out_of_turn(
    queue: Any, prompt_id: str, get: Callable[..., Any], failed: Callable[[str, Exception], None]
) -> Any | None:
    """Take a prompt by the queue's own `get` though it is not the next; None where it is not there (any more)."""
    with queue.mutex:
        others = queue.queue
        try:
            found = [item for item in others if str(item[1]) == prompt_id]
            if not found:
                return None
            rest = [item for item in others if item is not found[0]]
            heapq.heapify(rest)
            queue.queue = found[:1]
            taken = get(timeout=0)
            if taken is not None:  # another pack's `get` may hold it back
                others = rest
            return taken
        except Exception as error:  # noqa: BLE001 - what escapes here kills ComfyUI's worker thread
            failed("taking a prompt out of turn", error)
            return None
        finally:
            queue.queue = others
