"""How long the longest node of each workflow took, kept beside the journal's jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .redo import Statement

KEPT = 2000
"""Workflows; those not seen longest go first."""

LEARN = (
    "INSERT INTO workflows (signature, longest, node, seen) VALUES (?, ?, ?, ?) ON CONFLICT (signature) DO UPDATE SET"
    " node = CASE WHEN excluded.longest > longest THEN excluded.node ELSE node END,"
    " longest = max(longest, excluded.longest), seen = excluded.seen"
)

FORGET = "DELETE FROM workflows WHERE seen <= (SELECT seen FROM workflows ORDER BY seen DESC LIMIT 1 OFFSET ?)"


class WorkflowTimes:
    """Implements `stuck.Times`. Any thread.

    Args:
        read: runs a query; empty where the journal is off.
        write: commits statements.
    """

    def __init__(
        self,
        read: Callable[..., list[tuple[Any, ...]]],
        write: Callable[[Sequence[Statement]], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._read = read
        self._write = write
        self._wall = wall

    def longest(self, signature: str) -> tuple[float, str] | None:
        """Seconds and node; None where nothing is known."""
        found = self._read("SELECT longest, node FROM workflows WHERE signature = ?", (signature,))
        return (float(found[0][0]), str(found[0][1])) if found else None

    def learn(self, times: Mapping[str, tuple[float, str]]) -> None:
        """Keep these where they are longer than what is kept."""
        now = self._wall()
        learned: list[Statement] = [(LEARN, (name, seconds, node, now)) for name, (seconds, node) in times.items()]
        self._write([*learned, (FORGET, (KEPT,))])
