"""The report of a batch as the journal gives it."""

from __future__ import annotations

import math
from typing import Any

import pytest

GIB = 1024**3
START = 1_700_000_000.0
SERVERS = ("http://127.0.0.1:8188", "http://10.0.0.7:8188")


def job(index: int, server: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    return {
        "index": index,
        "name": f"clip_{index + 1:02d}",
        "state": "done",
        "attempts": 1,
        "seconds": end - start,
        "wait": 0.0,
        "peak_ram": int((9 + index % 4) * GIB),
        "peak_vram": {"cuda:0": 7 * GIB},
        "expected_ram": 13 * GIB if index else None,
        "server": server,
        "outputs": [f"/data/out/clip_{index + 1:02d}.mp4"],
        "error_kind": "",
        "error": "",
        "node": "",
        "actions": [],
        "started_at": START + start,
        "ended_at": START + end,
        **more,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    """Twelve jobs on two servers: one failed, one retried, one not run."""
    jobs, at = [], [0.0, 4.0]
    for index in range(12):
        lane = index % 2
        length = 55.0 + 12 * math.sin(index)
        jobs.append(job(index, SERVERS[lane], at[lane], at[lane] + length))
        at[lane] += length + 3
    jobs[3].update(attempts=3, wait=42.0, actions=["RAM at 91% of 16.0 GB: dropped 3 outputs; 2.7 GB freed in 71 ms"])
    failed = {"state": "failed", "attempts": 4, "outputs": [], "error_kind": "memory", "node": "12 KSampler"}
    jobs[7].update(failed, error="<b>CUDA</b> out of memory & no way out")
    jobs[11].update(
        state="planned", started_at=None, ended_at=None, seconds=None, peak_ram=None, peak_vram={}, outputs=[]
    )
    samples = [
        {
            "time": START + moment,
            "server": server,
            "used": 0,
            "limit": 16 * GIB,
            "fraction": 0.45 + 0.1 * lane + 0.4 * abs(math.sin(moment / 37 + lane)),
        }
        for lane, server in enumerate(SERVERS)
        for moment in range(0, int(max(at)), 2)
    ]
    return {
        "batch": {
            "id": "b1",
            "workflow": "/data/clips/upscale & encode.json",
            "source": "clips/*.mp4",
            "started_at": START,
            "ended_at": START + max(at),
            "servers": list(SERVERS),
            "done": 10,
            "failed": 1,
            "total": 12,
            "retried": 2,
        },
        "jobs": jobs,
        "samples": samples,
        "tiers": {"warning": 0.85, "critical": 0.9, "emergency": 0.95},
    }
