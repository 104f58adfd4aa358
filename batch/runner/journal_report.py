"""A batch as one JSON value: what `batch report` draws, and scripts read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

TIERS = {"warning": 0.85, "critical": 0.90, "emergency": 0.95}
"""The defaults of Resource Gate's settings, where no server told its own."""

COLUMNS = (
    "idx, name, state, sent, seconds, wait, peak_ram, peak_vram, expected_ram, server, outputs, error_kind, error,"
    " node, actions, started_at, ended_at"
)
BARS = "name", "state", "started_at", "ended_at", "server"
"""What is drawn of a job that has begun."""
MAX_SAMPLES = 4000
"""Points a plot is drawn from; of a long batch every n-th, and each stretch's highest."""


class Rows:
    """What a query finds, read each time it is gone through: ten thousand jobs need not be in memory at once.

    Args:
        database: on which nothing else runs meanwhile.
        make: makes of a row what is yielded.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        sql: str,
        make: Callable[[tuple[Any, ...]], dict[str, Any]],
        arguments: tuple[Any, ...] = (),
    ) -> None:
        self._database, self._sql, self._make, self._arguments = database, sql, make, arguments

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._make, self._database.execute(self._sql, self._arguments))


def report(database: sqlite3.Connection) -> dict[str, Any]:
    """Return `{"batch": …, "jobs": …, "samples": …, "tiers": …}`; times in seconds since the epoch, bytes.

    Args:
        database: read each time that `jobs` or `samples` is gone through; so long it must stay open.
    """
    meta = {name: json.loads(value) for name, value in database.execute("SELECT name, value FROM meta")}
    states = dict(database.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
    started, ended, retried = database.execute(
        "SELECT min(started_at), max(ended_at), sum(sent > 1) FROM jobs"
    ).fetchone()
    samples = database.execute("SELECT count(*) FROM samples").fetchone()[0]
    return {
        "batch": {
            "id": meta.get("id", ""),
            "workflow": meta.get("workflow", ""),
            "source": meta.get("source", ""),
            "started_at": meta.get("started_at", started),
            "ended_at": meta.get("ended_at", ended),
            "servers": meta.get("servers", []),
            "done": states.get("done", 0),
            "failed": states.get("failed", 0),
            "total": sum(states.values()),
            "retried": retried or 0,
        },
        "jobs": Rows(database, f"SELECT {_columns(database)} FROM jobs ORDER BY idx", _job),
        "bars": Rows(database, f"SELECT {', '.join(BARS)} FROM jobs WHERE started_at ORDER BY started_at", _bar),
        # SQLite gives the bare columns of a row with max() from the row that holds the maximum.
        "samples": Rows(
            database,
            "SELECT time, server, used, capacity, max(fraction) FROM samples GROUP BY server, rowid / ? ORDER BY time",
            _sample,
            (1 + samples // MAX_SAMPLES,),
        ),
        "tiers": meta.get("tiers") or TIERS,
    }


def _columns(database: sqlite3.Connection) -> str:
    """`COLUMNS`, less what a file of an earlier version does not have: that is not known."""
    has = {name for _, name, *_ in database.execute("PRAGMA table_info(jobs)")}
    return ", ".join(name if name in has else f"NULL AS {name}" for name in COLUMNS.split(", "))


def _job(row: tuple[Any, ...]) -> dict[str, Any]:
    told = dict(zip(COLUMNS.split(", "), row, strict=True))
    told["index"] = told.pop("idx")
    told["attempts"] = told.pop("sent")
    for name in ("peak_vram", "outputs", "actions"):
        told[name] = json.loads(told[name])
    return told


def _bar(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(BARS, row, strict=True))


def _sample(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("time", "server", "used", "limit", "fraction"), row, strict=True))
