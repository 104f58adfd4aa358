"""What the dashboard shows: gathered from the batch's events and, of several machines, from looks at them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from ..fleet.machine import Reading
from ..fleet.roster import Machine, describe
from ..joblist.job import Job
from ..progress.state import UP, BatchState, RunningJob

LAST = 200
"""Ended jobs that the page can list; all of them are in the batch's report."""


class Board:
    """A view on a batch that shows nothing by itself: it is asked. Any thread.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._state = BatchState()
        self._machines: dict[str, dict[str, Any]] = {}
        self._causes: dict[str, Any] = {}
        """Server → why it is in its state, as a code and what belongs to it."""
        self._ended: deque[dict[str, Any]] = deque(maxlen=LAST)
        self._by_server: Counter[tuple[str, bool]] = Counter()
        self._count = 0
        self._servers: list[str] = []
        self._stopping = False
        self._dask: str | None = None

    def on(self, event: Mapping[str, Any]) -> None:
        """Take one event of the batch."""
        with self._lock:
            self._state.apply(event)
            kind = event.get("event")
            if kind == "job_ended":
                self._count += 1
                self._by_server[str(event.get("server", "")), bool(event.get("ok"))] += 1
                self._ended.append(_row(event, self._count))
            elif kind == "server":
                self._causes[str(event.get("server", ""))] = event.get("cause")
            elif kind == "batch_started":
                self._servers = [str(server) for server in event.get("servers") or ()]

    def close(self) -> None:
        """Nothing: who serves it closes."""

    def machine(self, machine: Machine, job: Job | None, reading: Reading | None) -> None:
        """Take in how it stands with a machine; `run_fleet` calls this."""
        with self._lock:
            self._machines[machine.name] = describe(machine)

    def dask_at(self, link: str) -> None:
        """Note where Dask's own dashboard is."""
        with self._lock:
            self._dask = link

    def stop_asked(self) -> None:
        """The batch was told to stop after its running jobs."""
        with self._lock:
            self._stopping = True

    def fleet(self) -> dict[str, Any]:
        """The answer of `GET /resource_gate/fleet`. Bytes, shares 0–1, seconds since the epoch."""
        with self._lock:
            running = {job.server: job for job in self._state.running.values()}
            machines = [
                {**told, "job": _job(running.get(name))}
                for name, told in (self._machines or {name: self._plain(name) for name in self._servers}).items()
            ]
            return {"batch": self._batch(), "machines": machines, "dask": self._dask}

    def jobs(self, limit: int, before: int | None) -> dict[str, Any]:
        """The answer of `GET /resource_gate/batch`: the last jobs, newest first, a page at a time."""
        with self._lock:
            found = [row for row in reversed(self._ended) if before is None or row["seq"] < before][:limit]
            running = [
                {
                    "id": job.name,
                    "title": _title(job.name, job.server),
                    "node": job.node,
                    "progress": job.fraction,
                    "started_at": job.started,
                    "peak_ram": None,
                    "peak_vram": None,
                }
                for job in self._state.running.values()
            ]
            further = bool(found) and found[-1]["seq"] > self._ended[0]["seq"]
            return {
                "jobs": found,
                "next": found[-1]["seq"] if further else None,
                "quarantined": [],
                "batch": self._batch(),
                "running": running,
            }

    def _batch(self) -> dict[str, Any]:
        state, now = self._state, self._clock()
        eta = state.eta(now)
        name = "idle" if state.ended or not state.total else "stopping" if self._stopping else "running"
        return {
            "state": name,
            "done": state.done,
            "total": state.total,
            "failed": state.failed,
            "retried": state.retried,
            "eta_seconds": eta.expected if eta else None,
            "eta_low": eta.low if eta else None,
            "eta_high": eta.high if eta else None,
            "waiting_since": None,
            "stop_after_current": self._stopping,
            "started_at": state.started,
        }

    def _plain(self, server: str) -> dict[str, Any]:
        """The one server of a batch without a fleet, as its events tell of it."""
        memory = self._state.memory.get(server)
        state, _, reason = self._state.servers.get(server, "up").partition(": ")
        if state in UP:
            state, reason = "up", ""
        ram = None
        if memory is not None:
            ram = {"used": memory.used, "limit": memory.limit, "fraction": memory.fraction, "tiers": memory.tiers}
        return {
            "name": server,
            "url": server,
            "state": state,
            "reason": reason,
            "cause": self._causes.get(server),
            "level": memory.level if memory else None,
            "ram": ram,
            "gpus": [],
            "done": self._by_server[server, True],
            "failed": self._by_server[server, False],
        }


def _job(job: RunningJob | None) -> dict[str, Any] | None:
    return None if job is None else {"name": job.name, "node": job.waiting or job.node, "progress": job.fraction}


def _title(name: Any, server: Any) -> str:
    """The page is read in several languages: no word between the two."""
    return f"{name} @ {server}"


def _row(event: Mapping[str, Any], seq: int) -> dict[str, Any]:
    return {
        "seq": seq,
        "id": event.get("name"),
        "title": _title(event.get("name"), event.get("server")),
        "state": "done" if event.get("ok") else "failed",
        "ended_at": event.get("time"),
        "wait": event.get("wait"),
        "seconds": event.get("seconds"),
        "peak_ram": event.get("peak_ram"),
        "actions": len(event.get("actions") or ()),
        "retries": max(0, int(event.get("attempts") or 1) - 1),
        "node": event.get("node"),
        "error": event.get("error"),
        "can_retry": False,
    }
