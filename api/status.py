"""The answer of `GET /resource_gate/status`, which the `resource_gate.status` event carries too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..gate.admission import GateState
from ..gate.host import QueueHost
from ..gate.progress import BatchProgress
from ..monitor.level import level_of
from ..monitor.readings import Sample
from ..reclaim.action import ActionLog, Cause
from ..settings import Settings, Tiers
from ..version import __version__


class Status:
    """Puts it together from the rooms.

    Args:
        sample: the last sample, or a fresh one where there is none yet.
        problems: what else is amiss: feature → reason.
        counts: what the journal adds to `batch`.
        causes: of what is amiss, in parts: feature → a code and its values, where there are any.
    """

    def __init__(
        self,
        host: QueueHost,
        sample: Callable[[], Sample],
        settings: Callable[[], Settings],
        gate: Callable[[], GateState],
        progress: BatchProgress,
        actions: ActionLog,
        problems: Callable[[], Mapping[str, str]] = dict,
        counts: Callable[[], Mapping[str, Any]] = dict,
        causes: Callable[[], Mapping[str, Cause]] = dict,
    ) -> None:
        self._host = host
        self._sample = sample
        self._settings = settings
        self._gate = gate
        self._progress = progress
        self._actions = actions
        self._problems = problems
        self._counts = counts
        self._causes = causes

    def as_dict(self, sample: Sample | None = None) -> dict[str, Any]:
        """All of it, in bytes, shares 0–1 and seconds; times are seconds since the epoch."""
        sample = sample or self._sample()
        view = self._host.view()
        last = self._actions.last
        return {
            "version": __version__,
            "time": sample.time,
            "host": {"name": self._host.name, "version": self._host.version},
            "level": sample.level.label,
            "resources": resources(sample, self._settings()),
            "process": sample.process._asdict() if sample.process else None,
            "gpus": [{**g._asdict(), "fraction": g.fraction} for g in sample.gpus],
            "temp": sample.temp._asdict() if sample.temp else None,
            "worker_alive": self._host.worker_alive(),
            "gate": self._gate()._asdict(),
            "queue": {
                "running": list(view.running),
                "pending": view.pending,
                "node": view.node,
                "progress": view.progress,
            },
            "batch": {"eta_low": None, "eta_high": None, **self._progress.as_dict(view.pending), **self._counts()},
            "last_action": last.as_dict() if last else None,
            "degraded": {**self._host.degraded(), **self._problems()},
            "causes": dict(self._causes()),
            "monitor": {"interval": sample.interval, "late": sample.late, "problems": dict(sample.problems)},
        }


def resources(sample: Sample, settings: Settings) -> dict[str, dict[str, Any]]:
    """Each resource by name: used, limit, fraction, level, and the tiers it is held against."""
    found: dict[str, dict[str, Any]] = {}

    def add(resource: str, used: float, limit: float, tiers: Tiers, **more: Any) -> None:
        level = sample.levels.get(resource)
        if level is None:
            level = level_of(used, limit, tiers)
        found[resource] = {
            "used": used,
            "limit": limit,
            "fraction": used / limit if limit else 0.0,
            "level": level.label,
            "tiers": {tier: getattr(tiers, tier) for tier in ("warning", "critical", "emergency")},
            **more,
        }

    if sample.ram:
        add("ram", sample.ram.used, sample.ram.limit, settings.ram, source=sample.ram.source)
    for gpu in sample.gpus:
        add(f"vram{gpu.index}", gpu.working_set, gpu.total, settings.vram, name=gpu.name, source=gpu.source)
    if sample.cpu:
        add("cpu", sample.cpu.fraction * sample.cpu.cores, sample.cpu.cores, settings.cpu)
    for disk in sample.disks:
        used = disk.total - disk.free
        add(f"disk_{disk.roles[0]}", used, disk.total, settings.disk, path=disk.path, roles=list(disk.roles))
    return found
