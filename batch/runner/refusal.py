"""Why a server refuses a graph, in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def told_refusal(details: Any) -> tuple[str, str]:
    """Return the text and the first node (`5 LoadVideo`) of what `POST /prompt` answers with 400.

    Args:
        details: `{"error": {"message", "details"}, "node_errors": {id: {"class_type", "errors": [{…}]}}}`, or
            whatever else it answered.
    """
    if not isinstance(details, Mapping):
        return f"the server refuses the workflow: {details}", ""
    found = list(_node_errors(details.get("node_errors")))
    error = details.get("error")
    if not found and isinstance(error, Mapping):
        found = [("", _text(error))]
    elif not found:
        found = [("", str(error))]
    return "the server refuses the workflow: " + "; ".join(f"{n}: {t}" if n else t for n, t in found), found[0][0]


def _node_errors(errors: Any) -> Iterator[tuple[str, str]]:
    for node, told in errors.items() if isinstance(errors, Mapping) else ():
        if not isinstance(told, Mapping):
            continue
        for one in told.get("errors") or ():
            if isinstance(one, Mapping):
                yield f"{node} {told.get('class_type', '')}".strip(), _text(one)


def _text(error: Mapping[str, Any]) -> str:
    message, details = str(error.get("message") or ""), str(error.get("details") or "")
    return f"{message} ({details})" if message and details else message or details
