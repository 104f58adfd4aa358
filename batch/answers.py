"""What a server answers about its queue and about one prompt's end, read from ComfyUI's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import BadAnswer


@dataclass(frozen=True)
class QueueState:
    """Prompt ids, in the order they will run."""

    running: tuple[str, ...]
    pending: tuple[str, ...]

    @property
    def ids(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.running + self.pending)


@dataclass(frozen=True)
class JobEnd:
    """How a prompt ended, as the server's history tells."""

    id: str
    ok: bool
    reason: str = ""
    """Why it failed: node, exception type and message; empty where it went well."""
    outputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    node: str = ""
    """The node that failed: `12 SaveVideo`."""
    error_type: str = ""
    """The exception's type as the executor names it; `interrupted` where somebody interrupted it."""
    error: str = ""
    """The exception's message."""


def job_end(prompt_id: str, entry: Any) -> JobEnd:
    """Read one entry of ComfyUI's history: `{"outputs": …, "status": {"status_str", "completed", "messages"}}`.

    Raises:
        BadAnswer: it is not one.
    """
    if not isinstance(entry, dict):
        raise BadAnswer(f"history of {prompt_id}: {entry!r}")
    status = entry.get("status") or {}
    outputs = entry.get("outputs") or {}
    if status.get("status_str") == "success":
        return JobEnd(prompt_id, True, "", outputs)
    end = JobEnd(prompt_id, False, "failed", outputs)
    for event, data in status.get("messages") or ():
        if event == "execution_error":
            node = f"{data.get('node_id')} {data.get('node_type')}"
            kind, error = str(data.get("exception_type")), str(data.get("exception_message")).strip()
            end = JobEnd(prompt_id, False, f"{node}: {kind}: {error}", outputs, node, kind, error)
        elif event == "execution_interrupted":
            node = f"{data.get('node_id')} {data.get('node_type')}" if data.get("node_id") else ""
            end = JobEnd(prompt_id, False, "interrupted", outputs, node, "interrupted", "interrupted")
    return end
