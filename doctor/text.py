"""The report as a person reads it, and pastes it into an issue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..reclaim.action import human


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Line by line, in Markdown."""
    host = report["host"]
    on = f" on {host['name']} {host['version']}" if host else ", no server asked"
    yield f"Resource Gate {report['version']}{on}"
    yield from _machine(report["machine"])
    if host:
        yield from _running(report)
    yield ""
    yield "Advice"
    yield from (f"- {line}" for line in report["advice"] or ["none: nothing is amiss that this report can see"])


def _machine(machine: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "Machine"
    yield f"- {machine['system']}, Python {machine['python']}, {machine['cpus']} CPUs"
    yield "- " + ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    yield f"- NVIDIA driver: {machine['driver']}"
    yield "- RAM: " + _amount(machine["ram"])
    swap = machine["swap"]
    told = isinstance(swap, Mapping)
    yield f"- swap: {human(swap['free'])} of {human(swap['total'])} free" if told else f"- swap: {swap}"
    for role, disk in machine["disks"].items():
        told = isinstance(disk, Mapping)
        yield f"- disk, {role}: " + (f"{human(disk['free'])} of {human(disk['total'])} free" if told else str(disk))


def _running(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"Readings, level {report['level']}, gate {report['gate']}, {report['pending']} prompts pending"
    for name, value in report["readings"].items():
        source = value.get("source") or value.get("name") or ""
        yield f"- {name}: {value['fraction']:.0%}, {value['level']}" + (f" ({source})" if source else "")
    yield ""
    yield "Hooks"
    yield from (f"- {name}: {use}" for name, use in report["hooks"].items())
    yield ""
    yield f"Journal: {report['journal']}"
    yield f"Settings that differ: {report['settings'] or 'none'}"
    yield ""
    yield "Last actions"
    for action in report["last_actions"]:
        at = time.strftime("%H:%M:%S", time.localtime(action["time"]))
        rungs = ", ".join(f"{r['name']} {human(r['freed'])}" for r in action["rungs"])
        yield f"- {at} {action['level']} {action['resource']} {action['place']}: {rungs or 'nothing'}"
    if not report["last_actions"]:
        yield "- none"


def _amount(reading: Any) -> str:
    if not isinstance(reading, Mapping):
        return str(reading)
    return f"{human(reading['used'])} of {human(reading['limit'])} used ({reading['source']})"
