"""A small batch as a runner tells it."""

from __future__ import annotations

from typing import Any

import pytest

GIB = 1024**3
START = 1_700_000_000.0


def said(event: str, after: float, /, **fields: Any) -> dict[str, Any]:
    return {"event": event, "time": START + after, **fields}


@pytest.fixture
def start() -> float:
    """Epoch seconds at which the batch starts."""
    return START


@pytest.fixture
def batch() -> list[dict[str, Any]]:
    """Four jobs: two done, one failed after a retry, one that waits for memory."""
    server = "http://127.0.0.1:8188"
    memory = {"server": server, "limit": 16 * GIB}
    return [
        said("batch_started", 0, total=4, servers=[server]),
        said("memory", 0, **memory, used=4 * GIB, fraction=0.25, level="normal"),
        said("job_started", 0, index=0, name="clip_1", server=server),
        said("submitted", 0, index=0, attempt=1, id="x", server=server),
        said("progress", 5, index=0, node="12 KSampler", value=3, max=20),
        said("job_ended", 30, index=0, name="clip_1", ok=True, seconds=30.0),
        said("job_started", 30, index=1, name="clip_2", server=server),
        said("retry", 40, index=1, attempt=2, of=3, wait=15.0, error="out of memory"),
        said("server", 41, server=server, state="gone", reason="connection reset"),
        said("reconnect", 42, server=server, **{"try": 1, "of": 5}),
        said("server", 50, server=server, state="back", reason="after 9 s"),
        said("job_ended", 90, index=1, name="clip_2", ok=False, seconds=60.0, error="out of memory [brackets]"),
        said("job_started", 90, index=2, name="clip_3", server=server),
        said("job_ended", 140, index=2, name="clip_3", ok=True, seconds=50.0),
        said("memory", 141, **memory, used=14.4 * GIB, fraction=0.9, level="critical"),
        said("job_started", 141, index=3, name="clip_4", server=server),
        said("waiting", 142, index=3, reason="memory at 90%; it starts below 80%"),
        said("waiting", 143, index=3, reason="memory at 90%; it starts below 80%"),
    ]
