"""The report, from the machine and from the instance that runs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..version import __version__
from .advice import advice
from .private import Private

LAST_ACTIONS = 10


def report(machine: Mapping[str, Any], private: Private) -> dict[str, Any]:
    """Of a machine on which no server was asked."""
    return _finished({"version": __version__, "host": None, "machine": machine}, private)


def running_report(
    machine: Mapping[str, Any],
    status: Mapping[str, Any],
    hooks: Mapping[str, str],
    settings: Mapping[str, Any],
    journal: Mapping[str, Any],
    actions: Sequence[Mapping[str, Any]],
    private: Private,
) -> dict[str, Any]:
    """Of a running instance.

    Args:
        machine: of `machine_report`.
        status: the status object. Ids of prompts, names of nodes and the reason of a wait are left out.
        hooks: what of the host is hooked → what it is for.
        settings: those that differ from their defaults.
        journal: counts and the trouble it has.
        actions: the last ones, oldest first, as `Action.as_dict`.
    """
    off = {**status["degraded"], **{f"reader {n}": why for n, why in status["monitor"]["problems"].items()}}
    last = [
        {k: a[k] for k in ("time", "level", "resource", "place", "freed", "goal", "met", "dry_run")}
        | {"rungs": [{k: r[k] for k in ("name", "freed", "seconds")} for r in a["rungs"]]}
        for a in actions[-LAST_ACTIONS:]
    ]
    return _finished(
        {
            "version": status["version"],
            "host": status["host"],
            "machine": machine,
            "level": status["level"],
            "readings": {name: _without_path(value) for name, value in status["resources"].items()},
            "process": status["process"],
            "gpus": [{k: v for k, v in gpu.items() if k != "uuid"} for gpu in status["gpus"]],
            "temp": _without_path(status["temp"] or {}) or None,
            "monitor": status["monitor"],
            "hooks": {name: ("off: " + off[name] if name in off else use) for name, use in hooks.items()},
            "off": off,
            "gate": status["gate"]["state"],
            "pending": status["queue"]["pending"],
            "worker_alive": status["worker_alive"],
            "settings": settings,
            "journal": journal,
            "last_actions": last,
        },
        private,
    )


def _without_path(found: Mapping[str, Any]) -> dict[str, Any]:
    """Folders are called after people, customers and projects outside of a home folder, too."""
    return {name: value for name, value in found.items() if name != "path"}


def _finished(found: dict[str, Any], private: Private) -> dict[str, Any]:
    found["advice"] = advice(found)
    cleaned: dict[str, Any] = private.cleaned(found)
    return cleaned
