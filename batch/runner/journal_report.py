"""A batch as one JSON value: what `batch report` draws, and scripts read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

TIERS = {"warning": 0.85, "critical": 0.90, "emergency": 0.95}
"""The defaults of Resource Gate's settings, where no server told its own."""

COLUMNS = (
    "idx, name, state, sent, seconds, wait, peak_ram, peak_vram, server, outputs, error_kind, error, node, actions,"
    " started_at, ended_at"
)
MAX_SAMPLES = 4000
"""Points a plot is drawn from; of a long batch every n-th, and each stretch's highest."""


def report(database: sqlite3.Connection, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"batch": …, "jobs": […], "samples": […], "tiers": …}`; times in seconds since the epoch, bytes."""
    jobs = [_job(row) for row in database.execute(f"SELECT {COLUMNS} FROM jobs ORDER BY idx")]
    states = [job["state"] for job in jobs]
    started, ended = database.execute("SELECT min(started_at), max(ended_at) FROM jobs").fetchone()
    return {
        "batch": {
            "id": meta.get("id", ""),
            "workflow": meta.get("workflow", ""),
            "source": meta.get("source", ""),
            "started_at": meta.get("started_at", started),
            "ended_at": meta.get("ended_at", ended),
            "servers": meta.get("servers", []),
            "done": states.count("done"),
            "failed": states.count("failed"),
            "total": len(jobs),
            "retried": sum(job["attempts"] > 1 for job in jobs),
        },
        "jobs": jobs,
        "samples": _samples(database),
        "tiers": meta.get("tiers") or TIERS,
    }


def _job(row: tuple[Any, ...]) -> dict[str, Any]:
    told = dict(zip(COLUMNS.replace(" ", "").split(","), row, strict=True))
    told["index"] = told.pop("idx")
    told["attempts"] = told.pop("sent")
    for name in ("peak_vram", "outputs", "actions"):
        told[name] = json.loads(told[name])
    return told


def _samples(database: sqlite3.Connection) -> list[dict[str, Any]]:
    total = database.execute("SELECT count(*) FROM samples").fetchone()[0]
    # SQLite gives the bare columns of a row with max() from the row that holds the maximum.
    rows = database.execute(
        "SELECT time, server, used, capacity, max(fraction) FROM samples GROUP BY server, rowid / ? ORDER BY time",
        (1 + total // MAX_SAMPLES,),
    )
    return [
        {"time": time, "server": server, "used": used, "limit": limit, "fraction": fraction}
        for time, server, used, limit, fraction in rows
    ]
