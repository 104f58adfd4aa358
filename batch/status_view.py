"""The status of a server as a person reads it in a shell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..reclaim.action import human

BAR = 24
"""Characters of a meter."""


def meter(fraction: float, tiers: Mapping[str, float]) -> str:
    """A bar of `BAR` characters, with the tiers as marks: `███████───|─|─|`."""
    filled = round(max(0.0, min(1.0, fraction)) * BAR)
    marks = {min(BAR - 1, int(share * BAR)) for share in tiers.values()}
    return "".join("█" if i < filled else "|" if i in marks else "─" for i in range(BAR))


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """The status object as lines of text."""
    host = status["host"]
    lines = [f"{host['name']} {host['version']}, Resource Gate {status['version']}: {status['level']}"]
    for name, one in status["resources"].items():
        if name == "cpu":
            amount = f"{one['used']:.1f} of {one['limit']} cores"
        else:
            amount = f"{human(one['used'])} of {human(one['limit'])}"
        note = one.get("source") or one.get("path") or ""
        bar = meter(one["fraction"], one["tiers"])
        lines.append(f"  {name:<12} {bar} {one['fraction']:>4.0%}  {amount:<22} {one['level']:<9} {note}".rstrip())
    if status["process"]:
        process = status["process"]
        lines.append(f"  process      {human(process['rss'])} resident, {human(process['peak'])} at its peak")
    if status["temp"]:
        lines.append(f"  temp         {human(status['temp']['bytes'])} in {status['temp']['files']} files")
    gate, queue, batch = status["gate"], status["queue"], status["batch"]
    lines.append(f"  gate         {gate['state']}" + (f": {gate['reason']}" if gate["reason"] else ""))
    running = f"running {queue['node']}" if queue["running"] else "idle"
    eta = "" if batch["eta_seconds"] is None else f", about {batch['eta_seconds']:.0f} s to go"
    if eta and batch.get("eta_low") is not None:
        eta += f" ({batch['eta_low']:.0f}–{batch['eta_high']:.0f})"
    lines.append(
        f"  queue        {running}, {queue['pending']} waiting; batch {batch['done']} of {batch['total']} done, "
        f"{batch['failed']} failed{eta}"
    )
    lines += [f"  set aside    {aside_text(job)}" for job in batch.get("set_aside", ())]
    if batch.get("quarantined"):
        lines.append("               each can be let run again, in the panel or with POST /resource_gate/batch/release")
    if status["worker_alive"] is False:
        lines.append("  worker       DEAD: the server answers, but runs no prompt any more; restart it")
    if status["last_action"]:
        lines.append(f"  last action  {status['last_action']['text']}")
    problems = {**status["degraded"], **status["monitor"]["problems"]}
    lines += [f"  ! {name}: {reason}" for name, reason in problems.items()]
    return lines


def aside_text(job: Mapping[str, Any]) -> str:
    """A job in quarantine in a line: which, how often the process died with it, at which node, with what peak."""
    name = f"{job['title']} ({job['id']})" if job["title"] else job["id"]
    times = "once" if job["deaths"] == 1 else f"{job['deaths']} times"
    at = f" at node {job['node']}" if job["node"] else ""
    peaks = {"RAM": job["peak_ram"], **{k.upper(): v for k, v in (job["peak_vram"] or {}).items()}}
    peak = ", ".join(f"{name} {human(size)}" for name, size in peaks.items() if size)
    return f"{name}: the process died {times} with it{at}" + (f", peak {peak}" if peak else "")
