"""What a server tells in each of the states that the panel has a look for."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from resource_gate.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
GIB = 1024**3

TIERS = {"warning": 0.85, "critical": 0.90, "emergency": 0.95}


def resource(used: float, limit: float, level: str = "normal", **more: Any) -> dict[str, Any]:
    return {"used": used, "limit": limit, "fraction": used / limit, "level": level, "tiers": TIERS, **more}


def idle_status() -> dict[str, Any]:
    """A machine at rest, as `GET /resource_gate/status` tells it."""
    version = json.loads((ROOT / "ui" / "package.json").read_text("utf-8"))["version"]
    return {
        "version": version,
        "time": time.time(),
        "host": {"name": "ComfyUI", "version": "0.33.0"},
        "level": "normal",
        "resources": {
            "ram": resource(13.4 * GIB, 32 * GIB, source="cgroup v2 /docker/4c1f"),
            "vram0": resource(9.1 * GIB, 24 * GIB, name="NVIDIA GeForce RTX 4090", source="nvml"),
            "cpu": resource(2.3, 16),
            "disk_output": resource(410 * GIB, 930 * GIB, path="/data/output", roles=["output", "temp"]),
        },
        "process": {"rss": 11.2 * GIB, "peak": 24.9 * GIB, "anonymous": 10 * GIB, "heap_slack": 0.4 * GIB},
        "gpus": [
            {
                "index": 0,
                "name": "NVIDIA GeForce RTX 4090",
                "used": 9.1 * GIB,
                "total": 24 * GIB,
                "source": "nvml",
                "utilization": 0.31,
                "temperature": 54.0,
                "fraction": 0.38,
            }
        ],
        "temp": {"path": "/data/temp", "bytes": 1.3 * GIB, "files": 212, "growth": 0.0},
        "worker_alive": True,
        "gate": {"state": "open", "reason": "", "since": None, "until": None, "job": None},
        "queue": {"running": [], "pending": 0, "node": "", "progress": None},
        "batch": {"done": 0, "total": 0, "failed": 0, "retried": 0, "eta_seconds": None},
        "last_action": None,
        "degraded": {},
        "monitor": {"interval": 1.0, "late": 0.0, "problems": {}},
    }


def action(now: float) -> dict[str, Any]:
    return {
        "time": now - 130,
        "level": "warning",
        "resource": "ram",
        "why": "RAM at 87% of 32.0 GB",
        "cause": {"code": "level", "fraction": 0.87, "limit": 32 * GIB},
        "place": "between nodes",
        "rungs": [
            {
                "name": "outputs of earlier prompts",
                "freed": 2.1 * GIB,
                "seconds": 0.004,
                "detail": "dropped 3 outputs of an earlier prompt",
            },
            {"name": "heap trim", "freed": 0.6 * GIB, "seconds": 0.067, "detail": "trimmed the heap"},
        ],
        "freed": 2.7 * GIB,
        "goal": 2.4 * GIB,
        "met": True,
        "dry_run": False,
        "text": "RAM at 87% of 32.0 GB: dropped 3 outputs of an earlier prompt; trimmed the heap; "
        "2.7 GB freed in 71 ms",
    }


def running(status: dict[str, Any]) -> dict[str, Any]:
    """A batch of videos in its seventh clip."""
    status["queue"] = {"running": ["a"], "pending": 13, "node": "12 KSampler", "progress": 0.45}
    batch = {"done": 6, "total": 20, "failed": 0, "retried": 1, "eta_seconds": 1580.0}
    status["batch"] = {**batch, "eta_low": 1390.0, "eta_high": 1820.0, "state": "running", "started_at": status["time"]}
    status["last_action"] = action(status["time"])
    status["resources"]["vram0"] = resource(19.7 * GIB, 24 * GIB, name="NVIDIA GeForce RTX 4090", source="nvml")
    return status


def example(name: str) -> dict[str, Any]:
    """One of the states that the panel has a look for."""
    status = idle_status()
    now = status["time"]
    ram = "cgroup v2 /docker/4c1f"
    status["last_action"] = action(now)
    if name == "idle":
        return status
    if name == "running":
        return running(status)
    if name == "waiting":
        running(status)["queue"].update({"running": [], "node": "", "progress": None, "pending": 14})
        status["resources"]["ram"] = resource(27.9 * GIB, 32 * GIB, "warning", source=ram)
        status["level"] = "warning"
        reason = "RAM 87% of 32.0 GB; it starts below 80%"
        status["gate"] = {"state": "waiting", "reason": reason, "since": now - 12, "until": now + 18, "job": "b"}
        cause = {"code": "starts", "fraction": 27.9 / 32, "limit": 32 * GIB, "below": 0.8}
        status["gate"]["cause"] = cause
    elif name == "warning":
        running(status)["resources"]["ram"] = resource(27.9 * GIB, 32 * GIB, "warning", source=ram)
        status["level"] = "warning"
    elif name == "emergency":
        running(status)["resources"]["ram"] = resource(31.0 * GIB, 32 * GIB, "emergency", source=ram)
        status["resources"]["vram0"] = resource(
            22.1 * GIB, 24 * GIB, "critical", name="NVIDIA GeForce RTX 4090", source="nvml"
        )
        status["resources"]["cpu"] = resource(15.8, 16, "emergency")
        status["level"] = "emergency"
        status["batch"]["failed"] = 1
        status["temp"]["growth"] = 48 * 1024**2
    elif name == "paused":
        running(status)["queue"].update({"running": [], "node": "", "progress": None, "pending": 14})
        status["gate"] = {"state": "paused", "reason": "paused by hand", "since": now - 95, "until": None, "job": None}
    elif name == "degraded":
        running(status)["degraded"] = {"brake": "this ComfyUI has no hook before each node; the gate still works"}
        status["monitor"]["problems"] = {"nvml": "the driver did not answer within 2 s"}
        del status["resources"]["vram0"]
        status["gpus"] = []
        status["worker_alive"] = False
        status["last_action"].update(dry_run=True, met=False, goal=9 * GIB)
    elif name == "done":
        status["batch"] = {"done": 19, "total": 20, "failed": 1, "retried": 2, "eta_seconds": None}
    elif name == "quarantined":
        running(status)["batch"] |= {"quarantined": 1, "failed": 1}
    elif name == "left":
        status["batch"] |= {"restorable": 3, "quarantined": 1}
    else:
        raise KeyError(name)
    return status


FIRST, EVERY, TAKES = -880.0, 110.0, 100.0
"""Seconds from now to the first clip of the history, from clip to clip, and for one."""


def load(second: float) -> tuple[float, float]:
    """GiB of RAM and of VRAM so many seconds from now: models are loaded, frames are sampled, decoded, and dropped."""
    into = (second - FIRST) % EVERY
    if second < FIRST or into > TAKES:
        return 11.0, 7.0
    loaded, sampled, decoded = min(1.0, into / 14), max(0.0, into - 20) / 60, max(0.0, into - 80) / 20
    ripple = 0.25 * math.sin(into * 1.3)
    return 11 + 5 * loaded + 3 * min(1, sampled) + 7 * decoded**2 + ripple, 7 + 11 * loaded + 1.5 * decoded + ripple / 2


def history(status: dict[str, Any]) -> list[dict[str, Any]]:
    """A quarter of an hour: clips that come and go; it ends where the status is."""
    found = []
    ends = {key: status["resources"].get(key, {"used": 0.0})["used"] for key in ("ram", "vram0")}
    for second in range(-900, 0):
        share = max(0.0, 1 + second / 25)
        used = dict(zip(ends, load(second), strict=True))
        point = {key: (1 - share) * used[key] * GIB + share * end for key, end in ends.items()}
        limits = {"ram_limit": 32 * GIB, "vram0_limit": 24 * GIB}
        found.append({"time": status["time"] + second, "level": "normal", **point, **limits})
    return found


def marks(status: dict[str, Any]) -> dict[str, Any]:
    now = status["time"]
    starts = [now + FIRST + n * EVERY for n in range(8)]
    jobs: list[dict[str, Any]] = [
        {"id": str(n), "title": f"clip_{n:03}", "start": start, "end": start + TAKES, "ok": n != 4}
        for n, start in enumerate(starts)
    ]
    if status["queue"]["running"]:
        jobs[-1] |= {"end": None, "ok": None}
    actions = [
        action(now),
        {"time": now - 480, "level": "critical", "resource": "ram", "freed": GIB, "text": "RAM at 91%: 1.0 GB freed"},
    ]
    return {"jobs": jobs, "actions": actions}


def settings_answer(settings: Settings) -> dict[str, Any]:
    return {"settings": settings.model_dump(), "schema": Settings.model_json_schema(), "problems": []}


def answers(status: dict[str, Any]) -> dict[str, Any]:
    """What the other routes tell, by path below `/resource_gate/`; times in the file count from now."""
    now = status["time"]
    found = json.loads((Path(__file__).parent / "answers.json").read_text("utf-8"))
    batch = found["batch"]
    if not status["queue"]["running"]:
        batch["running"], batch["jobs"] = [], batch["jobs"][1:]
    batch["quarantined"] = found["aside"] if status["batch"].get("quarantined") else []
    batch["left"] = found["left"] if status["batch"].get("restorable") else []
    over = status["batch"]["total"] and not status["queue"]["running"] and not status["queue"]["pending"]
    batch["summary"] = found["summary"] if over else None
    batch["retryable"] = min(1, status["batch"]["total"])
    for row in [*batch["jobs"], *batch["running"], *batch["quarantined"], *batch["left"]]:
        for name in {"queued_at", "started_at", "ended_at"} & row.keys():
            row[name] = None if row[name] is None else now + row[name]
    return {
        "batch": batch,
        "history": {"points": history(status)},
        "history/marks": marks(status),
        "log": {"actions": [action(now - 400), action(now)]},
        "settings": settings_answer(Settings()),
        "free/costs": found["costs"],
        "free?dry": found["plan"],
        "fleet": found["fleet"],
    }
